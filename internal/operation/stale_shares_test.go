package operation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

func addToGroup(actor, id, who authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.AddGroupMember(ctx, by(actor), id, who)
		return err
	}
}

// TestJoiningAGroupEndsStaleShares adds people to a group. Their shares of a time without a role must not count again.
func TestJoiningAGroupEndsStaleShares(t *testing.T) {
	const (
		roles = "account:t#user@group:crew#member account:o#operator@group:crew#member "
		share = "connection:crm#shared_with@user:carl "
		entry = "workspace:etl#member@user:carl "
		ended = "account:t#user@user:carl[expiration:2030-01-01T11:59:59Z] "
		runs  = "account:t#user@user:carl[expiration:2030-01-01T15:00:00Z] "
		other = "group:band#subscription@subscription:s account:t#guest@group:band#member "
	)
	const joins = "+ group:crew#member@user:carl"
	runRules(t, []ruleCase{
		{
			name: "a role that ended", given: crew + roles + share + entry + ended,
			do:      addToGroup("olga", "crew", "carl"),
			changes: joins + "\n- connection:crm#shared_with@user:carl\n- workspace:etl#member@user:carl",
		},
		{
			name: "one of many people", given: crew + roles + share,
			do:      changeGroup("olga", "crew", []authz.ID{"carl", "rex"}, nil),
			changes: joins + "\n+ group:crew#member@user:rex\n- connection:crm#shared_with@user:carl",
		},
		{
			name: "a role that still runs", given: crew + roles + share + runs, do: addToGroup("olga", "crew", "carl"),
			changes: joins,
		},
		{
			name: "a role through another group", given: crew + roles + share + other + "group:band#member@user:carl",
			do: addToGroup("olga", "crew", "carl"), changes: joins,
		},
		{
			name: "another group that the person is not in", given: crew + roles + share + other,
			do: addToGroup("olga", "crew", "carl"), changes: joins + "\n- connection:crm#shared_with@user:carl",
		},
		{
			name: "an account on which the group has no role", given: crew + share,
			do: addToGroup("olga", "crew", "carl"), changes: joins,
		},
		{
			name:  "a member already",
			given: crew + roles + share + "group:crew#member@user:carl", do: addToGroup("olga", "crew", "carl"),
		},
	})
}

// TestJoiningAGroupRequiresThatSharesAreStale checks the preconditions of a write that adds a person with shares.
func TestJoiningAGroupRequiresThatSharesAreStale(t *testing.T) {
	given := strings.Fields(crew + "account:t#user@group:crew#member connection:crm#shared_with@user:carl " +
		"workspace:etl#member@user:carl")
	store := &recording{Store: txtest.New(txtest.Relationships(t, append(given, company...)...)...)}
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	s := operation.New(store, operation.WithClock(store.Now))
	require.NoError(t, addToGroup("olga", "crew", "carl")(t.Context(), s))
	absent := func(account, typ, id string) authz.Precondition {
		return authz.Precondition{Absent: true, Filter: authz.Filter{
			Type: "account", ID: authz.ID(account), SubjectType: authz.Type(typ), SubjectID: authz.ID(id),
		}}
	}
	require.Contains(t, store.preconditions, absent("t", "user", "carl"))
	require.Contains(t, store.preconditions, absent("o", "group", "crew"))
}

