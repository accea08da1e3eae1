package replica

import (
	"math"
	"sync"
	"time"
	"unsafe"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// version numbers the states of a store. A row belongs to all versions from its creation until before its deletion.
type version uint64

// store is an in-memory store of relationships with three indexes: by relationship, by resource, relation and kind of
// subject, and by subject and relation. It has one writer and any number of readers. A reader sees the state that it
// has pinned, because a deleted row stays until no pinned state contains it. Neither the writer nor a reader holds the
// lock for long.
type store struct {
	mu      sync.RWMutex
	names   names
	objects objects
	rows    slab[row]
	free    []rowID

	byRelationship map[relationshipKey]rowID // the newest row of a relationship
	byResource     map[subjectsKey]rowID     // the first row of each list
	bySubject      map[subjectKey]rowID      // the first row of each list

	live int    // number of rows that are not deleted
	dead []dead // deleted rows, in the order of their deletion
}

// rowID numbers rows. Zero is no row.
type rowID uint32

// row is one relationship in a range of versions. Rows with the same resource, relation and kind of subject form a
// list, and so do rows with the same subject and relation. A new row is inserted at the front of a list, so that a
// reader in the middle of the list does not read it.
type row struct {
	resource, subject objectID
	relation          relationID
	subjectRelation   relationID
	caveated          bool
	rounded           bool // the stored expiration has parts of a microsecond

	ofResource, ofSubject link
	older                 rowID // an older row of the same relationship
	expires               moment
	created, deleted      version
}

type link struct{ next, previous rowID }

// moment is a time in microseconds since 1970. It covers every year that a timestamp can hold.
type moment int64

// noExpiry is the expiration of a permanent relationship.
const noExpiry moment = math.MaxInt64

// momentOf rounds down, as clocks do.
func momentOf(t time.Time) moment { return moment(t.UnixMicro()) }

// expiryOf rounds up: a relationship counts until its expiration.
func expiryOf(t *timestamppb.Timestamp) moment {
	if t == nil {
		return noExpiry
	}
	return momentOf(t.AsTime().Add(time.Microsecond - time.Nanosecond))
}

// The first and the last expiration that are the same in the replica and in an answer of SpiceDB. Years before 1 and
// after 9999 cannot be written in RFC 3339.
var (
	firstExpiry = momentOf(time.Time{}.Add(time.Microsecond))
	lastExpiry  = momentOf(time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC))
)

// isWritable reports whether RFC 3339 can write the expiration, or there is none.
func (m moment) isWritable() bool { return m == noExpiry || firstExpiry <= m && m <= lastExpiry }

// isRounded reports whether expiryOf does not return exactly this expiration.
func isRounded(t *timestamppb.Timestamp) bool { return t.GetNanos()%int32(time.Microsecond) != 0 }

type relationshipKey struct {
	resourceKey
	subject         objectID
	subjectRelation relationID
}

type resourceKey struct {
	resource objectID
	relation relationID
}

// subjectsKey identifies the subjects of one kind: group:g1#member and group:g2#member, or user:u1 and user:u2. An
// account may have very many people and few groups, and a check looks for the groups.
type subjectsKey struct {
	resourceKey
	subjectType     typeID
	subjectRelation relationID
}

type subjectKey struct {
	subject         objectID
	subjectRelation relationID
	relation        relationID
}

type dead struct {
	row rowID
	at  version
}

func (r *row) key() relationshipKey {
	return relationshipKey{resourceKey{r.resource, r.relation}, r.subject, r.subjectRelation}
}

func (s *store) subjectsKey(key relationshipKey) subjectsKey {
	return subjectsKey{key.resourceKey, s.objects.get(key.subject).typ, key.subjectRelation}
}

func (r *row) subjectKey() subjectKey { return subjectKey{r.subject, r.subjectRelation, r.relation} }

