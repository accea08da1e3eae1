package sqlitestore

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/ownfile"
)

// foreign is what a doctored file may hold, as the statements that make it.
var foreign = map[string][]string{
	"a trigger": {`CREATE TRIGGER grant_role AFTER INSERT ON change BEGIN
		INSERT OR IGNORE INTO by_resource VALUES ('account sales owner user mallory ...', 1, NULL, NULL); END`},
	"a temporary-looking trigger": {`CREATE TRIGGER sluice_gc BEFORE DELETE ON history BEGIN SELECT 1; END`},
	"a view":                      {`CREATE VIEW more AS SELECT * FROM by_resource`},
	"a table":                     {`CREATE TABLE more (id INTEGER)`},
	"an index":                    {`CREATE INDEX more ON by_resource (created)`},
	"an index that is missing":    {`DROP INDEX by_expiry`},
	"a table that is missing":     {`DROP TABLE history`},
	"a column":                    {`ALTER TABLE store ADD COLUMN more TEXT DEFAULT 'x'`},
	"a view instead of a table": {
		`ALTER TABLE by_subject RENAME TO moved`, `CREATE VIEW by_subject AS SELECT * FROM moved`,
	},
	"a constraint": {
		`DROP TABLE store`, `CREATE TABLE store (id TEXT NOT NULL, collected INTEGER NOT NULL CHECK (collected >= 0))`,
		`INSERT INTO store VALUES ('a', 1)`,
	},
	"a comment that is none": {
		`DROP TABLE store`,
		"CREATE TABLE store (id TEXT NOT NULL, collected INTEGER NOT NULL DEFAULT '--\n' )",
		`INSERT INTO store VALUES ('a', 1)`,
	},
}

// doctor runs statements on a file as another program would.
func doctor(t *testing.T, file string, statements []string) {
	t.Helper()
	c, err := connect(file, "rw")
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := c.exec(statement)
		require.NoError(t, err)
	}
	require.NoError(t, c.Close())
}

// TestForeignSQLiteSchemaIsRefused: a store with a trigger, a view or changed tables is neither opened nor copied, and a
// backup with one is not restored, sealed or not.
func TestForeignSQLiteSchemaIsRefused(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(used(t, t.TempDir()))
	require.NoError(t, err)
	for name, statements := range foreign {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			file := filepath.Join(directory, storeFile)
			require.NoError(t, os.WriteFile(file, whole, 0o600))
			doctor(t, file, statements)
			before := content(t, directory)
			_, err := Open(directory, Options{})
			require.ErrorIs(t, err, ErrForeign)
			require.ErrorContains(t, err, "its SQLite schema")
			_, err = Backup(t.Context(), directory, filepath.Join(t.TempDir(), "backup.db"))
			require.ErrorIs(t, err, ErrForeign)
			_, _, err = Restore(t.Context(), file, filepath.Join(t.TempDir(), "new"), RestoreOptions{})
			require.ErrorIs(t, err, ErrUnsealed)

			require.NoError(t, os.Remove(file+"-wal"))
			require.NoError(t, os.Remove(file+"-shm"))
			require.Equal(t, before[storeFile], content(t, directory)[storeFile])
			fresh := filepath.Join(t.TempDir(), "new")
			_, _, err = Restore(t.Context(), file, fresh, RestoreOptions{AllowUnsealed: true})
			require.ErrorIs(t, err, ErrForeign)
			require.NoDirExists(t, fresh)
			opened, err := os.OpenFile(file, os.O_RDWR, 0)
			require.NoError(t, err)
			require.NoError(t, seal(t.Context(), opened)) // anybody can
			require.NoError(t, opened.Close())
			_, _, err = Restore(t.Context(), file, fresh, RestoreOptions{})
			require.ErrorIs(t, err, ErrForeign)
			require.NoDirExists(t, fresh)
		})
	}
}

// TestTriggersDoNotRun even if somebody adds one to the file of a store that is open.
func TestTriggersDoNotRun(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	s := open(t, directory, Options{})
	require.NoError(t, writeBatch(t.Context(), s, 0, 1))
	doctor(t, filepath.Join(directory, storeFile), foreign["a trigger"])
	require.Error(t, writeBatch(t.Context(), s, 0, 2))
	c, err := connect(filepath.Join(directory, storeFile), "ro")
	require.NoError(t, err)
	var found int64
	_, err = c.one("SELECT count(*) FROM by_resource WHERE key LIKE '%mallory%'", nil, &found)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Zero(t, found)
}

// TestRestoreNeedsASeal: a file that is no backup is restored only if that is asked for.
func TestRestoreNeedsASeal(t *testing.T) {
	t.Parallel()
	file, fresh := used(t, t.TempDir()), filepath.Join(t.TempDir(), "new")
	_, _, err := Restore(t.Context(), file, fresh, RestoreOptions{})
	require.ErrorIs(t, err, ErrUnsealed)
	require.NoDirExists(t, fresh)
	require.NoError(t, os.WriteFile(file+"-wal", []byte("something"), 0o600))
	_, _, err = Restore(t.Context(), file, fresh, RestoreOptions{AllowUnsealed: true})
	require.ErrorIs(t, err, ErrUnsealed)
	require.NoError(t, os.Remove(file+"-wal"))
	_, _, err = Restore(t.Context(), file, fresh, RestoreOptions{AllowUnsealed: true})
	require.NoError(t, err)
	requireBatches(t, open(t, fresh, Options{}), []int{200, 0, 0, 0})
}

// TestCopyIsWhatWasChecked: bytes that change in a backup between its check and its copy are noticed.
func TestCopyIsWhatWasChecked(t *testing.T) {
	t.Parallel()
	directory, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.db")
	used(t, directory)
	_, err := Backup(t.Context(), directory, file)
	require.NoError(t, err)
	source, err := os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	defer source.Close()
	line, length, err := checkBackup(t.Context(), source, false)
	require.NoError(t, err)
	d, err := openDirectory(t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, d.close()) }()

	half, err := d.copyOf(t.Context(), source, line, length)
	require.NoError(t, err)
	copied, err := os.ReadFile(half)
	require.NoError(t, err)
	original := make([]byte, length)
	_, err = source.ReadAt(original, 0)
	require.NoError(t, err)
	require.Equal(t, original, copied)

	_, err = source.Seek(length-100, io.SeekStart)
	require.NoError(t, err)
	_, err = source.WriteString("changed")
	require.NoError(t, err)
	_, err = d.copyOf(t.Context(), source, line, length)
	require.ErrorIs(t, err, ErrCorrupt)
	left, err := filepath.Glob(d.file() + "*")
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestLinksInTheDataDirectoryAreRefused: nothing that the store writes goes through a link.
func TestLinksInTheDataDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	for _, name := range []string{lockFile, storeFile, storeFile + "-wal", storeFile + "-shm", storeFile + "-journal"} {
		directory := t.TempDir()
		require.NoError(t, os.Symlink(victim, filepath.Join(directory, name)))
		_, err := Open(directory, Options{})
		require.ErrorIs(t, err, ErrForeign, name)
		require.ErrorIs(t, err, ownfile.ErrForeign, name)
	}
	directory := t.TempDir()
	backup := filepath.Join(t.TempDir(), "backup.db")
	require.NoError(t, os.Symlink(victim, filepath.Join(directory, storeFile+newSuffix)))
	require.NoError(t, os.Symlink(victim, backup+".part"))
	used(t, directory)
	_, err := Backup(t.Context(), directory, backup)
	require.NoError(t, err)
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}
