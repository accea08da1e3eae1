package spicedb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/authzed/grpcutil"
	"github.com/authzed/spicedb/pkg/datastore"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// EmbeddedConfig configures the store and the addresses of an embedded SpiceDB. With the zero value, the store is in
// memory, and only this process can reach SpiceDB.
type EmbeddedConfig struct {
	Options

	// Datastore is Memory, SQLite, Postgres or CockroachDB. Empty means Memory. SQLite needs DataDir, which is
	// created if it does not exist. The databases need URI.
	Datastore string
	DataDir   string
	URI       string

	// GCWindow is how long SQLite and the databases keep deleted relationships and the changes for Watch. GCInterval is
	// the time between two garbage collections. Zero means SpiceDB's defaults, 24 hours and 3 minutes.
	GCWindow, GCInterval time.Duration

	// MustExist makes Embedded fail if DataDir has no store.
	MustExist bool

	// Store replaces Datastore if it is set. Close closes it.
	Store datastore.Datastore

	// DispatchCache lets SpiceDB cache parts of answers, as a remote SpiceDB does. A cached part can stay in use after
	// a relationship on which it depends has expired.
	DispatchCache bool

	// GRPCListen is the TCP address of SpiceDB's own API, for zed. Empty means that the API is closed. Port 0 selects
	// a free port.
	GRPCListen string

	// Key is the preshared key of SpiceDB's own API. It is required with GRPCListen.
	Key string

	limited limited
}

// EmbeddedEngine is an engine on a SpiceDB that runs in this process.
type EmbeddedEngine struct {
	*Client

	// GRPCAddress is the address of SpiceDB's own API, with the selected port. It is empty if the API is closed.
	GRPCAddress string

	close         []func() error
	stopListening func() error // nil if SpiceDB's own API is closed
}

// Embedded starts a SpiceDB in this process and connects to it. ctx only limits the start. Close stops the server.
func Embedded(ctx context.Context, config EmbeddedConfig) (_ *EmbeddedEngine, err error) {
	if config.GRPCListen != "" && config.Key == "" {
		return nil, errors.New("SpiceDB's own API needs a key")
	}
	config.limited.divisor = max(config.limited.divisor, 1)
	e := &EmbeddedEngine{}
	defer func() {
		if err != nil {
			_ = e.shutDown() // the caller gets the error of the start instead
		}
	}()
	store, err := openStore(ctx, config)
	if err != nil {
		return nil, err
	}
	e.close = append(e.close, store.Close)
	if config.Acknowledged != nil {
		if err := addStored(ctx, store, config); err != nil {
			return nil, err
		}
		store = recording{store, config.Acknowledged}
		config.Acknowledged = nil // the connection must not add the same writes
	}

	// Only this connection knows the key.
	inProcess := serverConfig{store: store, key: rand.Text(), cache: config.DispatchCache, limited: config.limited}
	conn, stop, err := inProcess.start(ctx)
	if err != nil {
		return nil, err
	}
	e.close = append(e.close, stop)
	e.Client = newClient(conn, config.Options)
	e.close = append(e.close, e.Client.Close)

	if config.GRPCListen != "" {
		if err := e.listen(ctx, store, config); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// listen opens SpiceDB's own API on TCP. It starts a second server on the same store, since a server has only one
// listener.
func (e *EmbeddedEngine) listen(ctx context.Context, store datastore.Datastore, config EmbeddedConfig) error {
	address, err := freeAddress(ctx, config.GRPCListen)
	if err != nil {
		return err
	}
	open := serverConfig{store: store, key: config.Key, grpcAddress: address, limited: config.limited}
	conn, stop, err := open.start(ctx)
	if err != nil {
		return fmt.Errorf("cannot open SpiceDB's API on %s: %w", config.GRPCListen, err)
	}
	e.close = append(e.close, stop)
	e.stopListening = stop
	e.GRPCAddress = address
	return conn.Close()
}

// StopListening closes SpiceDB's own API on TCP. It waits a short time for running calls. The engine itself continues.
func (e *EmbeddedEngine) StopListening() error {
	if e.stopListening == nil {
		return nil
	}
	return e.stopListening()
}

// Close closes the connection, the server and the store. It waits a short time for running calls.
func (e *EmbeddedEngine) Close() error { return e.shutDown() }

func (e *EmbeddedEngine) shutDown() error {
	var errs []error
	for i := len(e.close) - 1; i >= 0; i-- {
		errs = append(errs, e.close[i]())
	}
	e.close = nil
	return errors.Join(errs...)
}

// freeAddress replaces port 0 by a free port.
func freeAddress(ctx context.Context, address string) (string, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%q is not a listen address: %w", address, err)
	}
	if port != "0" {
		return address, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// dialOptions returns the options of every connection to SpiceDB, embedded or remote.
func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}
}

// maxMessage is the largest accepted answer in bytes. A bulk of maxBulk checks with context is larger than gRPC's
// default.
const maxMessage = 64 << 20

func inProcessOptions(key string) []grpc.DialOption {
	return append(
		dialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpcutil.WithInsecureBearerToken(key),
	)
}

// logStopped logs that a server ended by itself.
func logStopped(err error) {
	if err != nil {
		slog.Error("the embedded SpiceDB stopped", "error", err)
	}
}
