package spicedb

import (
	"context"
	"iter"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Read implements authz.Engine. A page that continues a cursor reads the state of the first page.
func (c *Client) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return sequence(c, "Read", func(yield func(authz.ReadItem) bool) error {
		converted, err := toFilter(filter)
		if err != nil {
			return err
		}
		portion := func(
			from position, consistency *v1.Consistency, each func(found *v1.ReadRelationshipsResponse) bool,
		) error {
			return stream(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[v1.ReadRelationshipsResponse], error) {
				return c.permissions.ReadRelationships(ctx, &v1.ReadRelationshipsRequest{
					Consistency:        consistency,
					RelationshipFilter: converted,
					OptionalLimit:      from.limit,
					OptionalCursor:     from.optional(),
				})
			}, each)
		}
		return paginate(at, page, portion, func(found *v1.ReadRelationshipsResponse, after position) bool {
			return yield(authz.ReadItem{
				Relationship: fromRelationship(found.GetRelationship()),
				Cursor:       after.String(),
				Token:        fromToken(found.GetReadAt()),
			})
		})
	})
}
