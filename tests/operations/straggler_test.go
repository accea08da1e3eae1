package operations_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// straggling is an engine with late relationships: they become visible just before an operation records a deletion as
// done. A database with overlapping writes can do the same.
type straggling struct {
	authz.Engine
	t    *testing.T
	late []string
}

func (s *straggling) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	done := func(u authz.Update) bool { return u.Relationship.Relation == "done" }
	if slices.ContainsFunc(write.Updates, done) && s.late != nil {
		store(ctx, s.t, s.Engine, s.late...)
		s.late = nil
	}
	return s.Engine.Write(ctx, write)
}

// store writes relationships directly, without an operation.
func store(ctx context.Context, t *testing.T, engine authz.Engine, relationships ...string) {
	t.Helper()
	var write authz.Write
	for _, r := range relationships {
		write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: parse(t, r)})
	}
	_, err := engine.Write(ctx, write)
	require.NoError(t, err)
}

func parse(t *testing.T, text string) authz.Relationship {
	t.Helper()
	resource, rest, _ := strings.Cut(text, "#")
	relation, subject, _ := strings.Cut(rest, "@")
	object, err := authz.ParseObject(resource)
	require.NoError(t, err)
	parsed, err := authz.ParseSubject(subject)
	require.NoError(t, err)
	if typ, ok := strings.CutSuffix(subject, ":*"); ok {
		parsed = authz.Everybody(authz.Type(typ))
	}
	return authz.Relationship{Resource: object, Relation: authz.Relation(relation), Subject: parsed}
}

// TestDeletionFindsLateWrites deletes an account. Some writes, which started before the account was cut off, become
// visible only after the cleanup has read everything. The deletion must delete their relationships too. One deleted
// object's id is used again in another account: this new object must not change.
func TestDeletionFindsLateWrites(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	kept := []string{
		"workspace:closed#account@account:team", // the id is used again in another account
		"workspace:closed#open@account:team",
		"flow:theirs#workspace@workspace:closed",
		"importer:elsewhere#account@account:team",
		"deletion:account/other#requested_by@user:somebody",
	}
	gone := []string{
		"integration:late#account@account:operations",     // in the account
		"flow:late#workspace@workspace:etl",               // in an object of the account
		"workspace:etl#member@user:otto",                  // about an object of the account
		"account:operations#operator@user:eve",            // about the account
		"workspace:new#account@account:operations",        // in the account
		"service:new#workspace@workspace:new",             // a service in the workspace of the line above
		"connection_group:new#account@account:operations", // in the account
		"connection:crm#member_of@connection_group:new",   // a connection that refers to the group of the line above
		"connection:warehouse#connector@connector:own",    // referring to an object of the account
	}
	late := &straggling{engine, t, slices.Concat(kept, gone)}
	_, err := operation.New(late).Delete(t.Context(), by("ada"), authz.Object{Type: "account", ID: "operations"})
	require.NoError(t, err)
	stored := left(t, engine)
	require.Subset(t, stored, kept)
	for _, r := range gone {
		require.NotContains(t, stored, r)
	}
}
