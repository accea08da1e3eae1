package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// productFile writes a validation YAML with the product's schema. It returns its path and the line of the first
// relationship.
func productFile(t *testing.T, rows ...string) (file string, firstLine int) {
	t.Helper()
	product, stderr, code := sluice(t, "schema", "print")
	require.Zero(t, code, stderr)
	head := "schema: |-\n  " + strings.ReplaceAll(strings.TrimSpace(product), "\n", "\n  ") + "\nrelationships: |-\n"
	file = filepath.Join(t.TempDir(), "company.yaml")
	require.NoError(t, os.WriteFile(file, []byte(head+"  "+strings.Join(rows, "\n  ")+"\n"), 0o600))
	return file, strings.Count(head, "\n") + 1
}

var smallCompany = []string{
	"subscription:s#platform@platform:main", "subscription:s#multi_owner@user:*",
	"subscription:s#members_create_accounts@user:*",
	"subscription:s#owner@user:olga", "account:a#subscription@subscription:s", "account:a#team@user:*",
	"account:a#owner@user:olga",
}

// TestImportChecksRules checks that --dry-run and an import name the line and the rule, for files and pipes, and write
// nothing.
func TestImportChecksRules(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	broken, first := productFile(t, append(smallCompany[:5:5], smallCompany[6])...)
	wanted := "line " + strconv.Itoa(first+4) + ": account:a has no role set"
	good, _ := productFile(t, smallCompany...)

	_, stderr, code := sluice(t, "import", broken, "--dry-run", "--data-dir", data)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, wanted)
	stdout, stderr, code := sluice(t, "import", good, "--dry-run", "--data-dir", data)
	require.Zero(t, code, stderr)
	require.Equal(t, good+" has 7 relationships that can be imported; nothing was written\n", stdout)
	require.NoDirExists(t, data)

	content, err := os.ReadFile(broken)
	require.NoError(t, err)
	piped := program(t.Context(), "import", "-", "--data-dir", data)
	piped.Stdin = strings.NewReader(string(content))
	out, err := piped.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), wanted)
	_, stderr, code = sluice(t, "import", broken, "--data-dir", data)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, wanted)
	stored, _, _ := sluice(t, "export", "-", "--data-dir", data)
	require.NotContains(t, stored, "subscription:s")

	stdout, stderr, code = sluice(t, "import", good, "--data-dir", data)
	require.Zero(t, code, stderr)
	require.Equal(t, "imported 7 relationships\n", stdout)
	again, first := productFile(t, "account:a#analytics@user:*")
	_, stderr, code = sluice(t, "import", again, "--dry-run", "--data-dir", data)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "line "+strconv.Itoa(first)+": account:a has more than one role set")
}

// TestImportWarnsOfNewerSchema checks that an import into a store with a newer schema warns that the store keeps it.
func TestImportWarnsOfNewerSchema(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := start(t, "--data-dir", data)
	require.Zero(t, s.stop(t), s.log)
	older, newer := filepath.Join(t.TempDir(), "older.yaml"), filepath.Join(t.TempDir(), "newer.yaml")
	_, stderr, code := sluice(t, "export", older, "--data-dir", data)
	require.Zero(t, code, stderr)
	content, err := os.ReadFile(older)
	require.NoError(t, err)
	version := regexp.MustCompile(`"version":\d+`)
	require.True(t, version.Match(content))
	require.NoError(t, os.WriteFile(newer, version.ReplaceAll(content, []byte(`"version":999999`)), 0o600))
	_, stderr, code = sluice(t, "import", newer, "--data-dir", data)
	require.Zero(t, code, stderr)
	require.NotContains(t, stderr, "keeps its schema")
	_, stderr, code = sluice(t, "import", older, "--data-dir", data)
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "the store keeps its schema, which is newer than the file's")
}
