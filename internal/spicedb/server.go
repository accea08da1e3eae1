package spicedb

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/authzed/spicedb/pkg/cmd/server"
	"github.com/authzed/spicedb/pkg/cmd/util"
	"github.com/authzed/spicedb/pkg/datastore"
	"google.golang.org/grpc"

	"github.com/sluice-authz/sluice/internal/authz"
)

// grace is how long an embedded server waits for running calls when it stops.
const grace = 2 * time.Second

// serverConfig configures one listener of an embedded SpiceDB. Without a gRPC address, only this process can reach
// it.
type serverConfig struct {
	store       datastore.Datastore
	key         string
	cache       bool
	grpcAddress string
	limited     limited
}

// watchHeartbeat is how often SpiceDB polls PostgreSQL for new changes after a time without changes. The other
// datastores report changes by themselves.
const watchHeartbeat = 100 * time.Millisecond

// maxCaveatContext is the largest context that SpiceDB accepts for one check, in bytes of SpiceDB's encoding. It is
// higher than authz.MaxContextBytes, the limit of the API: SpiceDB's encoding of a context can be larger, and
// parameters can repeat parts of the context.
const maxCaveatContext = 8 * authz.MaxContextBytes

// start starts a server and connects to it. ctx only limits the start. stop stops the server, and waits a limited time
// for its end.
func (s serverConfig) start(ctx context.Context) (_ *grpc.ClientConn, stop func() error, err error) {
	runnable, err := s.config().Complete(ctx) //nolint:contextcheck // each call of the server has its own context
	if err != nil {
		return nil, nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		err := runnable.Run(running)
		if running.Err() == nil {
			logStopped(err)
		}
		ended <- err
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, grpc.ErrServerStopped) { // ErrServerStopped: the server was stopped before it started
				return err
			}
			return nil
		case <-time.After(2 * grace): // gRPC waits forever for running calls, even on a forced stop
			return errors.New("the embedded SpiceDB did not stop in time: a call is still running")
		}
	})
	conn, err := runnable.NewClient(inProcessOptions(s.key)...)
	if err != nil {
		_ = stop()
		return nil, nil, err
	}
	return conn, stop, nil
}

// workers is the number of goroutines that wait for calls. SpiceDB's interceptors need large stacks, and these
// goroutines keep theirs between calls. While all workers are busy, gRPC starts a new goroutine for each call.
const workers = 16

// config disables features of a standalone server: metrics listener, telemetry and request logs. Unless cache is set,
// it also disables the dispatch caches, since they return answers that depend on expired relationships.
func (s serverConfig) config() *server.Config {
	grpcServer := util.GRPCServerConfig{Network: util.BufferedNetwork, Enabled: true, MaxWorkers: workers}
	if s.grpcAddress != "" {
		grpcServer.Network, grpcServer.Address = "tcp", s.grpcAddress
	}
	off := server.CacheConfig{Enabled: false}
	dispatch, limited := off, s.limited
	if limited.cached = s.cache; s.cache {
		dispatch = server.CacheConfig{Enabled: true, Name: "dispatch", MaxCost: "8MiB"}
	}
	return server.NewConfigWithOptionsAndDefaults(
		server.WithDatastore(s.store),
		server.WithPresharedSecureKey(s.key),
		server.WithGRPCServer(grpcServer),
		server.WithHTTPGateway(util.HTTPServerConfig{HTTPEnabled: false}),
		server.WithShutdownGracePeriod(grace),
		server.WithDispatchServer(util.GRPCServerConfig{Enabled: false}),
		server.WithDispatchCacheConfig(dispatch),
		server.WithClusterDispatchCacheConfig(off),
		server.WithMetricsAPI(util.HTTPServerConfig{HTTPEnabled: false}),
		server.WithSilentlyDisableTelemetry(true),
		server.WithTelemetryEndpoint(""),
		server.WithDispatchMaxDepth(maxDepth),
		server.WithWatchHeartbeat(watchHeartbeat),
		server.WithMaxCaveatContextSize(maxCaveatContext),
		server.WithEnableRequestLogs(false),
		server.WithEnableResponseLogs(false),
		server.WithEnableMemoryProtectionMiddleware(false),
		withNewest(s.store, limited),
		sequential,
	)
}

// sequential makes SpiceDB evaluate the parts of one check, or of one look-up of resources, one after the other. There
// are two reasons. If a part of a look-up fails, concurrent parts would continue, each under its own context. If one
// part of a check allows it and another part is nested too deeply, the answer would depend on which part ends first.
func sequential(c *server.Config) {
	c.DispatchConcurrencyLimits.LookupResources = 1
	c.DispatchConcurrencyLimits.Check = 1
}
