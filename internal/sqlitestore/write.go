package sqlitestore

import (
	"context"
	"fmt"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	insertResource = "INSERT INTO by_resource (key, created, details, expires) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
	insertSubject  = "INSERT INTO by_subject (key, created, details) VALUES (?, ?, ?)"
	selectResource = "SELECT created, details FROM by_resource WHERE key = ?"
	updateResource = "UPDATE by_resource SET created = ?2, details = ?3, expires = ?4 WHERE key = ?1"
	updateSubject  = "UPDATE by_subject SET created = ?2, details = ?3 WHERE key = ?1"
	deleteResource = "DELETE FROM by_resource WHERE key = ?"
	deleteSubject  = "DELETE FROM by_subject WHERE key = ?"
	insertHistory  = "INSERT INTO history (ended, key, swapped, created, details) VALUES (?, ?, ?, ?, ?)"
)

// WriteRelationships applies the updates in their order.
func (t *transaction) WriteRelationships(ctx context.Context, updates []tuple.RelationshipUpdate) error {
	for _, u := range updates {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.use(func(c *conn) error { return t.apply(c, u) }); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) apply(c *conn, u tuple.RelationshipUpdate) error {
	u.Relationship.OptionalCaveat = withContext(u.Relationship.OptionalCaveat)
	resource, subject, err := keysOf(&u.Relationship)
	if err != nil {
		return err
	}
	switch u.Operation {
	case tuple.UpdateOperationCreate:
		created, err := t.create(c, resource, subject, u.Relationship)
		if err == nil && !created {
			return datastore.NewCreateRelationshipExistsError(&u.Relationship)
		}
		return err
	case tuple.UpdateOperationTouch:
		return t.touch(c, resource, subject, u.Relationship)
	case tuple.UpdateOperationDelete:
		return t.remove(c, resource, subject)
	default:
		return fmt.Errorf("unknown operation %v on a relationship", u.Operation)
	}
}

// withContext gives a caveat without a context an empty one, as all of SpiceDB's datastores do.
func withContext(caveat *core.ContextualizedCaveat) *core.ContextualizedCaveat {
	switch {
	case caveat.GetCaveatName() == "":
		return nil
	case caveat.Context != nil:
		return caveat
	default:
		return &core.ContextualizedCaveat{CaveatName: caveat.CaveatName, Context: &structpb.Struct{}}
	}
}

// create stores a relationship that does not exist. It reports false, and stores nothing, if the relationship exists.
func (t *transaction) create(c *conn, resource, subject string, r tuple.Relationship) (bool, error) {
	details, err := encodeDetails(&r)
	if err != nil {
		return false, err
	}
	count, err := c.exec(insertResource, resource, int64(t.at), blob(details), expires(&r))
	if err != nil || count == 0 {
		return false, err
	}
	if _, err := c.exec(insertSubject, subject, int64(t.at), blob(details)); err != nil {
		return false, err
	}
	t.head.relationships++
	return true, t.log.relationship(tuple.Create(r))
}

func (t *transaction) touch(c *conn, resource, subject string, r tuple.Relationship) error {
	var created int64
	var stored []byte
	found, err := c.queryRow(selectResource, []any{resource}, &created, &stored)
	if err != nil {
		return err
	}
	if !found {
		_, err := t.create(c, resource, subject, r)
		return err
	}
	before, err := decode(resource, false, stored)
	if err != nil || tuple.Equal(before, r) {
		return err
	}
	if err := t.end(c, resource, subject, created, stored); err != nil {
		return err
	}
	details, err := encodeDetails(&r)
	if err != nil {
		return err
	}
	if _, err := c.exec(updateResource, resource, int64(t.at), blob(details), expires(&r)); err != nil {
		return err
	}
	if _, err := c.exec(updateSubject, subject, int64(t.at), blob(details)); err != nil {
		return err
	}
	return t.log.relationship(tuple.Touch(r))
}

// remove deletes a relationship. It does nothing if the relationship does not exist.
func (t *transaction) remove(c *conn, resource, subject string) error {
	var created int64
	var stored []byte
	found, err := c.queryRow(selectResource, []any{resource}, &created, &stored)
	if err != nil || !found {
		return err
	}
	before, err := decode(resource, false, stored)
	if err != nil {
		return err
	}
	if err := t.end(c, resource, subject, created, stored); err != nil {
		return err
	}
	if _, err := c.exec(deleteResource, resource); err != nil {
		return err
	}
	if _, err := c.exec(deleteSubject, subject); err != nil {
		return err
	}
	t.head.relationships--
	return t.log.relationship(tuple.Delete(before))
}

// end moves a relationship to the history for readers at older revisions. A relationship that this write created is not
// moved, since no reader has seen it.
func (t *transaction) end(c *conn, resource, subject string, created int64, details []byte) error {
	if created == int64(t.at) {
		return nil
	}
	t.ended = true
	_, err := c.exec(insertHistory, int64(t.at), resource, subject, created, blob(details))
	return err
}

// blob returns details as an SQL value: NULL if they are nil.
func blob(details []byte) any {
	if details == nil {
		return nil
	}
	return details
}

// DeleteRelationships deletes the relationships that match the filter, including expired ones.
func (t *transaction) DeleteRelationships(
	ctx context.Context, filter *v1.RelationshipFilter, opts ...options.DeleteOptionsOption,
) (count uint64, limited bool, err error) {
	converted, err := datastore.RelationshipsFilterFromPublicFilter(filter)
	if err != nil {
		return 0, false, err
	}
	limit := options.NewDeleteOptionsWithOptionsAndDefaults(opts...).DeleteLimit
	if limit != nil && *limit == 0 {
		limit = nil
	}
	for r, err := range iterate(
		ctx, t.rows, query{filter: converted, limit: limit, expired: true, now: t.store.options.now()},
	) {
		if err != nil {
			return 0, false, err
		}
		if err := t.use(func(c *conn) error { return t.apply(c, tuple.Delete(r)) }); err != nil {
			return 0, false, err
		}
		count++
	}
	return count, limit != nil && count == *limit, nil
}

// BulkLoad creates all relationships of the source.
func (t *transaction) BulkLoad(
	ctx context.Context, source datastore.BulkWriteRelationshipSource,
) (count uint64, err error) {
	for {
		next, err := source.Next(ctx)
		if err != nil || next == nil {
			return count, err
		}
		if err := t.use(func(c *conn) error { return t.apply(c, tuple.Create(*next)) }); err != nil {
			return 0, err
		}
		count++
	}
}
