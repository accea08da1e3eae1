package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

func TestExplain(t *testing.T) {
	ctx := client.WithToken(t.Context(), "")
	_, a, olga := company(t, "multi_owner", "team")
	ok[client.Importer](t)(olga.CreateImporter(ctx, client.NewImporter{ID: a + "-i", Account: a}))
	ok[client.ChangedMember](t)(olga.PutAccountMember(ctx, a, "uma", "user"))
	ask := func(user, permission string) client.Check {
		return client.Check{
			Subject: client.User(user), Permission: permission, Resource: client.Object("importer:" + a + "-i"),
		}
	}

	allowed := ok[client.Explanation](t)(shared.Client.Explain(ctx, ask("uma", "run")))
	require.True(t, allowed.Allowed)
	require.Contains(t, allowed.Text, "uma is a user of account "+a)
	require.Len(t, allowed.Path, 2)
	require.NotEmpty(t, client.Token(ctx))

	denied := ok[client.Explanation](t)(shared.Client.Explain(ctx, ask("uma", "delete")))
	require.False(t, denied.Allowed)
	require.NotEmpty(t, denied.Suggestions)
	require.NotEmpty(t, denied.Trace)

	toUma := ok[client.Explanation](t)(shared.Client.As("uma").Explain(ctx, ask("uma", "delete")))
	require.NotEmpty(t, toUma.Suggestions)
	require.Empty(t, toUma.Trace, "the trace requires the scope inspect")
	_, err := shared.Client.As("stranger").Explain(ctx, ask("uma", "delete"))
	require.ErrorIs(t, err, client.NotFound)
	_, err = shared.Client.Explain(ctx, ask("uma", "delte"))
	require.ErrorIs(t, err, client.Invalid)
}
