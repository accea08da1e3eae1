package txtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// Suite checks that a store behaves as a unit of work requires. It runs on Store and on every engine, so that a rule
// tested on Store behaves the same on SpiceDB. The store must be empty and, if it has a schema, have the product's.
func Suite(t *testing.T, store tx.Store) {
	t.Helper()
	ctx := t.Context()
	account := func(id authz.ID) authz.Object { return authz.Object{Type: "account", ID: id} }
	role := func(id authz.ID, relation authz.Relation, who authz.ID) authz.Relationship {
		return authz.Relationship{
			Resource: account(id), Relation: relation, Subject: authz.Subject{Object: authz.Object{Type: "user", ID: who}},
		}
	}
	flag := authz.Relationship{Resource: account("a"), Relation: "team", Subject: authz.Everybody("user")}
	expired := role("a", "guest", "old")
	expired.ExpiresAt = time.Now().Add(-time.Hour)

	write := func(updates ...authz.Update) authz.Token {
		t.Helper()
		token, err := store.Write(ctx, authz.Write{Updates: updates})
		require.NoError(t, err)
		return token
	}
	add := func(r authz.Relationship) authz.Update { return authz.Update{Action: authz.Touch, Relationship: r} }
	first := write(add(role("a", "owner", "olga")), add(role("a", "user", "peter")), add(role("b", "user", "peter")),
		add(flag), add(expired))
	second := write(authz.Update{Action: authz.Delete, Relationship: role("a", "user", "peter")})

	filters := []struct {
		name   string
		filter authz.Filter
		// found are the expected relationships of the first state.
		found []string
	}{
		{"type", authz.Filter{Type: "account"}, []string{
			"account:a#owner@user:olga", "account:a#team@user:*", "account:a#user@user:peter", "account:b#user@user:peter",
		}},
		{"object", authz.Filter{Type: "account", ID: "b"}, []string{"account:b#user@user:peter"}},
		{"relation", authz.Filter{Type: "account", Relation: "user"}, []string{
			"account:a#user@user:peter", "account:b#user@user:peter",
		}},
		{"subject", authz.Filter{SubjectType: "user", SubjectID: "olga"}, []string{"account:a#owner@user:olga"}},
		{"wildcard", authz.Filter{Type: "account", SubjectType: "user", SubjectWildcard: true}, []string{
			"account:a#team@user:*",
		}},
		{"exactly", authz.Exactly(role("a", "user", "peter")), []string{"account:a#user@user:peter"}},
		{"other relation", authz.Exactly(role("a", "guest", "peter")), nil},
		{"expired", authz.Exactly(expired), nil},
		{"other type of subject", authz.Filter{Type: "account", SubjectType: "subscription"}, nil},
	}
	for _, c := range filters {
		t.Run("read by "+c.name, func(t *testing.T) {
			require.Equal(t, c.found, read(t.Context(), t, store, c.filter, authz.AtSnapshot(first)))
			// The second write deleted this relationship. Writing it again makes the newest state equal to the first.
			_, err := store.Write(t.Context(), authz.Write{Updates: []authz.Update{add(role("a", "user", "peter"))}})
			require.NoError(t, err)
			for _, absent := range []bool{false, true} {
				_, err := store.Write(t.Context(), authz.Write{
					Updates:       []authz.Update{{Action: authz.Delete, Relationship: role("nowhere", "user", "nobody")}},
					Preconditions: []authz.Precondition{{Filter: c.filter, Absent: absent}},
				})
				if absent == (c.found == nil) {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, authz.ErrPrecondition)
				}
			}
		})
	}
	t.Run("a snapshot stays as it was", func(t *testing.T) {
		peter := authz.Exactly(role("a", "user", "peter"))
		require.Len(t, read(t.Context(), t, store, peter, authz.AtSnapshot(first)), 1)
		require.Empty(t, read(t.Context(), t, store, peter, authz.AtSnapshot(second)))
	})
	t.Run("create fails for what is stored", func(t *testing.T) {
		_, err := store.Write(t.Context(), authz.Write{Updates: []authz.Update{
			{Action: authz.Create, Relationship: role("d", "user", "new")},
			{Action: authz.Create, Relationship: role("a", "owner", "olga")},
		}})
		require.ErrorIs(t, err, authz.ErrPrecondition)
		written := read(t.Context(), t, store, authz.Filter{Type: "account", ID: "d"}, authz.Fully())
		require.Empty(t, written, "nothing is written")
	})
	t.Run("deletes of what is not stored are accepted", func(t *testing.T) {
		_, err := store.Write(t.Context(), authz.Write{Updates: []authz.Update{
			{Action: authz.Delete, Relationship: role("nowhere", "user", "nobody")},
		}})
		require.NoError(t, err)
	})
}

// read returns the relationships that a filter selects, as sorted texts.
func read(ctx context.Context, t *testing.T, store tx.Store, filter authz.Filter, at authz.Consistency) []string {
	t.Helper()
	var found []string
	for item, err := range store.Read(ctx, filter, at, authz.Page{}) {
		require.NoError(t, err)
		found = append(found, item.Relationship.String())
	}
	slices.Sort(found)
	return found
}
