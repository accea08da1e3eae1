package replica

import (
	"math"
	"sync"
	"time"
	"unsafe"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// version numbers the states that a store has been in. A row is in those from its creation until before its deletion.
type version uint64

// store holds relationships, each found by itself, by its resource and relation, and by its subject and relation. It has one
// writer and any number of readers, who see the states that they have pinned; a deleted row stays until nobody sees it. Neither
// holds the lock for long.
type store struct {
	mu      sync.RWMutex
	names   names
	objects objects
	rows    slab[row]
	free    []rowID

	byRelationship map[relationshipKey]rowID // the newest row of a relationship
	byResource     map[resourceKey]rowID     // the first of a list
	bySubject      map[subjectKey]rowID      // the first of a list

	live int    // rows that are not deleted
	dead []dead // deleted rows, in the order of their deletion
}

// rowID numbers rows. Zero is none.
type rowID uint32

// row is one relationship, for some span of versions. Rows with one resource and relation are a list, and so are those with one
// subject and relation; a new one comes first, so that a reader in the middle of the list does not meet it.
type row struct {
	resource, subject objectID
	relation          relationID
	subjectRelation   relationID
	caveated          bool

	ofResource, ofSubject link
	older                 rowID // of the same relationship
	expires               moment
	created, deleted      version
}

type link struct{ next, previous rowID }

// moment is a time in microseconds since 1970, which holds every year that a timestamp can.
type moment int64

// noExpiry is the moment at which a relationship without an expiration expires.
const noExpiry moment = math.MaxInt64

// momentOf rounds down, as a clock does.
func momentOf(t time.Time) moment { return moment(t.UnixMicro()) }

// expiryOf rounds up: a relationship counts until its expiration.
func expiryOf(t *timestamppb.Timestamp) moment {
	if t == nil {
		return noExpiry
	}
	return momentOf(t.AsTime().Add(time.Microsecond - time.Nanosecond))
}

type relationshipKey struct {
	resourceKey
	subject         objectID
	subjectRelation relationID
}

type resourceKey struct {
	resource objectID
	relation relationID
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

func (r *row) subjectKey() subjectKey { return subjectKey{r.subject, r.subjectRelation, r.relation} }

// in reports whether the row is in a version.
func (r *row) in(v version) bool { return r.created <= v && (r.deleted == 0 || v < r.deleted) }

func newStore() *store {
	return &store{
		names:          newNames(),
		objects:        newObjects(),
		rows:           newSlab[row](),
		byRelationship: make(map[relationshipKey]rowID),
		byResource:     make(map[resourceKey]rowID),
		bySubject:      make(map[subjectKey]rowID),
	}
}

func (s *store) row(id rowID) *row { return s.rows.at(uint32(id)) }

// writeChunk is how many changes are made before readers have their turn.
const writeChunk = 64

// touch puts relationships into a version, in place of the same ones with another expiration or caveat.
func (s *store) touch(relationships []*v1.Relationship, v version) {
	for start := 0; start < len(relationships); start += writeChunk {
		s.mu.Lock()
		for _, r := range relationships[start:min(start+writeChunk, len(relationships))] {
			s.put(r, v)
		}
		s.mu.Unlock()
	}
}

// apply makes the updates of a version.
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
	caveated := r.GetOptionalCaveat() != nil
	older := s.byRelationship[key]
	if older != 0 && s.row(older).deleted == 0 {
		if found := s.row(older); found.expires == expires && found.caveated == caveated {
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
		caveated: caveated, older: older, expires: expires, created: v,
	}
	s.byRelationship[key] = id
	bySubject := one.subjectKey()
	one.ofResource.next = s.byResource[key.resourceKey]
	one.ofSubject.next = s.bySubject[bySubject]
	if next := one.ofResource.next; next != 0 {
		s.row(next).ofResource.previous = id
	}
	if next := one.ofSubject.next; next != 0 {
		s.row(next).ofSubject.previous = id
	}
	s.byResource[key.resourceKey], s.bySubject[bySubject] = id, id
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
	id := s.byRelationship[s.keyOf(r.GetResource().GetObjectType(), r.GetResource().GetObjectId(), r.GetRelation(),
		r.GetSubject().GetObject().GetObjectType(), r.GetSubject().GetObject().GetObjectId(), r.GetSubject().GetOptionalRelation())]
	if id != 0 && s.row(id).deleted == 0 {
		s.bury(id, v)
	}
}

// bury deletes a row from a version on. One that was created in the same version has been in none.
func (s *store) bury(id rowID, v version) {
	s.row(id).deleted = v
	s.dead = append(s.dead, dead{id, v})
	s.live--
}

// keyOf finds the key of a relationship by its names; a key that no row has if they are unknown.
func (s *store) keyOf(resourceType, resourceID, relation, subjectType, subjectID, subjectRelation string) (key relationshipKey) {
	key.resource = s.objects.find(s.names.types[resourceType], resourceID)
	key.relation = s.names.relations[relationName{resourceType, relation}]
	key.subject = s.objects.find(s.names.types[subjectType], subjectID)
	if subjectRelation == "" {
		return key
	}
	if key.subjectRelation = s.names.relations[relationName{subjectType, subjectRelation}]; key.subjectRelation == noRelation {
		return relationshipKey{}
	}
	return key
}

// sweep frees the rows that were deleted by a version before which nobody looks any more.
func (s *store) sweep(v version) {
	for {
		s.mu.Lock()
		n := 0
		for ; n < writeChunk && n < len(s.dead) && s.dead[n].at <= v; n++ {
			s.release(s.dead[n].row)
		}
		if s.dead = s.dead[n:]; len(s.dead) == 0 {
			s.dead = nil // and what it was cut off from
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
		delete(s.byRelationship, key) // with the last row; an older one would have been freed before
	} else {
		for newest != 0 {
			newer := s.row(newest)
			if newer.older == id {
				newer.older = one.older
			}
			newest = newer.older
		}
	}
	unlink(s, s.byResource, key.resourceKey, id, func(r *row) *link { return &r.ofResource })
	unlink(s, s.bySubject, one.subjectKey(), id, func(r *row) *link { return &r.ofSubject })
	s.objects.release(one.resource)
	s.objects.release(one.subject)
	*one = row{}
	s.free = append(s.free, id)
}

// unlink takes a row out of a list.
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

// size is how many relationships there are, and roughly how many bytes they take: what is stored, and maps at the load that
// they have on average.
func (s *store) size() (relationships, bytes int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	const slack, head = 4, 3           // a map takes 4/3 of its entries
	const id = unsafe.Sizeof(rowID(0)) // objectID is as large
	entry := func(n int, key uintptr) int { return n * int(key+id+1) * slack / head }
	bytes = len(s.rows.parts)*slabPart*int(unsafe.Sizeof(row{})) + len(s.objects.all.parts)*slabPart*int(unsafe.Sizeof(object{})) + s.objects.bytes
	bytes += entry(len(s.byRelationship), unsafe.Sizeof(relationshipKey{}))
	bytes += entry(len(s.byResource), unsafe.Sizeof(resourceKey{}))
	bytes += entry(len(s.bySubject), unsafe.Sizeof(subjectKey{}))
	bytes += entry(len(s.objects.byName), unsafe.Sizeof(objectName{}))
	return s.live, bytes
}
