package spicedb

import (
	"context"
	"crypto/rand"
	"iter"
	"maps"
	"slices"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
)

// LookupSubjects implements authz.Engine. SpiceDB returns a subject once for each relation that grants the
// permission, each time with the condition of that relation only. If one relation allows a subject without a
// condition, LookupSubjects yields the subject at once. At the end, it checks the subjects that have only conditions,
// and those that a wildcard excludes. If a caveat fails for one subject, SpiceDB fails the whole look-up. In that
// case, LookupSubjects checks each candidate separately.
func (c *Client) LookupSubjects(
	ctx context.Context, query authz.SubjectQuery, at authz.Consistency,
) iter.Seq2[authz.FoundSubject, error] {
	return sequence(c, "LookupSubjects", func(yield func(authz.FoundSubject) bool) error {
		found := foundSubjects{
			query: query, yielded: make(map[authz.ID]bool), open: make(map[authz.ID]bool), excluded: make(map[authz.ID]bool),
		}
		more, err := c.allSubjects(ctx, query, at, func(one authz.FoundSubject) bool { return !found.add(one) || yield(one) })
		if isCaveatFailure(err) {
			more = true
			err = c.candidateSubjects(ctx, &found, at, err)
		}
		if err != nil || !more {
			return err
		}
		return c.remaining(ctx, &found, yield)
	})
}

// allSubjects calls each for every result of SpiceDB's look-up, which has one result for each path to a subject. If
// each returns false, allSubjects stops, and more is false.
func (c *Client) allSubjects(
	ctx context.Context, query authz.SubjectQuery, at authz.Consistency, each func(authz.FoundSubject) bool,
) (more bool, err error) {
	consistency, err := toConsistency(at)
	if err != nil {
		return false, err
	}
	given, err := c.toGivenContext(ctx, query.Resource.Type, query.Permission, query.Context)
	if err != nil {
		return false, err
	}
	more = true
	err = stream(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[v1.LookupSubjectsResponse], error) {
		return c.permissions.LookupSubjects(ctx, &v1.LookupSubjectsRequest{
			Consistency:             consistency,
			Resource:                toObject(query.Resource),
			Permission:              string(query.Permission),
			SubjectObjectType:       string(query.Type),
			OptionalSubjectRelation: string(query.SubjectRelation),
			Context:                 given.values,
		})
	}, func(found *v1.LookupSubjectsResponse) bool {
		more = each(toFoundSubject(query, found))
		return more
	})
	return more, given.nameNumber(err)
}

func toFoundSubject(query authz.SubjectQuery, found *v1.LookupSubjectsResponse) authz.FoundSubject {
	resolved := found.GetSubject()
	subject := newSubject(query.Type, resolved.GetSubjectObjectId())
	subject.Relation = query.SubjectRelation
	out := authz.FoundSubject{
		Subject:  subject,
		Decision: fromLookup(resolved.GetPermissionship(), resolved.GetPartialCaveatInfo()),
		Token:    fromToken(found.GetLookedUpAt()),
	}
	for _, excluded := range found.GetExcludedSubjects() {
		out.Excluded = append(out.Excluded, authz.DecodeID(query.Type, excluded.GetSubjectObjectId()))
	}
	return out
}

// foundSubjects has the subjects that a look-up has found so far.
type foundSubjects struct {
	query    authz.SubjectQuery
	yielded  map[authz.ID]bool
	open     map[authz.ID]bool // subjects to check: one of their paths is conditional
	excluded map[authz.ID]bool // excluded by some wildcard
	wildcard *authz.FoundSubject
	token    authz.Token
}

// add records a result. It reports whether the caller must yield the subject now.
func (f *foundSubjects) add(one authz.FoundSubject) bool {
	f.token = one.Token
	switch {
	case one.Subject.Wildcard:
		for _, id := range one.Excluded {
			f.excluded[id] = true
		}
		if f.wildcard != nil {
			one.Decision = either(f.wildcard.Decision, one.Decision)
		}
		one.Excluded = nil
		f.wildcard = &one
	case one.Decision.State == authz.Conditional:
		f.open[one.Subject.ID] = true
	case !f.yielded[one.Subject.ID]:
		f.yielded[one.Subject.ID] = true
		return true
	}
	return false
}

// remaining yields the subjects that add did not yield. It checks each conditional or excluded subject, and yields it
// with the decision unless it is denied. At the end it yields the wildcard. Excluded subjects that the check does not
// allow remain exclusions of the wildcard.
func (c *Client) remaining(ctx context.Context, f *foundSubjects, yield func(authz.FoundSubject) bool) error {
	maps.Copy(f.open, f.excluded)
	maps.DeleteFunc(f.open, func(id authz.ID, _ bool) bool { return f.yielded[id] })
	decisions, err := c.decideSubjects(ctx, f)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(decisions)) {
		decision, failure := decisions[id].Decision, decisions[id].Err
		if f.excluded[id] && !decision.Allowed() {
			f.wildcard.Excluded = append(f.wildcard.Excluded, id)
		}
		// If one wildcard excludes a subject, another wildcard may still cover it.
		covered := f.excluded[id] && f.wildcard.Decision.Allowed() && decision.Allowed()
		if decision.State == authz.Denied && failure == nil || covered {
			continue
		}
		if !yield(authz.FoundSubject{Subject: f.subject(id), Decision: decision, Err: failure, Token: f.token}) {
			return nil
		}
	}
	if f.wildcard != nil {
		yield(*f.wildcard)
	}
	return nil
}

