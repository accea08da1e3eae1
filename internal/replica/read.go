package replica

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/authzed/spicedb/pkg/query"
	"github.com/authzed/spicedb/pkg/schema/v2"
	"github.com/authzed/spicedb/pkg/tuple"

	"github.com/sluice-authz/sluice/internal/authz"
)

const (
	// maxReadRows is how many rows one Read reads from memory. SpiceDB answers larger reads.
	maxReadRows = 10_000

	// maxReadWait is how long a Read waits for Watch to deliver the state that it names. After a write, Watch delivers
	// the new state in a fraction of this time.
	maxReadWait = 5 * time.Millisecond
)

// Read implements authz.Engine. The replica reads at an exact snapshot if the caller needs no cursors. The filter must
// name the id of the resource or of the subject.
func (r *Replica) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	if at.Freshness != authz.ExactSnapshot || !page.NoCursors || page.Cursor != "" || page.Limit < 0 {
		return r.Engine.Read(ctx, filter, at, page)
	}
	return func(yield func(authz.ReadItem, error) bool) {
		found, token, why := r.read(ctx, filter, at, page.Limit)
		r.observe("Read", why)
		if why != "" {
			r.Engine.Read(ctx, filter, at, page)(yield)
			return
		}
		for _, one := range found {
			if !yield(authz.ReadItem{Relationship: one, Token: token}, nil) {
				return
			}
		}
	}
}

// read returns the relationships that match, at most limit if it is not zero.
func (r *Replica) read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, limit int,
) (found []authz.Relationship, token authz.Token, why string) {
	s, why := r.acquireSoon(ctx, at)
	if s == nil {
		return nil, "", why
	}
	defer s.unpin()
	if found, why = s.read(ctx, filter, limit, time.Now()); why == "" && limit == 0 && r.sampled() {
		r.verifyRead(s, filter, found) //nolint:contextcheck // it runs in the background
	}
	return found, s.token, why
}

// acquireSoon is like acquire. It also finds an exact snapshot that other writes have replaced recently, and waits up
// to maxReadWait for one that has not arrived yet.
func (r *Replica) acquireSoon(ctx context.Context, at authz.Consistency) (s *state, why string) {
	if at.Freshness != authz.ExactSnapshot {
		return r.acquire(at)
	}
	ctx, cancel := context.WithTimeout(ctx, maxReadWait)
	defer cancel()
	for {
		r.mu.Lock()
		arrived := r.arrived
		r.mu.Unlock()
		s, why = r.acquire(at)
		if why == reasonSnapshot {
			if s = r.pinRecent(at.Token); s != nil {
				return s, ""
			}
		}
		if why != reasonBehind {
			return s, why
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, reasonBehind
		}
	}
}

// read returns the relationships of the state that match. Without a limit, they are sorted. If only SpiceDB can answer,
// why is the reason.
func (s *state) read(
	ctx context.Context, filter authz.Filter, limit int, now time.Time,
) (found []authz.Relationship, why string) {
	kinds, why := s.plans.kinds(filter)
	if why != "" {
		return nil, why
	}
	rows := &reader{store: s.store, at: s.version, now: momentOf(now), left: maxReadRows, whole: true}
	for _, kind := range kinds {
		for path, err := range rows.matching(ctx, filter, kind) {
			if err != nil {
				return nil, reasonOf(err)
			}
			found = append(found, relationshipOf(path))
			if len(found) == limit {
				return found, ""
			}
		}
	}
	if limit == 0 {
		slices.SortFunc(found, func(a, b authz.Relationship) int { return strings.Compare(a.String(), b.String()) })
	}
	return found, ""
}

// kind is a kind of relationship: its type of resource, its relation, and the type and relation of its subjects.
type kind struct{ typ, relation, subjectType, subjectRelation string }

// kinds returns the kinds of relationships that can match a filter. If only SpiceDB can answer, why is the reason.
func (p *plans) kinds(f authz.Filter) (all []kind, why string) {
	names := f.ID != "" && f.Type != "" || (f.SubjectID != "" || f.SubjectWildcard) && f.SubjectType != ""
	hasSubject := f.SubjectID != "" || f.SubjectWildcard || f.SubjectRelation != "" || f.SubjectPlain
	switch {
	case !names:
		return nil, reasonScan
	case hasSubject && f.SubjectType == "", f.SubjectPlain && f.SubjectRelation != "":
		return nil, reasonUnknown // SpiceDB answers with the error
	case f.Type != "" && !p.has(string(f.Type)), f.SubjectType != "" && !p.has(string(f.SubjectType)):
		return nil, reasonUnknown
	case f.Relation != "" && f.Type == "":
		return nil, reasonUnknown
	}
	definitions := p.schema.Definitions()
	if f.Type != "" {
		definition, _ := p.schema.GetTypeDefinition(string(f.Type))
		definitions = map[string]*schema.Definition{string(f.Type): definition}
	}
	if f.Relation != "" {
		if _, ok := definitions[string(f.Type)].GetRelation(string(f.Relation)); !ok {
			return nil, reasonUnknown
		}
	}
	seen := make(map[kind]bool)
	for typ, definition := range definitions {
		for name, relation := range definition.Relations() {
			if f.Relation != "" && name != string(f.Relation) {
				continue
			}
			for _, base := range relation.BaseRelations() {
				one := kind{typ, name, base.Type(), subjectRelation(base.Subrelation())}
				if !seen[one] && one.matches(f) {
					seen[one] = true
					all = append(all, one)
				}
			}
		}
	}
	return all, ""
}