// in reports whether the row belongs to a version.
func (r *row) in(v version) bool { return r.created <= v && (r.deleted == 0 || v < r.deleted) }

func newStore() *store {
	return &store{
		names:          newNames(),
		objects:        newObjects(),
		rows:           newSlab[row](),
		byRelationship: make(map[relationshipKey]rowID),
		byResource:     make(map[subjectsKey]rowID),
		bySubject:      make(map[subjectKey]rowID),
	}
}

func (s *store) row(id rowID) *row { return s.rows.at(uint32(id)) }

// writeChunk is the number of changes applied before readers may run.
const writeChunk = 64

// touch adds relationships to a version. It replaces stored relationships that differ only in expiration or caveat.
func (s *store) touch(relationships []*v1.Relationship, v version) {
	for start := 0; start < len(relationships); start += writeChunk {
		s.mu.Lock()
		for _, r := range relationships[start:min(start+writeChunk, len(relationships))] {
			s.put(r, v)
		}
		s.mu.Unlock()
	}
}

// apply applies updates to a version.
func (s *store) apply(updates []*v1.RelationshipUpdate, v version) {
	for start := 0; start < len(updates); start += writeChunk {
		s.mu.Lock()
		for _, u := range updates[start:min(start+writeChunk, len(updates))] {
			if u.GetOperation() == v1.RelationshipUpdate_OPERATION_DELETE {
				s.remove(u.GetRelationship(), v)
			} else {
				s.put(u.GetRelationship(), v)
			}
		}
		s.mu.Unlock()
	}
}

func (s *store) put(r *v1.Relationship, v version) {
	resource, subject := r.GetResource(), r.GetSubject()
	key := relationshipKey{
		resourceKey: resourceKey{
			resource: s.objects.retain(s.names.typ(resource.GetObjectType()), resource.GetObjectId()),
			relation: s.names.relation(resource.GetObjectType(), r.GetRelation()),
		},
		subject: s.objects.retain(s.names.typ(subject.GetObject().GetObjectType()), subject.GetObject().GetObjectId()),
	}
	if subject.GetOptionalRelation() != "" {
		key.subjectRelation = s.names.relation(subject.GetObject().GetObjectType(), subject.GetOptionalRelation())
	}
	expires := expiryOf(r.GetOptionalExpiresAt())
	caveated, rounded := r.GetOptionalCaveat() != nil, isRounded(r.GetOptionalExpiresAt())
	older := s.byRelationship[key]
	if older != 0 && s.row(older).deleted == 0 {
		if found := s.row(older); found.expires == expires && found.caveated == caveated && found.rounded == rounded {
			s.objects.release(key.resource)
			s.objects.release(key.subject)
			return
		}
		s.bury(older, v)
	}
	id := s.newRow()
	one := s.row(id)
	*one = row{
		resource: key.resource, subject: key.subject, relation: key.relation, subjectRelation: key.subjectRelation,
		caveated: caveated, rounded: rounded, older: older, expires: expires, created: v,
	}
	s.byRelationship[key] = id
	byResource, bySubject := s.subjectsKey(key), one.subjectKey()
	one.ofResource.next = s.byResource[byResource]
	one.ofSubject.next = s.bySubject[bySubject]
	if next := one.ofResource.next; next != 0 {
		s.row(next).ofResource.previous = id
	}
	if next := one.ofSubject.next; next != 0 {
		s.row(next).ofSubject.previous = id
	}
	s.byResource[byResource], s.bySubject[bySubject] = id, id
	s.live++
}

func (s *store) newRow() rowID {
	if last := len(s.free) - 1; last >= 0 {
		id := s.free[last]
		s.free = s.free[:last]
		return id
	}
	return rowID(s.rows.add())
}

