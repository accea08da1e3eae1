package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

const key = "a-key-of-the-tests"

// keepApart gives the server its own data directory if it stores files.
func keepApart(t *testing.T, config *app.Config) {
	t.Helper()
	if config.Store.Datastore != spicedb.Memory {
		config.Store.DataDir = t.TempDir()
	}
}

// start starts a server with one key of every scope and closes it after the test.
func start(t *testing.T, change func(*app.Config)) *app.Server {
	t.Helper()
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", app.Off
	config.Store.Datastore = "memory"
	config.APIKeys = []string{"test:check+operate+provision+inspect:" + key}
	change(&config)
	keepApart(t, &config)
	server, err := app.Start(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.WithoutCancel(t.Context()))) })
	return server
}

func call(t *testing.T, server *app.Server, method, path, body string) (status int, answer map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &answer), string(content))
	return response.StatusCode, answer
}

func allowed(t *testing.T, server *app.Server, question string) bool {
	t.Helper()
	status, answer := call(t, server, http.MethodPost, "/v1/check", question)
	require.Equal(t, http.StatusOK, status, answer)
	return answer["allowed"] == true
}

// TestAnotherSchema serves another schema than the product's, with relationships from the same file.
func TestAnotherSchema(t *testing.T) {
	file := filepath.Join(t.TempDir(), "documents.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`schema: |-
  definition user {}
  caveat working_hours(hour int) { hour >= 9 && hour < 17 }
  definition document {
    relation reader: user | user with working_hours
    /** May read the document. */
    permission read = reader
  }
relationships: |-
  document:plan#reader@user:ada
  document:plan#reader@user:bob[working_hours]
`), 0o600))
	server := start(t, func(c *app.Config) { c.Schema = file })

	require.True(t, allowed(t, server, `{"subject":"user:ada","permission":"read","resource":"document:plan"}`))
	require.True(
		t, allowed(t, server, `{"subject":"user:bob","permission":"read","resource":"document:plan","context":{"hour":11}}`),
	)
	_, answer := call(
		t, server, http.MethodPost, "/v1/check", `{"subject":"user:bob","permission":"read","resource":"document:plan"}`,
	)
	require.Equal(t, []any{"hour"}, answer["missing_context"])

	status, answer := call(
		t, server, http.MethodPost, "/v1/subscriptions", `{"id":"acme","role_set":"multi_owner","owner":"ada"}`,
	)
	require.Equal(t, http.StatusNotFound, status, answer)
}

// TestBesideTheProduct serves the product's schema together with a company's own definition.
func TestBesideTheProduct(t *testing.T) {
	file := filepath.Join(t.TempDir(), "company.zed")
	require.NoError(t, os.WriteFile(file, []byte(`use import
import "sluice/root.zed"
definition dashboard {
  relation account: account
  permission look = account->view
}
`), 0o600))
	server := start(t, func(c *app.Config) { c.Schema = file })
	status, answer := call(
		t, server, http.MethodPost, "/v1/subscriptions", `{"id":"acme","role_set":"multi_owner","owner":"ada"}`,
	)
	require.Equal(t, http.StatusCreated, status, answer)
	require.False(t, allowed(t, server, `{"subject":"user:ada","permission":"look","resource":"dashboard:d"}`))
}

// TestSpiceDBComesLater starts a server before its SpiceDB.
func TestSpiceDBComesLater(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	remote := func(c *app.Config) {
		c.Store = app.StoreConfig{Endpoint: address, Token: "a-token", Insecure: true}
	}
	server := start(t, remote)
	status, answer := call(t, server, http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, status, answer)
	status, _ = call(t, server, http.MethodGet, "/healthz", "")
	require.Equal(t, http.StatusOK, status)
	status, answer = call(
		t, server, http.MethodPost, "/v1/check", `{"subject":"user:ada","permission":"view","resource":"account:a"}`,
	)
	require.Equal(t, http.StatusServiceUnavailable, status, answer)

	// Another server's SpiceDB starts at that address.
	start(t, func(c *app.Config) { c.GRPCListen, c.GRPCKey = address, "a-token" })
	require.Eventually(t, func() bool {
		status, _ := call(t, server, http.MethodGet, "/readyz", "")
		return status == http.StatusOK
	}, 5*time.Minute, 20*time.Millisecond)
	require.False(t, allowed(t, server, `{"subject":"user:ada","permission":"view","resource":"account:a"}`))
}

// TestStartLeavesNothingOpen checks that a failed start closes what it has opened.
func TestStartLeavesNothingOpen(t *testing.T) {
	taken := start(t, func(*app.Config) {})
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = strings.TrimPrefix(taken.URL, "http://"), app.Off
	config.Store.Datastore = "memory"
	_, err := app.Start(t.Context(), config)
	require.ErrorContains(t, err, "--listen")
}
