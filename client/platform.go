package client

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// AddPlatformAdministrator makes a person administrator of the platform. It needs a key with the scope provision.
func (c *Client) AddPlatformAdministrator(ctx context.Context, user string) error {
	return done(c.rest.AddPlatformAdministrator(ctx, user))
}

// RemovePlatformAdministrator takes the administration of the platform from a person. It needs a key with the scope
// provision.
func (c *Client) RemovePlatformAdministrator(ctx context.Context, user string) error {
	return done(c.rest.RemovePlatformAdministrator(ctx, user))
}

// RoleSets are the role sets with their roles and titles.
func (c *Client) RoleSets(ctx context.Context) ([]RoleSet, error) {
	sets, err := answer[rest.RoleSets](c.rest.ListRoleSets(ctx))
	return sets.RoleSets, err
}

// Types are the resource types of the served schema with their permissions.
func (c *Client) Types(ctx context.Context) ([]ResourceType, error) {
	catalogue, err := answer[rest.PermissionCatalogue](c.rest.DescribePermissions(ctx))
	return catalogue.Types, err
}

// Relationship says that the subject stands in the relation to the resource, until ExpiresAt if that is set.
type Relationship struct {
	Resource  Reference
	Relation  string
	Subject   Reference // everybody of a type has the id "*"
	ExpiresAt time.Time
}

// Relationships are those of a resource "type:id" that are stored; an empty relation means all. It needs a key with the
// scope inspect.
func (c *Client) Relationships(ctx context.Context, resource, relation string) iter.Seq2[Relationship, error] {
	return pages(func(cursor string) ([]Relationship, string, error) {
		reference, err := Object(resource).wire()
		if err != nil {
			return nil, "", err
		}
		named, err := json.Marshal(reference)
		if err != nil {
			return nil, "", err
		}
		params := &rest.ListRelationshipsParams{Resource: string(named), Limit: &pageSize, Cursor: cursor}
		if relation != "" {
			params.Relation = &relation
		}
		page, err := answer[rest.RelationshipPage](c.rest.ListRelationships(ctx, params))
		if err != nil {
			return nil, "", err
		}
		read := make([]Relationship, len(page.Relationships))
		for i, r := range page.Relationships {
			read[i] = Relationship{Resource: readReference(r.Resource), Relation: r.Relation, Subject: readReference(r.Subject), ExpiresAt: r.ExpiresAt}
		}
		return read, page.NextCursor, nil
	})
}

// readReference reads a reference in either form.
func readReference(r rest.Reference) Reference {
	if text, err := r.AsReferenceString(); err == nil {
		object := Object(text)
		if id, relation, found := strings.Cut(object.ID, "#"); found {
			object.ID, object.Relation = id, relation
		}
		return object
	}
	object, _ := r.AsReferenceObject() // the server writes no third form
	return Reference{Type: object.Type, ID: object.ID, Relation: object.Relation}
}