// TestJoiningAGroupEndsVeryManyStaleShares adds people with more stale shares than one write can delete, stops after
// each write, and repeats the call. Nobody is a member before their shares are deleted.
func TestJoiningAGroupEndsVeryManyStaleShares(t *testing.T) {
	const people = 4
	for name, shares := range map[string]int{"of each person": 1010, "of all people": 600} {
		t.Run(name, func(t *testing.T) {
			given := append(strings.Fields(crew+"account:t#user@group:crew#member"), company...)
			var add []authz.ID
			for i := range people {
				add = append(add, authz.ID(fmt.Sprint("new", i)))
				if i%3 == 0 {
					given = append(given, strings.Fields(sharesOf(fmt.Sprint("new", i), shares))...)
				}
			}
			slices.Sort(given)
			given = slices.Compact(given)
			for stop := 1; ; stop++ {
				store := &stopping{txtest.New(txtest.Relationships(t, given...)...), stop}
				store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
				s := operation.New(store, operation.WithClock(store.Now))
				first := changeGroup("olga", "crew", add, nil)(t.Context(), s)
				stored := strings.Join(store.Stored(), "\n") + "\n"
				for _, who := range add {
					isMember := strings.Contains(stored, "group:crew#member@user:"+string(who)+"\n")
					require.False(t, isMember && strings.Contains(stored, "#shared_with@user:"+string(who)+"\n"), who)
				}
				store.writes = 100
				require.NoError(t, changeGroup("olga", "crew", add, nil)(t.Context(), s))
				stored = strings.Join(store.Stored(), "\n")
				require.False(t, strings.Contains(stored, "#shared_with@user:new"))
				require.Equal(t, people, strings.Count(stored, "group:crew#member@user:new"))
				if first == nil {
					require.Greater(t, stop, 1)
					return
				}
			}
		})
	}
}

// TestFirstRoleOfAGroupEndsStaleShares gives roles to a group whose members have shares of a time without a role.
func TestFirstRoleOfAGroupEndsStaleShares(t *testing.T) {
	const (
		carl  = "group:crew#member@user:carl connection:crm#shared_with@user:carl "
		gives = "+ account:t#user@group:crew#member"
	)
	runRules(t, []ruleCase{
		{
			name: "a member without a role", given: crew + carl, do: putAccountGroup("olga", "t", "crew", "user"),
			changes: gives + "\n- connection:crm#shared_with@user:carl",
		},
		{
			name:    "a member of a workspace",
			given:   crew + "group:crew#member@user:carl workspace:etl#member@user:carl",
			do:      putAccountGroup("olga", "o", "crew", "operator"),
			changes: "+ account:o#operator@group:crew#member\n- workspace:etl#member@user:carl",
		},
		{
			name: "a member with a direct role", given: crew + carl + "account:t#guest@user:carl",
			do: putAccountGroup("olga", "t", "crew", "user"), changes: gives,
		},
		{
			name:  "a member with a role through another group",
			given: crew + carl + "account:t#guest@group:band#member group:band#member@user:carl",
			do:    putAccountGroup("olga", "t", "crew", "user"), changes: gives,
		},
		{
			name: "a person outside the group", given: crew + "connection:crm#shared_with@user:rex",
			do: putAccountGroup("olga", "t", "crew", "user"), changes: gives,
		},
		{
			name: "a group with a role already", given: crew + carl + "account:t#guest@group:crew#member",
			do: putAccountGroup("olga", "t", "crew", "user"), changes: gives + "\n- account:t#guest@group:crew#member",
		},
	})
}

// TestFirstRoleOfAGroupEndsVeryManyStaleShares gives a role to a group whose members have more stale shares than one
// write can delete, stops after the first write, and repeats the call.
func TestFirstRoleOfAGroupEndsVeryManyStaleShares(t *testing.T) {
	given := append(strings.Fields(crew+"connection:crm#shared_with@user:rex "+sharesOf("ed", 1300)), company...)
	store := &stopping{txtest.New(txtest.Relationships(t, given...)...), 1}
	store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
	recorded := &recording{Store: store.Store}
	s := operation.New(store, operation.WithClock(store.Now))
	require.ErrorIs(t, putAccountGroup("olga", "t", "crew", "user")(t.Context(), s), errStopped)
	require.NotContains(t, store.Stored(), "account:t#user@group:crew#member")
	s = operation.New(recorded, operation.WithClock(store.Now))
	require.NoError(t, putAccountGroup("olga", "t", "crew", "user")(t.Context(), s))
	require.Contains(t, store.Stored(), "account:t#user@group:crew#member")
	require.False(t, strings.Contains(strings.Join(store.Stored(), "\n"), "#shared_with@user:ed"))
	absent := authz.Precondition{
		Absent: true, Filter: authz.Exactly(txtest.Relationship(t, "group:crew#member@user:rex")),
	}
	require.Contains(t, recorded.preconditions, absent)
}
