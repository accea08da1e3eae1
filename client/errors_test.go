package client_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

// TestErrors checks the fields of the errors that calls return.
func TestErrors(t *testing.T) {
	ctx := t.Context()
	s, a, olga := company(t, "multi_owner", "team")
	ok[client.ChangedMember](t)(olga.PutAccountMember(ctx, a, "ulla", "user"))
	wrongKey, err := client.New(shared.URL, "none-of-the-servers")
	require.NoError(t, err)
	onlyChecks, err := client.New(shared.URL, "only-checks")
	require.NoError(t, err)

	for name, test := range map[string]struct {
		call func() error
		want client.Error
	}{
		"forbidden": {
			func() error { return second(shared.Client.As("ulla").PutAccountMember(ctx, a, "eve", "owner")) },
			client.Error{
				Code: client.Forbidden, Status: 403, Permission: "assign_roles",
				Detail: "ulla lacks the permission assign_roles on account:" + a,
			},
		},
		"not found": {
			func() error { return second(shared.Client.As("eve").GetAccount(ctx, a)) },
			client.Error{
				Code: client.NotFound, Status: 404, Detail: "there is no account:" + a + ", or the actor may not see it",
			},
		},
		"conflict": {
			func() error { return olga.RemoveAccountMember(ctx, a, t.Name()+"-olga") },
			client.Error{
				Code: client.Conflict, Status: 409, Accounts: []string{a},
				Detail: "this would remove the last owner or administrator of account " + a +
					"; give somebody else that role first",
			},
		},
		"invalid": {
			func() error { return second(shared.Client.Can(ctx, "ulla", "veiw", "account:"+a)) },
			client.Error{Code: client.Invalid, Status: 400},
		},
		"unauthenticated": {
			func() error { return second(wrongKey.Can(ctx, "ulla", "view", "account:"+a)) },
			client.Error{Code: client.Unauthenticated, Status: 401, Detail: "the key is unknown to this server"},
		},
		"a key without the scope": {
			func() error { return onlyChecks.As("olga").DeleteSubscription(ctx, s) },
			client.Error{
				Code: client.Forbidden, Status: 403, Detail: "this call needs a key with the scope operate; the key has check",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.call()
			require.ErrorIs(t, err, test.want.Code)
			var got *client.Error
			require.True(t, errors.As(err, &got))
			require.NotEmpty(t, got.RequestID)
			require.Contains(t, err.Error(), got.RequestID)
			require.NotEmpty(t, got.Detail)
			if test.want.Detail != "" {
				require.Equal(t, test.want.Detail, got.Detail)
			}
			require.Equal(t, test.want.Status, got.Status)
			require.Equal(t, test.want.Permission, got.Permission)
			require.Equal(t, test.want.Accounts, got.Accounts)
		})
	}
}

// TestManyChecks sends many checks in one call. Some of them are invalid.
func TestManyChecks(t *testing.T) {
	ctx := t.Context()
	_, a, _ := company(t, "multi_owner", "team")
	olga := client.User(t.Name() + "-olga")
	decisions := ok[[]client.Decision](t)(shared.Client.CheckAll(ctx,
		client.Check{Subject: olga, Permission: "view", Resource: client.Object("account:" + a)},
		client.Check{Subject: olga, Permission: "veiw", Resource: client.Object("account:" + a)},
		client.Check{Subject: client.User("eve"), Permission: "view", Resource: client.Object("account:" + a)},
		client.Check{
			Subject: client.Reference{Type: "account", ID: a, Relation: "owner"}, Permission: "view",
			Resource: client.Object("account:" + a),
		},
	))
	require.True(t, decisions[0].Allowed)
	require.NotEmpty(t, decisions[0].Token)
	require.False(t, decisions[1].Allowed)
	require.ErrorIs(t, decisions[1].Err, client.Invalid)
	require.False(t, decisions[2].Allowed)
	require.NoError(t, decisions[2].Err)

	for _, test := range []struct {
		resources []string
		all       bool
		code      client.Code
	}{
		{[]string{"account:" + a}, true, ""},
		{[]string{"account:" + a, "account:none"}, false, ""},
		{[]string{"account:" + a, "nothing:x"}, false, client.Invalid},
		{nil, false, client.Invalid},
	} {
		may, err := shared.Client.CanAll(ctx, olga.ID, "view", test.resources...)
		require.Equal(t, test.all, may, test.resources)
		if test.code != "" {
			require.ErrorIs(t, err, test.code)
		} else {
			require.NoError(t, err)
		}
	}
}
