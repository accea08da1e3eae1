package replica_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
	"github.com/sluice-authz/sluice/internal/replica"
)

// comparison asks two engines the same questions at the same state and collects the differences.
type comparison struct {
	engine authz.Engine // the engine under test
	truth  authz.Engine
	who    *answers // counts the answers of the replica and of SpiceDB

	// circles is set if relationships form circles. SpiceDB follows a circle up to its depth limit, unless it finds the
	// answer on another path first. The replica detects circles. So with circles, one of the two engines may return
	// CodeTooLarge where the other answers.
	circles bool

	asked, own int // number of comparisons, and of those that the replica answered itself
	divided    int // how often SpiceDB's bulk differs from SpiceDB's single check
	outcomes   map[string]int
	found      []difference
}

// difference is a question with two different answers.
type difference struct {
	question  string
	got, want string
	ask       func(ctx context.Context, engine authz.Engine, at authz.Consistency) string
}

func (d difference) String() string {
	return fmt.Sprintf("%s: the replica says %s, SpiceDB %s", d.question, d.got, d.want)
}

// limit is the time limit for all questions at one state. It is long, since the machine may be busy.
const limit = 3 * time.Minute

// compare asks all questions at the state of the token. No write may run before it returns.
func (c *comparison) compare(t *testing.T, q questions, token authz.Token) {
	t.Helper()
	c.compareChecks(t, q.checks, token)
	for _, check := range q.malformed {
		what := "check " + describe(check)
		c.ask(t, what, token, func(ctx context.Context, engine authz.Engine, at authz.Consistency) string {
			decision, _, err := engine.Check(ctx, check, at)
			return outcome(decision, err)
		})
	}
	for i, query := range q.resources {
		what := fmt.Sprintf("look up resources %+v", query)
		c.ask(t, what, token, func(ctx context.Context, engine authz.Engine, at authz.Consistency) string {
			found, _ := resources(ctx, engine, query, at, i%3)
			return found
		})
	}
	for i, filter := range q.reads {
		what := fmt.Sprintf("read %+v", filter)
		c.ask(t, what, token, func(ctx context.Context, engine authz.Engine, _ authz.Consistency) string {
			return relationships(ctx, engine, filter, authz.AtSnapshot(token), i%3)
		})
	}
	for _, query := range q.subjects {
		what := fmt.Sprintf("look up subjects %+v", query)
		c.ask(t, what, token, func(ctx context.Context, engine authz.Engine, at authz.Consistency) string {
			found, _ := subjects(ctx, engine, query, at)
			return found
		})
	}
}

// ask asks the replica, and then SpiceDB at the state of the replica's answer.
func (c *comparison) ask(
	t *testing.T, question string, token authz.Token,
	ask func(ctx context.Context, engine authz.Engine, at authz.Consistency) string,
) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	before := c.who.of(replica.FromReplica)
	got := ask(ctx, c.engine, authz.AsFreshAs(token))
	own := c.who.of(replica.FromReplica) > before
	c.note(difference{question, got, ask(ctx, c.truth, authz.AtSnapshot(token)), ask}, own)
}

// compareChecks asks the replica each check alone, and all checks in one bulk, at a state that the replica chooses. It
// then asks SpiceDB the same at that state.
func (c *comparison) compareChecks(t *testing.T, checks []authz.Check, token authz.Token) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	got := make([]string, len(checks))
	own := make([]bool, len(checks))
	at := make(map[authz.Token][]int)
	for i, check := range checks {
		before := c.who.of(replica.FromReplica)
		decision, state, err := c.engine.Check(ctx, check, authz.AsFreshAs(token))
		got[i], own[i] = outcome(decision, err), c.who.of(replica.FromReplica) > before
		if err != nil {
			state = token
		}
		at[state] = append(at[state], i)
	}
	for state, which := range at {
		want := c.spiceDB(ctx, t, pick(checks, which), state)
		for i, n := range which {
			c.noteCheck(ctx, checkDifference(checks[n], got[n], want[i]), state, own[n])
		}
	}
	c.compareBulks(ctx, t, checks, got, own, token)
}

// compareBulks compares two bulks: one that the replica can answer itself, and one that it must forward to SpiceDB in
// part.
func (c *comparison) compareBulks(
	ctx context.Context, t *testing.T, checks []authz.Check, got []string, own []bool, token authz.Token,
) {
	t.Helper()
	var its []int
	for i := range checks {
		if own[i] {
			its = append(its, i)
		}
	}
	if len(its) > 0 {
		before := c.who.of(replica.FromReplica)
		for i, together := range c.bulk(ctx, t, c.engine, pick(checks, its), authz.AsFreshAs(token)) {
			c.note(checkDifference(checks[its[i]], together, got[its[i]]), c.who.of(replica.FromReplica) > before)
		}
	}
	if c.circles {
		return
	}
	mixed := sample(checks, 50)
	want := c.bulk(ctx, t, c.truth, mixed, authz.AtSnapshot(token))
	for i, together := range c.bulk(ctx, t, c.engine, mixed, authz.AsFreshAs(token)) {
		c.note(checkDifference(mixed[i], together, want[i]), false)
	}
}

// noteCheck counts the comparison of a check with SpiceDB's bulk. If they differ, SpiceDB's single check decides, since
// SpiceDB v1.56.0's bulk has an error: it wrongly denies an all() over relationships with caveats if the bulk covers
// several resources.
func (c *comparison) noteCheck(ctx context.Context, d difference, at authz.Token, own bool) {
	if d.got != d.want {
		if alone := d.ask(ctx, c.truth, authz.AtSnapshot(at)); alone != d.want {
			d.want = alone
			c.divided++
		}
	}
	c.note(d, own)
}

