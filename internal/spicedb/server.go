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

// grace is how long an embedded server waits at its end for calls under way.
const grace = 2 * time.Second

// serverConfig is one listener of an embedded SpiceDB. Without a gRPC address it can be reached from this process alone.
type serverConfig struct {
	store       datastore.Datastore
	key         string
	cache       bool
	grpcAddress string
	httpAddress string
	limited     limited
}

// watchHeartbeat is how often PostgreSQL is asked whether there is something to tell, when there was nothing. The other datastores
// tell it of themselves.
const watchHeartbeat = 100 * time.Millisecond

// maxCaveatContext is how much context SpiceDB takes for one question, in bytes of its own encoding. The API holds contexts to
// authz.MaxContextBytes before it asks; the encoding, and parameters that hold parts of the context again, take more than that.
const maxCaveatContext = 8 * authz.MaxContextBytes

// start runs a server and connects to it. ctx bounds the start alone; stop ends the server and waits, for a bounded time, until it has
// ended.
func (s serverConfig) start(ctx context.Context) (_ *grpc.ClientConn, stop func() error, err error) {
	runnable, err := s.config().Complete(ctx) //nolint:contextcheck // each call that the server will take has its own context
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
			if !errors.Is(err, grpc.ErrServerStopped) { // it was stopped before it had begun
				return err
			}
			return nil
		case <-time.After(2 * grace): // gRPC waits for calls without end, also if it is told to stop by force
			return errors.New("the embedded SpiceDB goes on with a call: it does not end in time")
		}
	})
	conn, err := runnable.NewClient(inProcessOptions(s.key)...)
	if err != nil {
		_ = stop()
		return nil, nil, err
	}
	return conn, stop, nil
}

// config turns off what a server within another program must not do: listen for metrics, report telemetry, log requests.
// The dispatch caches are off as well, unless asked for, since they keep an answer beyond the expiration of what it rests on.
func (s serverConfig) config() *server.Config {
	grpcServer := util.GRPCServerConfig{Network: util.BufferedNetwork, Enabled: true}
	if s.grpcAddress != "" {
		grpcServer.Network, grpcServer.Address = "tcp", s.grpcAddress
	}
	off := server.CacheConfig{Enabled: false}
	dispatch := off
	if s.cache {
		dispatch = server.CacheConfig{Enabled: true, Name: "dispatch", MaxCost: "8MiB"}
	}
	return server.NewConfigWithOptionsAndDefaults(
		server.WithDatastore(s.store),
		server.WithPresharedSecureKey(s.key),
		server.WithGRPCServer(grpcServer),
		server.WithHTTPGateway(util.HTTPServerConfig{HTTPEnabled: s.httpAddress != "", HTTPAddress: s.httpAddress}),
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
		withNewest(s.store, s.limited),
		sequential,
	)
}

// sequential lets SpiceDB evaluate the parts of one look-up of resources, and of one check, one after the other. When one part of a
// look-up fails, those at the same time would go on, each under a context of its own. Parts of a check at the same time make its
// answer depend on which comes first, where one part allows and another one fails because it is nested too deeply.
func sequential(c *server.Config) {
	c.DispatchConcurrencyLimits.LookupResources = 1
	c.DispatchConcurrencyLimits.Check = 1
}
