package replica

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

const (
	maxVerifying  = 4                // concurrent verifications; further answers are not verified
	verifyTimeout = 10 * time.Second // time limit for SpiceDB's answer
)

// verification is a question with the functions that answer it at a state. reflect.DeepEqual must be able to compare
// the answers.
type verification struct {
	question any
	replica  func(ctx context.Context, now time.Time) (answer any, why string)
	spicedb  func(context.Context, authz.Consistency) (any, error)
}

// sampled reports whether to verify an answer.
func (r *Replica) sampled() bool { return r.options.Verify > 0 && r.random() < r.options.Verify }

// verify compares an answer with SpiceDB's at the same state, in the background. A different answer turns the replica
// off.
func (r *Replica) verify(s *state, answer any, v verification) {
	select {
	case r.verifying <- struct{}{}:
	default:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		<-r.verifying
		return
	}
	s.pins.Add(1) // the caller still has the state pinned
	r.running.Go(func() {
		defer func() {
			s.unpin()
			<-r.verifying
		}()
		ctx, cancel := context.WithTimeout(r.life, verifyTimeout)
		defer cancel()
		expected, err := v.spicedb(ctx, authz.AtSnapshot(s.token))
		if err != nil {
			return // SpiceDB no longer has the state or is unavailable
		}
		r.stats.verified.Add(1)
		if !reflect.DeepEqual(answer, expected) && !v.isOfAnotherTime(ctx, expected) {
			r.differ(ctx, s, v.question, answer, expected)
		}
	})
}

// isOfAnotherTime reports whether SpiceDB's answer is the replica's answer at another time. Then the difference is no
// fault. SpiceDB compares expirations with the time of its database, which is later, and does not check expirations in
// cached parts of an answer.
func (v verification) isOfAnotherTime(ctx context.Context, expected any) bool {
	now := time.Now()
	for _, at := range []time.Time{now, now.Add(Bound), now.Add(-Bound), {}} {
		if answer, why := v.replica(ctx, at); why != "" || reflect.DeepEqual(answer, expected) {
			return true
		}
	}
	return false
}

// differ logs a difference and turns the replica off.
func (r *Replica) differ(ctx context.Context, s *state, question, answer, expected any) {
	r.stats.differences.Add(1)
	r.standDown(reasonDiffers)
	relationships, _ := s.store.size()
	r.options.Logger.ErrorContext(
		ctx,
		"an answer of the in-memory replica differed from SpiceDB's; the replica is off until the next start",
		"question",
		fmt.Sprintf("%+v", question),
		"replica",
		fmt.Sprintf("%+v", answer),
		"spicedb",
		fmt.Sprintf(
			"%+v", expected,
		),
		"snapshot",
		string(s.token),
		"relationships",
		relationships,
		"schema",
		s.plans.text,
	)
}

func (r *Replica) verifyCheck(s *state, check authz.Check, given authz.Decision) {
	r.verify(s, given, verification{
		question: check,
		replica:  func(ctx context.Context, now time.Time) (any, string) { return first(s.check(ctx, check, now)) },
		spicedb: func(ctx context.Context, at authz.Consistency) (any, error) {
			decision, _, err := r.Engine.Check(ctx, check, at)
			return decision, err
		},
	})
}

func (r *Replica) verifyBulk(s *state, checks []authz.Check, given []authz.CheckResult) {
	r.verify(s, given, verification{
		question: checks,
		replica: func(ctx context.Context, now time.Time) (any, string) {
			results, _, why := s.checkAll(ctx, checks, now)
			return results, why
		},
		spicedb: func(ctx context.Context, at authz.Consistency) (any, error) {
			results, _, err := r.Engine.CheckBulk(ctx, checks, at)
			for i, result := range results {
				if result.Err != nil && i < len(given) { // SpiceDB has no answer, for example for a chain that is too deep
					results[i] = given[i]
				}
			}
			return results, err
		},
	})
}

func (r *Replica) verifyResources(s *state, q authz.ResourceQuery, given []authz.FoundResource) {
	r.verify(s, idsOf(given), verification{
		question: q,
		replica: func(ctx context.Context, now time.Time) (any, string) {
			found, why := s.resources(ctx, q, now)
			return idsOf(found), why
		},
		spicedb: func(ctx context.Context, at authz.Consistency) (any, error) {
			var found []authz.FoundResource
			for one, err := range r.Engine.LookupResources(ctx, q, at, authz.Page{}) {
				if err != nil {
					return nil, err
				}
				found = append(found, one)
			}
			return idsOf(found), nil
		},
	})
}

func (r *Replica) verifySubjects(s *state, q authz.SubjectQuery, given []authz.ID) {
	subjects := func(ids []authz.ID) []string {
		found := make([]authz.FoundSubject, len(ids))
		for i, id := range ids {
			found[i] = foundSubject(q, id, s.token)
		}
		return subjectsOf(found)
	}
	r.verify(s, subjects(given), verification{
		question: q,
		replica: func(ctx context.Context, now time.Time) (any, string) {
			ids, why := s.subjects(ctx, q, now)
			return subjects(ids), why
		},
		spicedb: func(ctx context.Context, at authz.Consistency) (any, error) {
			var found []authz.FoundSubject
			for one, err := range r.Engine.LookupSubjects(ctx, q, at) {
				if err != nil {
					return nil, err
				}
				found = append(found, one)
			}
			return subjectsOf(found), nil
		},
	})
}

func (r *Replica) verifyRead(s *state, filter authz.Filter, given []authz.Relationship) {
	r.verify(s, textsOf(given), verification{
		question: filter,
		replica: func(ctx context.Context, now time.Time) (any, string) {
			found, why := s.read(ctx, filter, 0, now)
			return textsOf(found), why
		},
		spicedb: func(ctx context.Context, at authz.Consistency) (any, error) {
			var found []authz.Relationship
			for item, err := range r.Engine.Read(ctx, filter, at, authz.Page{}) {
				if err != nil {
					return nil, err
				}
				found = append(found, item.Relationship)
			}
			return textsOf(found), nil
		},
	})
}

// textsOf formats relationships, sorted.
func textsOf(found []authz.Relationship) []string {
	out := make([]string, len(found))
	for i, one := range found {
		out[i] = fmt.Sprint(one, " ", one.ExpiresAt)
	}
	slices.Sort(out)
	return out
}

// first returns its arguments, with the answer as any.
func first[T any](answer T, why string) (any, string) { return answer, why }

// idsOf formats the resources with their decisions, in their order.
func idsOf(found []authz.FoundResource) []string {
	out := make([]string, len(found))
	for i, one := range found {
		out[i] = fmt.Sprintf("%s %v %v", one.ID, one.Decision, one.Err)
	}
	return out
}

// subjectsOf formats the subjects with their decisions, sorted.
func subjectsOf(found []authz.FoundSubject) []string {
	out := make([]string, len(found))
	for i, one := range found {
		out[i] = fmt.Sprintf("%s %v %v %v", one.Subject, one.Decision, one.Err, one.Excluded)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
