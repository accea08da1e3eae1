package client_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/client/sluicetest"
)

// TestServersOfTestsAreIndependent starts two test servers in one process. Each must have only its own data.
func TestServersOfTestsAreIndependent(t *testing.T) {
	t.Parallel()
	one, two := sluicetest.Start(t), sluicetest.Start(t)
	for _, server := range []*sluicetest.Server{one, two} {
		_, err := server.Client.CreateSubscription(
			t.Context(), client.NewSubscription{ID: "s", RoleSet: "multi_owner", Owner: "olga"},
		)
		require.NoError(t, err)
	}
	require.NotEqual(t, one.URL, two.URL)
}

func TestOptionsOfTestServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "documents.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`schema: |-
  definition user {}
  definition document {
    relation reader: user
    permission read = reader
  }
relationships: |-
  document:plan#reader@user:ada
`), 0o600))
	server := sluicetest.Start(t, sluicetest.WithSchema(file), sluicetest.WithKey("mine:check:my-key"))
	mine, err := client.New(server.URL, "my-key")
	require.NoError(t, err)
	for _, c := range []*client.Client{mine, server.Client} {
		may, err := c.Can(t.Context(), "ada", "read", "document:plan")
		require.NoError(t, err)
		require.True(t, may)
	}
	_, err = mine.CreateSubscription(t.Context(), client.NewSubscription{ID: "s", RoleSet: "multi_owner", Owner: "olga"})
	require.Error(t, err)
}

// TestServerEndsWithItsTest checks that a server of sluicetest.Start stops when the test that started it ends.
func TestServerEndsWithItsTest(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("inner", func(t *testing.T) { url = sluicetest.Start(t).URL })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/healthz", nil)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(request)
	require.Error(t, err)
}
