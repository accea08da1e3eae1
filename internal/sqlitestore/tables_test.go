package sqlitestore

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/ownfile"
)

// foreign has changes to the SQLite schema of a file, as statements.
var foreign = map[string][]string{
	"a trigger": {`CREATE TRIGGER grant_role AFTER INSERT ON change BEGIN
		INSERT OR IGNORE INTO by_resource VALUES ('account sales owner user mallory ...', 1, NULL, NULL); END`},
	"a temporary-looking trigger": {`CREATE TRIGGER sluice_gc BEFORE DELETE ON history BEGIN SELECT 1; END`},
	"a view":                      {`CREATE VIEW more AS SELECT * FROM by_resource`},
	"a table":                     {`CREATE TABLE more (id INTEGER)`},
	"an index":                    {`CREATE INDEX more ON by_resource (created)`},
	"a missing index":             {`DROP INDEX by_expiry`},
	"a missing table":             {`DROP TABLE history`},
	"a column":                    {`ALTER TABLE store ADD COLUMN more TEXT DEFAULT 'x'`},
	"a view instead of a table": {
		`ALTER TABLE by_subject RENAME TO moved`, `CREATE VIEW by_subject AS SELECT * FROM moved`,
	},
	"a constraint": {
		`DROP TABLE store`, `CREATE TABLE store (id TEXT NOT NULL, collected INTEGER NOT NULL CHECK (collected >= 0))`,
		`INSERT INTO store VALUES ('a', 1)`,
	},
	"a comment inside a quoted text": {
		`DROP TABLE store`,
		"CREATE TABLE store (id TEXT NOT NULL, collected INTEGER NOT NULL DEFAULT '--\n' )",
		`INSERT INTO store VALUES ('a', 1)`,
	},
}

// doctor executes statements on a file, as another program could.
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

// TestForeignSQLiteSchemaIsRefused checks stores with a trigger, a view or changed tables. Open and Backup must
// reject them. Restore must reject them with and without a seal.
func TestForeignSQLiteSchemaIsRefused(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(newUsedStore(t, t.TempDir()))
	require.NoError(t, err)
	for name, statements := range foreign {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			file := filepath.Join(directory, storeFile)
			require.NoError(t, os.WriteFile(file, whole, 0o600))
			doctor(t, file, statements)
			before := content(t, directory)
			_, err := Open(directory, Options{})
			require.ErrorIs(t, err, errForeign)
			require.ErrorContains(t, err, "its SQLite schema")
			_, err = Backup(t.Context(), directory, filepath.Join(t.TempDir(), "backup.db"))
			require.ErrorIs(t, err, errForeign)
			_, _, err = Restore(t.Context(), file, filepath.Join(t.TempDir(), "new"), RestoreOptions{})
			require.ErrorIs(t, err, ErrUnsealed)

			require.NoError(t, os.Remove(file+"-wal"))
			require.NoError(t, os.Remove(file+"-shm"))
			require.Equal(t, before[storeFile], content(t, directory)[storeFile])
			fresh := filepath.Join(t.TempDir(), "new")
			_, _, err = Restore(t.Context(), file, fresh, RestoreOptions{AllowUnsealed: true})
			require.ErrorIs(t, err, errForeign)
			require.NoDirExists(t, fresh)
			opened, err := os.OpenFile(file, os.O_RDWR, 0)
			require.NoError(t, err)
			require.NoError(t, seal(t.Context(), opened)) // anybody can recompute the seal
			require.NoError(t, opened.Close())
			_, _, err = Restore(t.Context(), file, fresh, RestoreOptions{})
			require.ErrorIs(t, err, errForeign)
			require.NoDirExists(t, fresh)
		})
	}
}

// TestTriggersDoNotRun checks that a trigger does not run even if it is added to the file of an open store.
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
	_, err = c.queryRow("SELECT count(*) FROM by_resource WHERE key LIKE '%mallory%'", nil, &found)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Zero(t, found)
}

// TestRestoreNeedsASeal checks that Restore accepts a file without a seal only with AllowUnsealed.
func TestRestoreNeedsASeal(t *testing.T) {
	t.Parallel()
	file, fresh := newUsedStore(t, t.TempDir()), filepath.Join(t.TempDir(), "new")
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

// TestRestoreNeedsReadableDefinitions checks that Restore rejects a store whose types or caveats cannot be read.
func TestRestoreNeedsReadableDefinitions(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{kindNamespace, kindCaveat} {
		file, fresh := newUsedStore(t, t.TempDir()), filepath.Join(t.TempDir(), "new")
		c, err := connect(file, "rw")
		require.NoError(t, err)
		_, err = c.exec(
			"INSERT INTO definition (kind, name, created, ended, body) VALUES (?1, 'broken', 1, 0, x'ffff')", kind,
		)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		_, _, err = Restore(t.Context(), file, fresh, RestoreOptions{AllowUnsealed: true})
		require.ErrorIs(t, err, ErrCorrupt)
		require.ErrorContains(t, err, `the definition "broken"`)
	}
}

// TestRestoreNoticesChangesDuringItsCopy checks that copyOf rejects a backup whose bytes have changed since Restore
// checked it.
func TestRestoreNoticesChangesDuringItsCopy(t *testing.T) {
	t.Parallel()
	directory, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.db")
	newUsedStore(t, directory)
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

// TestLinksInTheDataDirectoryAreRefused checks that the store never writes through a symbolic link.
func TestLinksInTheDataDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	for _, name := range []string{lockFile, storeFile, storeFile + "-wal", storeFile + "-shm", storeFile + "-journal"} {
		directory := t.TempDir()
		require.NoError(t, os.Symlink(victim, filepath.Join(directory, name)))
		_, err := Open(directory, Options{})
		require.ErrorIs(t, err, errForeign, name)
		require.ErrorIs(t, err, ownfile.ErrForeign, name)
	}
	linked := t.TempDir()
	newUsedStore(t, linked)
	moved := filepath.Join(t.TempDir(), storeFile)
	require.NoError(t, os.Rename(filepath.Join(linked, storeFile), moved))
	require.NoError(t, os.Symlink(moved, filepath.Join(linked, storeFile)))
	_, err := Backup(t.Context(), linked, filepath.Join(t.TempDir(), "backup.db"))
	require.ErrorIs(t, err, ownfile.ErrForeign)
	directory := t.TempDir()
	backup := filepath.Join(t.TempDir(), "backup.db")
	require.NoError(t, os.Symlink(victim, filepath.Join(directory, storeFile+newSuffix)))
	require.NoError(t, os.Symlink(victim, backup+".part"))
	newUsedStore(t, directory)
	_, err = Backup(t.Context(), directory, backup)
	require.NoError(t, err)
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}
