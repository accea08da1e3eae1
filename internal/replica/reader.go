package replica

import (
	"context"
	"errors"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/query"
	"github.com/authzed/spicedb/pkg/tuple"
)

// Reasons why an evaluation ends without an answer.
var (
	errCaveat  = errors.New("a relationship with a caveat is on the path")
	errTooMuch = errors.New("the answer would read too many relationships")

	errEnded = errors.New("the request was cancelled")

	// errWildcard ends a look-up that meets a wildcard subject.
	errWildcard = errors.New("a wildcard is among the subjects")
)

// reader implements the query planner's datastore on one state, for one evaluation.
type reader struct {
	store *store
	at    version
	now   moment // a relationship that expires at or before it does not count
	left  int    // rows that may still be read

	// named allows only named subjects: the evaluation ends with errWildcard if it reads a wildcard. After an exclusion
	// from a wildcard, the planner and SpiceDB return the result in different forms.
	named bool

	// whole requires relationships as SpiceDB stores them. A row lacks the context of a caveat, and parts of a
	// microsecond of an expiration.
	whole bool
}

var _ query.QueryDatastoreReader = (*reader)(nil)

// readChunk is the number of rows read before a writer may run.
const readChunk = 256

// CheckRelationships implements query.QueryDatastoreReader.
func (r *reader) CheckRelationships(
	_ context.Context, resourceType query.ObjectType, resourceID, relation string, subject query.ObjectAndRelation, _,
	_ bool,
) (query.PathSeq, error) {
	found, err := r.check(resourceType.Type, resourceID, relation, subject)
	if err != nil || !found {
		return query.EmptyPathSeq(), err
	}
	subject.Relation = stored(subject.Relation)
	path := &query.Path{
		Resource: query.Object{ObjectType: resourceType.Type, ObjectID: resourceID},
		Relation: relation,
		Subject:  subject,
	}
	return func(yield func(*query.Path, error) bool) { yield(path, nil) }, nil
}

// check reports whether a relationship exists. It counts as one row read.
func (r *reader) check(resourceType, resourceID, relation string, subject query.ObjectAndRelation) (bool, error) {
	if r.left--; r.left < 0 {
		return false, errTooMuch
	}
	found, err := r.holds(resourceType, resourceID, relation, subject)
	if found && r.named && subject.ObjectID == tuple.PublicWildcard {
		return false, errWildcard
	}
	return found, err
}

// holds reports whether a relationship exists.
func (r *reader) holds(resourceType, resourceID, relation string, subject query.ObjectAndRelation) (bool, error) {
	s := r.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	key := s.keyOf(
		resourceType, resourceID, relation, subject.ObjectType, subject.ObjectID, subjectRelation(subject.Relation),
	)
	for id := s.byRelationship[key]; id != 0; {
		one := s.row(id)
		if one.in(r.at) {
			return r.counts(one)
		}
		id = one.older
	}
	return false, nil
}

// counts reports whether a relationship is in the state and has not expired. If the relationship has a caveat, counts
// returns errCaveat.
func (r *reader) counts(one *row) (bool, error) {
	switch {
	case one.expires <= r.now:
		return false, nil
	case one.caveated, r.whole && (one.rounded || !one.expires.isWritable()):
		return false, errCaveat
	default:
		return true, nil
	}
}

// subjectRelation maps SpiceDB's "..." to the empty string.
func subjectRelation(name string) string {
	if name == tuple.Ellipsis {
		return ""
	}
	return name
}

// stored returns the relation of a subject as relationships store it. For a wildcard, the planner leaves the relation
// empty.
func stored(relation string) string {
	if relation == "" {
		return tuple.Ellipsis
	}
	return relation
}

// QuerySubjects implements query.QueryDatastoreReader. The planner always names a resource, and never requests pages.
func (r *reader) QuerySubjects(
	ctx context.Context, resource query.Object, relation string, subjects query.ObjectType, _, _ bool, _ query.QueryPage,
) (query.PathSeq, error) {
	s := r.store
	s.mu.RLock()
	key := subjectsKey{
		resourceKey: resourceKey{
			resource: s.objects.find(s.names.types[resource.ObjectType], resource.ObjectID),
			relation: s.names.relations[relationName{resource.ObjectType, relation}],
		},
		subjectType:     s.names.types[subjects.Type],
		subjectRelation: s.names.relations[relationName{subjects.Type, subjectRelation(subjects.Subrelation)}],
	}
	first := r.visible(s.byResource[key], ofResource)
	unknown := subjectRelation(subjects.Subrelation) != "" && key.subjectRelation == noRelation
	s.mu.RUnlock()
	if first == 0 || unknown {
		return query.EmptyPathSeq(), nil
	}
	matches := func(one *row) bool { return s.objects.get(one.subject).id != tuple.PublicWildcard }
	return r.list(ctx, first, ofResource, matches, func(one *row) query.Path {
		return query.Path{
			Resource: resource,
			Relation: relation,
			Subject: query.ObjectAndRelation{
				ObjectType: subjects.Type, ObjectID: s.objects.get(one.subject).id, Relation: stored(subjects.Subrelation),
			},
		}
	}), nil
}

