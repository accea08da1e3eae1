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
	maxVerifying  = 4                // answers that are verified at once; others are not
	verifyTimeout = 10 * time.Second // SpiceDB's answer may take so long
)

// verify asks SpiceDB, for a share of the answers and beside the request, what it answers at the very state that the replica
// answered from. An answer that differs twice takes the replica out of service: in between, a relationship may have expired.
func (r *Replica) verify(ctx context.Context, s *state, question any, own func(context.Context) (answer any, why string), theirs func(context.Context, authz.Consistency) (any, error)) {
	if r.options.Verify == 0 || r.random() >= r.options.Verify {
		return
	}
	select {
	case r.verifying <- struct{}{}:
	default:
		return
	}
	s.pins.Add(1) // the caller has it pinned
	r.running.Go(func() {
		defer func() {
			s.unpin()
			<-r.verifying
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verifyTimeout)
		defer cancel()
		for range 2 {
			expected, err := theirs(ctx, authz.AtSnapshot(s.token))
			if err != nil {
				return // it no longer has the state, or is away
			}
			answer, why := own(ctx)
			if why != "" {
				return
			}
			if reflect.DeepEqual(answer, expected) {
				r.stats.verified.Add(1)
				return
			}
			if again, err := theirs(ctx, authz.AtSnapshot(s.token)); err != nil || !reflect.DeepEqual(again, expected) {
				continue
			}
			r.differ(ctx, s, question, answer, expected)
			return
		}
	})
}

// differ takes the replica out of service.
func (r *Replica) differ(ctx context.Context, s *state, question, answer, expected any) {
	r.stats.verified.Add(1)
	r.stats.differences.Add(1)
	r.standDown(whyDiffers)
	relationships, _ := s.store.size()
	r.options.Logger.ErrorContext(ctx, "the replica answered otherwise than SpiceDB, and is off until the next start",
		"question", fmt.Sprintf("%+v", question), "replica", fmt.Sprintf("%+v", answer), "spicedb", fmt.Sprintf("%+v", expected),
		"snapshot", string(s.token), "relationships", relationships, "schema", s.plans.text)
}

func (r *Replica) verifyCheck(ctx context.Context, s *state, check authz.Check, _ authz.Decision) {
	r.verify(ctx, s, check, func(ctx context.Context) (any, string) {
		decision, why := s.check(ctx, check)
		return decision, why
	}, func(ctx context.Context, at authz.Consistency) (any, error) {
		decision, _, err := r.Engine.Check(ctx, check, at)
		return decision, err
	})
}

func (r *Replica) verifyBulk(ctx context.Context, s *state, checks []authz.Check, _ []authz.CheckResult) {
	r.verify(ctx, s, checks, func(ctx context.Context) (any, string) {
		results, why := s.checkAll(ctx, checks)
		return results, why
	}, func(ctx context.Context, at authz.Consistency) (any, error) {
		results, _, err := r.Engine.CheckBulk(ctx, checks, at)
		return results, err
	})
}

func (r *Replica) verifyResources(ctx context.Context, s *state, q authz.ResourceQuery, _ []authz.FoundResource) {
	r.verify(ctx, s, q, func(ctx context.Context) (any, string) {
		found, why := s.resources(ctx, q)
		return idsOf(found), why
	}, func(ctx context.Context, at authz.Consistency) (any, error) {
		var found []authz.FoundResource
		for one, err := range r.Engine.LookupResources(ctx, q, at, authz.Page{}) {
			if err != nil {
				return nil, err
			}
			found = append(found, one)
		}
		return idsOf(found), nil
	})
}

// idsOf are the resources with their decisions, in their order.
func idsOf(found []authz.FoundResource) []string {
	out := make([]string, len(found))
	for i, one := range found {
		out[i] = fmt.Sprintf("%s %v", one.ID, one.Decision)
	}
	return out
}

func (r *Replica) verifySubjects(ctx context.Context, s *state, q authz.SubjectQuery, _ []authz.FoundSubject) {
	r.verify(ctx, s, q, func(ctx context.Context) (any, string) {
		found, why := s.subjects(ctx, q)
		return subjectsOf(found), why
	}, func(ctx context.Context, at authz.Consistency) (any, error) {
		var found []authz.FoundSubject
		for one, err := range r.Engine.LookupSubjects(ctx, q, at) {
			if err != nil {
				return nil, err
			}
			found = append(found, one)
		}
		return subjectsOf(found), nil
	})
}

// subjectsOf are the subjects with their decisions, in an order of their own.
func subjectsOf(found []authz.FoundSubject) []string {
	out := make([]string, len(found))
	for i, one := range found {
		out[i] = fmt.Sprintf("%s %v %v", one.Subject, one.Decision, one.Excluded)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
