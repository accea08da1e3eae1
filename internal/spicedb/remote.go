package spicedb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/authzed/grpcutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// RemoteConfig has the address and credentials of a remote SpiceDB.
type RemoteConfig struct {
	Options

	// Endpoint is host:port, or any target that gRPC resolves. If it has several addresses, all are used.
	Endpoint string

	// Token is SpiceDB's preshared key.
	Token string

	// CAFile is a PEM file with the trusted certificate authorities. If it is empty, the authorities of the system are
	// trusted. Each new connection reads the file, and so does Client.ReloadAuthorities.
	CAFile string

	// Log receives a line when the authorities of CAFile change. Nil discards it.
	Log *slog.Logger

	// Insecure connects without TLS.
	Insecure bool
}

// retries is gRPC's service config. If SpiceDB cannot be reached, it retries calls that only read. It does not retry
// writes, which may have been applied; gRPC itself retries calls that never left this process.
const retries = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"methodConfig": [{
		"name": [
			{"service": "authzed.api.v1.PermissionsService", "method": "CheckPermission"},
			{"service": "authzed.api.v1.PermissionsService", "method": "CheckBulkPermissions"},
			{"service": "authzed.api.v1.PermissionsService", "method": "LookupResources"},
			{"service": "authzed.api.v1.PermissionsService", "method": "LookupSubjects"},
			{"service": "authzed.api.v1.PermissionsService", "method": "ReadRelationships"},
			{"service": "authzed.api.v1.SchemaService", "method": "ReadSchema"},
			{"service": "authzed.api.v1.SchemaService", "method": "DiffSchema"}
		],
		"retryPolicy": {
			"maxAttempts": 4,
			"initialBackoff": "0.05s",
			"maxBackoff": "0.5s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]
}`

// Remote returns an engine on a remote SpiceDB. It connects at the first call, so SpiceDB need not run yet. It
// reconnects after the connection is lost. An error means that the configuration is wrong.
//
// SpiceDB v1.56.0 lets overlapping fully consistent requests share one newest revision. Under load, such a request can
// miss a write that ended just before the request arrived. A request with the token of a write never misses that write.
// After a relationship has expired, SpiceDB's caches can return an outdated answer.
func Remote(_ context.Context, config RemoteConfig) (*Client, error) {
	if config.Endpoint == "" {
		return nil, errors.New("SpiceDB's endpoint is missing")
	}
	trusted, security, err := security(config)
	if err != nil {
		return nil, err
	}
	options := append(dialOptions(), security...)
	options = append(options,
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second,
			},
			MinConnectTimeout: 5 * time.Second,
		}),
		// SpiceDB closes a connection that pings more often than every five minutes. A lost peer is detected earlier if
		// data was sent, since the peer must acknowledge it within the timeout.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: 10 * time.Second}),
	)
	conn, err := grpc.NewClient(config.Endpoint, options...)
	if err != nil {
		return nil, fmt.Errorf("SpiceDB's endpoint %q: %w", config.Endpoint, err)
	}
	client := newClient(conn, config.Options)
	client.authorities = trusted
	return client, nil
}

// ReloadAuthorities reads the CA file of a remote SpiceDB, if there is one, and closes connections that its authorities
// do not authenticate. If the file is not valid, the earlier authorities remain in use, and the error names the file.
func (c *Client) ReloadAuthorities() error {
	if c.authorities == nil {
		return nil
	}
	return c.authorities.reload()
}

// security returns the options of the connection, and the authorities if there is a CA file.
func security(config RemoteConfig) (*authorities, []grpc.DialOption, error) {
	switch {
	case config.Insecure && config.CAFile != "":
		return nil, nil, errors.New("a CA file has no effect without TLS")
	case config.Insecure:
		return nil, []grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpcutil.WithInsecureBearerToken(config.Token),
		}, nil
	case config.CAFile != "":
		trusted, err := openAuthorities(config.CAFile, config.Log)
		if err != nil {
			return nil, nil, fmt.Errorf("SpiceDB's CA file: %w", err)
		}
		return trusted, []grpc.DialOption{
			grpc.WithTransportCredentials(trusted.credentials()),
			grpcutil.WithBearerToken(config.Token),
		}, nil
	default:
		tls, err := grpcutil.WithSystemCerts(grpcutil.VerifyCA)
		if err != nil {
			return nil, nil, err
		}
		return nil, []grpc.DialOption{tls, grpcutil.WithBearerToken(config.Token)}, nil
	}
}
