package app_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/audit"
)

// logLines records log lines and calls a function for each.
type logLines struct {
	mu    sync.Mutex
	lines []map[string]any
	on    func(map[string]any)
}

func (l *logLines) Write(line []byte) (int, error) {
	var fields map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(line), &fields); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fields)
	if l.on != nil {
		l.on(fields)
	}
	return len(line), nil
}

func (l *logLines) errors() (found []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line["level"] == "ERROR" {
			found = append(found, line)
		}
	}
	return found
}

// durable starts a server that stores everything in a directory.
func durable(t *testing.T, directory string, lines *logLines, change func(*app.Config)) *app.Server {
	t.Helper()
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", app.Off
	config.Store.DataDir = directory
	config.APIKeys = []string{"test:check+operate+provision+inspect:" + key}
	config.Logger = slog.New(slog.NewJSONHandler(lines, nil))
	if change != nil {
		change(&config)
	}
	server, err := app.Start(t.Context(), config)
	require.NoError(t, err)
	return server
}

func subscribe(t *testing.T, server *app.Server, id string) {
	t.Helper()
	status, answer := call(
		t, server, http.MethodPost, "/v1/subscriptions", fmt.Sprintf(`{"id":%q,"role_set":"multi_owner","owner":"ada"}`, id),
	)
	require.Equal(t, http.StatusCreated, status, answer)
}

// blockLog locks the audit log of a directory until release is called.
func blockLog(t *testing.T, directory string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(directory, audit.FileName)+"?_pragma=busy_timeout(300000)")
	require.NoError(t, err)
	connection, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = connection.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	release = sync.OnceFunc(func() {
		_, _ = connection.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK")
		_ = connection.Close()
		_ = db.Close()
	})
	t.Cleanup(release)
	return release
}

// created returns the subscriptions whose creation is in the audit log of a directory, once per entry.
func created(t *testing.T, directory string) (ids []string) {
	t.Helper()
	log, err := app.ReadAudit(t.Context(), directory, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	found, err := log.Find(t.Context(), audit.Query{Operation: "create_subscription", After: new(int64), Limit: 100})
	require.NoError(t, err)
	for _, e := range found {
		ids = append(ids, string(e.Updates[0].Resource.ID))
	}
	return ids
}

// TestCloseWaitsForAuditLog checks that a stopping server waits while another process locks the audit log. Afterwards
// the log must have the last change.
func TestCloseWaitsForAuditLog(t *testing.T) {
	directory := t.TempDir()
	var lines logLines
	server := durable(t, directory, &lines, nil)
	subscribe(t, server, "acme")
	release := blockLog(t, directory)
	subscribe(t, server, "initech")
	closed := make(chan error)
	go func() { closed <- server.Close(context.WithoutCancel(t.Context())) }()
	// The loop ends when the server accepts no more requests. Then Close waits only for the log.
	for {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/healthz", http.NoBody)
		require.NoError(t, err)
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			break
		}
		_ = response.Body.Close()
	}
	release()
	require.NoError(t, <-closed)
	require.Equal(t, []string{"acme", "initech"}, created(t, directory))
	require.Empty(t, lines.errors())
}

// TestCloseLogsMissingChanges stops a server whose drain time-out is zero, so it may not wait for the audit log. It
// must log the requests whose changes the log lacks. The next server on the same store must add these changes to the
// log.
func TestCloseLogsMissingChanges(t *testing.T) {
	directory := t.TempDir()
	var lines logLines
	server := durable(t, directory, &lines, func(c *app.Config) { c.DrainTimeout = 0 })
	release := blockLog(t, directory)
	lines.on = func(line map[string]any) {
		if line["missing"] != nil {
			release() // release the lock, so that the follower need not wait long
		}
	}
	subscribe(t, server, "acme")
	subscribe(t, server, "initech")
	require.NoError(t, server.Close(context.WithoutCancel(t.Context())))
	failures := lines.errors()
	require.Len(t, failures, 1)
	require.Equal(
		t, "the server stops before the audit log has all changes that the server acknowledged", failures[0]["msg"],
	)
	require.GreaterOrEqual(t, failures[0]["missing"], 2.0)
	require.Len(t, failures[0]["requests"], 2)
	require.Contains(t, failures[0]["remedy"], "before you restore")
	for _, field := range []string{"oldest", "newest", "last_entry"} {
		require.Contains(t, failures[0], field)
	}

	var second logLines
	server = durable(t, directory, &second, nil)
	require.NoError(t, server.Close(context.WithoutCancel(t.Context())))
	require.Equal(t, []string{"acme", "initech"}, created(t, directory))
	require.Empty(t, second.errors())
}
