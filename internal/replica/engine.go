package replica

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/authzed/spicedb/pkg/query"
	"github.com/authzed/spicedb/pkg/tuple"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Limits on the relationships that one answer may read. SpiceDB answers larger questions, since it divides a check into
// parts and caches them.
const (
	checkRows  = 50_000
	lookUpRows = 20_000_000
)

// Check implements authz.Engine.
func (r *Replica) Check(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (authz.Decision, authz.Token, error) {
	s, why := r.acquire(at)
	if s != nil {
		defer s.unpin()
		var decision authz.Decision
		if decision, why = s.check(ctx, check, time.Now()); why == "" {
			r.observe("Check", "")
			if r.sampled() {
				r.verifyCheck(s, check, decision) //nolint:contextcheck // it runs in the background
			}
			return decision, s.token, nil
		}
	}
	r.observe("Check", why)
	return r.Engine.Check(ctx, check, at)
}

// CheckBulk implements authz.Engine. If the replica cannot answer some of the checks, the engine behind it answers
// these at the same state.
func (r *Replica) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	s, why := r.acquireSoon(ctx, at)
	if s != nil {
		defer s.unpin()
		var results []authz.CheckResult
		var rest []int
		results, rest, why = s.checkAll(ctx, checks, time.Now())
		if len(rest) < len(checks) && r.complete(ctx, s, checks, results, rest) {
			r.observe("CheckBulk", why)
			if r.sampled() {
				own := func(i int) bool { _, asked := slices.BinarySearch(rest, i); return !asked }
				r.verifyBulk(s, pick(checks, own), pick(results, own)) //nolint:contextcheck // it runs in the background
			}
			return results, s.token, nil
		}
	}
	r.observe("CheckBulk", why)
	return r.Engine.CheckBulk(ctx, checks, at)
}

// checkAll decides checks. rest has the indexes of the checks that it could not decide, and why the reason for the
// first of them.
func (s *state) checkAll(
	ctx context.Context, checks []authz.Check, now time.Time,
) (results []authz.CheckResult, rest []int, why string) {
	results = make([]authz.CheckResult, len(checks))
	for i, check := range checks {
		decision, reason := s.check(ctx, check, now)
		results[i].Decision = decision
		if reason != "" {
			rest = append(rest, i)
			why = cmp.Or(why, reason)
		}
	}
	if len(checks) == 0 {
		why = reasonUnknown
	}
	return results, rest, why
}

// complete adds the missing results. It returns false if the engine behind the replica could not answer at the same
// state.
func (r *Replica) complete(
	ctx context.Context, s *state, checks []authz.Check, results []authz.CheckResult, rest []int,
) bool {
	if len(rest) == 0 {
		return true
	}
	asked := make([]authz.Check, len(rest))
	for i, at := range rest {
		asked[i] = checks[at]
	}
	answers, _, err := r.Engine.CheckBulk(ctx, asked, authz.AtSnapshot(s.token))
	ofChecks := err == nil || errors.Is(err, authz.CodeInvalid) || errors.Is(err, authz.CodeTooLarge)
	if !ofChecks || len(answers) != len(rest) {
		return false
	}
	for i, at := range rest {
		results[at] = answers[i]
	}
	return true
}

// pick returns the items at the wanted positions.
func pick[T any](items []T, wanted func(int) bool) []T {
	var out []T
	for i, item := range items {
		if wanted(i) {
			out = append(out, item)
		}
	}
	return out
}

// check decides one check, or returns in why the reason that it could not.
func (s *state) check(ctx context.Context, check authz.Check, now time.Time) (_ authz.Decision, why string) {
	plan, why := s.plan(check.Subject, check.Resource.Type, check.Permission)
	switch {
	case why != "":
		return authz.Decision{}, why
	case check.Resource.ID == "":
		return authz.Decision{}, reasonUnknown
	}
	resource := query.Object{ObjectType: string(check.Resource.Type), ObjectID: authz.EncodeID(check.Resource.ID)}
	path, err := s.evaluation(ctx, checkRows, now, false).Check(plan.check, resource, subjectOf(check.Subject))
	if err != nil {
		return authz.Decision{}, reasonOf(err)
	}
	if path == nil {
		return authz.Decision{}, ""
	}
	return authz.Decision{State: authz.Allowed}, ""
}

