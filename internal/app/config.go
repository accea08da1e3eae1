// Package app puts a Sluice server together: engine, schema, operations, HTTP. The command line and the tests start it
// the same way.
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

// Off as an address closes what would listen there.
const Off = "off"

// Config is everything that a server can be told. DefaultConfig is where to begin; each field says its flag.
type Config struct {
	Listen     string // --listen: address of the HTTP API; port 0 takes a free one
	GRPCListen string // --grpc-listen: address of SpiceDB's own API in embedded mode, or Off
	GRPCKey    string // --grpc-key: its key; made at start if empty

	MetricsListen string // --metrics-listen: address that serves /metrics without a key; none if empty or Off

	// GatewayListen opens SpiceDB's own HTTP gateway in embedded mode. It has no flag: benchmarks compare with it.
	GatewayListen string

	APIKeys     []string // --api-key: NAME:SCOPE+SCOPE:KEY
	APIKeysFile string   // --api-keys-file: lines NAME SCOPE+SCOPE SHA256

	Store StoreConfig

	Replica ReplicaConfig

	AuditURI string // --audit-uri: PostgreSQL database of the audit log; a file in the data directory if empty

	// NoAudit leaves the audit log empty. It has no flag: benchmarks compare with it.
	NoAudit bool

	Schema    string // --schema: a .zed file or a validation YAML; the product's schema if empty
	PublicURL string // --public-url: what metadata and the contract name; the address that it listens on if empty

	TLSCert string // --tls-cert: PEM file
	TLSKey  string // --tls-key: PEM file

	RequestTimeout time.Duration // --request-timeout: of one request of the HTTP API
	Expensive      int           // --expensive-requests: explanations, previews and questions about past access at a time
	DrainTimeout   time.Duration // --drain-timeout: how long requests under way and the audit log may take at a stop
	ShutdownDelay  time.Duration // --shutdown-delay: how long the server is not ready but serves, before it drains

	// Clock tells what time it is where something is to end after a time; time.Now if nil. It has no flag: tests move it.
	Clock func() time.Time

	Logger  *slog.Logger          // discards if nil
	Tracing *trace.TracerProvider // makes the spans of requests, none if nil; the server does not shut it down
}

// ReplicaConfig says what is answered from memory.
type ReplicaConfig struct {
	Mode             string  // --replica: ReplicaAuto or Off
	MaxRelationships int     // --replica-max-relationships: above it SpiceDB answers everything
	Verify           float64 // --replica-verify: the share of answers that SpiceDB is asked as well
}

// ReplicaAuto answers from memory what can be answered exactly.
const ReplicaAuto = "auto"

// Validate returns an error of one line that names the first wrong setting by its flag.
func (c ReplicaConfig) Validate() error {
	switch {
	case c.Mode != ReplicaAuto && c.Mode != Off:
		return fmt.Errorf("--replica: %q is neither %s nor %s", c.Mode, ReplicaAuto, Off)
	case c.MaxRelationships <= 0:
		return fmt.Errorf(
			"--replica-max-relationships: %d is not more than zero; --replica off does without the replica", c.MaxRelationships,
		)
	case !(c.Verify >= 0 && c.Verify <= 1):
		return fmt.Errorf("--replica-verify: %g is no share from 0 to 1", c.Verify)
	}
	return nil
}

// StoreConfig says where the relationships are: in a remote SpiceDB if Endpoint is set, else in an embedded one.
type StoreConfig struct {
	Endpoint string // --spicedb-endpoint: host:port
	Token    string // --spicedb-token: its preshared key
	CA       string // --spicedb-ca: PEM file of the authority that signed its certificate
	Insecure bool   // --spicedb-insecure: no TLS

	Datastore    string // --datastore: sqlite, memory, postgres or cockroachdb
	DataDir      string // --data-dir: of sqlite and of the audit log; DefaultDataDir if empty
	DatastoreURI string // --datastore-uri: of postgres and cockroachdb
}

// DefaultDataDir is where a server keeps its files unless it is told otherwise.
const DefaultDataDir = "./data"

// Directory is where the relationships are kept; empty unless they are in a directory.
func (c StoreConfig) Directory() string {
	if c.Remote() || c.Datastore != spicedb.SQLite {
		return ""
	}
	return cmp.Or(c.DataDir, DefaultDataDir)
}

