package spicedb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/authzed/grpcutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// RemoteConfig says where a SpiceDB is and how to speak to it.
type RemoteConfig struct {
	Options

	// Endpoint is host:port, or any target that gRPC resolves. Of several addresses all are used.
	Endpoint string

	// Token is SpiceDB's preshared key.
	Token string

	// CAFile holds the certificate authorities to trust, as PEM; the system's if empty. Each new connection reads the
	// file.
	CAFile string

	// Insecure speaks without TLS.
	Insecure bool
}

// retries is gRPC's service config. What only reads is tried again when SpiceDB cannot be reached. Writes are not in
// the list: gRPC by itself repeats a call that never left this process, and only that is certain not to have happened.
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

// Remote returns an engine on a SpiceDB elsewhere, whose limits are its own: SpiceDB v1.56.0 lets fully consistent
// requests that overlap share one newest revision, so that under load one of them can miss a write that ended just
// before it came (a request with the token of a write never misses that write), and its caches keep an answer beyond an
// expiration.
//
// It connects when it is first used, so that SpiceDB may be down, and again whenever the connection is lost. An error
// means that the configuration is wrong.
func Remote(_ context.Context, config RemoteConfig) (*Client, error) {
	if config.Endpoint == "" {
		return nil, errors.New("SpiceDB's endpoint is missing")
	}
	security, err := security(config)
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
		// SpiceDB ends a connection that pings more often than every five minutes. A peer that is gone is noticed earlier:
		// what was sent has to be acknowledged within the time-out.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute, Timeout: 10 * time.Second}),
	)
	conn, err := grpc.NewClient(config.Endpoint, options...)
	if err != nil {
		return nil, fmt.Errorf("SpiceDB's endpoint %q: %w", config.Endpoint, err)
	}
	return newClient(conn, config.Options), nil
}

func security(config RemoteConfig) ([]grpc.DialOption, error) {
	switch {
	case config.Insecure && config.CAFile != "":
		return nil, errors.New("a CA file is of no use without TLS")
	case config.Insecure:
		return []grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpcutil.WithInsecureBearerToken(config.Token),
		}, nil
	case config.CAFile != "":
		trusted, err := openAuthorities(config.CAFile)
		if err != nil {
			return nil, fmt.Errorf("SpiceDB's CA file: %w", err)
		}
		return []grpc.DialOption{
			grpc.WithTransportCredentials(trusted.credentials()),
			grpcutil.WithBearerToken(config.Token),
		}, nil
	default:
		tls, err := grpcutil.WithSystemCerts(grpcutil.VerifyCA)
		if err != nil {
			return nil, err
		}
		return []grpc.DialOption{tls, grpcutil.WithBearerToken(config.Token)}, nil
	}
}
