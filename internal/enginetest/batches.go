package enginetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// chainLength is the number of boxes in a chain (see chain). The chain is deeper than SpiceDB's limit of depth.
const chainLength = 60

// chain stores a chain of boxes, and returns them. Each box is inside the box before it. The owner owns the first
// box.
func (s *suite) chain(t *testing.T, owner authz.Subject) []authz.Object {
	t.Helper()
	boxes := []authz.Object{object(t, "box", "0")}
	rows := []authz.Relationship{relationship(boxes[0], "owner", owner)}
	for i := 1; i < chainLength; i++ {
		box := object(t, "box", fmt.Sprint(i))
		rows = append(rows, relationship(box, "inside", authz.Subject{Object: boxes[len(boxes)-1]}))
		boxes = append(boxes, box)
	}
	s.touch(t, rows...)
	return boxes
}

// onDay adds the caveat on_day to a relationship. The caveat is true if today is the allowed day.
func onDay(r authz.Relationship, allowed string) authz.Relationship {
	r.Caveat, r.CaveatContext = "on_day", fmt.Sprintf(`{"allowed":%q}`, allowed)
	return r
}

// bulkAsChecks compares the results of CheckBulk with those of Check. For each check, both must be equal, even if
// other checks of the bulk fail.
func (s *suite) bulkAsChecks(t *testing.T) {
	alice, bob := user(t, "alice"), user(t, "bob")
	boxes := s.chain(t, alice)
	daily, weekly, shared := object(t, "box", "daily"), object(t, "box", "weekly"), object(t, "box", "shared")
	full, some := object(t, "shelf", "full"), object(t, "shelf", "some")
	s.touch(
		t,
		onDay(relationship(daily, "owner", bob), "monday"),
		relationship(weekly, "owner", bob),
		relationship(shared, "owner", bob),
		relationship(full, "holds", authz.Subject{Object: shared}),
		relationship(full, "owner", bob),
		onDay(relationship(some, "holds", authz.Subject{Object: shared}), "sunday"),
		relationship(some, "owner", bob),
	)
	var checks []authz.Check
	for i, box := range boxes {
		if i%4 > 0 && i < chainLength-1 {
			continue
		}
		checks = append(checks, authz.Check{Subject: alice, Permission: "view", Resource: box})
		if i%20 == 0 {
			checks = append(checks, authz.Check{Subject: alice, Permission: "veiw", Resource: box})
		}
	}
	for _, context := range []map[string]any{nil, {"today": "monday"}, {"today": 5.0}, {"today": struct{}{}}} {
		for _, subject := range []authz.Subject{alice, bob} {
			for _, resource := range []authz.Object{daily, weekly, shared, boxes[1], full, some} {
				checks = append(checks, authz.Check{Subject: subject, Permission: "view", Resource: resource, Context: context})
			}
			checks = append(checks,
				authz.Check{Subject: subject, Permission: "seize", Resource: full, Context: context},
				authz.Check{Subject: subject, Permission: "seize", Resource: some, Context: context})
		}
	}
	for _, subject := range []authz.Subject{alice, bob} { // each of these checks takes as long as all others together
		checks = append(checks, authz.Check{Subject: subject, Permission: "view", Resource: boxes[chainLength-1]})
	}
	outcomes := make(map[string]int)
	// CheckBulk evaluates failed checks a second time, but only during the first half of its time limit. The limit
	// is so long that a slow machine evaluates all of them a second time.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	results, token, err := s.engine.CheckBulk(ctx, checks, authz.Fully())
	require.NoError(t, err)
	require.NotEmpty(t, token)
	require.Len(t, results, len(checks))
	for i, check := range checks {
		alone, _, err := s.engine.Check(ctx, check, authz.Fully())
		want, got := outcome(alone, err), outcome(results[i].Decision, results[i].Err)
		require.Equal(t, want, got, "%+v", check)
		outcomes[want]++
	}
	for _, kind := range []string{
		"allowed", "denied", "conditional [today]", outcome(authz.Decision{}, authz.CodeInvalid),
		outcome(authz.Decision{}, authz.CodeTooLarge),
	} {
		require.Positive(t, outcomes[kind], "%s: %v", kind, outcomes)
	}
}

// failingConditions makes look-ups in which a caveat fails for one item. The other items must not change. Each item
// must have the same decision as a check.
func (s *suite) failingConditions(t *testing.T) {
	alice, bob := user(t, "alice"), user(t, "bob")
	daily, plain, open := object(t, "box", "daily"), object(t, "box", "plain"), document(t, "open")
	s.touch(
		t,
		onDay(relationship(daily, "owner", alice), "monday"),
		relationship(daily, "owner", bob),
		relationship(plain, "owner", alice),
		relationship(open, "viewer", authz.Everybody("user")),
		onDay(relationship(open, "viewer", alice), "monday"),
	)
	for today, failed := range map[any]string{5.0: "error invalid", "monday": "allowed", "sunday": "denied"} {
		given := map[string]any{"today": today}
		resources := make(map[authz.ID]string)
		for _, found := range collect(t, s.engine.LookupResources(t.Context(),
			authz.ResourceQuery{Subject: alice, Permission: "view", Type: "box", Context: given}, authz.Fully(), authz.Page{})) {
			resources[found.ID] = outcome(found.Decision, found.Err)
			require.NotEmpty(t, found.Token)
		}
		want := map[authz.ID]string{daily.ID: failed, plain.ID: "allowed"}
		if failed == "denied" {
			delete(want, daily.ID)
		}
		require.Equal(t, want, resources, "%v", today)

		subjects := make(map[authz.ID]string)
		for _, found := range collect(t, s.engine.LookupSubjects(t.Context(),
			authz.SubjectQuery{Resource: daily, Permission: "view", Type: "user", Context: given}, authz.Fully())) {
			subjects[found.Subject.ID] = outcome(found.Decision, found.Err)
		}
		want = map[authz.ID]string{alice.ID: failed, bob.ID: "allowed"}
		if failed == "denied" {
			delete(want, alice.ID)
		}
		require.Equal(t, want, subjects, "%v", today)

		everybody := collect(t, s.engine.LookupSubjects(t.Context(),
			authz.SubjectQuery{Resource: open, Permission: "view", Type: "user", Context: given}, authz.Fully()))
		last := everybody[len(everybody)-1]
		require.True(t, last.Subject.Wildcard && last.Decision.Allowed() && last.Err == nil, "%+v", everybody)
	}
}

// outcome formats a decision and an error for comparison. For an error, it returns only the code.
func outcome(decision authz.Decision, err error) string {
	var code authz.Code
	switch {
	case errorAs(err, &code):
		return "error " + string(code)
	case decision.State == authz.Conditional:
		return fmt.Sprintf("conditional %v", decision.MissingContext)
	case decision.Allowed():
		return "allowed"
	default:
		return "denied"
	}
}

// errorAs reports whether err is an error. If it is, errorAs stores the code of err in code.
func errorAs(err error, code *authz.Code) bool {
	if direct, ok := err.(authz.Code); ok { //nolint:errorlint // err is itself a code
		*code = direct
	} else if err != nil {
		*code = authz.CodeOf(err)
	}
	return err != nil
}