func (f *foundSubjects) subject(id authz.ID) authz.Subject {
	return authz.Subject{Object: authz.Object{Type: f.query.Type, ID: id}, Relation: f.query.SubjectRelation}
}

// check returns the check of a subject.
func (f *foundSubjects) check(id authz.ID) authz.Check {
	return authz.Check{
		Subject: f.subject(id), Permission: f.query.Permission, Resource: f.query.Resource, Context: f.query.Context,
	}
}

// decideSubjects checks the open subjects at the snapshot of the look-up.
func (c *Client) decideSubjects(ctx context.Context, f *foundSubjects) (map[authz.ID]authz.CheckResult, error) {
	if len(f.open) == 0 {
		return nil, nil
	}
	ids := slices.Sorted(maps.Keys(f.open))
	checks := make([]authz.Check, len(ids))
	for i, id := range ids {
		checks[i] = f.check(id)
	}
	results, _, err := c.CheckBulk(ctx, checks, authz.AtSnapshot(f.token))
	if err != nil {
		return nil, err
	}
	decisions := make(map[authz.ID]authz.CheckResult, len(ids))
	for i, result := range results {
		if result.Err != nil && !isOfQuestion(result.Err) {
			return nil, result.Err
		}
		decisions[ids[i]] = result
	}
	return decisions, nil
}

// candidateSubjects sets open to every subject that the query may find, so that remaining checks them. It finds them
// by the same look-up without a context, because a caveat with missing context does not fail. If a caveat still
// fails, it takes every subject of the type in any relationship. If there are too many, the returned error is the
// argument failure.
func (c *Client) candidateSubjects(ctx context.Context, f *foundSubjects, at authz.Consistency, failure error) error {
	if f.token != "" {
		at = authz.AtSnapshot(f.token)
	}
	f.open, f.excluded, f.wildcard = make(map[authz.ID]bool), make(map[authz.ID]bool), nil
	everybody, more, err := false, true, failure
	if f.query.Context != nil {
		query := f.query
		query.Context = nil
		more, err = c.allSubjects(ctx, query, at, func(one authz.FoundSubject) bool {
			f.token = one.Token
			if everybody = everybody || one.Subject.Wildcard; !one.Subject.Wildcard {
				f.open[one.Subject.ID] = true
			}
			for _, id := range one.Excluded {
				f.excluded[id] = true
			}
			return len(f.open)+len(f.excluded) <= maxCandidates
		})
	}
	switch {
	case isCaveatFailure(err):
		if everybody, err = c.allNamed(ctx, f, at, failure); err != nil {
			return err
		}
	case err != nil:
		return err
	case !more:
		return failure
	}
	if everybody {
		return c.decideEverybody(ctx, f)
	}
	return nil
}

// allNamed adds to open every subject of the type in any relationship, and reports whether a relationship has a
// wildcard.
func (c *Client) allNamed(
	ctx context.Context, f *foundSubjects, at authz.Consistency, failure error,
) (everybody bool, err error) {
	relation := f.query.SubjectRelation
	filter := authz.Filter{SubjectType: f.query.Type, SubjectRelation: relation, SubjectPlain: relation == ""}
	if f.query.Type == f.query.Resource.Type {
		f.open[f.query.Resource.ID] = true
	}
	rows := 0
	for item, err := range c.Read(ctx, filter, at, authz.Page{}) {
		if err != nil {
			return false, err
		}
		f.token = item.Token
		if subject := item.Relationship.Subject; subject.Wildcard {
			everybody = true
		} else {
			f.open[subject.ID] = true
		}
		if rows++; rows > maxCandidateRows || len(f.open) > maxCandidates {
			return false, failure
		}
	}
	if f.token == "" {
		clear(f.open)
	}
	if everybody {
		maps.Copy(f.excluded, f.open)
	}
	return everybody, nil
}

// decideEverybody decides whether every subject of the type has the permission. For this, it checks a random id that
// no relationship has.
func (c *Client) decideEverybody(ctx context.Context, f *foundSubjects) error {
	decision, _, err := c.Check(ctx, f.check(authz.ID(rand.Text())), authz.AtSnapshot(f.token))
	switch {
	case err != nil && !isOfQuestion(err):
		return err
	case err == nil && decision.State == authz.Denied:
		maps.Copy(f.open, f.excluded)
		clear(f.excluded)
	default:
		everybody := authz.Everybody(f.query.Type)
		f.wildcard = &authz.FoundSubject{Subject: everybody, Decision: decision, Err: err, Token: f.token}
	}
	return nil
}
