package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// Relationship is a relationship that is stored or is to be stored. If Everybody is set, its subject is the wildcard
// of the subject's type, for example user:*. ExpiresAt is zero for a permanent relationship.
type Relationship struct {
	Resource  Reference
	Relation  string
	Subject   Reference
	Everybody bool
	ExpiresAt time.Time

	// Caveat is the name of a caveat: the relationship counts only if the caveat is true. CaveatContext has the
	// values that are stored for its parameters. Both may be empty.
	Caveat        string
	CaveatContext map[string]any
}

// ParseRelationship parses resource#relation@subject, for example dashboard:revenue#editor@user:bob. The resource
// ends at the first '#', and the relation at the next '@'. The subject user:* stands for every user. Do not build the
// text from ids that people choose, since such an id may contain '#' or '@'; build a Relationship instead. An error
// has the code Invalid.
func ParseRelationship(text string) (Relationship, error) {
	resource, rest, hasRelation := strings.Cut(text, "#")
	relation, subject, hasSubject := strings.Cut(rest, "@")
	if !hasRelation || !hasSubject {
		return Relationship{}, &Error{Code: Invalid, Detail: fmt.Sprintf(
			"%q is not a relationship: write resource#relation@subject, for example dashboard:revenue#editor@user:bob", text,
		)}
	}
	r := Relationship{Resource: Object(resource), Relation: relation}
	r.Subject, r.Everybody = parseReference(subject)
	return r, nil
}

// RelationshipUpdate is a change of one relationship. CreateRelationship, TouchRelationship and DeleteRelationship
// return one.
type RelationshipUpdate struct {
	relationship Relationship
	operation    rest.RelationshipUpdateOperation
}

// CreateRelationship returns an update that stores a new relationship. If the relationship is already stored, the
// write fails with Conflict.
func CreateRelationship(r Relationship) RelationshipUpdate {
	return RelationshipUpdate{r, rest.CreateRelationship}
}

// TouchRelationship returns an update that stores a relationship. If it is already stored, the update replaces its
// caveat and its expiration.
func TouchRelationship(r Relationship) RelationshipUpdate {
	return RelationshipUpdate{r, rest.TouchRelationship}
}

// DeleteRelationship returns an update that deletes a relationship if it is stored. It ignores caveat and expiration.
func DeleteRelationship(r Relationship) RelationshipUpdate {
	r.Caveat, r.CaveatContext, r.ExpiresAt = "", nil, time.Time{}
	return RelationshipUpdate{r, rest.DeleteRelationship}
}

// RelationshipFilter selects relationships of one resource. An empty Relation selects every relation, and an empty
// Subject selects every subject. With Everybody, it selects the wildcard of the subject's type, for example user:*.
type RelationshipFilter struct {
	Resource  Reference
	Relation  string
	Subject   Reference
	Everybody bool
}

// Precondition is a fact about stored relationships without which the server rejects a write. MustMatch and
// MustNotMatch return one.
type Precondition struct {
	filter   RelationshipFilter
	isAbsent bool
}

// MustMatch returns the precondition that at least one relationship is stored that the filter selects.
func MustMatch(filter RelationshipFilter) Precondition { return Precondition{filter: filter} }

// MustNotMatch returns the precondition that no relationship is stored that the filter selects.
func MustNotMatch(filter RelationshipFilter) Precondition {
	return Precondition{filter: filter, isAbsent: true}
}

// WriteRelationships writes up to 999 relationships of types of your own: either all of them or none. It needs a key
// with the scope write. Preconditions about other types also need the scope inspect. The error is Conflict if a
// precondition is false, or if a relationship to create is already stored.
func (c *Client) WriteRelationships(
	ctx context.Context, updates []RelationshipUpdate, preconditions ...Precondition,
) error {
	return writeRelationships(ctx, c.rest, updates, preconditions)
}

// WriteRelationships writes relationships as Client.WriteRelationships does, and records the actor in the audit log.
// The server does not check the permissions of the actor.
func (a *Actor) WriteRelationships(
	ctx context.Context, updates []RelationshipUpdate, preconditions ...Precondition,
) error {
	return writeRelationships(ctx, a.rest, updates, preconditions)
}

func writeRelationships(
	ctx context.Context, through *rest.Client, updates []RelationshipUpdate, preconditions []Precondition,
) error {
	body := rest.RelationshipWrite{Updates: make([]rest.RelationshipUpdate, len(updates))}
	for i, update := range updates {
		var err error
		if body.Updates[i], err = update.wire(); err != nil {
			return err
		}
	}
	for _, precondition := range preconditions {
		sent, err := precondition.wire()
		if err != nil {
			return err
		}
		body.Preconditions = append(body.Preconditions, sent)
	}
	return done(through.WriteRelationships(ctx, nil, body))
}