// Remote reports whether the relationships are in a SpiceDB elsewhere.
func (c StoreConfig) Remote() bool { return c.Endpoint != "" }

// DefaultConfig is a server with an embedded SpiceDB that keeps everything in DefaultDataDir and that only this machine
// can reach.
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

// Validate returns an error of one line that names the first wrong setting by its flag.
func (c Config) Validate() error {
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
				"--public-url: not an address such as https://authz.example.com, with neither a password nor a query",
			)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	if c.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			return fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
	}
	if c.RequestTimeout <= 0 {
		return fmt.Errorf("--request-timeout: %s is not more than zero", c.RequestTimeout)
	}
	if c.Expensive <= 0 {
		return fmt.Errorf("--expensive-requests: %d is not more than zero", c.Expensive)
	}
	if c.ShutdownDelay < 0 {
		return fmt.Errorf("--shutdown-delay: %s is less than zero", c.ShutdownDelay)
	}
	if c.DrainTimeout < 0 {
		return fmt.Errorf("--drain-timeout: %s is less than zero", c.DrainTimeout)
	}
	if err := c.Store.Validate(); err != nil {
		return err
	}
	if err := c.Replica.Validate(); err != nil {
		return err
	}
	return c.validateAudit()
}

// Validate returns an error of one line that names the first wrong setting by its flag.
func (c StoreConfig) Validate() error {
	if c.Remote() {
		if _, _, err := net.SplitHostPort(c.Endpoint); err != nil {
			return fmt.Errorf("--spicedb-endpoint: %q is not host:port", c.Endpoint)
		}
		if c.Token == "" {
			return errors.New("--spicedb-token: a remote SpiceDB needs its preshared key")
		}
		if c.Insecure && c.CA != "" {
			return errors.New("--spicedb-insecure and --spicedb-ca exclude one another")
		}
		if c.CA != "" {
			if _, err := os.Stat(c.CA); err != nil {
				return fmt.Errorf("--spicedb-ca: %w", err)
			}
		}
		if c.DatastoreURI != "" {
			return errors.New("--datastore-uri: with --spicedb-endpoint, that SpiceDB keeps the data")
		}
		return nil
	}
	for flag, given := range map[string]bool{
		"--spicedb-token": c.Token != "", "--spicedb-ca": c.CA != "", "--spicedb-insecure": c.Insecure,
	} {
		if given {
			return fmt.Errorf("%s: there is no --spicedb-endpoint that it is for", flag)
		}
	}
	if c.DataDir != "" && c.Datastore == spicedb.Memory {
		return fmt.Errorf("--data-dir: the datastore %s takes none", c.Datastore)
	}
	switch c.Datastore {
	case spicedb.Memory, spicedb.SQLite:
		if c.DatastoreURI != "" {
			return fmt.Errorf("--datastore-uri: the datastore %s takes none", c.Datastore)
		}
	case spicedb.Postgres, spicedb.CockroachDB:
		if c.DatastoreURI == "" {
			return fmt.Errorf(
				"--datastore-uri: the datastore %s needs one, such as postgres://user:password@host:5432/database", c.Datastore,
			)
		}
	default:
		return fmt.Errorf(
			"--datastore: %q is none of %s, %s, %s, %s", c.Datastore, spicedb.SQLite, spicedb.Memory, spicedb.Postgres,
			spicedb.CockroachDB,
		)
	}
	return nil
}

// validateMadeKeys refuses to make a key for an address that other machines can reach: it would be printed to the log
// of a container, and have every scope.
func (c Config) validateMadeKeys() error {
	if len(c.APIKeys) == 0 && c.APIKeysFile == "" && !isLoopback(c.Listen) {
		return fmt.Errorf(
			"--api-key or --api-keys-file: needed because other machines can reach %s; a key is made only for a loopback "+
				"--listen; `sluice key new` makes keys",
			c.Listen,
		)
	}
	if c.GRPCListen != Off && !c.Store.Remote() && c.GRPCKey == "" && !isLoopback(c.GRPCListen) {
		return fmt.Errorf(
			"--grpc-key: needed because other machines can reach %s; a key is made only for a loopback --grpc-listen",
			c.GRPCListen,
		)
	}
	return nil
}

// isLoopback reports whether only this machine reaches an address.
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

// secret returns the given key, or a new one if there is none.
func secret(given string) (key string, made bool) {
	if given != "" {
		return given, false
	}
	return rand.Text(), true
}
