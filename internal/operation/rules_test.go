package operation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// The tests of rules run operations on a store in memory, in which the actor has every permission that the case does
// not deny. They check which relationships an operation writes, and which requests it rejects. Other tests check on
// SpiceDB who has which permissions.

// company is stored before every case. The subscription "s" under multi_owner has a team account "t", an operations
// account "o" and an analytics account "n". The subscription "one" under single_owner has a team account "of-one".
var company = strings.Fields(`
	platform:main#administrator@user:root
	subscription:s#platform@platform:main
	subscription:s#multi_owner@user:*
	subscription:s#members_create_accounts@user:*
	subscription:s#owner@user:olga
	subscription:s#member@user:ed
	membership:ed/BDpxh3TFcr2KJa2-sb_NXAJWrhHOz5-cP5JdDlK-r4k#first@account:n
	account:t#subscription@subscription:s
	account:t#team@user:*
	account:t#owner@user:olga
	account:t#user@user:peter
	account:t#user@user:ursula
	account:t#guest@user:milton
	account:o#subscription@subscription:s
	account:o#operations@user:*
	account:o#administrator@user:olga
	account:o#operator@user:otto
	account:n#subscription@subscription:s
	account:n#analytics@user:*
	account:n#editor@user:ed
	connector:c#catalogue@user:*
	connection:crm#account@account:t
	connection:crm#connector@connector:c
	connection:crm#creator@user:peter
	connection:crm#shared_with@user:milton
	connection:dwh#account@account:t
	connection:dwh#connector@connector:c
	connection:dwh#creator@user:peter
	connection:dwh#shared@account:t
	importer:leads#account@account:t
	importer:leads#creator@user:peter
	importer:leads#source@connection:crm
	importer:leads#destination@connection:dwh
	workspace:etl#account@account:o
	workspace:etl#member@user:otto
	subscription:one#platform@platform:main
	subscription:one#single_owner@user:*
	subscription:one#user_permissions@user:*
	subscription:one#owner@user:uma
	account:of-one#subscription@subscription:one
	account:of-one#team@user:*
	account:of-one#user@user:ivan
`)

// ruleCase is one operation in the company.
type ruleCase struct {
	name    string
	given   string // additional stored relationships
	without string // relationships of the company that are not stored
	denied  string // permissions that the actor lacks, as permission@type:id
	do      func(ctx context.Context, s *operation.Service) error

	// code is the code of the error. If it is set, nothing may change.
	code authz.Code
	// says is a part of the error's text.
	says    string
	changes string // the relationships that the operation adds (+) and deletes (-)
}

// now is the time of every case.
var now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func nowOfRules() time.Time { return now }

func runRules(t *testing.T, cases []ruleCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store := txtest.New(txtest.Relationships(t, company...)...)
			store.Now = func() time.Time { return now }
			store.Put(txtest.Relationships(t, strings.Fields(c.given)...)...)
			store.Remove(txtest.Relationships(t, strings.Fields(c.without)...)...)
			denied := strings.Fields(c.denied)
			store.Allow = func(check authz.Check) bool {
				return !slices.Contains(denied, string(check.Permission)+"@"+check.Resource.String())
			}
			before := store.Stored()
			err := c.do(t.Context(), operation.New(store, operation.WithClock(store.Now)))
			after := store.Stored()
			if c.code != "" {
				require.ErrorIs(t, err, c.code)
				require.ErrorContains(t, err, c.says)
				require.Equal(t, before, after, "a refused operation writes nothing")
				return
			}
			require.NoError(t, err)
			require.Equal(t, lines(c.changes), changesOf(before, after))
		})
	}
}

// lines returns the lines of a text, without the space around them.
func lines(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	return found
}

// changesOf returns what was added and deleted between two lists, which are sorted.
func changesOf(before, after []string) []string {
	var changes []string
	for _, r := range after {
		if !slices.Contains(before, r) {
			changes = append(changes, "+ "+r)
		}
	}
	for _, r := range before {
		if !slices.Contains(after, r) {
			changes = append(changes, "- "+r)
		}
	}
	return changes
}

func by[A ~string](actor A) operation.Caller {
	return operation.Caller{Actor: authz.Actor(actor), Key: "test"}
}

// until is an end for roles: two hours from now.
var until = now.Add(2 * time.Hour)

func putMember(
	actor, account, who authz.ID, end time.Time, roles ...string,
) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PutAccountMember(ctx, by(actor), account, who, roles, end)
		return err
	}
}

func removeMember(actor, account, who authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by(actor), account, who)
		return err
	}
}

func patchMembers(
	actor, account authz.ID, end time.Time, members map[authz.ID][]string,
) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PatchAccountMembers(ctx, by(actor), account, members, end)
		return err
	}
}

func putSubscriptionMember(actor, id, who authz.ID, roles ...string) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, _, err := s.PutSubscriptionMember(ctx, by(actor), id, who, roles)
		return err
	}
}

func removeSubscriptionMember(actor, id, who authz.ID) func(context.Context, *operation.Service) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveSubscriptionMember(ctx, by(actor), id, who)
		return err
	}
}
