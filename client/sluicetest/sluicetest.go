// Package sluicetest starts a real Sluice server, with SpiceDB inside, in the process of a test:
//
//	sluice := sluicetest.Start(t)
//	may, err := sluice.Client.Can(t.Context(), "alice", "run", "importer:i1")
//
// The server starts in about half a second and stores everything in memory. Tests can share a server if they use
// different ids: start it with New in TestMain.
package sluicetest

import (
	"context"
	"testing"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/app"
)

// Server is a running server.
type Server struct {
	URL    string
	Key    string         // has every scope
	Client *client.Client // calls the server with the Key

	// SpiceDB is the address of SpiceDB's own API, which has no TLS, and SpiceDBKey is its key. Use them for zed, and
	// to write relationships of your own definitions.
	SpiceDB    string
	SpiceDBKey string

	server *app.Server
}

// Option configures a Server.
type Option func(*app.Config)

// key is the API key of the server. It has every scope. Everybody knows it, but only processes on this machine can
// reach the server.
const key = "sluicetest"

// WithSchema makes the server use a schema file instead of the built-in schema. The file is a .zed file, or a
// validation YAML with relationships.
func WithSchema(file string) Option { return func(c *app.Config) { c.Schema = file } }

// WithKey adds a key in the form of `sluice serve --api-key`: NAME:SCOPE+SCOPE:KEY.
func WithKey(spec string) Option {
	return func(c *app.Config) { c.APIKeys = append(c.APIKeys, spec) }
}

// Start starts a server and closes it after the test. The test fails if the server cannot start.
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

// New starts a server for several tests. The caller closes it. ctx limits only the time of the start.
func New(ctx context.Context, options ...Option) (*Server, error) {
	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", "127.0.0.1:0"
	config.Store.Datastore = "memory"
	config.APIKeys = []string{"sluicetest:check+operate+provision+inspect+write:" + key}
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

// Close waits until running requests end, and stops the server.
func (s *Server) Close() error { return s.server.Close(context.Background()) }
