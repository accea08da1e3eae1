package spicedb

import (
	"context"
	"iter"
	"maps"
	"slices"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
)

// LookupResources implements authz.Engine.
//
// In SpiceDB's own pages, a resource appears once for each path to it, possibly on different pages. So LookupResources
// does not use SpiceDB's cursors. It reads the whole stream and sorts it by id.
func (c *Client) LookupResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.FoundResource, error] {
	return sequence(c, "LookupResources", func(yield func(authz.FoundResource) bool) error {
		part, err := c.pages.Page(ctx, query, at, page, func(at authz.Consistency) ([]authz.FoundResource, error) {
			return c.allResources(ctx, query, at)
		})
		for _, found := range part {
			if !yield(found) {
				return nil
			}
		}
		return err
	})
}

// allResources returns each resource of the query once, sorted by id. If a caveat fails for one resource, SpiceDB fails
// the whole look-up. In that case, allResources checks each candidate separately.
func (c *Client) allResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency,
) ([]authz.FoundResource, error) {
	all, err := c.lookUpResources(ctx, query, at)
	if !isCaveatFailure(err) {
		return all, err
	}
	ids, token, err := c.candidateResources(ctx, query, at, err)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	checks := make([]authz.Check, len(ids))
	for i, id := range ids {
		checks[i] = authz.Check{
			Subject: query.Subject, Permission: query.Permission, Context: query.Context,
			Resource: authz.Object{Type: query.Type, ID: id},
		}
	}
	results, _, err := c.CheckBulk(ctx, checks, authz.AtSnapshot(token))
	if err != nil {
		return nil, err
	}
	all = nil
	for i, result := range results {
		switch {
		case result.Err != nil && !isOfQuestion(result.Err):
			return nil, result.Err
		case result.Err != nil || result.Decision.State != authz.Denied:
			all = append(all, authz.FoundResource{ID: ids[i], Decision: result.Decision, Err: result.Err, Token: token})
		}
	}
	return all, nil
}

// candidateResources returns the sorted ids of all resources that the query may find, and the token of their state.
// It finds them by the same look-up without a context, since a caveat with missing context does not fail. If a caveat
// still fails, the candidates are all resources of the type. If there are too many candidates, the returned error is
// the argument failure.
func (c *Client) candidateResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, failure error,
) (_ []authz.ID, token authz.Token, err error) {
	ids := make(map[authz.ID]bool)
	var all []authz.FoundResource
	err = failure
	if query.Context != nil {
		query.Context = nil
		all, err = c.lookUpResources(ctx, query, at)
	}
	switch {
	case err == nil:
		for _, found := range all {
			ids[found.ID], token = true, found.Token
		}
	case isCaveatFailure(err):
		if query.Subject.Type == query.Type {
			ids[query.Subject.ID] = true
		}
		rows := 0
		for item, err := range c.Read(ctx, authz.Filter{Type: query.Type}, at, authz.Page{}) {
			if err != nil {
				return nil, "", err
			}
			ids[item.Relationship.Resource.ID], token = true, item.Token
			if rows++; rows > maxCandidateRows || len(ids) > maxCandidates {
				return nil, "", failure
			}
		}
	default:
		return nil, "", err
	}
	if len(ids) > maxCandidates {
		return nil, "", failure
	}
	if token == "" {
		return nil, "", nil
	}
	return slices.Sorted(maps.Keys(ids)), token, nil
}

// lookUpResources returns the resources of SpiceDB's look-up.
func (c *Client) lookUpResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency,
) ([]authz.FoundResource, error) {
	consistency, err := toConsistency(at)
	if err != nil {
		return nil, err
	}
	given, err := c.toGivenContext(ctx, query.Type, query.Permission, query.Context)
	if err != nil {
		return nil, err
	}
	var all []authz.FoundResource
	err = stream(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[v1.LookupResourcesResponse], error) {
		return c.permissions.LookupResources(ctx, &v1.LookupResourcesRequest{
			Consistency:        consistency,
			ResourceObjectType: string(query.Type),
			Permission:         string(query.Permission),
			Subject:            toSubject(query.Subject),
			Context:            given.values,
		})
	}, func(found *v1.LookupResourcesResponse) bool {
		token := fromToken(found.GetLookedUpAt())
		if len(all) > 0 {
			token = all[0].Token // all results share one text of the token
		}
		all = append(all, authz.FoundResource{
			ID:       authz.DecodeID(query.Type, found.GetResourceObjectId()),
			Decision: fromLookup(found.GetPermissionship(), found.GetPartialCaveatInfo()),
			Token:    token,
		})
		return true
	})
	return mergePaths(all), given.nameNumber(err)
}

// mergePaths sorts resources by id, and merges those that several paths reach.
func mergePaths(all []authz.FoundResource) []authz.FoundResource {
	slices.SortFunc(all, pages.Compare)
	kept := all[:0]
	for _, found := range all {
		if last := len(kept) - 1; last >= 0 && kept[last].ID == found.ID {
			kept[last].Decision = either(kept[last].Decision, found.Decision)
			continue
		}
		kept = append(kept, found)
	}
	return kept
}

// either returns the decision for an object that two paths reach. Each path is allowed or conditional.
func either(a, b authz.Decision) authz.Decision {
	if a.State == authz.Allowed || b.State == authz.Allowed {
		return authz.Decision{State: authz.Allowed}
	}
	missing := slices.Sorted(slices.Values(slices.Concat(a.MissingContext, b.MissingContext)))
	return authz.Decision{State: authz.Conditional, MissingContext: slices.Compact(missing)}
}