// plan returns the plan for questions about a subject. If only SpiceDB can answer, it returns nil, and why is the
// reason.
func (s *state) plan(subject authz.Subject, typ authz.Type, permission authz.Permission) (_ *plan, why string) {
	switch {
	case subject.Wildcard || subject.Relation != "":
		return nil, reasonSubjectSet
	case subject.ID == "" || !s.plans.has(string(subject.Type)):
		return nil, reasonUnknown
	}
	plan := s.plans.of(string(typ), string(permission))
	switch {
	case plan == nil:
		return nil, reasonUnknown
	case !plan.exact:
		return nil, reasonPlanner
	case !s.plans.answersFor(plan, string(subject.Type)):
		return nil, reasonSubjectSet
	}
	return plan, ""
}

func subjectOf(subject authz.Subject) query.ObjectAndRelation {
	return query.ObjectAndRelation{
		ObjectType: string(subject.Type), ObjectID: authz.EncodeID(subject.ID), Relation: tuple.Ellipsis,
	}
}

// evaluation returns the context for one run of a plan. If named is set, the run ends with errWildcard when it reads a
// wildcard subject.
func (s *state) evaluation(ctx context.Context, rows int, now time.Time, named bool) *query.Context {
	return &query.Context{
		Context:           ctx,
		Executor:          query.LocalExecutor{},
		Reader:            &reader{store: s.store, at: s.version, now: momentOf(now), left: rows, named: named},
		MaxRecursionDepth: rows, // never reached: each level reads a new relationship, and the reader allows only rows
	}
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, errCaveat):
		return reasonCaveat
	case errors.Is(err, errTooMuch):
		return reasonTooMuch
	case errors.Is(err, errWildcard):
		return reasonWildcard
	case errors.Is(err, errEnded):
		return reasonEnded
	default:
		return reasonPlanner
	}
}

