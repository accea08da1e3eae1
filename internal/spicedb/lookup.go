package spicedb

import (
	"context"
	"iter"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
)

// LookupResources implements authz.Engine. A page that continues a cursor looks at the state that the list began with.
// A resource that is reached in several ways may come more than once when the list is limited.
func (c *Client) LookupResources(ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page) iter.Seq2[authz.FoundResource, error] {
	return sequence(c, "LookupResources", func(yield func(authz.FoundResource) bool) error {
		caveatContext, err := toStruct("context", query.Context)
		if err != nil {
			return err
		}
		portion := func(from position, consistency *v1.Consistency, each func(*v1.LookupResourcesResponse) bool) error {
			return stream(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[v1.LookupResourcesResponse], error) {
				return c.permissions.LookupResources(ctx, &v1.LookupResourcesRequest{
					Consistency:        consistency,
					ResourceObjectType: string(query.Type),
					Permission:         string(query.Permission),
					Subject:            toSubject(query.Subject),
					Context:            caveatContext,
					OptionalLimit:      from.limit,
					OptionalCursor:     from.optional(),
				})
			}, each)
		}
		return paginate(at, page, portion, func(found *v1.LookupResourcesResponse, after position) bool {
			return yield(authz.FoundResource{
				ID:       authz.DecodeID(found.GetResourceObjectId()),
				Decision: fromLookup(found.GetPermissionship(), found.GetPartialCaveatInfo()),
				Cursor:   after.String(),
				Token:    fromToken(found.GetLookedUpAt()),
			})
		})
	})
}

// LookupSubjects implements authz.Engine.
func (c *Client) LookupSubjects(ctx context.Context, query authz.SubjectQuery, at authz.Consistency) iter.Seq2[authz.FoundSubject, error] {
	return sequence(c, "LookupSubjects", func(yield func(authz.FoundSubject) bool) error {
		consistency, err := toConsistency(at)
		if err != nil {
			return err
		}
		caveatContext, err := toStruct("context", query.Context)
		if err != nil {
			return err
		}
		return stream(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[v1.LookupSubjectsResponse], error) {
			return c.permissions.LookupSubjects(ctx, &v1.LookupSubjectsRequest{
				Consistency:             consistency,
				Resource:                toObject(query.Resource),
				Permission:              string(query.Permission),
				SubjectObjectType:       string(query.Type),
				OptionalSubjectRelation: string(query.SubjectRelation),
				Context:                 caveatContext,
			})
		}, func(found *v1.LookupSubjectsResponse) bool {
			return yield(toFoundSubject(query, found))
		})
	})
}

func toFoundSubject(query authz.SubjectQuery, found *v1.LookupSubjectsResponse) authz.FoundSubject {
	resolved := found.GetSubject()
	subject := newSubject(query.Type, resolved.GetSubjectObjectId())
	subject.Relation = query.SubjectRelation
	out := authz.FoundSubject{
		Subject:  subject,
		Decision: fromLookup(resolved.GetPermissionship(), resolved.GetPartialCaveatInfo()),
		Token:    fromToken(found.GetLookedUpAt()),
	}
	for _, excluded := range found.GetExcludedSubjects() {
		out.Excluded = append(out.Excluded, authz.DecodeID(excluded.GetSubjectObjectId()))
	}
	return out
}
