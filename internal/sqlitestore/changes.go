package sqlitestore

import (
	"encoding/binary"
	"fmt"

	"github.com/authzed/spicedb/pkg/datastore"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// changes collects the changes of one revision for Watch. It merges entries of the change log in their order.
type changes struct {
	revision      revision
	at            datastore.RevisionChanges
	relationships map[string]relationshipChange
	order         []string
	size          uint64
}

type relationshipChange struct {
	existed bool // the relationship existed before the revision
	update  tuple.RelationshipUpdate
}

func newChanges(at revision) *changes {
	return &changes{
		revision: at, at: datastore.RevisionChanges{Revision: at}, relationships: map[string]relationshipChange{},
	}
}

// logRow is a row of the table change.
type logRow struct {
	id       int64
	revision revision
	metadata []byte
	entries  []byte
}

// add adds the entries of a row that the watcher has requested.
func (c *changes) add(row logRow, content datastore.WatchContent) error {
	if row.metadata != nil {
		metadata := &structpb.Struct{}
		if err := proto.Unmarshal(row.metadata, metadata); err != nil {
			return fmt.Errorf("%w: the metadata of a revision: %w", ErrCorrupt, err)
		}
		c.at.Metadatas = append(c.at.Metadatas, metadata)
	}
	entries := row.entries
	c.size += uint64(len(entries))
	for len(entries) > 0 {
		length, n := binary.Uvarint(entries[1:])
		rest := entries[1+max(n, 0):]
		if n <= 0 || length > uint64(len(rest)) {
			return fmt.Errorf("%w: the log of changes has an unreadable entry", ErrCorrupt)
		}
		kind, body := entryKind(entries[0]), rest[:length]
		entries = rest[length:]
		wanted := datastore.WatchSchema
		if kind <= relationshipDeleted {
			wanted = datastore.WatchRelationships
		}
		if content&wanted == 0 {
			continue
		}
		if err := c.entry(kind, body); err != nil {
			return err
		}
	}
	return nil
}

func (c *changes) entry(kind entryKind, body []byte) error {
	switch kind {
	case relationshipCreated, relationshipTouched, relationshipDeleted:
		return c.relationship(kind, body)
	case namespaceChanged:
		namespace := &core.NamespaceDefinition{}
		if err := namespace.UnmarshalVT(body); err != nil {
			return err
		}
		c.at.ChangedDefinitions = append(c.at.ChangedDefinitions, namespace)
	case caveatChanged:
		caveat := &core.CaveatDefinition{}
		if err := caveat.UnmarshalVT(body); err != nil {
			return err
		}
		c.at.ChangedDefinitions = append(c.at.ChangedDefinitions, caveat)
	case namespaceDeleted:
		c.at.DeletedNamespaces = append(c.at.DeletedNamespaces, string(body))
	case caveatDeleted:
		c.at.DeletedCaveats = append(c.at.DeletedCaveats, string(body))
	default:
		return fmt.Errorf("%w: the log of changes has an unreadable entry", ErrCorrupt)
	}
	return nil
}

// relationship records a change. The last change of a relationship replaces earlier ones of the revision.
func (c *changes) relationship(kind entryKind, body []byte) error {
	var stored core.RelationTuple
	if err := stored.UnmarshalVT(body); err != nil {
		return err
	}
	r := tuple.FromCoreRelationTuple(&stored)
	r.OptionalIntegrity = stored.GetIntegrity()
	key, _, err := keysOf(&r)
	if err != nil {
		return err
	}
	change, again := c.relationships[key]
	if !again {
		change.existed = kind != relationshipCreated
		c.order = append(c.order, key)
	}
	change.update = tuple.Touch(r)
	if kind == relationshipDeleted {
		change.update = tuple.Delete(r)
	}
	c.relationships[key] = change
	return nil
}

// revisionChanges returns the changes as SpiceDB's type for Watch. It reports whether there are none.
func (c *changes) revisionChanges() (_ datastore.RevisionChanges, empty bool) {
	for _, key := range c.order {
		change := c.relationships[key]
		if change.existed || change.update.Operation != tuple.UpdateOperationDelete {
			c.at.RelationshipChanges = append(c.at.RelationshipChanges, change.update)
		}
	}
	at := c.at
	return at, len(at.RelationshipChanges)+len(at.ChangedDefinitions)+len(at.DeletedNamespaces)+len(at.DeletedCaveats) == 0
}