// QueryResources implements query.QueryDatastoreReader.
func (r *reader) QueryResources(
	ctx context.Context, resourceType, relation string, subject query.ObjectAndRelation, _, _ bool, _ query.QueryPage,
) (query.PathSeq, error) {
	s := r.store
	s.mu.RLock()
	key := subjectKey{
		subject:         s.objects.find(s.names.types[subject.ObjectType], subject.ObjectID),
		subjectRelation: s.names.relations[relationName{subject.ObjectType, subjectRelation(subject.Relation)}],
		relation:        s.names.relations[relationName{resourceType, relation}],
	}
	unknown := subjectRelation(subject.Relation) != "" && key.subjectRelation == noRelation
	first := r.visible(s.bySubject[key], ofSubject)
	s.mu.RUnlock()
	if first == 0 || unknown {
		return query.EmptyPathSeq(), nil
	}
	return r.list(ctx, first, ofSubject, func(*row) bool { return true }, func(one *row) query.Path {
		return query.Path{
			Resource: query.Object{ObjectType: resourceType, ObjectID: s.objects.get(one.resource).id},
			Relation: relation,
			Subject:  subject,
		}
	}), nil
}

func ofResource(one *row) rowID { return one.ofResource.next }
func ofSubject(one *row) rowID  { return one.ofSubject.next }

// visible returns the first row of a list that belongs to the state. A reader may release the lock only at such a row,
// since other rows may then be freed.
func (r *reader) visible(id rowID, next func(*row) rowID) rowID {
	for id != 0 && !r.store.row(id).in(r.at) {
		id = next(r.store.row(id))
	}
	return id
}

// list yields the paths of the matching rows of a list. It starts at a row of the state, and releases the lock after
// each chunk of rows.
func (r *reader) list(
	ctx context.Context, first rowID, next func(*row) rowID, matches func(*row) bool, path func(*row) query.Path,
) query.PathSeq {
	return func(yield func(*query.Path, error) bool) {
		var paths []query.Path
		for id := first; id != 0; {
			var err error
			if id, paths, err = r.chunk(ctx, id, next, matches, path, paths[:0:0]); err != nil {
				yield(nil, err)
				return
			}
			for i := range paths {
				if !yield(&paths[i], nil) {
					return
				}
			}
		}
	}
}

// chunk reads some rows of a list and returns the row to continue at.
func (r *reader) chunk(
	ctx context.Context, id rowID, next func(*row) rowID, matches func(*row) bool, path func(*row) query.Path,
	paths []query.Path,
) (rowID, []query.Path, error) {
	s := r.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	if ctx.Err() != nil {
		return 0, nil, errEnded
	}
	for looked := 0; id != 0; looked++ {
		one := s.row(id)
		if r.left--; r.left < 0 {
			return 0, nil, errTooMuch
		}
		if one.in(r.at) {
			if looked >= readChunk {
				return id, paths, nil
			}
			if matches(one) {
				counts, err := r.counts(one)
				if err != nil {
					return 0, nil, err
				}
				if counts {
					paths = append(paths, path(one))
				}
			}
		}
		id = next(one)
	}
	return 0, paths, nil
}

// SubjectExistsAsRelationship implements query.QueryDatastoreReader. The planner calls it only for usersets as
// subjects, which this package does not evaluate.
func (r *reader) SubjectExistsAsRelationship(context.Context, query.Object, string) (bool, error) {
	return false, nil
}

// LookupCaveatDefinition implements query.QueryDatastoreReader. It is never called, since the reader returns no
// relationship with a caveat.
func (r *reader) LookupCaveatDefinition(context.Context, string) (datastore.CaveatDefinition, error) {
	return nil, errCaveat
}
