// Package enginetest has a test suite that every authz.Engine must pass. It also starts servers that tests of
// engines need: SpiceDB in a container, and PostgreSQL.
package enginetest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Schema is the SpiceDB schema on which the tests of the suite run.
const Schema = `use expiration

caveat on_day(today string, allowed string) {
	today == allowed
}

caveat below(amount double, most double) {
	amount < most
}

definition user {}

definition team {
	relation member: user | team#member
}

definition folder {
	relation owner: user

	/** May see the folder. */
	permission view = owner
}

definition box {
	relation inside: box
	relation owner: user | user with on_day

	permission view = owner + inside->view
}

definition shelf {
	relation holds: box | box with on_day
	relation owner: user

	permission view = holds.all(view)
	permission seize = owner - holds.all(view)
}

definition document {
	relation parent: folder
	relation owner: user | user with expiration
	relation viewer: user | user:* | team | team#member | user with on_day | user with below
	relation banned: user

	/** May change the document. */
	permission edit = owner

	/** May see the document. */
	permission view = viewer + owner + parent->view

	/** May comment on the document. */
	permission comment = view - banned

	permission as_member = viewer
}`

// Option makes Run skip a test that an engine cannot pass.
type Option func(*suite)

// OverlapUnseen makes Run skip the test in which concurrent writers read their own writes. The log shows the reason.
func OverlapUnseen(reason string) Option { return func(s *suite) { s.overlapUnseen = reason } }

// Run runs the suite. It calls open once to get an engine on an empty store. The caller closes the engine.
func Run(t *testing.T, open func(t *testing.T) authz.Engine, options ...Option) {
	t.Helper()
	s := &suite{engine: open(t)}
	for _, option := range options {
		option(s)
	}
	for _, test := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"schema", (*suite).schema}, // applies Schema, so it comes first
		{"ids", (*suite).ids},
		{"decisions", (*suite).decisions},
		{"conditions", (*suite).conditions},
		{"inexact numbers", (*suite).inexactNumbers},
		{"explanations", (*suite).explanations},
		{"scratches", (*suite).scratches},
		{"bulk", (*suite).bulk},
		{"bulk of malformed checks", (*suite).bulkMalformed},
		{"large bulk", (*suite).bulkLarge},
		{"bulk as single checks", (*suite).bulkAsChecks},
		{"unknown names", (*suite).unknownNames},
		{"look up resources", (*suite).lookupResources},
		{"look up each resource once", (*suite).lookupOnce},
		{"look up subjects", (*suite).lookupSubjects},
		{"failing conditions", (*suite).failingConditions},
		{"read filters", (*suite).readFilters},
		{"read pages", (*suite).readPages},
		{"bad cursors", (*suite).badCursors},
		{"create, touch, delete", (*suite).actions},
		{"preconditions", (*suite).preconditions},
		{"refused writes", (*suite).refusedWrites},
		{"limits", (*suite).limits},
		{"delete all", (*suite).deleteAll},
		{"expiration", (*suite).expiration},
		{"any date of expiration", (*suite).expirationDates},
		{"snapshots", (*suite).snapshots},
		{"bad tokens", (*suite).badTokens},
		{"ended contexts", (*suite).endedContexts},
		{"overlapping writers", (*suite).overlappingWriters},
		{"racing creators", (*suite).racingCreators},
		{"schema changes", (*suite).schemaChanges}, // applies other schemas, so it comes last
	} {
		t.Run(test.name, func(t *testing.T) { test.run(s, t) })
	}
}

type suite struct {
	engine        authz.Engine
	overlapUnseen string
}

// object returns an object whose id begins with the name of the running test, so that other tests do not use it.
func object(t *testing.T, typ authz.Type, name string) authz.Object {
	return authz.Object{Type: typ, ID: authz.ID(t.Name() + "/" + name)}
}

func user(t *testing.T, name string) authz.Subject {
	return authz.Subject{Object: object(t, "user", name)}
}

func document(t *testing.T, name string) authz.Object { return object(t, "document", name) }

func relationship(resource authz.Object, relation authz.Relation, subject authz.Subject) authz.Relationship {
	return authz.Relationship{Resource: resource, Relation: relation, Subject: subject}
}

// updates returns a write that applies the action to each of the relationships.
func updates(action authz.Action, relationships ...authz.Relationship) authz.Write {
	var write authz.Write
	for _, r := range relationships {
		write.Updates = append(write.Updates, authz.Update{Action: action, Relationship: r})
	}
	return write
}

func (s *suite) touch(t *testing.T, relationships ...authz.Relationship) authz.Token {
	t.Helper()
	var token authz.Token
	for part := range slices.Chunk(relationships, authz.MaxUpdates) {
		var err error
		token, err = s.engine.Write(t.Context(), updates(authz.Touch, part...))
		require.NoError(t, err)
		require.NotEmpty(t, token)
	}
	return token
}

func (s *suite) allowed(
	t *testing.T, subject authz.Subject, permission authz.Permission, resource authz.Object, at authz.Consistency,
) bool {
	t.Helper()
	decision, token, err := s.engine.Check(
		t.Context(), authz.Check{Subject: subject, Permission: permission, Resource: resource}, at,
	)
	require.NoError(t, err)
	require.NotEmpty(t, token)
	return decision.Allowed()
}

func (s *suite) read(t *testing.T, filter authz.Filter) []string {
	t.Helper()
	var found []string
	for _, item := range collect(t, s.engine.Read(t.Context(), filter, authz.Fully(), authz.Page{})) {
		found = append(found, item.Relationship.String())
	}
	slices.Sort(found)
	return found
}

func texts(relationships ...authz.Relationship) []string {
	var out []string
	for _, r := range relationships {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}

func collect[T any](t *testing.T, sequence iter.Seq2[T, error]) []T {
	t.Helper()
	var out []T
	for item, err := range sequence {
		require.NoError(t, err)
		out = append(out, item)
	}
	return out
}

// failure reads a sequence to its end, and returns its last error.
func failure[T any](sequence iter.Seq2[T, error]) error {
	var last error
	for _, err := range sequence {
		last = err
	}
	return last
}

// requireCode requires that err is an *authz.Error with the code.
func requireCode(t *testing.T, code authz.Code, err error) {
	t.Helper()
	require.NotEmpty(t, message(t, code, err))
}

// message returns the text that callers see of an error. It requires that the error has the code.
func message(t *testing.T, code authz.Code, err error) string {
	t.Helper()
	var e *authz.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	require.NotContains(t, e.Message, "rpc error")
	return e.Message
}

// eventually waits until holds returns true. It is for changes for which there is no token, for example an
// expiration.
func eventually(ctx context.Context, t testing.TB, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-ctx.Done():
			require.NoError(t, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func many(n int, nth func(i int) authz.Relationship) []authz.Relationship {
	out := make([]authz.Relationship, n)
	for i := range n {
		out[i] = nth(i)
	}
	return out
}

func number(prefix string, i int) string { return fmt.Sprintf("%s%05d", prefix, i) }