func (s *store) remove(r *v1.Relationship, v version) {
	resource, subject := r.GetResource(), r.GetSubject().GetObject()
	id := s.byRelationship[s.keyOf(
		resource.GetObjectType(), resource.GetObjectId(), r.GetRelation(),
		subject.GetObjectType(), subject.GetObjectId(), r.GetSubject().GetOptionalRelation(),
	)]
	if id != 0 && s.row(id).deleted == 0 {
		s.bury(id, v)
	}
}

// bury deletes a row as of a version. If the row was created in the same version, it then belongs to no version.
func (s *store) bury(id rowID, v version) {
	s.row(id).deleted = v
	s.dead = append(s.dead, dead{id, v})
	s.live--
}

// keyOf returns the key of a relationship. For an unknown name, it returns a key that no row has.
func (s *store) keyOf(
	resourceType, resourceID, relation, subjectType, subjectID, subjectRelation string,
) (key relationshipKey) {
	key.resource = s.objects.find(s.names.types[resourceType], resourceID)
	key.relation = s.names.relations[relationName{resourceType, relation}]
	key.subject = s.objects.find(s.names.types[subjectType], subjectID)
	if subjectRelation == "" {
		return key
	}
	if key.subjectRelation = s.names.relations[relationName{
		subjectType, subjectRelation,
	}]; key.subjectRelation == noRelation {
		return relationshipKey{}
	}
	return key
}

// sweep frees the rows that were deleted in or before a version.
func (s *store) sweep(v version) {
	for {
		s.mu.Lock()
		n := 0
		for ; n < writeChunk && n < len(s.dead) && s.dead[n].at <= v; n++ {
			s.release(s.dead[n].row)
		}
		if s.dead = s.dead[n:]; len(s.dead) == 0 {
			s.dead = nil // frees the underlying array
		}
		s.mu.Unlock()
		if n < writeChunk {
			return
		}
	}
}

func (s *store) release(id rowID) {
	one := s.row(id)
	key := one.key()
	if newest := s.byRelationship[key]; newest == id {
		delete(s.byRelationship, key) // the relationship has no other row, since older rows are freed first
	} else {
		for newest != 0 {
			newer := s.row(newest)
			if newer.older == id {
				newer.older = one.older
			}
			newest = newer.older
		}
	}
	unlink(s, s.byResource, s.subjectsKey(key), id, func(r *row) *link { return &r.ofResource })
	unlink(s, s.bySubject, one.subjectKey(), id, func(r *row) *link { return &r.ofSubject })
	s.objects.release(one.resource)
	s.objects.release(one.subject)
	*one = row{}
	s.free = append(s.free, id)
}

// unlink removes a row from a list.
func unlink[K comparable](s *store, first map[K]rowID, key K, id rowID, of func(*row) *link) {
	l := *of(s.row(id))
	switch {
	case l.previous != 0:
		of(s.row(l.previous)).next = l.next
	case l.next != 0:
		first[key] = l.next
	default:
		delete(first, key)
	}
	if l.next != 0 {
		of(s.row(l.next)).previous = l.previous
	}
}

// size returns the number of relationships and an estimate of their bytes: the stored data, and maps at their average
// load.
func (s *store) size() (relationships, bytes int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	const slack, head = 4, 3           // a map allocates 4/3 of its entries
	const id = unsafe.Sizeof(rowID(0)) // an objectID has the same size as a rowID
	entry := func(n int, key uintptr) int { return n * int(key+id+1) * slack / head }
	bytes = len(s.rows.parts)*slabPart*int(unsafe.Sizeof(row{})) +
		len(s.objects.all.parts)*slabPart*int(unsafe.Sizeof(object{})) + s.objects.bytes
	bytes += entry(len(s.byRelationship), unsafe.Sizeof(relationshipKey{}))
	bytes += entry(len(s.byResource), unsafe.Sizeof(subjectsKey{}))
	bytes += entry(len(s.bySubject), unsafe.Sizeof(subjectKey{}))
	bytes += entry(len(s.objects.byName), unsafe.Sizeof(objectName{}))
	return s.live, bytes
}
