package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver for SQLite

	"github.com/sluice-authz/sluice/internal/ownfile"
)

// FileName is the name of the log in a data directory.
const FileName = "audit.db"

// Log is the stored log. Anybody may read it; who may write to it is decided by Lead.
type Log struct {
	db     *sql.DB
	shared bool         // several servers can write to it, one at a time
	lock   *flock.Flock // held as long as the log is open, if it is a file
	secret string       // seals the numbers of entries

	// Of the writer alone:
	careful  bool                        // the last write failed
	failures map[string]*repeatedFailure // of entries that fail in a way that may pass, by their keys
	endless  []string                    // the ends of relationships that the tables keep, although they have a placeholder

	mu      sync.Mutex
	changed chan struct{} // closed when something was written
}

// tables are those of the log: the entries; by which words they are found; the relationships as they are after the last entry,
// and as a snapshot that is being taken found them; and where the log goes on.
const tables = `
CREATE TABLE IF NOT EXISTS sluice_audit_entries (
	seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, revision TEXT, part BIGINT, body TEXT NOT NULL, hash TEXT NOT NULL,
	UNIQUE (revision, part));
CREATE INDEX IF NOT EXISTS sluice_audit_entries_at ON sluice_audit_entries (at);
CREATE TABLE IF NOT EXISTS sluice_audit_marks (
	kind TEXT NOT NULL, value TEXT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (kind, value, seq));
CREATE TABLE IF NOT EXISTS sluice_audit_present (
	resource TEXT NOT NULL, relation TEXT NOT NULL, subject TEXT NOT NULL,
	expires_at BIGINT NOT NULL, caveat TEXT NOT NULL, context TEXT NOT NULL, PRIMARY KEY (resource, relation, subject));
CREATE INDEX IF NOT EXISTS sluice_audit_present_due ON sluice_audit_present (expires_at) WHERE expires_at > 0;
CREATE TABLE IF NOT EXISTS sluice_audit_found (
	resource TEXT NOT NULL, relation TEXT NOT NULL, subject TEXT NOT NULL,
	expires_at BIGINT NOT NULL, caveat TEXT NOT NULL, context TEXT NOT NULL, PRIMARY KEY (resource, relation, subject));
CREATE TABLE IF NOT EXISTS sluice_audit_state (
	id BIGINT PRIMARY KEY, token TEXT NOT NULL, version BIGINT NOT NULL);
`

// The rows of sluice_audit_state: the token after which the log goes on, the number of the entry that was written last, and the
// secret that seals the numbers of entries.
const (
	stateToken  = 1
	stateLast   = 2
	stateSecret = 3
)

// version is that of the tables and of the form of entries.
const version = 1

// leadership is the number of PostgreSQL's advisory lock that the writer holds, and tablesLock that of who makes the tables.
const (
	leadership = 0x736c756963650001
	tablesLock = 0x736c756963650002
)

// OpenMemory opens a log that ends with the process.
func OpenMemory(ctx context.Context) (*Log, error) {
	// A database without a name is there for one connection alone, so there is only that one, for ever.
	db, err := sql.Open("sqlite", "file::memory:?_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.SetConnMaxIdleTime(0)
	db.SetConnMaxLifetime(0)
	return prepared(ctx, &Log{db: db})
}

// OpenFile opens or creates the log in a data directory. The error says so if another process has it open, and is ErrForeign
// if the file has something that Sluice does not make, such as a trigger. Triggers that are made later do not run.
func OpenFile(ctx context.Context, directory string) (*Log, error) {
	return openFile(ctx, directory, false)
}

func openFile(ctx context.Context, directory string, trusting bool) (*Log, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("the data directory: %w", err)
	}
	path := filepath.Join(directory, FileName)
	for _, name := range []string{FileName, FileName + "-wal", FileName + "-shm", FileName + "-journal", "audit.lock"} {
		if err := ownfile.RefuseLink(filepath.Join(directory, name)); err != nil {
			return nil, fmt.Errorf("the data directory: %w", err)
		}
	}
	lock := flock.New(filepath.Join(directory, "audit.lock"), flock.SetPermissions(0o600)) // it ends with the process, however that ends
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the data directory: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("the audit log %s is in use by another process: give each server a data directory of its own, or all of them one log in PostgreSQL", path)
	}
	// SQLite would make a file that others can read, and gives those beside it the same permissions.
	if file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("the data directory: %w", err), lock.Close())
	} else if err := file.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("the data directory: %w", err), lock.Close())
	}
	const settings = "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=trusted_schema(0)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	db := sql.OpenDB(connector{"file:" + escape(path) + settings, trusting})
	if !trusting {
		if err := refuseForeign(ctx, db); err != nil {
			return nil, errors.Join(fmt.Errorf("opening the audit log %s: %w", path, err), db.Close(), lock.Close())
		}
	}
	return prepared(ctx, &Log{db: db, lock: lock})
}

func escape(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// OpenPostgres opens or creates the log in a PostgreSQL database, which servers can share.
func OpenPostgres(ctx context.Context, uri string) (*Log, error) {
	db, err := openPostgres(uri)
	if err != nil {
		return nil, err
	}
	return prepared(ctx, &Log{db: db, shared: true})
}

func openPostgres(uri string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(uri)
	if err != nil {
		return nil, errors.New("the audit log's address is none of PostgreSQL's, such as postgres://user:password@host:5432/database") // not err, which may show the password
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(8)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

func prepared(ctx context.Context, l *Log) (*Log, error) {
	l.changed = make(chan struct{})
	if err := l.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the audit log: %w", err), l.Close())
	}
	return l, nil
}

func (l *Log) prepare(ctx context.Context) (err error) {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if l.shared {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(tablesLock)); err != nil {
			return err
		}
	}
	for statement := range strings.SplitSeq(strings.TrimSpace(tables), ";\n") {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for id, begin := range map[int]string{stateToken: "", stateLast: "0", stateSecret: newSecret()} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO sluice_audit_state (id, token, version) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", id, begin, version); err != nil {
			return err
		}
	}
	var stored int
	if err := tx.QueryRowContext(ctx, "SELECT version FROM sluice_audit_state WHERE id = $1", stateToken).Scan(&stored); err != nil {
		return err
	}
	if stored != version {
		return fmt.Errorf("its form is %d, and this version of Sluice knows form %d", stored, version)
	}
	if err := tx.QueryRowContext(ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", stateSecret).Scan(&l.secret); err != nil {
		return err
	}
	return tx.Commit()
}

// Close ends the log; whoever writes or reads has ended before.
func (l *Log) Close() error {
	err := l.db.Close()
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

// Changed is closed when this server has written something after the call.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// poll is how often a reader looks whether another server has written something.
const poll = time.Second

// Wait returns when something may have been written after changed was obtained, or ctx ended.
func (l *Log) Wait(ctx context.Context, changed <-chan struct{}) error {
	var others <-chan time.Time
	if l.shared {
		others = time.After(poll)
	}
	select {
	case <-changed:
	case <-others:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (l *Log) announce() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}