// spiceDB asks SpiceDB all checks in a bulk. With circles, it asks one check at a time, since a bulk may take minutes.
func (c *comparison) spiceDB(ctx context.Context, t *testing.T, checks []authz.Check, at authz.Token) []string {
	t.Helper()
	if !c.circles {
		return c.bulk(ctx, t, c.truth, checks, authz.AtSnapshot(at))
	}
	out := make([]string, len(checks))
	for i, check := range checks {
		decision, _, err := c.truth.Check(ctx, check, authz.AtSnapshot(at))
		out[i] = outcome(decision, err)
	}
	return out
}

func (c *comparison) bulk(
	ctx context.Context, t *testing.T, engine authz.Engine, checks []authz.Check, at authz.Consistency,
) []string {
	t.Helper()
	results, state, err := engine.CheckBulk(ctx, checks, at)
	require.NoError(t, err)
	if at.Freshness == authz.ExactSnapshot {
		require.NotEmpty(t, state)
	}
	out := make([]string, len(checks))
	for i, result := range results {
		out[i] = outcome(result.Decision, result.Err)
	}
	return out
}

func checkDifference(check authz.Check, got, want string) difference {
	what := "check " + describe(check)
	return difference{what, got, want, func(ctx context.Context, engine authz.Engine, at authz.Consistency) string {
		decision, _, err := engine.Check(ctx, check, at)
		return outcome(decision, err)
	}}
}

// tooDeep is SpiceDB's answer in a circle.
var tooDeep = outcome(authz.Decision{}, authz.CodeTooLarge)

// note counts a comparison and records a difference.
func (c *comparison) note(d difference, own bool) {
	c.asked++
	if own {
		c.own++
	}
	if c.outcomes == nil {
		c.outcomes = make(map[string]int)
	}
	kind, _, _ := strings.Cut(d.want, " ")
	c.outcomes[kind]++
	if d.got == d.want || c.circles && (d.got == tooDeep || d.want == tooDeep) {
		return
	}
	c.found = append(c.found, d)
}

// outcome formats an answer for comparison. It includes only the code of an error.
func outcome(decision authz.Decision, err error) string {
	switch {
	case err != nil:
		return "error " + string(code(err))
	case decision.State == authz.Conditional:
		return fmt.Sprintf("conditional %v", decision.MissingContext)
	case decision.State == authz.Allowed:
		return "allowed"
	default:
		return "denied"
	}
}

func code(err error) authz.Code {
	if code, ok := err.(authz.Code); ok { //nolint:errorlint // err is itself a code
		return code
	}
	return authz.CodeOf(err)
}

// resources returns the result of a look-up, sorted by id. With a limit, it looks up page by page. If nothing was
// found, the token is empty.
func resources(
	ctx context.Context, engine authz.Engine, query authz.ResourceQuery, at authz.Consistency, limit int,
) (string, authz.Token) {
	var found []string
	var token authz.Token
	page := authz.Page{Limit: limit}
	for {
		n := 0
		for one, err := range engine.LookupResources(ctx, query, at, page) {
			if err != nil {
				return outcome(authz.Decision{}, err), ""
			}
			n++
			page.Cursor, token = pages.Cursor(query, one), one.Token
			found = append(found, string(one.ID)+" "+outcome(one.Decision, one.Err))
		}
		if limit == 0 || n < limit {
			return fmt.Sprintf("resources %q", found), token
		}
	}
}

// relationships returns the sorted relationships that match a filter. With a limit, it returns only their number,
// since the engines may return different relationships.
func relationships(
	ctx context.Context, engine authz.Engine, filter authz.Filter, at authz.Consistency, limit int,
) string {
	var found []string
	for one, err := range engine.Read(ctx, filter, at, authz.Page{Limit: limit, NoCursors: true}) {
		if err != nil {
			return outcome(authz.Decision{}, err)
		}
		r := one.Relationship
		found = append(found, fmt.Sprintf("%s %s %s %s", r, r.ExpiresAt, r.Caveat, r.CaveatContext))
	}
	if limit > 0 {
		return fmt.Sprint(len(found), " relationships")
	}
	slices.Sort(found)
	return fmt.Sprintf("relationships %q", found)
}

// subjects returns the sorted result of a look-up. If nothing was found, the token is empty.
func subjects(
	ctx context.Context, engine authz.Engine, query authz.SubjectQuery, at authz.Consistency,
) (string, authz.Token) {
	var found []string
	var token authz.Token
	for one, err := range engine.LookupSubjects(ctx, query, at) {
		if err != nil {
			return outcome(authz.Decision{}, err), ""
		}
		token = one.Token
		slices.Sort(one.Excluded)
		found = append(found, fmt.Sprintf("%s %s without %q", one.Subject, outcome(one.Decision, one.Err), one.Excluded))
	}
	slices.Sort(found)
	return fmt.Sprintf("subjects %q", found), token
}

func describe(c authz.Check) string {
	return fmt.Sprintf("%s %s %s given %v", c.Resource, c.Permission, c.Subject, c.Context)
}

func pick(checks []authz.Check, which []int) []authz.Check {
	out := make([]authz.Check, len(which))
	for i, n := range which {
		out[i] = checks[n]
	}
	return out
}

// sample returns about count of the checks, evenly spread.
func sample(checks []authz.Check, count int) []authz.Check {
	var out []authz.Check
	for i := 0; i < len(checks); i += max(1, len(checks)/count) {
		out = append(out, checks[i])
	}
	return out
}
