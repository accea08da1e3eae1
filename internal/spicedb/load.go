package spicedb

import (
	"context"
	"slices"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Load writes relationships unchanged, with their caveats and expirations, in as many writes as necessary. It is
// idempotent.
func (c *Client) Load(ctx context.Context, relationships []*v1.Relationship) error {
	for batch := range slices.Chunk(relationships, authz.MaxUpdates) {
		updates := make([]*v1.RelationshipUpdate, len(batch))
		for i, r := range batch {
			if err := c.prepareStored(ctx, r); err != nil {
				return err
			}
			updates[i] = &v1.RelationshipUpdate{Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: r}
		}
		if _, err := c.permissions.WriteRelationships(ctx, &v1.WriteRelationshipsRequest{Updates: updates}); err != nil {
			return c.failure(ctx, err)
		}
	}
	return nil
}
