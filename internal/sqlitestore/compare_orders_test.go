package sqlitestore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	someResource = " WHERE key = (SELECT min(key) FROM by_resource)"
	someSubject  = " WHERE key = (SELECT min(key) FROM by_subject)"
)

// inconsistent has changes to a store that another program could make, and that SQLite's integrity check accepts.
var inconsistent = map[string]struct {
	statement string
	opens     bool // Open accepts the store, since it does not read the changed data
}{
	"a relationship by resource is missing": {"DELETE FROM by_resource" + someResource, false},
	"a relationship by subject is missing":  {"DELETE FROM by_subject" + someSubject, false},
	"one more by resource": {
		"INSERT INTO by_resource VALUES ('account sales owner user mallory ...', 1, NULL, NULL)", false,
	},
	"one more by subject": {
		"INSERT INTO by_subject VALUES ('user mallory ... account sales owner', 1, NULL)", false,
	},
	"another one by subject":              {"UPDATE by_subject SET key = key || 'x'" + someSubject, true},
	"another one by resource":             {"UPDATE by_resource SET key = key || 'x'" + someResource, true},
	"an invalid key":                      {"UPDATE by_resource SET key = 'x'" + someResource, true},
	"another revision":                    {"UPDATE by_subject SET created = created - 1" + someSubject, true},
	"another caveat":                      {"UPDATE by_subject SET details = x'1a020a00'" + someSubject, true},
	"malformed details":                   {"UPDATE by_resource SET details = x'ff'" + someResource, true},
	"a wrong expiration":                  {"UPDATE by_resource SET expires = 1" + someResource, true},
	"a revision that is a text":           {"UPDATE by_resource SET created = 'x'" + someResource, true},
	"details that are a text":             {"UPDATE by_subject SET details = 'x'" + someSubject, true},
	"another relationship in the history": {"UPDATE history SET swapped = swapped || 'x'", true},
	"no row of the store":                 {"DELETE FROM store", false},
	"two rows of the store":               {"INSERT INTO store VALUES ('b', 0)", false},
	"no id":                               {"UPDATE store SET id = ''", false},
	"a text instead of a number":          {"UPDATE store SET collected = 'x'", false},
	"no row of the change log":            {"DELETE FROM change", false},
	"revision 0":                          {"UPDATE change SET revision = 0", false},
	"a malformed schema": {
		"INSERT INTO definition VALUES ('schema', 'unified', 1, 0, x'ff', NULL, NULL)", false,
	},
}

// TestInconsistentTablesAreRefused checks stores whose tables contradict each other. Backup and Restore must reject
// them, even if the seal was recomputed. Open must reject them unless it does not read the changed data.
func TestInconsistentTablesAreRefused(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(newUsedStore(t, t.TempDir()))
	require.NoError(t, err)
	for name, c := range inconsistent {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			file := filepath.Join(directory, storeFile)
			require.NoError(t, os.WriteFile(file, whole, 0o600))
			doctor(t, file, []string{"PRAGMA journal_mode = delete", c.statement})
			_, err := Backup(t.Context(), directory, filepath.Join(t.TempDir(), "backup.db"))
			require.ErrorIs(t, err, ErrCorrupt)
			sealed, fresh := filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "new")
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(sealed, content, 0o600))
			opened, err := os.OpenFile(sealed, os.O_RDWR, 0)
			require.NoError(t, err)
			require.NoError(t, seal(t.Context(), opened)) // anybody can recompute the seal
			require.NoError(t, opened.Close())
			_, _, err = Restore(t.Context(), sealed, fresh, RestoreOptions{})
			require.ErrorIs(t, err, ErrCorrupt)
			require.NoDirExists(t, fresh)
			s, err := Open(directory, Options{})
			if c.opens {
				require.NoError(t, err)
				require.NoError(t, s.Close())
			} else {
				require.ErrorIs(t, err, ErrCorrupt)
			}
		})
	}
}

// TestStatisticsOfAnalyzeAreDropped runs SQLite's ANALYZE on a store. The store must still serve requests, and it can
// be backed up, restored and opened. When it is opened, the tables that ANALYZE created must be dropped.
func TestStatisticsOfAnalyzeAreDropped(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	file := newUsedStore(t, directory)
	count := func(file string) (tables int64) {
		c, err := connect(file, "ro")
		require.NoError(t, err)
		_, err = c.queryRow("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'", nil, &tables)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		return tables
	}
	s, err := Open(directory, Options{})
	require.NoError(t, err)
	doctor(t, file, []string{"ANALYZE"})
	require.Positive(t, count(file))
	requireBatches(t, s, []int{200, 0, 0, 0}) // the queries use a connection that was opened after ANALYZE
	require.NoError(t, writeBatch(t.Context(), s, 0, 201))
	backup, fresh := filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "new")
	_, err = Backup(t.Context(), directory, backup)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, _, err = Restore(t.Context(), backup, fresh, RestoreOptions{})
	require.NoError(t, err)
	require.Zero(t, count(filepath.Join(fresh, storeFile)))

	for range 2 {
		s, err = Open(directory, Options{})
		require.NoError(t, err)
		require.Zero(t, count(file))
		requireBatches(t, s, []int{201, 0, 0, 0})
		require.NoError(t, s.Close())
	}
	doctor(
		t, file,
		[]string{
			"PRAGMA writable_schema = on", "ANALYZE",
			"UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat,more)' WHERE name = 'sqlite_stat1'",
		},
	)
	_, err = Open(directory, Options{})
	require.ErrorIs(t, err, errForeign)
}
