package bench_test

import (
	"context"
	"net"

	storecmd "github.com/authzed/spicedb/pkg/cmd/datastore"
	spicedbserver "github.com/authzed/spicedb/pkg/cmd/server"
	"github.com/authzed/spicedb/pkg/cmd/util"
)

// startGateway starts SpiceDB's own HTTP gateway at an address. The gateway passes requests on to the SpiceDB at
// upstream, and stops when ctx ends. SpiceDB cannot start a gateway without a server, so startGateway also starts a
// server that is not used.
func startGateway(ctx context.Context, upstream, address string) error {
	store, err := storecmd.NewDatastore(
		ctx, storecmd.DefaultDatastoreConfig().ToOption(), storecmd.WithEngine(storecmd.MemoryEngine),
		storecmd.WithEnableDatastoreMetrics(false),
	)
	if err != nil {
		return err
	}
	off := spicedbserver.CacheConfig{Enabled: false}
	gateway, err := spicedbserver.NewConfigWithOptionsAndDefaults(
		spicedbserver.WithDatastore(store),
		spicedbserver.WithPresharedSecureKey("unused"),
		spicedbserver.WithGRPCServer(util.GRPCServerConfig{Network: "tcp", Address: "127.0.0.1:0", Enabled: true}),
		spicedbserver.WithHTTPGateway(util.HTTPServerConfig{HTTPEnabled: true, HTTPAddress: address}),
		spicedbserver.WithHTTPGatewayUpstreamAddr(upstream),
		spicedbserver.WithDispatchServer(util.GRPCServerConfig{Enabled: false}),
		spicedbserver.WithDispatchCacheConfig(off),
		spicedbserver.WithClusterDispatchCacheConfig(off),
		spicedbserver.WithMetricsAPI(util.HTTPServerConfig{HTTPEnabled: false}),
		spicedbserver.WithSilentlyDisableTelemetry(true),
		spicedbserver.WithTelemetryEndpoint(""),
		spicedbserver.WithEnableRequestLogs(false),
		spicedbserver.WithEnableResponseLogs(false),
		spicedbserver.WithEnableMemoryProtectionMiddleware(false),
	).Complete(ctx)
	if err != nil {
		return err
	}
	go func() { _ = gateway.Run(ctx) }()
	for { // wait until the gateway listens
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
