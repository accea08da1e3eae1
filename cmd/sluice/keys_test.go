package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKeysAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.txt")
	newKey := func(name string) (key, line string) {
		key, line, _ = strings.Cut(newKeyFor(t, name, "inspect"), "\n")
		return key, line
	}
	first, firstLine := newKey("first")
	second, secondLine := newKey("second")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	_, charts, _ := strings.Cut(newKeyFor(t, "charts", "write:nosuchtype"), "\n")
	write(firstLine + charts)
	s := start(t, "--api-keys-file", file)
	const warning = `"msg":"a scope write:TYPE of the API key names a type that the schema does not have","key":"charts","type":"nosuchtype"`
	s.log.await(t, warning)
	require.Empty(t, s.key)
	status := func(key string) int {
		code, _ := get(t, http.DefaultClient, s.url+"/v1/role-sets", key)
		return code
	}
	require.Equal(t, http.StatusOK, status(first))
	require.Equal(t, http.StatusUnauthorized, status(second))

	write("this is no line of a keys file")
	require.NoError(t, s.Process.Signal(syscall.SIGHUP))
	write(strings.Replace(firstLine, "inspect", "write:account", 1))
	require.NoError(t, s.Process.Signal(syscall.SIGHUP))
	s.log.await(t, "the scope write:account names a type of the product")
	write(secondLine + charts)
	eventually(t, "the new key is known", func() bool {
		require.NoError(t, s.Process.Signal(syscall.SIGHUP))
		return status(second) == http.StatusOK
	})
	require.Equal(t, http.StatusUnauthorized, status(first))
	require.Zero(t, s.stop(t))
	require.GreaterOrEqual(t, strings.Count(s.log.String(), warning), 2, "at the start, and when the file was read again")
}

// newKeyFor makes a key. It returns the key, and its line for a keys file.
func newKeyFor(t *testing.T, name, scopes string) string {
	t.Helper()
	stdout, stderr, code := sluice(t, "key", "new", "--name", name, "--scopes", scopes)
	require.Zero(t, code, stderr)
	return stdout
}

// TestExpiringKeys checks that an expired key is rejected, and that the log and a metric report the expiration in
// advance.
func TestExpiringKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.txt")
	secrets := map[string]string{}
	var lines string
	for name, end := range map[string]time.Duration{
		"ended": -time.Minute, "soon": 13 * 24 * time.Hour, "later": 15 * 24 * time.Hour, "last": 0,
	} {
		stdout, _, code := sluice(t, "key", "new", "--name", name, "--scopes", "inspect", "--rate", "1000/s")
		require.Zero(t, code)
		secret, line, _ := strings.Cut(strings.TrimSpace(stdout), "\n")
		secrets[name] = secret
		expires := time.Now().Add(end).UTC().Format(time.RFC3339)
		if name == "last" { // later than any time.Duration from now
			expires = "9999-12-31T23:59:59Z"
		}
		lines += line + " expires=" + expires + "\n"
	}
	require.NoError(t, os.WriteFile(file, []byte(lines), 0o600))
	s := start(t, "--api-keys-file", file)
	status, body := get(t, http.DefaultClient, s.url+"/v1/role-sets", secrets["ended"])
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "the key ended expired at ")
	status, body = get(t, http.DefaultClient, s.url+"/metrics", secrets["soon"])
	require.Equal(t, http.StatusOK, status)
	require.Regexp(t, `sluice_api_key_expires_in_seconds\{key="soon"\} 1\.12\d*e\+06`, body)
	require.Regexp(t, `sluice_api_key_expires_in_seconds\{key="ended"\} -\d+\.`, body)
	require.Regexp(t, `sluice_api_key_expires_in_seconds\{key="last"\} 2\.5\d*e\+11`, body)
	require.Zero(t, s.stop(t), s.log)
	require.Contains(
		t, s.log.String(), `"msg":"the API key expires soon; `+"`sluice key new`"+` makes another","key":"soon"`,
	)
	require.Contains(
		t, s.log.String(), `"msg":"the API key has expired; `+"`sluice key new`"+` makes another","key":"ended"`,
	)
	require.NotContains(t, s.log.String(), `"key":"later"`)
}

func TestKeyNew(t *testing.T) {
	stdout, _, code := sluice(t, "key", "new", "--name", "backend", "--scopes", "check+operate", "--rate", "50/s")
	require.Zero(t, code)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 2)
	require.Regexp(t, `^sluice_[A-Za-z0-9_-]{43}$`, lines[0])
	require.Regexp(t, `^backend check\+operate [0-9a-f]{64} 50/s$`, lines[1])
	require.NotContains(t, lines[1], lines[0])
}

// TestKeyNewChecksWriteTypes checks the types of scopes write:TYPE. Without --schema, the command cannot know that
// the schema lacks a type.
func TestKeyNewChecksWriteTypes(t *testing.T) {
	schema, err := filepath.Abs("../../tests/testdata/own.zed")
	require.NoError(t, err)
	run := func(args ...string) (stdout, stderr string, code int) {
		return sluice(t, append([]string{"key", "new", "--name", "charts"}, args...)...)
	}
	for _, args := range [][]string{{}, {"--schema", schema}} {
		stdout, stderr, code := run(append(args, "--scopes", "check+write:account")...)
		require.Equal(t, 2, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "--scopes: the scope write:account names a type of the product")
	}
	stdout, stderr, code := run("--scopes", "write:nosuchtype")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "charts write:nosuchtype ")
	require.Equal(t, "note: --schema FILE checks that your schema has the types of --scopes\n", stderr)
	stdout, stderr, code = run("--scopes", "write:foldr", "--schema", schema)
	require.Equal(t, 2, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, `the schema has no type "foldr"`)
	require.Contains(t, stderr, "folder")
	for _, scopes := range []string{"write:folder", "check+write"} {
		stdout, stderr, code = run("--scopes", scopes, "--schema", schema)
		require.Zero(t, code, stderr)
		require.Contains(t, stdout, "charts "+scopes+" ")
		require.Empty(t, stderr)
	}
}

func TestKeyNewThatExpires(t *testing.T) {
	before := time.Now()
	stdout, _, code := sluice(t, "key", "new", "--name", "nightly", "--scopes", "check", "--expires-in", "90d")
	require.Zero(t, code)
	_, end, found := strings.Cut(strings.TrimSpace(stdout), " expires=")
	require.True(t, found, stdout)
	at, err := time.Parse(time.RFC3339, end)
	require.NoError(t, err)
	const ninetyDays = 90 * 24 * time.Hour
	require.WithinRange(t, at, before.Add(ninetyDays-time.Second), time.Now().Add(ninetyDays+time.Second))
}
