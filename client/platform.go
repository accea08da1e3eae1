package client

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// AddPlatformAdministrator makes a person an administrator of the platform. It needs a key with the scope provision.
func (c *Client) AddPlatformAdministrator(ctx context.Context, user string) error {
	return done(c.rest.AddPlatformAdministrator(ctx, user, nil))
}

// RemovePlatformAdministrator removes an administrator of the platform. It needs a key with the scope provision.
func (c *Client) RemovePlatformAdministrator(ctx context.Context, user string) error {
	return done(c.rest.RemovePlatformAdministrator(ctx, user, nil))
}

// RoleSets returns the role sets with their roles and titles.
func (c *Client) RoleSets(ctx context.Context) ([]RoleSet, error) {
	sets, err := answer[rest.RoleSets](c.rest.ListRoleSets(ctx))
	return sets.RoleSets, err
}

// Types returns the resource types of the served schema with their permissions.
func (c *Client) Types(ctx context.Context) ([]ResourceType, error) {
	catalogue, err := answer[rest.PermissionCatalogue](c.rest.DescribePermissions(ctx))
	return catalogue.Types, err
}

// Relationship is a stored relationship. If Everybody is set, its subject is the wildcard of the subject's type.
// ExpiresAt is zero for a permanent relationship.
type Relationship struct {
	Resource  Reference
	Relation  string
	Subject   Reference
	Everybody bool
	ExpiresAt time.Time
}

// Relationships lists the stored relationships of a resource "type:id"; an empty relation means all. It needs a key
// with the scope inspect.
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
			read[i] = Relationship{Relation: r.Relation, ExpiresAt: r.ExpiresAt}
			read[i].Resource, _ = readReference(r.Resource)
			read[i].Subject, read[i].Everybody = readReference(r.Subject)
		}
		return read, page.NextCursor, nil
	})
}

// readReference reads a reference in the string form or in the object form of the API. In the string form, type:* means
// everybody of the type. An object whose id is "*" comes in the object form.
func readReference(r rest.Reference) (_ Reference, everybody bool) {
	text, err := r.AsReferenceString()
	if err != nil {
		object, _ := r.AsReferenceObject() // the server sends no third form
		return Reference{Type: object.Type, ID: object.ID, Relation: object.Relation}, false
	}
	read := Object(text)
	if read.ID == "*" {
		return Reference{Type: read.Type}, true
	}
	read.ID, read.Relation, _ = strings.Cut(read.ID, "#")
	return read, false
}
