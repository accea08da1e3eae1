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

// EmbeddedConfig says what an embedded SpiceDB stores in and where it can be reached. The zero value keeps everything in
// memory and is reachable from this process alone.
type EmbeddedConfig struct {
	Options

	// Datastore is Memory, SQLite, Postgres or CockroachDB; empty means Memory. SQLite needs a directory, which is
	// made if it is not there, and the last two a URI.
	Datastore string
	DataDir   string
	URI       string

	// GCWindow is how long SQLite and the databases keep replaced relationships and the changes that Watch delivers, and
	// GCInterval the time between two garbage collections; SpiceDB's own, 24 hours and 3 minutes, if zero.
	GCWindow, GCInterval time.Duration

	// MustExist makes it an error if there is no store in DataDir.
	MustExist bool

	// Store is used in place of Datastore, if set. Close closes it.
	Store datastore.Datastore

	// DispatchCache lets SpiceDB remember parts of answers, as a SpiceDB elsewhere does. They then outlive the expiration of
	// what they rest on.
	DispatchCache bool

	// GRPCListen is the TCP address at which SpiceDB's own API is open, for zed; none if empty. Port 0 takes a free one.
	GRPCListen string

	// Key is the preshared key of SpiceDB's own API. It is required with GRPCListen.
	Key string

	// HTTPListen is the TCP address of SpiceDB's HTTP gateway; none if empty. It needs GRPCListen.
	HTTPListen string

	limited limited
}

// EmbeddedEngine is an engine with the SpiceDB that it runs in this process.
type EmbeddedEngine struct {
	*Client

	// GRPCAddress is where SpiceDB's own API listens, with the port that it has got; empty if it is closed.
	GRPCAddress string

	close         []func() error
	stopListening func() error // nil if SpiceDB's own API is closed
}

// Embedded starts a SpiceDB in this process and connects to it. ctx bounds the start alone; Close ends the server.
func Embedded(ctx context.Context, config EmbeddedConfig) (_ *EmbeddedEngine, err error) {
	switch {
	case config.GRPCListen != "" && config.Key == "":
		return nil, errors.New("SpiceDB's own API needs a key")
	case config.HTTPListen != "" && config.GRPCListen == "":
		return nil, errors.New("SpiceDB's HTTP gateway needs SpiceDB's own API")
	}

	config.limited.divisor = max(config.limited.divisor, 1)
	e := &EmbeddedEngine{}
	defer func() {
		if err != nil {
			_ = e.shutDown() // what matters is why it did not start
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

	// The key of the connection within the process is never needed by anybody else.
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

// listen opens SpiceDB's own API on TCP: a second server on the same store, since one server has one listener.
func (e *EmbeddedEngine) listen(ctx context.Context, store datastore.Datastore, config EmbeddedConfig) error {
	address, err := freeAddress(ctx, config.GRPCListen)
	if err != nil {
		return err
	}
	open := serverConfig{store: store, key: config.Key, grpcAddress: address, httpAddress: config.HTTPListen, limited: config.limited}
	conn, stop, err := open.start(ctx)
	if err != nil {
		return fmt.Errorf("cannot open SpiceDB's API on %s: %w", config.GRPCListen, err)
	}
	e.close = append(e.close, stop)
	e.stopListening = stop
	e.GRPCAddress = address
	return conn.Close()
}

// StopListening closes SpiceDB's own API on TCP. The engine itself goes on. It waits for calls under way, for a short time.
func (e *EmbeddedEngine) StopListening() error {
	if e.stopListening == nil {
		return nil
	}
	return e.stopListening()
}

// Close ends the connection and the server, and closes the store. It waits for calls under way, for a short time.
func (e *EmbeddedEngine) Close() error { return e.shutDown() }

func (e *EmbeddedEngine) shutDown() error {
	var errs []error
	for i := len(e.close) - 1; i >= 0; i-- {
		errs = append(errs, e.close[i]())
	}
	e.close = nil
	return errors.Join(errs...)
}

// freeAddress replaces port 0 by the number of a port that is free.
func freeAddress(ctx context.Context, address string) (string, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%q is no address to listen on: %w", address, err)
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

// dialOptions are those of every connection to SpiceDB, in this process or elsewhere.
func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}
}

// maxMessage is the largest answer that is taken: a bulk of maxBulk checks with context is larger than gRPC's default.
const maxMessage = 64 << 20

func inProcessOptions(key string) []grpc.DialOption {
	return append(dialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpcutil.WithInsecureBearerToken(key))
}

// logStopped reports a server that ended by itself.
func logStopped(err error) {
	if err != nil {
		slog.Error("the embedded SpiceDB stopped", "error", err)
	}
}
