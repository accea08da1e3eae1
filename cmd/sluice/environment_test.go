package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestForeignVariables checks that variables of other programs do not prevent the start. Kubernetes, for example, sets
// such variables for a service named sluice in every container of its namespace.
func TestForeignVariables(t *testing.T) {
	for _, name := range []string{
		"SLUICE_SERVICE_HOST", "SLUICE_SERVICE_PORT", "SLUICE_SERVICE_PORT_HTTP",
		"SLUICE_PORT_8080_TCP_ADDR", "SLUICE_CONSOLE_SERVICE_HOST", "SLUICE_POSTGRES_PASSWORD", "SLUICE_REQUIRE_CONTAINERS",
	} {
		t.Setenv(name, "x")
	}
	for _, name := range []string{"SLUICE_PORT", "SLUICE_PORT_8080_TCP", "SLUICE_CONSOLE_PORT"} {
		t.Setenv(name, "tcp://10.0.0.1:8080")
	}
	_, stderr, code := sluice(t, "schema", "print")
	require.Zero(t, code, stderr)
}

// TestEmptySecretsStopEveryCommand checks that a deployment that lost a secret does not start without it.
func TestEmptySecretsStopEveryCommand(t *testing.T) {
	var secrets []string
	for name, needsValue := range variables(newRoot()) {
		if needsValue {
			secrets = append(secrets, name)
		}
	}
	slices.Sort(secrets)
	require.Equal(t, []string{
		"SLUICE_API_KEYS", "SLUICE_API_KEYS_FILE", "SLUICE_AUDIT_URI", "SLUICE_DATASTORE_URI", "SLUICE_GRPC_KEY",
		"SLUICE_KEY",
		"SLUICE_POSTGRES_PASSWORD", "SLUICE_SPICEDB_TOKEN",
	}, secrets)
	for _, name := range secrets {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "")
			for _, args := range [][]string{
				{"serve"}, {"check", "user:a", "view", "account:b"}, {"backup", "b.db"}, {"schema", "print"},
			} {
				_, stderr, code := sluice(t, args...)
				require.Equal(t, 2, code, args)
				require.Contains(t, stderr, name+": the value is empty", args)
			}
		})
	}
}

// TestSafetyChecksHaveNoVariables checks that only the command line turns off a safety check. A variable that no
// command reads stops every command, even one whose flags have no variables.
func TestSafetyChecksHaveNoVariables(t *testing.T) {
	for _, c := range []struct{ variable, nearest string }{
		{"SLUICE_ALLOW_BREAKING", ""},
		{"SLUICE_ALLOW_UNSEALED", ""},
		{"SLUICE_REPLACE", "SLUICE_REPLICA"},
		{"SLUICE_STORED", ""},
		{"SLUICE_NAME", ""},
		{"SLUICE_PORT", "SLUICE_LISTEN has the address and port of the server"},
	} {
		t.Run(c.variable, func(t *testing.T) {
			t.Setenv(c.variable, "true")
			for _, args := range [][]string{{"schema", "print"}, {"key", "new", "--name", "a"}} {
				_, stderr, code := sluice(t, args...)
				require.Equal(t, 2, code, args)
				require.Contains(t, stderr, c.variable+": the environment has this variable, which Sluice does not know")
				require.NotContains(t, stderr, "SLUICE_PORT_1")
				require.Contains(t, stderr, c.nearest)
			}
		})
	}
}
