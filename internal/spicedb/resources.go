package spicedb

import (
	"context"
	"iter"
	"slices"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
)

// LookupResources implements authz.Engine.
//
// SpiceDB's own pages name a resource once for each way in which it is reached, on whatever pages those ways fall. So the
// whole stream is looked through, without SpiceDB's cursors, and sorted by id.
func (c *Client) LookupResources(ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page) iter.Seq2[authz.FoundResource, error] {
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

// allResources returns every resource that the query finds, once, in the order of ids.
func (c *Client) allResources(ctx context.Context, query authz.ResourceQuery, at authz.Consistency) ([]authz.FoundResource, error) {
	consistency, err := toConsistency(at)
	if err != nil {
		return nil, err
	}
	caveatContext, err := toStruct("context", query.Context)
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
			Context:            caveatContext,
		})
	}, func(found *v1.LookupResourcesResponse) bool {
		token := fromToken(found.GetLookedUpAt())
		if len(all) > 0 {
			token = all[0].Token // the same text, once in memory
		}
		all = append(all, authz.FoundResource{
			ID:       authz.DecodeID(found.GetResourceObjectId()),
			Decision: fromLookup(found.GetPermissionship(), found.GetPartialCaveatInfo()),
			Token:    token,
		})
		return true
	})
	return once(all), err
}

// once sorts resources by id, and makes one of those that came several times.
func once(all []authz.FoundResource) []authz.FoundResource {
	slices.SortFunc(all, authz.CompareResources)
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

// either is the decision of what is reached in two ways, each of them allowed or conditional.
func either(a, b authz.Decision) authz.Decision {
	if a.State == authz.Allowed || b.State == authz.Allowed {
		return authz.Decision{State: authz.Allowed}
	}
	missing := slices.Sorted(slices.Values(slices.Concat(a.MissingContext, b.MissingContext)))
	return authz.Decision{State: authz.Conditional, MissingContext: slices.Compact(missing)}
}
