package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ReadFile opens the log in a data directory read-only. A server may have the log open at the same time.
func ReadFile(ctx context.Context, directory string) (*Log, error) {
	path := filepath.Join(directory, FileName)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("there is no audit log: %w", err)
	}
	if err := refuseLinks(directory); err != nil {
		return nil, err
	}
	mode := "?mode=ro"
	if _, err := os.Stat(path + "-wal"); errors.Is(err, os.ErrNotExist) {
		// No process has the file open, so it can be read as immutable. This also works in a directory without write
		// permission.
		mode += "&immutable=1"
	}
	db, err := sql.Open(
		"sqlite", "file:"+escapePath(path)+mode+"&_pragma=busy_timeout(10000)&_pragma=trusted_schema(0)",
	)
	if err != nil {
		return nil, err
	}
	return requireTables(ctx, &Log{db: db, changed: make(chan struct{})}, path)
}

// ReadPostgres opens a log in PostgreSQL read-only.
func ReadPostgres(ctx context.Context, uri string) (*Log, error) {
	db, err := openPostgres(uri)
	if err != nil {
		return nil, err
	}
	return requireTables(ctx, &Log{db: db, shared: true, changed: make(chan struct{})}, "the database")
}

// requireTables returns the log l, or an error if its file or database has no tables of a log. Damaged tables are no
// error here, since Verify reports the damage.
func requireTables(ctx context.Context, l *Log, at string) (*Log, error) {
	query := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'sluice\_audit\_%' ESCAPE '\'`
	if l.shared {
		query = `SELECT count(*) FROM pg_class WHERE relname LIKE 'sluice\_audit\_%'
			AND relkind IN ('r', 'v', 'm', 'f', 'p') AND pg_table_is_visible(oid)`
	}
	var tables int
	err := l.db.QueryRowContext(ctx, query).Scan(&tables)
	inFile := (*sqlite.Error)(nil)
	switch {
	case err == nil && tables == 0:
		err = fmt.Errorf("there is no audit log: %s has no tables of a log; a server creates them when it starts", at)
	case errors.As(err, &inFile) && inFile.Code()&0xff == sqlite3.SQLITE_NOTADB:
		err = fmt.Errorf("there is no audit log: %s is not a SQLite file: %w", at, err)
	case errors.As(err, &inFile) && inFile.Code()&0xff == sqlite3.SQLITE_CORRUPT:
		err = nil
	}
	if err != nil {
		return nil, errors.Join(err, l.db.Close())
	}
	return l, nil
}
