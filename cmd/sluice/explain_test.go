package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExplain asks a server with the demo company in it why.
func TestExplain(t *testing.T) {
	s := start(t, "--demo")
	t.Setenv("SLUICE_URL", s.url)
	t.Setenv("SLUICE_KEY", s.key)

	stdout, stderr, code := sluice(t, "explain", "user:uma", "run", "importer:crm-to-warehouse", "--trace")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, `allowed: uma is user of account marketing, which may run its importers

importer:crm-to-warehouse
└── account account:marketing  (importer crm-to-warehouse is in account marketing)
    └── user user:uma  (uma is user of account marketing)

allowed run on importer:crm-to-warehouse
└── `)

	stdout, _, code = sluice(t, "explain", "user:gus", "delete", "importer:crm-to-warehouse")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, `denied: gus may not delete importer crm-to-warehouse; missing is that gus is owner of account marketing: ask an owner of account marketing: bob

gus is owner of account marketing: ask an owner of account marketing: bob
├── account:marketing owner user:gus
└── PUT /v1/accounts/marketing/members/gus {"roles":["owner"]}
    ├── needs assign_roles on account:marketing
    ├── owner of account:marketing: bob
`)

	stdout, _, code = sluice(t, "explain", "user:gus", "delete", "importer:crm-to-warehouse", "--actor", "gus")
	require.Equal(t, 1, code)
	require.Equal(t, "denied: gus may not delete importer crm-to-warehouse; there is no importer crm-to-warehouse, or gus may not see it\n", stdout)
	_, stderr, code = sluice(t, "explain", "user:uma", "run", "importer:crm-to-warehouse", "--actor", "gus")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "not_found")

	stdout, _, code = sluice(t, "explain", "user:uma", "run", "importer:crm-to-warehouse", "--json")
	require.Zero(t, code)
	var answer struct{ Allowed bool }
	require.NoError(t, json.Unmarshal([]byte(stdout), &answer))
	require.True(t, answer.Allowed)
	require.Zero(t, s.stop(t), s.log)
}

func TestTerminalSeesNoControlCharacters(t *testing.T) {
	require.Equal(t, "user:größe", printable("user:größe"))
	require.Equal(t, `"user:\x1b[31m"`, printable("user:\x1b[31m"))
}
