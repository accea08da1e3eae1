package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// explain explains decisions about the demo company.
func explain(t *testing.T) {
	t.Helper()
	stdout, stderr, code := sluice(t, "explain", "user:uma", "run", "importer:crm-to-warehouse", "--trace")
	require.Zero(t, code, stderr)
	require.Contains(
		t,
		stdout,
		`allowed: uma has the permission run on importer crm-to-warehouse, because uma is a user of account marketing

importer:crm-to-warehouse
└── account account:marketing  (importer crm-to-warehouse is in account marketing)
    └── user user:uma  (uma is a user of account marketing)

allowed run on importer:crm-to-warehouse
└── `,
	)

	stdout, _, code = sluice(t, "explain", "user:gus", "delete", "importer:crm-to-warehouse")
	require.Equal(t, 1, code)
	require.Contains(
		t,
		stdout,
		`denied: gus lacks the permission delete on importer crm-to-warehouse. gus is not an owner of account marketing. An owner of account marketing can do that: bob

gus is not an owner of account marketing. An owner of account marketing can do that: bob
├── account:marketing owner user:gus
├── account:marketing guest user:gus (deleted)
└── PUT /v1/accounts/marketing/members/gus {"roles":["owner"]}
    ├── needs assign_roles on account:marketing
    ├── owner of account:marketing: bob
`,
	)

	stdout, _, code = sluice(t, "explain", "user:gus", "delete", "importer:crm-to-warehouse", "--actor", "gus")
	require.Equal(t, 1, code)
	require.Equal(
		t,
		"denied: gus lacks the permission delete on importer crm-to-warehouse; there is no importer crm-to-warehouse, or gus may not see it\n",
		stdout,
	)
	stdout, _, code = sluice(t, "explain", "user:gus", "delete", "importer:crm-to-warehouse", "--actor", "uma")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "(some parts are hidden from the reader)\n")
	typed, _, _ := sluice(t, "explain", "user:gus", "delete", "importer:crm-to-warehouse", "--actor", "user:uma")
	require.Equal(t, stdout, typed)
	stdout, _, _ = sluice(t, "explain", "user:gus", "delete", "importer:nope")
	require.Equal(
		t,
		"denied: gus lacks the permission delete on importer nope. importer nope is not stored: no relationship has it as its resource\n",
		stdout,
	)

	_, stderr, code = sluice(t, "explain", "user:uma", "run", "importer:crm-to-warehouse", "--actor", "gus")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "not_found")

	stdout, _, code = sluice(t, "explain", "user:uma", "run", "importer:crm-to-warehouse", "--json")
	require.Zero(t, code)
	var answer struct{ Allowed bool }
	require.NoError(t, json.Unmarshal([]byte(stdout), &answer))
	require.True(t, answer.Allowed)
}

// TestExplainConditions checks how the results of caveats are printed.
func TestExplainConditions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doors.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`schema: |-
  caveat office_hours(hour int) { hour >= 9 && hour < 17 }
  definition user {}
  definition door {
    relation opener: user with office_hours
    relation barred: user
    permission enter = opener - barred
  }
relationships: |-
  door:d1#opener@user:office[office_hours]
`), 0o600))
	s := start(t, "--schema", file)
	t.Setenv("SLUICE_URL", s.url)
	t.Setenv("SLUICE_KEY", s.key)
	for context, want := range map[string]string{
		`{"hour":10}`: `allowed: office has the permission enter on door d1, because office is opener of door d1, on the condition office_hours (hour >= 9 && hour < 17)

door:d1
└── opener user:office  (office is opener of door d1, on the condition office_hours (hour >= 9 && hour < 17))

allowed enter on door:d1; the condition office_hours (hour >= 9 && hour < 17) holds
├── allowed opener on door:d1; the condition office_hours (hour >= 9 && hour < 17) holds
└── denied barred on door:d1
`,
		`{"hour":20}`: `denied: office lacks the permission enter on door d1. office is opener of door d1, but the condition office_hours (hour >= 9 && hour < 17) does not hold

office is opener of door d1, but the condition office_hours (hour >= 9 && hour < 17) does not hold
└── door:d1 opener user:office

denied enter on door:d1; the condition office_hours (hour >= 9 && hour < 17) does not hold
├── denied opener on door:d1; the condition office_hours (hour >= 9 && hour < 17) does not hold
└── denied barred on door:d1
`,
	} {
		stdout, stderr, _ := sluice(t, "explain", "user:office", "enter", "door:d1", "--context", context, "--trace")
		require.Equal(t, want, stdout, stderr)
	}
	require.Zero(t, s.stop(t), s.log)
}

func TestTerminalSeesNoControlCharacters(t *testing.T) {
	require.Equal(t, "user:größe", printable("user:größe"))
	require.Equal(t, `"user:\x1b[31m"`, printable("user:\x1b[31m"))
}
