package client_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/app"
)

// TestChain makes calls in a chain: with a context of WithToken. It checks the consistency that the last call
// requests.
func TestChain(t *testing.T) {
	t.Parallel()
	const fresh, newest, fastest = `"consistency":{"at_least_as_fresh":"t"}`, `"consistency":"fully_consistent"`, `"consistency":"minimize_latency"`
	refused := `403 {"code":"forbidden","detail":"no"}`
	type calls []func(context.Context, *client.Client) error
	for name, test := range map[string]struct {
		begin   func(context.Context) context.Context
		answers []string
		calls   calls
		asks    string // the consistency that the last call requests; empty if it requests none
		token   string
	}{
		"no chain":                  {nil, []string{created, yes}, calls{create, check}, "", ""},
		"nothing written":           {begin(""), []string{yes, yes}, calls{check, check}, "", ""},
		"another service's token":   {begin("t"), []string{yes}, calls{check}, fresh, "t"},
		"the newest":                {begin(client.Newest), []string{yes}, calls{check}, newest, "t"},
		"the newest, once":          {begin(client.Newest), []string{yes, yes}, calls{check, check}, fresh, "t"},
		"the fastest":               {begin(client.Fastest), []string{yes}, calls{check}, fastest, client.Fastest},
		"after an operation":        {begin("old"), []string{created, yes}, calls{create, check}, fresh, "t"},
		"after a refused operation": {begin("t"), []string{refused, yes}, calls{create, check}, fresh, "t"},
		"after one that may have happened": {
			begin("t"), []string{internal, `200 {"allowed":true,"token":"n"}`}, calls{create, check}, newest, "n",
		},
		"after one without an answer": {begin("t"), []string{"200 <html>", yes}, calls{create, check}, newest, "t"},
		"a read is not an operation":  {begin("t"), []string{created, yes}, calls{show, check}, fresh, "t"},
		"an older decision's own answer": {
			begin("t"), []string{`200 {"allowed":true,"token":"older"}`, yes}, calls{check, check}, fresh, "t",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := answering(t, test.answers...)
			c, err := client.New(server.URL, "key")
			require.NoError(t, err)
			ctx := t.Context()
			if test.begin != nil {
				ctx = test.begin(ctx)
			}
			for _, call := range test.calls {
				_ = call(ctx, c) // some of the calls fail
			}
			last := server.last()
			require.Equal(t, test.asks != "", strings.Contains(last, "consistency"), last)
			require.Contains(t, last, test.asks)
			require.Equal(t, test.token, client.Token(ctx))
		})
	}
}

func begin(token string) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return client.WithToken(ctx, token) }
}

// TestChainAcrossServers writes through one server, and makes checks through another server with the same SpiceDB.
func TestChainAcrossServers(t *testing.T) {
	t.Parallel()
	elsewhere := another(t)
	_, a, olga := company(t, "multi_owner", "team")
	for range 20 {
		for _, set := range []struct {
			roles []string
			may   bool
		}{{[]string{"user"}, true}, {[]string{}, false}} {
			ctx := client.WithToken(t.Context(), "")
			ok[[]client.Member](t)(olga.PatchAccountMembers(ctx, a, client.RolesByID{"ulla": set.roles}))

			// A service passes its token to another service, whose checks include the write.
			there := client.WithToken(t.Context(), client.Token(ctx))
			require.NotEmpty(t, client.Token(ctx))
			require.Equal(t, set.may, ok[bool](t)(elsewhere.Can(there, "ulla", "view", "account:"+a)))
			require.Equal(t, set.may, ok[map[string]bool](t)(elsewhere.Permissions(there, "ulla", "account:"+a))["view"])
			require.Equal(
				t, set.may, ok[map[string]bool](t)(elsewhere.CanEach(there, "ulla", "view", "account:"+a))["account:"+a],
			)
		}
	}
}

// TestOverlappingWrites makes many concurrent writes in one chain (see WithToken). The check after them must include
// all of them.
func TestOverlappingWrites(t *testing.T) {
	t.Parallel()
	elsewhere := another(t)
	_, a, olga := company(t, "multi_owner", "team")
	ctx := client.WithToken(t.Context(), "")
	people := []string{"one", "two", "three", "four", "five", "six"}
	errs := make([]error, len(people))
	var group sync.WaitGroup
	for i, person := range people {
		group.Go(func() { _, errs[i] = olga.PutAccountMember(ctx, a, person, "user") })
	}
	group.Wait()
	for i, person := range people {
		require.NoError(t, errs[i])
		require.True(t, ok[bool](t)(elsewhere.Can(ctx, person, "view", "account:"+a)))
	}
}

// another returns a client of a second server. This server uses the SpiceDB of the server in the variable shared.
func another(t *testing.T) *client.Client {
	t.Helper()
	config := app.DefaultConfig()
	config.Listen = "127.0.0.1:0"
	config.Store = app.StoreConfig{
		Endpoint: shared.SpiceDB, Token: shared.SpiceDBKey, Insecure: true, DataDir: t.TempDir(),
	}
	server, err := app.Start(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.WithoutCancel(t.Context()))) })
	c, err := client.New(server.URL, server.APIKey)
	require.NoError(t, err)
	return c
}
