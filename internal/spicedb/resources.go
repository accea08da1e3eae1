package spicedb

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
)

// LookupResources implements authz.Engine.
//
// SpiceDB's own pages name a resource once for each way in which it is reached, on whatever pages those ways fall. So
// each page looks through the whole stream, without SpiceDB's cursors, and keeps those that come next in the order of
// ids: what a cursor holds is an id and the state that the list began with, and no page depends on what another one kept.
func (c *Client) LookupResources(ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page) iter.Seq2[authz.FoundResource, error] {
	return sequence(c, "LookupResources", func(yield func(authz.FoundResource) bool) error {
		next := nextResources{limit: page.Limit, found: make(map[authz.ID]authz.Decision)}
		if page.Limit < 0 {
			return authz.Errorf(authz.CodeInvalid, "a limit must not be negative")
		}
		if page.Cursor != "" {
			position, err := authz.ParseCursor(page.Cursor, query)
			if err != nil {
				return err
			}
			token, id, _ := strings.Cut(position, " ")
			at, next.after = authz.AtSnapshot(authz.Token(token)), authz.ID(id)
		}
		token, err := c.allResources(ctx, query, at, next.add)
		if err != nil {
			return err
		}
		for _, id := range next.sorted() {
			found := authz.FoundResource{
				ID: id, Decision: next.found[id], Cursor: authz.NewCursor(string(token)+" "+string(id), query), Token: token,
			}
			if !yield(found) {
				return nil
			}
		}
		return nil
	})
}

// allResources hands each way in which a resource is reached to add, and returns the state that was looked at; there is
// no token if nothing was found.
func (c *Client) allResources(ctx context.Context, query authz.ResourceQuery, at authz.Consistency, add func(authz.ID, authz.Decision)) (authz.Token, error) {
	consistency, err := toConsistency(at)
	if err != nil {
		return "", err
	}
	caveatContext, err := toStruct("context", query.Context)
	if err != nil {
		return "", err
	}
	var token authz.Token
	err = stream(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[v1.LookupResourcesResponse], error) {
		return c.permissions.LookupResources(ctx, &v1.LookupResourcesRequest{
			Consistency:        consistency,
			ResourceObjectType: string(query.Type),
			Permission:         string(query.Permission),
			Subject:            toSubject(query.Subject),
			Context:            caveatContext,
		})
	}, func(found *v1.LookupResourcesResponse) bool {
		token = fromToken(found.GetLookedUpAt())
		add(authz.DecodeID(found.GetResourceObjectId()), fromLookup(found.GetPermissionship(), found.GetPartialCaveatInfo()))
		return true
	})
	return token, err
}

// nextResources keeps, of resources that come in any order, the first ones behind an id.
type nextResources struct {
	after authz.ID
	limit int // 0 means all
	last  authz.ID
	found map[authz.ID]authz.Decision
}

func (n *nextResources) add(id authz.ID, decision authz.Decision) {
	if id <= n.after || n.last != "" && id > n.last {
		return
	}
	known, again := n.found[id]
	if again {
		decision = either(known, decision)
	}
	n.found[id] = decision
	if n.limit > 0 && len(n.found) >= 2*n.limit+1000 {
		n.trim()
	}
}

// trim forgets what is beyond the limit.
func (n *nextResources) trim() {
	ids := slices.Sorted(maps.Keys(n.found))
	if n.limit == 0 || len(ids) <= n.limit {
		return
	}
	for _, id := range ids[n.limit:] {
		delete(n.found, id)
	}
	n.last = ids[n.limit-1]
}

func (n *nextResources) sorted() []authz.ID {
	n.trim()
	return slices.Sorted(maps.Keys(n.found))
}

// either is the decision of what is reached in two ways, each of them allowed or conditional.
func either(a, b authz.Decision) authz.Decision {
	if a.State == authz.Allowed || b.State == authz.Allowed {
		return authz.Decision{State: authz.Allowed}
	}
	missing := slices.Sorted(slices.Values(slices.Concat(a.MissingContext, b.MissingContext)))
	return authz.Decision{State: authz.Conditional, MissingContext: slices.Compact(missing)}
}
