package replica_test

import (
	"context"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// lyingEngine is an engine that gives a false answer to every n-th call of one method, where n is the field every.
type lyingEngine struct {
	authz.Engine
	method string
	every  int
	asked  *int
}

func (w lyingEngine) lies(method string) bool {
	if method != w.method {
		return false
	}
	*w.asked++
	return *w.asked%w.every == 0
}

func flipped(d authz.Decision) authz.Decision {
	if d.Allowed() {
		return authz.Decision{}
	}
	return authz.Decision{State: authz.Allowed}
}

func (w lyingEngine) Check(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (authz.Decision, authz.Token, error) {
	decision, token, err := w.Engine.Check(ctx, check, at)
	if err == nil && w.lies("check") {
		decision = flipped(decision)
	}
	return decision, token, err
}

func (w lyingEngine) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	results, token, err := w.Engine.CheckBulk(ctx, checks, at)
	for i := range results {
		if results[i].Err == nil && w.lies("bulk") {
			results[i].Decision = flipped(results[i].Decision)
		}
	}
	return results, token, err
}

func (w lyingEngine) LookupResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.FoundResource, error] {
	return without(w.Engine.LookupResources(ctx, query, at, page), func() bool { return w.lies("resources") })
}

func (w lyingEngine) LookupSubjects(
	ctx context.Context, query authz.SubjectQuery, at authz.Consistency,
) iter.Seq2[authz.FoundSubject, error] {
	return without(w.Engine.LookupSubjects(ctx, query, at), func() bool { return w.lies("subjects") })
}

func (w lyingEngine) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return without(w.Engine.Read(ctx, filter, at, page), func() bool { return w.lies("reads") })
}

// without returns a sequence that omits some items.
func without[T any](all iter.Seq2[T, error], leave func() bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for item, err := range all {
			if err == nil && leave() {
				continue
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// TestHarness checks that the comparison detects an engine with occasional wrong answers, for every kind of answer.
func TestHarness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := random(3)
	require.True(t, w.apply(t, randomModel(r, traits{recursion: true, usersets: true})))
	w.write(t, w.model.randomWrite(r, 200, nil))
	reached(t, w.replica, w.token)
	q := w.model.questions(r).some(r, 0.12)
	for method, told := range map[string]string{
		"": "", "check": "check", "bulk": "check", "resources": "look up resources", "subjects": "look up subjects", "reads": "read",
	} {
		c := comparison{engine: lyingEngine{w.replica, method, 5, new(int)}, truth: w.engine, who: w.who}
		c.compare(t, q, w.token)
		require.Equal(t, method != "", len(c.found) > 0, "%q: %v", method, c.found)
		for _, d := range c.found {
			require.True(t, strings.HasPrefix(d.question, told), "%q: %v", method, d)
		}
	}
}