// LookupResources implements authz.Engine.
func (r *Replica) LookupResources(
	ctx context.Context, q authz.ResourceQuery, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.FoundResource, error] {
	return func(yield func(authz.FoundResource, error) bool) {
		found, why := r.resources(ctx, q, at, page)
		r.observe("LookupResources", why)
		if why != "" {
			r.Engine.LookupResources(ctx, q, at, page)(yield)
			return
		}
		for _, one := range found {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// resources returns a page of the resources that the query finds.
func (r *Replica) resources(
	ctx context.Context, q authz.ResourceQuery, at authz.Consistency, page authz.Page,
) (found []authz.FoundResource, why string) {
	found, err := r.pages.Page(ctx, q, at, page, func(at authz.Consistency) ([]authz.FoundResource, error) {
		var s *state
		if s, why = r.acquire(at); s == nil {
			return nil, errElsewhere
		}
		defer s.unpin()
		var all []authz.FoundResource
		if all, why = s.resources(ctx, q, time.Now()); why != "" {
			return nil, errElsewhere
		}
		if r.sampled() {
			r.verifyResources(s, q, all) //nolint:contextcheck // it runs in the background
		}
		return all, nil
	})
	if err != nil && why == "" {
		why = reasonUnknown // the engine behind reports the error in the page
	}
	return found, why
}

// errElsewhere means that the engine behind the replica must answer.
var errElsewhere = errors.New("the in-memory replica cannot answer; SpiceDB must")

// resources returns all resources that the query finds, sorted by id.
func (s *state) resources(
	ctx context.Context, q authz.ResourceQuery, now time.Time,
) (all []authz.FoundResource, why string) {
	plan, why := s.plan(q.Subject, q.Type, q.Permission)
	if why != "" {
		return nil, why
	}
	evaluation, subject, resources := s.evaluation(ctx, lookUpRows, now, false), subjectOf(q.Subject), query.ObjectType{
		Type: string(q.Type),
	}
	// This stops the planner from removing duplicates; the code below removes them.
	evaluation.MarkAsOperation(plan.subjects, query.OperationIterResources)
	var ids []authz.ID
	full := 1 << 18
	for _, part := range plan.resources {
		paths, err := evaluation.IterResources(part, subject, resources)
		if err != nil {
			return nil, reasonOf(err)
		}
		for path, err := range paths {
			if err != nil {
				return nil, reasonOf(err)
			}
			ids, full = appendID(ids, authz.DecodeID(q.Type, path.Resource.ObjectID), full)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	all = make([]authz.FoundResource, len(ids))
	for i, id := range ids {
		all[i] = authz.FoundResource{ID: id, Decision: authz.Decision{State: authz.Allowed}, Token: s.token}
	}
	return all, ""
}

// LookupSubjects implements authz.Engine.
func (r *Replica) LookupSubjects(
	ctx context.Context, q authz.SubjectQuery, at authz.Consistency,
) iter.Seq2[authz.FoundSubject, error] {
	return func(yield func(authz.FoundSubject, error) bool) {
		s, why := r.acquire(at)
		var ids []authz.ID // of all subjects; while the reader receives them, ids take less memory than subjects
		var token authz.Token
		if s != nil {
			if ids, why = s.subjects(ctx, q, time.Now()); why == "" && r.sampled() {
				r.verifySubjects(s, q, ids) //nolint:contextcheck // it runs in the background
			}
			token = s.token
			s.unpin()
		}
		r.observe("LookupSubjects", why)
		if why != "" {
			r.Engine.LookupSubjects(ctx, q, at)(yield)
			return
		}
		for _, id := range ids {
			if !yield(foundSubject(q, id, token), nil) {
				return
			}
		}
	}
}

func foundSubject(q authz.SubjectQuery, id authz.ID, token authz.Token) authz.FoundSubject {
	return authz.FoundSubject{
		Subject:  authz.Subject{Object: authz.Object{Type: q.Type, ID: id}},
		Decision: authz.Decision{State: authz.Allowed},
		Token:    token,
	}
}

// subjects returns the ids of all subjects that the query finds, sorted.
func (s *state) subjects(ctx context.Context, q authz.SubjectQuery, now time.Time) (ids []authz.ID, why string) {
	if q.SubjectRelation != "" {
		return nil, reasonSubjectSet
	}
	plan := s.plans.of(string(q.Resource.Type), string(q.Permission))
	if plan == nil || q.Resource.ID == "" || !s.plans.has(string(q.Type)) {
		return nil, reasonUnknown
	}
	switch {
	case !plan.exact:
		return nil, reasonPlanner
	case !s.plans.answersFor(plan, string(q.Type)):
		return nil, reasonSubjectSet
	}
	resource := query.Object{ObjectType: string(q.Resource.Type), ObjectID: authz.EncodeID(q.Resource.ID)}
	evaluation := s.evaluation(ctx, lookUpRows, now, plan.excludes)
	// This stops the planner from omitting wildcards.
	evaluation.MarkAsOperation(plan.subjects, query.OperationIterSubjects)
	paths, err := evaluation.IterSubjects(
		plan.subjects, resource, query.ObjectType{Type: string(q.Type), Subrelation: tuple.Ellipsis},
	)
	if err != nil {
		return nil, reasonOf(err)
	}
	full := 1 << 18
	for path, err := range paths {
		switch {
		case err != nil:
			return nil, reasonOf(err)
		case path.Subject.ObjectID == tuple.PublicWildcard:
			return nil, reasonWildcard
		}
		ids, full = appendID(ids, authz.DecodeID(q.Type, path.Subject.ObjectID), full)
	}
	slices.Sort(ids)
	return slices.Compact(ids), ""
}

// appendID appends an id. If the list has reached the length full, appendID first removes duplicates, and returns twice
// the new length as the next value of full.
func appendID(ids []authz.ID, id authz.ID, full int) ([]authz.ID, int) {
	if ids = append(ids, id); len(ids) >= full {
		slices.Sort(ids)
		ids = slices.Compact(ids)
		full = max(full, 2*len(ids))
	}
	return ids, full
}