// DeleteRelationships deletes all relationships of a resource "type:id". The type must be one of your own. It needs a
// key with the scope write.
func (c *Client) DeleteRelationships(ctx context.Context, resource string) error {
	return deleteRelationships(ctx, c.rest, resource)
}

// DeleteRelationships deletes relationships as Client.DeleteRelationships does, and records the actor in the audit
// log. The server does not check the permissions of the actor.
func (a *Actor) DeleteRelationships(ctx context.Context, resource string) error {
	return deleteRelationships(ctx, a.rest, resource)
}

func deleteRelationships(ctx context.Context, through *rest.Client, resource string) error {
	named, err := queryReference(resource)
	if err != nil {
		return err
	}
	return done(through.DeleteRelationships(ctx, &rest.DeleteRelationshipsParams{Resource: named}))
}

func (u RelationshipUpdate) wire() (out rest.RelationshipUpdate, err error) {
	r := u.relationship
	parts := rest.RelationshipObject{Relation: r.Relation}
	if parts.Resource, err = r.Resource.wire(); err != nil {
		return out, err
	}
	if parts.Subject, err = subjectWire(r.Subject, r.Everybody); err != nil {
		return out, err
	}
	out.Operation, out.ExpiresAt = u.operation, r.ExpiresAt
	out.Caveat = rest.RelationshipCaveat{Name: r.Caveat, Context: r.CaveatContext}
	return out, out.Relationship.FromRelationshipObject(parts)
}

func (p Precondition) wire() (out rest.RelationshipPrecondition, err error) {
	filter := rest.RelationshipFilter{Relation: p.filter.Relation}
	if filter.Resource, err = p.filter.Resource.wire(); err != nil {
		return out, err
	}
	if p.filter.Subject.Type != "" {
		if filter.Subject, err = subjectWire(p.filter.Subject, p.filter.Everybody); err != nil {
			return out, err
		}
	}
	if p.isAbsent {
		out.MustNotMatch = filter
	} else {
		out.MustMatch = filter
	}
	return out, nil
}

// subjectWire returns the subject of a relationship as the API accepts it: the wildcard as a string, and every other
// subject as a JSON object.
func subjectWire(subject Reference, everybody bool) (out rest.Reference, err error) {
	if everybody {
		return out, out.FromReferenceString(subject.Type + ":*")
	}
	return subject.wire()
}

// queryReference returns a resource "type:id" as a JSON object, for use as a query parameter.
func queryReference(resource string) (string, error) {
	reference, err := Object(resource).wire()
	if err != nil {
		return "", err
	}
	named, err := json.Marshal(reference)
	return string(named), err
}

// Relationships lists the stored relationships of a resource "type:id". An empty relation selects all of its
// relations. It needs a key with the scope inspect.
func (c *Client) Relationships(ctx context.Context, resource, relation string) iter.Seq2[Relationship, error] {
	return pages(func(cursor string) ([]Relationship, string, error) {
		named, err := queryReference(resource)
		if err != nil {
			return nil, "", err
		}
		params := &rest.ListRelationshipsParams{Resource: named, Limit: &pageSize, Cursor: cursor}
		if relation != "" {
			params.Relation = &relation
		}
		page, err := answer[rest.RelationshipPage](c.rest.ListRelationships(ctx, params))
		if err != nil {
			return nil, "", err
		}
		read := make([]Relationship, len(page.Relationships))
		for i, r := range page.Relationships {
			read[i] = Relationship{
				Relation: r.Relation, ExpiresAt: r.ExpiresAt, Caveat: r.Caveat.Name, CaveatContext: r.Caveat.Context,
			}
			read[i].Resource, _ = readReference(r.Resource)
			read[i].Subject, read[i].Everybody = readReference(r.Subject)
		}
		return read, page.NextCursor, nil
	})
}

// readReference reads a reference, which the API sends as a string or as a JSON object. The string type:* is the
// wildcard of the type. The API sends an object whose id is "*" as a JSON object.
func readReference(r rest.Reference) (_ Reference, everybody bool) {
	text, err := r.AsReferenceString()
	if err != nil {
		object, _ := r.AsReferenceObject() // the server sends no third form
		return Reference{Type: object.Type, ID: object.ID, Relation: object.Relation}, false
	}
	return parseReference(text)
}

func parseReference(text string) (_ Reference, everybody bool) {
	read := Object(text)
	if read.ID == "*" {
		return Reference{Type: read.Type}, true
	}
	read.ID, read.Relation, _ = strings.Cut(read.ID, "#")
	return read, false
}
