package app_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestStartingTogether starts several servers at once on an empty store. All must become ready with one schema, and a
// write through one must be visible through the others.
func TestStartingTogether(t *testing.T) {
	t.Run("before one SpiceDB in memory", func(t *testing.T) { beforeOneSpiceDB(t, spicedb.EmbeddedConfig{}) })
	t.Run("before one SpiceDB on PostgreSQL", func(t *testing.T) {
		beforeOneSpiceDB(t, spicedb.EmbeddedConfig{Datastore: spicedb.Postgres, URI: enginetest.Postgres(t)})
	})
	t.Run("each with a SpiceDB on one PostgreSQL", func(t *testing.T) {
		uri := enginetest.Postgres(t)
		startTogether(t, func(c *app.Config) {
			c.Store = app.StoreConfig{Datastore: spicedb.Postgres, DatastoreURI: uri}
		})
	})
}

func beforeOneSpiceDB(t *testing.T, config spicedb.EmbeddedConfig) {
	t.Helper()
	config.GRPCListen, config.Key = "127.0.0.1:0", "a-token"
	engine, err := spicedb.Embedded(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	startTogether(t, func(c *app.Config) {
		c.Store = app.StoreConfig{Endpoint: engine.GRPCAddress, Token: "a-token", Insecure: true}
	})
}

func startTogether(t *testing.T, change func(*app.Config)) {
	t.Helper()
	servers := make([]*app.Server, 4)
	var group errgroup.Group
	for i := range servers {
		config := app.DefaultConfig()
		config.Listen, config.GRPCListen = "127.0.0.1:0", app.Off
		config.Store.Datastore = "memory"
		config.APIKeys = []string{"test:check+operate+provision+inspect:" + key}
		change(&config)
		keepApart(t, &config)
		group.Go(func() (err error) {
			servers[i], err = app.Start(t.Context(), config)
			return err
		})
	}
	err := group.Wait()
	for _, server := range servers {
		if server != nil {
			t.Cleanup(func() { require.NoError(t, server.Close(context.WithoutCancel(t.Context()))) })
		}
	}
	require.NoError(t, err)

	status, answer := call(
		t, servers[0], http.MethodPost, "/v1/subscriptions", `{"id":"s","role_set":"multi_owner","owner":"ada"}`,
	)
	require.Equal(t, http.StatusCreated, status, answer)
	for _, server := range servers {
		status, answer := call(t, server, http.MethodGet, "/readyz", "")
		require.Equal(t, http.StatusOK, status, answer)
		require.True(
			t,
			allowed(
				t, server,
				`{"subject":"user:ada","permission":"cancel","resource":"subscription:s","consistency":"fully_consistent"}`,
			),
		)
	}
}
