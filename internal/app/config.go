// Package app assembles a Sluice server: engine, schema, operations, HTTP. The command line and the tests start it the
// same way.
package app

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// Off is the value that disables a listener or the in-memory replica.
const Off = "off"

// Config has the settings of a server. Start from DefaultConfig. The comment of each field names its flag.
type Config struct {
	Listen     string // --listen: address of the HTTP API; port 0 selects a free one
	GRPCListen string // --grpc-listen: address of the embedded SpiceDB's own API, or Off
	GRPCKey    string // --grpc-key: key of SpiceDB's own API; generated at the start if empty

	MetricsListen string // --metrics-listen: address that serves /metrics without a key; empty or Off disables it

	APIKeys     []string // --api-key: NAME:SCOPE+SCOPE:KEY
	APIKeysFile string   // --api-keys-file: lines NAME SCOPE+SCOPE SHA256

	Store StoreConfig

	Replica ReplicaConfig

	AuditURI string // --audit-uri: PostgreSQL database of the audit log; a file in the data directory if empty

	Schema    string // --schema: a .zed file or a validation YAML; the product's schema if empty
	PublicURL string // --public-url: base URL in metadata and contract; the listen address if empty

	TLSCert string // --tls-cert: PEM file
	TLSKey  string // --tls-key: PEM file

	RequestTimeout time.Duration // --request-timeout: time limit of a request of the HTTP API
	// --expensive-requests: how many explanations, previews and queries of past access run at a time
	Expensive     int
	DrainTimeout  time.Duration // --drain-timeout: time for running requests and the audit log at a stop
	ShutdownDelay time.Duration // --shutdown-delay: how long a stopping server serves as not ready before the drain

	// Clock returns the time for expirations of operations; nil means time.Now. It has no flag: tests change the time.
	Clock func() time.Time

	Logger  *slog.Logger          // nil discards the log
	Tracing *trace.TracerProvider // creates the spans of requests; nil for none; the caller shuts it down
}

// ReplicaConfig configures the in-memory replica.
type ReplicaConfig struct {
	Mode             string  // --replica: ReplicaAuto or Off
	MaxRelationships int     // --replica-max-relationships: above this number SpiceDB answers everything
	Verify           float64 // --replica-verify: share of the replica's answers to compare with SpiceDB
}

// ReplicaAuto enables the in-memory replica.
const ReplicaAuto = "auto"

// validate returns an error of one line that names the first invalid setting by its flag.
func (c ReplicaConfig) validate() error {
	switch {
	case c.Mode != ReplicaAuto && c.Mode != Off:
		return fmt.Errorf("--replica: %q is not a mode; modes are %s and %s", c.Mode, ReplicaAuto, Off)
	case c.MaxRelationships <= 0:
		return fmt.Errorf(
			"--replica-max-relationships: %d must be more than zero; `--replica off` disables the replica",
			c.MaxRelationships,
		)
	case !(c.Verify >= 0 && c.Verify <= 1):
		return fmt.Errorf("--replica-verify: %g must be a share from 0 to 1", c.Verify)
	}
	return nil
}

// StoreConfig selects where relationships are stored: in a remote SpiceDB if Endpoint is set, else in an embedded one.
type StoreConfig struct {
	Endpoint string // --spicedb-endpoint: host:port
	Token    string // --spicedb-token: the remote SpiceDB's preshared key
	CA       string // --spicedb-ca: PEM file of the certificate authority of the remote SpiceDB
	Insecure bool   // --spicedb-insecure: no TLS

	Datastore    string // --datastore: sqlite, memory, postgres or cockroachdb
	DataDir      string // --data-dir: directory of sqlite and the audit log; DefaultDataDir if empty
	DatastoreURI string // --datastore-uri: address of postgres or cockroachdb
}

// DefaultDataDir is the directory of a server's files by default.
const DefaultDataDir = "./data"

// Directory returns the directory in which the relationships are stored. It is empty if they are stored elsewhere.
func (c StoreConfig) Directory() string {
	if c.Remote() || c.Datastore != spicedb.SQLite {
		return ""
	}
	return cmp.Or(c.DataDir, DefaultDataDir)
}

// Remote reports whether the relationships are in a remote SpiceDB.
func (c StoreConfig) Remote() bool { return c.Endpoint != "" }

// DefaultConfig returns the settings of a server with an embedded SpiceDB that stores everything in DefaultDataDir.
// Only this machine can reach it.
func DefaultConfig() Config {
	return Config{
		Listen:         "127.0.0.1:8080",
		GRPCListen:     "127.0.0.1:50051",
		Store:          StoreConfig{Datastore: spicedb.SQLite},
		Replica:        ReplicaConfig{Mode: ReplicaAuto, MaxRelationships: replica.DefaultMaxRelationships, Verify: 0.001},
		RequestTimeout: 30 * time.Second,
		Expensive:      runtime.GOMAXPROCS(0),
		DrainTimeout:   20 * time.Second,
	}
}

