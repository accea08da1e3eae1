package sqlitestore

import (
	"encoding/binary"

	"github.com/authzed/spicedb/pkg/tuple"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// entryKind is the kind of an entry in the change log.
type entryKind byte

const (
	relationshipCreated entryKind = iota + 1 // the relationship was created; the body is a core.v1.RelationTuple
	// the relationship existed with another caveat or expiration; the body is the new core.v1.RelationTuple
	relationshipTouched
	relationshipDeleted // the body is the deleted core.v1.RelationTuple
	namespaceChanged    // the body is a core.v1.NamespaceDefinition
	namespaceDeleted    // the body is the name of the definition
	caveatChanged       // the body is a core.v1.CaveatDefinition
	caveatDeleted       // the body is the name of the caveat
)

// maxEntries is the number of bytes of entries after which a new row of the change log begins.
const maxEntries = 64 << 10

// changeLog collects the changes of a write and stores them for Watch. An entry is its kind, its length and its
// content.
type changeLog struct {
	writer   *conn
	revision revision
	next     int64 // id of the next row
	entries  []byte
}

func newChangeLog(writer *conn, at revision) *changeLog {
	return &changeLog{writer: writer, revision: at, next: int64(at)}
}

func (l *changeLog) relationship(u tuple.RelationshipUpdate) error {
	kind := map[tuple.UpdateOperation]entryKind{
		tuple.UpdateOperationCreate: relationshipCreated,
		tuple.UpdateOperationTouch:  relationshipTouched,
		tuple.UpdateOperationDelete: relationshipDeleted,
	}[u.Operation]
	content, err := u.Relationship.ToCoreTuple().MarshalVT()
	if err != nil {
		return err
	}
	return l.add(kind, content)
}

func (l *changeLog) add(kind entryKind, content []byte) error {
	l.entries = binary.AppendUvarint(append(l.entries, byte(kind)), uint64(len(content)))
	l.entries = append(l.entries, content...)
	if len(l.entries) < maxEntries {
		return nil
	}
	return l.store(0, nil)
}

// store writes a row with the entries that are not stored yet.
func (l *changeLog) store(relationships int64, metadata any) error {
	_, err := l.writer.exec("INSERT INTO change (id, revision, relationships, metadata, updates) VALUES (?, ?, ?, ?, ?)",
		l.next, int64(l.revision), relationships, metadata, blob(l.entries))
	l.next++
	l.entries = l.entries[:0]
	return err
}

// finish writes the last row of the write, with the resulting number of relationships, and returns its id.
func (t *transaction) finish(metadata *structpb.Struct) (last int64, err error) {
	var encoded any
	if len(metadata.GetFields()) > 0 {
		if encoded, err = proto.Marshal(metadata); err != nil {
			return 0, err
		}
	}
	return t.log.next, t.log.store(t.head.relationships, encoded)
}