// matches reports whether relationships of the kind can match the filter.
func (k kind) matches(f authz.Filter) bool {
	switch {
	case f.SubjectType != "" && k.subjectType != string(f.SubjectType):
		return false
	case f.SubjectRelation != "":
		return k.subjectRelation == string(f.SubjectRelation)
	default:
		return !f.SubjectPlain || k.subjectRelation == ""
	}
}

// matching yields the relationships of one kind that match a filter.
func (r *reader) matching(ctx context.Context, f authz.Filter, k kind) query.PathSeq {
	s := r.store
	subject := authz.EncodeID(f.SubjectID)
	if f.SubjectWildcard {
		subject = tuple.PublicWildcard
	}
	s.mu.RLock()
	first, next := r.firstMatching(authz.EncodeID(f.ID), subject, k)
	s.mu.RUnlock()
	if first == 0 {
		return query.EmptyPathSeq()
	}
	return r.list(ctx, first, next, func(*row) bool { return true }, func(one *row) query.Path {
		path := query.Path{
			Resource: query.Object{ObjectType: k.typ, ObjectID: s.objects.get(one.resource).id},
			Relation: k.relation,
			Subject: query.ObjectAndRelation{
				ObjectType: k.subjectType, ObjectID: s.objects.get(one.subject).id, Relation: k.subjectRelation,
			},
		}
		if one.expires != noExpiry {
			ends := time.UnixMicro(int64(one.expires)).UTC()
			path.Expiration = &ends
		}
		return path
	})
}

// firstMatching returns the first row of a kind with this resource and this subject, and the function that returns the
// next row. One of the two ids may be empty: then it matches every id. The caller holds the lock of the store.
func (r *reader) firstMatching(resource, subject string, k kind) (rowID, func(*row) rowID) {
	s := r.store
	var relation relationID
	if k.subjectRelation != "" {
		if relation = s.names.relations[relationName{k.subjectType, k.subjectRelation}]; relation == noRelation {
			return 0, nil
		}
	}
	key := relationshipKey{
		resourceKey: resourceKey{
			s.objects.find(s.names.types[k.typ], resource), s.names.relations[relationName{k.typ, k.relation}],
		},
		subject:         s.objects.find(s.names.types[k.subjectType], subject),
		subjectRelation: relation,
	}
	switch {
	case key.relation == noRelation, resource != "" && key.resource == 0, subject != "" && key.subject == 0:
		return 0, nil
	case subject == "":
		byResource := subjectsKey{key.resourceKey, s.names.types[k.subjectType], relation}
		return r.visible(s.byResource[byResource], ofResource), ofResource
	case resource == "":
		return r.visible(s.bySubject[subjectKey{key.subject, relation, key.relation}], ofSubject), ofSubject
	}
	id := s.byRelationship[key]
	for id != 0 && !s.row(id).in(r.at) {
		id = s.row(id).older
	}
	return id, func(*row) rowID { return 0 }
}

func relationshipOf(path *query.Path) authz.Relationship {
	resource, subject := path.Resource, path.Subject
	relationship := authz.Relationship{
		Resource: authz.Object{
			Type: authz.Type(resource.ObjectType), ID: authz.DecodeID(authz.Type(resource.ObjectType), resource.ObjectID),
		},
		Relation: authz.Relation(path.Relation),
		Subject:  authz.Everybody(authz.Type(subject.ObjectType)),
	}
	if subject.ObjectID != tuple.PublicWildcard {
		relationship.Subject = authz.Subject{Object: authz.Object{
			Type: authz.Type(subject.ObjectType), ID: authz.DecodeID(authz.Type(subject.ObjectType), subject.ObjectID),
		}}
	}
	relationship.Subject.Relation = authz.Relation(subject.Relation)
	if path.Expiration != nil {
		relationship.ExpiresAt = *path.Expiration
	}
	return relationship
}