// validate returns an error of one line that names the first invalid setting by its flag.
func (c Config) validate() error {
	if err := address("--listen", c.Listen); err != nil {
		return err
	}
	if c.GRPCListen != Off && !c.Store.Remote() {
		if err := address("--grpc-listen", c.GRPCListen); err != nil {
			return err
		}
	}
	if c.MetricsListen != "" && c.MetricsListen != Off {
		if err := address("--metrics-listen", c.MetricsListen); err != nil {
			return err
		}
	}
	if err := c.validateMadeKeys(); err != nil {
		return err
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
			u.RawQuery != "" || u.Fragment != "" {
			return errors.New(
				"--public-url: must be an address without password and query, for example https://authz.example.com",
			)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key must be given together")
	}
	if c.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			return fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
	}
	if c.RequestTimeout <= 0 {
		return fmt.Errorf("--request-timeout: %s must be more than zero", c.RequestTimeout)
	}
	if c.Expensive <= 0 {
		return fmt.Errorf("--expensive-requests: %d must be more than zero", c.Expensive)
	}
	if c.ShutdownDelay < 0 {
		return fmt.Errorf("--shutdown-delay: %s must not be less than zero", c.ShutdownDelay)
	}
	if c.DrainTimeout < 0 {
		return fmt.Errorf("--drain-timeout: %s must not be less than zero", c.DrainTimeout)
	}
	if err := c.Store.validate(); err != nil {
		return err
	}
	if err := c.Replica.validate(); err != nil {
		return err
	}
	return c.validateAudit()
}

// validate returns an error of one line that names the first invalid setting by its flag.
func (c StoreConfig) validate() error {
	if c.Remote() {
		if _, _, err := net.SplitHostPort(c.Endpoint); err != nil {
			return fmt.Errorf("--spicedb-endpoint: %q is not host:port", c.Endpoint)
		}
		if c.Token == "" {
			return errors.New("--spicedb-token: a remote SpiceDB needs its preshared key")
		}
		if c.Insecure && c.CA != "" {
			return errors.New("--spicedb-insecure and --spicedb-ca cannot be given together")
		}
		if c.CA != "" {
			if _, err := os.Stat(c.CA); err != nil {
				return fmt.Errorf("--spicedb-ca: %w", err)
			}
		}
		if c.DatastoreURI != "" {
			return errors.New(
				"--datastore-uri: the SpiceDB of --spicedb-endpoint stores the data; leave --datastore-uri out",
			)
		}
		return nil
	}
	for flag, given := range map[string]bool{
		"--spicedb-token": c.Token != "", "--spicedb-ca": c.CA != "", "--spicedb-insecure": c.Insecure,
	} {
		if given {
			return fmt.Errorf("%s: it requires --spicedb-endpoint", flag)
		}
	}
	if c.DataDir != "" && c.Datastore == spicedb.Memory {
		return fmt.Errorf("--data-dir: the datastore %s has no data directory", c.Datastore)
	}
	switch c.Datastore {
	case spicedb.Memory, spicedb.SQLite:
		if c.DatastoreURI != "" {
			return fmt.Errorf("--datastore-uri: the datastore %s has no URI", c.Datastore)
		}
	case spicedb.Postgres, spicedb.CockroachDB:
		if c.DatastoreURI == "" {
			return fmt.Errorf(
				"--datastore-uri: the datastore %s requires one, for example postgres://user:password@host:5432/database",
				c.Datastore,
			)
		}
	default:
		return fmt.Errorf(
			"--datastore: %q is not a datastore; datastores are %s, %s, %s, %s",
			c.Datastore, spicedb.SQLite, spicedb.Memory, spicedb.Postgres,
			spicedb.CockroachDB,
		)
	}
	return nil
}

// validateMadeKeys returns an error if the server would generate a key although other machines can reach it. A
// generated key has every scope and is printed, for example to the log of a container.
func (c Config) validateMadeKeys() error {
	if len(c.APIKeys) == 0 && c.APIKeysFile == "" && !isLoopback(c.Listen) {
		return fmt.Errorf(
			"--api-key or --api-keys-file: required because other machines can reach %s; a key is generated only for a "+
				"loopback --listen; `sluice key new` makes keys",
			c.Listen,
		)
	}
	if c.GRPCListen != Off && !c.Store.Remote() && c.GRPCKey == "" && !isLoopback(c.GRPCListen) {
		return fmt.Errorf(
			"--grpc-key: required because other machines can reach %s; a key is generated only for a loopback --grpc-listen",
			c.GRPCListen,
		)
	}
	return nil
}

// isLoopback reports whether only this machine can reach an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func address(flag, value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return fmt.Errorf("%s: %q is not host:port", flag, value)
	}
	return nil
}

// secret returns the given key or, if it is empty, a generated one. made reports that the key was generated.
func secret(given string) (key string, made bool) {
	if given != "" {
		return given, false
	}
	return rand.Text(), true
}
