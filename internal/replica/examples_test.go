package replica_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// examples has a question for each case in the comment of exact.
var examples = []struct {
	name, schema, stored string

	// The question, and SpiceDB's answer. A check is resource#permission@subject; a look-up is type#permission@subject
	// or resource#permission@type.
	question, answer string
}{
	{
		"all over two kinds of subject",
		`definition user {} definition team { relation member: user }
		definition folder { relation owner: user | team permission view = owner.all(member) }`,
		"folder:f#owner@team:a folder:f#owner@user:v team:a#member@user:u",
		"folder:f#view@user:u", "denied",
	}, {
		"all over sets of subjects, resources",
		`definition user {} definition team { relation owner: team#view relation member: user permission view = member permission edit = owner.all(member) }`,
		"team:a#member@user:u team:b#owner@team:a#view",
		"team#edit@user:u", `resources ["b allowed"]`,
	}, {
		"a set within a set",
		`definition user {} definition group { relation member: user } definition team { relation member: group#member }
		definition folder { relation viewer: team#member }`,
		"group:g#member@user:u team:a#member@group:g#member folder:f#viewer@team:a#member",
		"folder:f#viewer@user:u", "allowed",
	}, {
		"a set behind an arrow to a relation",
		`definition user {} definition team { relation member: user }
		definition folder { relation parent: folder relation viewer: team#member permission view = parent->viewer }`,
		"team:a#member@user:u folder:f#viewer@team:a#member folder:g#parent@folder:f",
		"folder:g#view@user:u", "allowed",
	}, {
		"a wildcard in a recursive permission",
		`definition user {} definition folder { relation parent: folder relation viewer: user:* permission view = viewer + parent->view }`,
		"folder:f#viewer@user:* folder:g#parent@folder:f",
		"folder:g#view@user:u", "allowed",
	}, {
		"another relation in a recursive permission",
		`definition user {} definition folder { relation parent: folder relation link: folder relation viewer: user permission view = viewer + link + parent->view }`,
		"folder:g#link@folder:f folder:f#viewer@user:u",
		"folder:g#view@user:u", "denied",
	}, {
		"the left side of an arrow in a recursive permission",
		`definition user {} definition team { relation viewer: team#view | user relation owner: user permission view = viewer->owner + owner }`,
		"team:c#viewer@team:b#view team:b#viewer@team:a#view team:a#owner@user:u",
		"team:c#view@user:u", "denied",
	}, {
		"an intersection in a recursive permission",
		`definition user {} definition folder { relation parent: folder relation viewer: user relation cleared: user
		permission view = (viewer + parent->view) & cleared }`,
		"folder:f#viewer@user:u folder:f#cleared@user:u folder:g#parent@folder:f folder:g#cleared@user:v",
		"folder:g#view@user:u", "denied",
	}, {
		"an exclusion in a recursive permission",
		`definition user {} definition folder { relation parent: folder relation viewer: user relation banned: user
		permission view = (viewer + parent->view) - banned }`,
		"folder:f#viewer@user:u folder:g#parent@folder:f folder:g#banned@user:u",
		"folder:g#view@user:u", "denied",
	}, {
		"all in a recursive permission",
		`definition user {} definition folder { relation parent: folder relation viewer: user permission view = viewer + parent.all(view) }`,
		"folder:g#parent@folder:e folder:g#parent@folder:f folder:f#viewer@user:u",
		"folder:g#view@user:u", "denied",
	}, {
		"an intersection around a recursive permission, in another one",
		`definition user {} definition team { relation viewer: user relation cleared: user relation owner: folder
		permission view = (viewer + owner->view) & cleared }
		definition folder { relation parent: team | folder permission view = parent->view }`,
		`team:a#viewer@user:u team:a#cleared@user:u folder:f#parent@team:a folder:g#parent@folder:f
		team:b#owner@folder:g team:b#cleared@user:v`,
		"team:b#view@user:u", "denied",
	}, {
		"self of another type, subjects",
		`use self definition user {} definition team { relation viewer: user permission view = viewer + self }`,
		"team:a#viewer@user:u",
		// user:a is not of the requested type
		"team:a#view@user", `subjects ["user:a allowed without []" "user:u allowed without []"]`,
	}, {
		"an object that expires beside sets",
		`use expiration definition user {} definition team { relation member: user } definition folder { relation viewer: team with expiration | team#member }`,
		"folder:f#viewer@team:a[expired]",
		"folder:f#viewer@team:a", "allowed", // SpiceDB counts the expired relationship
	}, {
		"an object for the set that it has",
		`definition user {} definition team { relation viewer: team#viewer | user }`,
		"team:b#viewer@team:a#viewer",
		"team:b#viewer@team:a", "denied",
	}, {
		"a wildcard inside an exclusion, subjects",
		`definition user {} definition folder { relation viewer: user relation open: user:*
		permission rest = open - viewer permission most = rest + viewer permission view = open - most }`,
		"folder:f#open@user:* folder:f#viewer@user:u",
		"folder:f#view@user", "subjects []",
	},
}

