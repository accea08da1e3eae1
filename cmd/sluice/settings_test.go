package main

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWrongSettings checks that an invalid setting ends the program with one line that names it and contains no secret.
func TestWrongSettings(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	for _, c := range []struct {
		args []string
		env  [2]string
		says string
	}{
		{args: []string{"serve", "--listen", "nowhere"}, says: "--listen"},
		{args: []string{"serve", "--grpc-listen", "nowhere"}, says: "--grpc-listen"},
		{args: []string{"serve", "--api-key", "backend:everything:a-secret-of-mine"}, says: "--api-key"},
		{
			args: []string{"serve", "--api-key", "backend:check+write:account:a-secret-of-mine"},
			says: "--api-key: the key backend: the scope write:account names a type of the product",
		},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS", "backend:write:Dashboard:a-secret-of-mine"},
			says: "the text between write: and the next colon must be the name of a type",
		},
		{args: []string{"serve", "--api-keys-file", "no-such-file"}, says: "--api-keys-file"},
		{args: []string{"serve", "--datastore", "mysql"}, says: "--datastore"},
		{args: []string{"serve", "--datastore", "postgres"}, says: "--datastore-uri"},
		{
			args: []string{"serve", "--datastore-uri", "postgres://localhost"},
			says: "--datastore-uri: the datastore sqlite has no URI",
		},
		{
			args: []string{"serve", "--datastore", "memory", "--data-dir", "here"},
			says: "--data-dir: the datastore memory has no data directory",
		},
		{
			args: []string{
				"serve", "--spicedb-endpoint", "localhost:1", "--spicedb-token", "a-secret-of-mine", "--datastore-uri",
				"postgres://localhost",
			},
			says: "--datastore-uri: the SpiceDB of --spicedb-endpoint stores the data",
		},
		{args: []string{"serve", "--data-dir", "main_test.go/here"}, says: "cannot make the data directory"},
		{args: []string{"serve", "--spicedb-endpoint", "localhost:1"}, says: "--spicedb-token"},
		{
			args: []string{"serve", "--spicedb-endpoint", "localhost", "--spicedb-token", "a-secret-of-mine"},
			says: "--spicedb-endpoint",
		},
		{
			args: []string{"serve", "--datastore", "memory", "--audit-uri", "postgres://u:a-secret-of-mine@127.0.0.1:1/d"},
			says: "--audit-uri",
		},
		{
			args: []string{
				"serve", "--spicedb-endpoint", "localhost:1", "--spicedb-token", "a-secret-of-mine", "--audit-uri",
				"postgres://u:a-secret-of-mine@127.0.0.1:1/d",
			},
			says: "--audit-uri",
		},
		{
			args: []string{
				"serve", "--spicedb-endpoint", "localhost:1", "--spicedb-token", "a-secret-of-mine", "--audit-uri",
				"mysql://u:a-secret-of-mine@127.0.0.1:1/d",
			},
			says: "--audit-uri",
		},
		{
			args: []string{
				"serve", "--spicedb-endpoint", "localhost:1", "--spicedb-token", "a-secret-of-mine", "--data-dir", "main.go/data",
			},
			says: "--data-dir",
		},
		{args: []string{"serve", "--public-url", "authz.example.com"}, says: "--public-url"},
		{args: []string{"serve", "--public-url", "https://authz.example.com/?tenant=1"}, says: "--public-url"},
		{args: []string{"serve", "--public-url", "https://u:a-secret-of-mine@authz.example.com"}, says: "--public-url"},
		{args: []string{"serve", "--tls-cert", "cert.pem"}, says: "--tls-key"},
		{args: []string{"serve", "--schema", "no-such-file.zed"}, says: "--schema"},
		{args: []string{"serve", "--log-level", "loud"}, says: "--log-level"},
		{args: []string{"serve", "--log-format", "xml"}, says: "--log-format"},
		{args: []string{"serve", "--request-timeout", "0s"}, says: "--request-timeout"},
		{args: []string{"serve", "--expensive-requests", "0"}, says: "--expensive-requests"},
		{args: []string{"serve"}, env: [2]string{"SLUICE_REQUEST_TIMEOUT", "soon"}, says: "SLUICE_REQUEST_TIMEOUT"},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS", "backend:everything:a-secret-of-mine"}, says: "--api-key",
		},
		{
			args: []string{"serve", "--datastore", "memory", "--grpc-listen", taken.Addr().String(), "--listen", "127.0.0.1:0"},
			says: "--grpc-listen",
		},
		{
			args: []string{"serve", "--datastore", "memory", "--listen", taken.Addr().String(), "--grpc-listen", "off"},
			says: "--listen",
		},
		{
			args: []string{"serve", "--datastore", "postgres", "--datastore-uri", "postgres://u:a-secret-of-mine@127.0.0.1:1/d"},
			says: "--datastore-uri",
		},
		{args: []string{"serve", "--tls-cert", "main.go", "--tls-key", "main.go"}, says: "--tls-cert"},
		{args: []string{"serve", "--demo", "--api-key", "app:check:a-secret-of-mine"}, says: "sluice demo"},
		{args: []string{"serve"}, env: [2]string{"OTEL_TRACES_EXPORTER", "pigeon"}, says: "OTEL_TRACES_EXPORTER"},
		{args: []string{"health", "--ca", "no-such-file"}, says: "--ca"},
		{args: []string{"health", "--ca", "main.go"}, says: "--ca"},
		{
			args: []string{"serve", "surplus"},
			says: `sluice serve takes no arguments, only flags; given: "surplus"; sluice serve --help lists the flags`,
		},
		{args: []string{"check", "user:a", "view"}, says: "subject, a permission and a resource"},
		{args: []string{"check", "user:a", "view", "account:b"}, says: "--key"},
		{args: []string{"get"}, says: "one object"},
		{args: []string{"get", "leads", "--actor", "uma"}, says: "type:id"},
		{args: []string{"get", "importer:leads"}, says: "--actor"},
		{args: []string{"get", "importer:leads", "--actor", "uma"}, says: "--key"},
		{args: []string{"explain", "user:a", "view"}, says: "sluice explain user:uma run importer:i1"},
		{args: []string{"explain", "user:a", "view", "account:b"}, says: "--key"},
		{args: []string{"demo"}, says: "--key"},
		{args: []string{"audit", "verify", "--data-dir", "nowhere"}, says: "there is no audit log"},
		{args: []string{"audit", "head", "--audit-uri", "postgres://u:a-secret-of-mine@127.0.0.1:1/d"}, says: "--audit-uri"},
		{
			args: []string{"serve", "--listen", "0.0.0.0:0"},
			says: "--api-key or --api-keys-file: required because other machines can reach",
		},
		{args: []string{"serve", "--listen", ":0"}, says: "--api-key or --api-keys-file: required"},
		{args: []string{"serve", "--grpc-listen", "0.0.0.0:0"}, says: "--grpc-key: required because other machines can reach"},
		{args: []string{"serve", "--metrics-listen", "nowhere"}, says: "--metrics-listen"},
		{
			args: []string{"serve", "--datastore", "memory", "--grpc-listen", "off", "--metrics-listen", taken.Addr().String()},
			says: "--metrics-listen",
		},
		{args: []string{"serve", "--shutdown-delay", "-1s"}, says: "--shutdown-delay"},
		{args: []string{"serve", "--api-keys-file", ""}, says: "--api-keys-file: the value is empty"},
		{args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS", ""}, says: "SLUICE_API_KEYS: the value is empty"},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS_FILE", " "},
			says: "SLUICE_API_KEYS_FILE: the value is empty",
		},
		{args: []string{"serve"}, env: [2]string{"SLUICE_API_KEYS", "app:check:a-secret-of-mine,"}, says: "--api-key"},
		{args: []string{"serve"}, env: [2]string{"SLUICE_GRPC_KEY", ""}, says: "SLUICE_GRPC_KEY: the value is empty"},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_API_KEY", "app:check:a-secret-of-mine"},
			says: "SLUICE_API_KEY: the environment has this variable, which Sluice does not know; the nearest is SLUICE_API_KEYS; unset it",
		},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_HTTP_PORT", "9090"},
			says: "SLUICE_HTTP_PORT: the environment has this variable",
		},
		{
			args: []string{"serve"}, env: [2]string{"SLUICE_PORT", "9090"},
			says: "SLUICE_PORT: the environment has this variable",
		},
		{args: []string{"serve"}, env: [2]string{"SLUICE_HELP", "1"}, says: "SLUICE_HELP: the environment has this variable"},
		{
			args: []string{"check", "user:a", "view", "account:b"}, env: [2]string{"SLUICE_DATADIR", "x"},
			says: "the nearest is SLUICE_DATA_DIR",
		},
		{args: []string{"serve"}, env: [2]string{"SLUICE_" + strings.Repeat("X", 10000), "x"}, says: "SLUICE_XXX"},
		{args: []string{"audit", "nope"}, says: "nope"},
		{args: []string{"audit", "verfy"}, says: "did you mean verify?"},
		{args: []string{"srve"}, says: "did you mean serve?"},
		{args: []string{"schema", "diff"}, says: "there is no store in ./data"},
		{args: []string{"schema", "diff", "--datastore", "memory"}, says: "--datastore"},
		{
			args: []string{"backup"},
			says: "give one file, for example: sluice backup sluice-2026-11-24.db; given: 0 arguments",
		},
		{args: []string{"backup", "b.db", "--data-dir", "nowhere"}, says: "there is no store in nowhere"},
		{args: []string{"restore", "main_test.go", "--data-dir", "nowhere"}, says: "is not a SQLite file"},
		{args: []string{"export", "main_test.go", "--data-dir", "nowhere"}, says: "there is no store in nowhere"},
		{args: []string{"export", "x.yaml", "--datastore", "memory"}, says: "the datastore memory is lost when its server ends"},
		{args: []string{"import", "no-such-file.yaml"}, says: "no-such-file.yaml"},
		{args: []string{"import", "main_test.go", "--data-dir", "nowhere"}, says: "sluice: line 1: "},
		{args: []string{"nonsense"}, says: "sluice --help lists them"},
		{args: []string{"schema", "aply"}, says: "did you mean apply?"},
		{args: []string{"srve", "--demo"}, says: "did you mean serve?"},
		{args: []string{"bakcup", "--data-dir", "x"}, says: "did you mean backup?"},
		{args: []string{"audit", "verfy", "--head", "x"}, says: "did you mean verify?"},
		{args: []string{"schema", "aply", "--allow-breaking"}, says: "did you mean apply?"},
		{args: []string{"--nope"}, says: "unknown flag: --nope"},
		{args: []string{"serve", "--nope"}, says: "unknown flag: --nope"},
		{args: []string{"key", "nwe"}, says: "did you mean new?"},
		{args: []string{"help", "serv"}, says: "did you mean serve?"},
		{args: []string{"help", "schema", "aply"}, says: "did you mean apply?"},
		{args: []string{"serv", "--help"}, says: "did you mean serve?"},
		{args: []string{"schema", "aply", "-h"}, says: "did you mean apply?"},
		{args: []string{"completion", "bsh"}, says: "did you mean bash or"},
		{args: []string{"key", "new"}, says: "name"},
		{args: []string{"key", "new", "--name", "a", "--scopes", "all"}, says: "--scopes"},
		{args: []string{"key", "new", "--name", "a", "--rate", "often"}, says: "--rate"},
		{args: []string{"key", "new", "--name", "a", "--expires-in", "soon"}, says: "--expires-in"},
		{args: []string{"key", "new", "--name", "a", "--expires-in", "0s"}, says: "--expires-in"},
		{
			args: []string{"key", "new", "--name", "a", "--expires-in", "10000000d"},
			says: `--expires-in: "10000000d" must be a duration between 1s and 290y`,
		},
	} {
		t.Run(strings.Join(c.args, " ")+c.env[0], func(t *testing.T) {
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			stdout, stderr, code := sluice(t, c.args...)
			require.Equal(t, 2, code)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.says)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			require.NotContains(t, stderr, "a-secret-of-mine")
			require.NoDirExists(t, "nowhere")
		})
	}
}
