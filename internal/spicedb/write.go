package spicedb

import (
	"context"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
)

var operations = map[authz.Action]v1.RelationshipUpdate_Operation{
	authz.Create: v1.RelationshipUpdate_OPERATION_CREATE,
	authz.Touch:  v1.RelationshipUpdate_OPERATION_TOUCH,
	authz.Delete: v1.RelationshipUpdate_OPERATION_DELETE,
}

// Write implements authz.Engine.
func (c *Client) Write(ctx context.Context, write authz.Write) (_ authz.Token, err error) {
	defer c.observe("Write", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	if len(write.Updates) == 0 {
		return "", authz.Errorf(authz.CodeInvalid, "there is nothing to write")
	}
	updates := make([]*v1.RelationshipUpdate, 0, len(write.Updates))
	for _, u := range write.Updates {
		relationship, err := toRelationship(u.Relationship)
		if err != nil {
			return "", err
		}
		if u.Action != authz.Delete {
			if err := c.prepareStored(ctx, relationship); err != nil {
				return "", err
			}
		}
		updates = append(updates, &v1.RelationshipUpdate{Operation: operations[u.Action], Relationship: relationship})
	}
	preconditions, err := toPreconditions(write.Preconditions)
	if err != nil {
		return "", err
	}
	metadata, err := toMetadata(write.Metadata)
	if err != nil {
		return "", err
	}
	response, err := c.permissions.WriteRelationships(ctx, &v1.WriteRelationshipsRequest{
		Updates:                     updates,
		OptionalPreconditions:       preconditions,
		OptionalTransactionMetadata: metadata,
	})
	if err != nil {
		return "", c.failure(ctx, err)
	}
	token := fromToken(response.GetWrittenAt())
	c.options.Acknowledged.addToken(token, write.Metadata)
	return token, nil
}

// DeleteAll implements authz.Engine.
func (c *Client) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (_ authz.Token, err error) {
	defer c.observe("DeleteAll", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	converted, err := toFilter(filter)
	if err != nil {
		return "", err
	}
	required, err := toPreconditions(preconditions)
	if err != nil {
		return "", err
	}
	stored, err := toMetadata(metadata)
	if err != nil {
		return "", err
	}
	response, err := c.permissions.DeleteRelationships(ctx, &v1.DeleteRelationshipsRequest{
		RelationshipFilter:          converted,
		OptionalPreconditions:       required,
		OptionalTransactionMetadata: stored,
	})
	if err != nil {
		return "", c.failure(ctx, err)
	}
	token := fromToken(response.GetDeletedAt())
	c.options.Acknowledged.addToken(token, metadata)
	return token, nil
}