func TestExamples(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, example := range examples {
		t.Run(example.name, func(t *testing.T) {
			for _, typ := range []authz.Type{"group", "team", "folder"} {
				_, _ = w.engine.DeleteAll(t.Context(), authz.Filter{Type: typ}, nil, nil) // the type may be unknown
			}
			lines := strings.NewReplacer(
				" relation ", "\nrelation ", " permission ", "\npermission ", " }", "\n}", "} ", "}\n", " definition ",
				"\ndefinition ",
			).Replace(example.schema)
			require.NoError(t, w.engine.ApplySchema(t.Context(), lines))
			var write authz.Write
			for _, one := range strings.Fields(example.stored) {
				resource, relation, subject := split(one)
				stored := authz.Relationship{Resource: object(t, resource), Relation: authz.Relation(relation)}
				if rest, ok := strings.CutSuffix(subject, "[expired]"); ok {
					subject, stored.ExpiresAt = rest, time.Now().Add(-time.Minute)
				}
				stored.Subject = subjectOf(t, subject)
				write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: stored})
			}
			w.write(t, write)
			reached(t, w.replica, w.token)
			require.Equal(t, example.answer, ask(t, w.engine, example.question, authz.AtSnapshot(w.token)), "SpiceDB")
			require.Equal(t, example.answer, ask(t, w.replica, example.question, authz.AsFreshAs(w.token)), "the replica")
		})
	}
}

func split(text string) (resource, relation, subject string) {
	resource, rest, _ := strings.Cut(text, "#")
	relation, subject, _ = strings.Cut(rest, "@")
	return resource, relation, subject
}

func object(t *testing.T, text string) authz.Object {
	t.Helper()
	parsed, err := authz.ParseObject(text)
	require.NoError(t, err)
	return parsed
}

func subjectOf(t *testing.T, text string) authz.Subject {
	t.Helper()
	if typ, ok := strings.CutSuffix(text, ":*"); ok {
		return authz.Everybody(authz.Type(typ))
	}
	parsed, err := authz.ParseSubject(text)
	require.NoError(t, err)
	return parsed
}

func ask(t *testing.T, engine authz.Engine, question string, at authz.Consistency) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	resource, permission, subject := split(question)
	var answer string
	switch {
	case !strings.Contains(resource, ":"):
		answer, _ = resources(ctx, engine, authz.ResourceQuery{
			Subject: subjectOf(t, subject), Permission: authz.Permission(permission), Type: authz.Type(resource),
		}, at, 0)
	case !strings.Contains(subject, ":"):
		answer, _ = subjects(ctx, engine, authz.SubjectQuery{
			Resource: object(t, resource), Permission: authz.Permission(permission), Type: authz.Type(subject),
		}, at)
	default:
		decision, _, err := engine.Check(ctx, authz.Check{
			Subject: subjectOf(t, subject), Permission: authz.Permission(permission), Resource: object(t, resource),
		}, at)
		answer = outcome(decision, err)
	}
	return answer
}
