// Package sluicetest starts a real Sluice server, with SpiceDB inside, in the process of a test:
//
//	sluice := sluicetest.Start(t)
//	may, err := sluice.Client.Can(t.Context(), "alice", "run", "importer:i1")
//
// It starts in about half a second and forgets everything when it ends. Tests that each use ids of their own can share
// one, from TestMain, with New.
package sluicetest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/app"
)

// Server is a running server.
type Server struct {
	URL    string
	Key    string         // has every scope
	Client *client.Client // speaks to the server with the Key

	// SpiceDB is the address of SpiceDB's own API, and SpiceDBKey its key, without TLS: for zed, and for relationships of
	// definitions of your own.
	SpiceDB    string
	SpiceDBKey string

	server *app.Server
}

// Option changes what is optional about a Server.
type Option func(*app.Config)

// key is the one with every scope; every process that reaches the server is on this machine and belongs to this test.
const key = "sluicetest"

// WithSchema serves the schema of a file, a .zed file or a validation YAML with relationships, in place of the
// product's.
func WithSchema(file string) Option { return func(c *app.Config) { c.Schema = file } }

// WithKey adds a key, as `sluice serve --api-key` takes it: NAME:SCOPE+SCOPE:KEY.
func WithKey(spec string) Option {
	return func(c *app.Config) { c.APIKeys = append(c.APIKeys, spec) }
}

// WithLogger makes the server log.
func WithLogger(log *slog.Logger) Option { return func(c *app.Config) { c.Logger = log } }

// Start starts a server that ends with the test. If it cannot, the test fails.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s, err := New(t.Context(), options...)
	if err != nil {
		t.Fatalf("starting Sluice: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing Sluice: %v", err)
		}
	})
	return s
}

// New starts a server for more than one test; the caller closes it. ctx bounds the start alone.
func New(ctx context.Context, options ...Option) (*Server, error) {
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", "127.0.0.1:0"
	config.Store.Datastore = "memory"
	config.APIKeys = []string{"sluicetest:check+operate+provision+inspect:" + key}
	for _, option := range options {
		option(&config)
	}
	server, err := app.Start(ctx, config)
	if err != nil {
		return nil, err
	}
	speaks, err := client.New(server.URL, key)
	if err != nil {
		return nil, err
	}
	return &Server{
		URL: server.URL, Key: key, Client: speaks,
		SpiceDB: server.GRPCAddress, SpiceDBKey: server.GRPCKey, server: server,
	}, nil
}

// Close ends the server; requests under way end first.
func (s *Server) Close() error { return s.server.Close(context.Background()) }
