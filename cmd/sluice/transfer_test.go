package main

import (
	"net/http"
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
	stored, _, _ = sluice(t, "export", "-", "--data-dir", data)
	require.Contains(t, stored, "  account:a#team@service_account:*\n", "the import completes the flags")
	require.Contains(t, stored, "  subscription:s#multi_owner@service_account:*\n")
	flagless, first := productFile(t, append(smallCompany, "connector:c#catalogue@service_account:*")...)
	_, stderr, code = sluice(t, "import", flagless, "--dry-run", "--data-dir", data)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "line "+strconv.Itoa(first+7)+": connector:c has the flag catalogue for service_account:*")
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

// exportForeignIDs checks that an export can always be imported, even if another tool stored ids in the running
// server with the demo company, and after operations have removed the objects with these ids. Without the first line
// of an export, the import rejects the ids.
func exportForeignIDs(t *testing.T, s *serving) {
	t.Helper()
	export := func() string {
		stdout, stderr, code := sluice(t, append([]string{"export", "-"}, s.remote()...)...)
		require.Zero(t, code, stderr)
		return stdout
	}
	file := filepath.Join(t.TempDir(), "foreign.yaml")
	run := func(content string, wanted int, args ...string) string {
		t.Helper()
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		stdout, stderr, code := sluice(t, append([]string{"import", file}, args...)...)
		require.Equal(t, wanted, code, stdout+stderr)
		return stderr
	}
	isImportable := func(content string) {
		t.Helper()
		data := filepath.Join(t.TempDir(), "data")
		run(content, 0, "--dry-run", "--data-dir", data)
		run(content, 0, "--data-dir", data)
	}
	run(export()+"  account:marketing#user@user:bad=zz\n  importer:i=zz#account@account:marketing\n"+
		"  importer:i=zz#creator@user:bad=zz\n", 0, s.remote()...)
	isImportable(export())
	for _, request := range []string{"/v1/importers/stored:i=zz", "/v1/accounts/marketing/members/stored:bad=zz"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.url+request, http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+s.key)
		request.Header.Set("Sluice-Actor", "uma")
		if strings.HasPrefix(request.URL.Path, "/v1/importers/") {
			request.Header.Set("Sluice-Actor", "bob")
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	exported := export()
	for _, record := range []string{"deletion:importer/stored=3Ai=3Dzz#done@user:bob", "removed_user:bad=zz#from@account:marketing"} {
		require.Contains(t, exported, record)
	}
	isImportable(exported)
	_, unmarked, _ := strings.Cut(exported, "\n")
	stderr := run(unmarked, 2, "--dry-run", "--data-dir", t.TempDir())
	require.Contains(t, stderr, `the id "bad=zz" of a removed_user has a character '=' that begins no escape`)
}
