package spicedb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

const groupsSchema = `caveat at_work(hour int) { hour < 18 }

definition user {}

definition group {
	relation parent: group
	relation everybody: user:*
	relation member: user | group#member | group#see | group#member with at_work
	relation banned: user
	permission see = member
	permission above = member + parent->above
	permission except = everybody - banned
}`

// groups are cases in which groups contain each other. A case is named after the group that contains all others. In
// each case, one of the groups contains the user with the id "last".
var groups = []struct {
	name       string
	permission authz.Permission
	tooLarge   bool
	write      func(add func(resource string, relation authz.Relation, subject string))
}{
	{"mesh0", "see", true, func(add func(string, authz.Relation, string)) {
		for i := range 5 {
			for j := range 5 {
				add(fmt.Sprint("mesh", i), "member", fmt.Sprintf("mesh%d#member", j))
			}
		}
		add("mesh4", "member", "@last")
	}},
	{"diamonds0_0", "see", true, diamonds("diamonds", "#member", 25)},
	{"few0_0", "see", false, diamonds("few", "#member", 10)},
	{"merged0_0", "see", false, diamonds("merged", "#see", 20)},
	{"conditions0_0", "see", true, diamonds("conditions", "#member at_work", 25)},
	{"mergedconditions0_0", "see", true, func(add func(string, authz.Relation, string)) {
		diamonds("mergedconditions", "#see", 22)(add)
		add("mergedconditions22_0", "member", "bottom#member at_work")
		add("bottom", "member", "@last")
	}},
	{"chain0", "see", false, func(add func(string, authz.Relation, string)) {
		for i := range 40 {
			add(fmt.Sprint("chain", i), "member", fmt.Sprintf("chain%d#member", i+1))
		}
		for i := range 1_000 {
			add("chain40", "member", fmt.Sprint("@user", i))
		}
		add("chain40", "member", "@last")
	}},
	{"wide", "see", false, func(add func(string, authz.Relation, string)) {
		for i := range 500 {
			add("wide", "member", fmt.Sprintf("wide%d#member", i))
			add(fmt.Sprint("wide", i), "member", fmt.Sprint("@user", i))
			add(fmt.Sprint("wide", i), "member", "@last")
		}
	}},
	{"folders", "above", false, func(add func(string, authz.Relation, string)) {
		for i := range 300 {
			add("folders", "parent", fmt.Sprint("folder", i))
			add(fmt.Sprint("folder", i), "parent", "company")
			add("company", "member", fmt.Sprint("@user", i))
		}
		add("company", "member", "@last")
	}},
	{"bans", "except", true, func(add func(string, authz.Relation, string)) {
		add("bans", "everybody", "@*")
		for i := range 12_000 {
			add("bans", "banned", fmt.Sprint("@user", i))
		}
	}},
}

// diamonds returns levels of two groups. Each group contains both groups of the next level.
func diamonds(name, relation string, levels int) func(func(string, authz.Relation, string)) {
	return func(add func(string, authz.Relation, string)) {
		for i := range levels {
			for n := range 4 {
				add(fmt.Sprintf("%s%d_%d", name, i, n/2), "member", fmt.Sprintf("%s%d_%d%s", name, i+1, n%2, relation))
			}
		}
		add(fmt.Sprintf("%s%d_0", name, levels), "member", "@last")
	}
}

func writeGroups(t *testing.T, engine authz.Engine) {
	t.Helper()
	require.NoError(t, engine.ApplySchema(t.Context(), groupsSchema))
	var updates []authz.Update
	for _, group := range groups {
		group.write(func(resource string, relation authz.Relation, subject string) {
			one := authz.Relationship{Resource: authz.Object{Type: "group", ID: authz.ID(resource)}, Relation: relation}
			if named, conditional := strings.CutSuffix(subject, " at_work"); conditional {
				subject, one.Caveat = named, "at_work"
			}
			one.Subject = endlessSubject("group", subject)
			if subject == "@*" {
				one.Subject = authz.Everybody("user")
			}
			updates = append(updates, authz.Update{Action: authz.Touch, Relationship: one})
		})
	}
	for batch := range slices.Chunk(updates, authz.MaxUpdates) {
		_, err := engine.Write(t.Context(), authz.Write{Updates: batch})
		require.NoError(t, err)
	}
}

// TestSubjectsOfNestedGroupsAreBounded looks up the members of nested groups. If the groups contain each other in too
// many ways, the look-up must fail as too large, after at most one step of SpiceDB. Other look-ups must have an answer.
func TestSubjectsOfNestedGroupsAreBounded(t *testing.T) {
	done := make(chan spicedb.Work, 100)
	engine := embedded(t, spicedb.EmbeddedConfig{}.WithWork(func(w spicedb.Work) { done <- w }))
	writeGroups(t, engine)
	ended := endedQuestions(t)
	for _, group := range groups {
		query := authz.SubjectQuery{
			Resource: authz.Object{Type: "group", ID: authz.ID(group.name)}, Permission: group.permission, Type: "user",
		}
		var found []authz.ID
		var failure error
		for subject, err := range engine.LookupSubjects(t.Context(), query, authz.Fully()) {
			if found = append(found, subject.Subject.ID); err != nil {
				failure = err
			}
		}
		if !group.tooLarge {
			require.NoError(t, failure, group.name)
			require.Contains(t, found, authz.ID("last"), group.name)
		} else {
			require.ErrorIs(t, failure, authz.CodeTooLarge, group.name)
			for _, w := range drain(done) {
				require.LessOrEqual(t, w.Steps, int64(3), "%s: %+v", group.name, w)
				require.Zero(t, w.Rows, "%s: %+v", group.name, w)
			}
		}
		drain(done)
		ended(group.name)
	}
}

func drain(done <-chan spicedb.Work) (all []spicedb.Work) {
	for len(done) > 0 {
		all = append(all, <-done)
	}
	return all
}

// TestLookupsOfScratchAreBoundedTogether checks that all look-ups during one use of a scratch engine share an
// allowance. The next use must have a full allowance again.
func TestLookupsOfScratchAreBoundedTogether(t *testing.T) {
	engine := embedded(t, spicedb.EmbeddedConfig{})
	require.NoError(t, engine.ApplySchema(t.Context(), groupsSchema))
	var rows []authz.Relationship
	diamonds("diamonds", "#member", 17)(func(resource string, relation authz.Relation, subject string) {
		rows = append(rows, authz.Relationship{
			Resource: authz.Object{Type: "group", ID: authz.ID(resource)}, Relation: relation,
			Subject: endlessSubject("group", subject),
		})
	})
	query := authz.SubjectQuery{
		Resource: authz.Object{Type: "group", ID: "diamonds0_0"}, Permission: "see", Type: "user",
	}
	ask := func(scratch authz.Engine) error {
		for _, err := range scratch.LookupSubjects(t.Context(), query, authz.Fully()) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	scratch, err := engine.Scratch(t.Context(), "", rows)
	require.NoError(t, err)
	answered := 0
	for ; err == nil; answered++ {
		require.Less(t, answered, 100)
		err = ask(scratch)
	}
	require.ErrorIs(t, err, authz.CodeTooLarge)
	require.ErrorContains(t, err, "the answer needs the people of too many permissions")
	require.Greater(t, answered, 3)
	require.NoError(t, scratch.Close())

	scratch, err = engine.Scratch(t.Context(), "", rows)
	require.NoError(t, err)
	require.NoError(t, ask(scratch))
	require.NoError(t, scratch.Close())
}
