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
	_ "modernc.org/sqlite" // registers the SQLite driver

	"github.com/sluice-authz/sluice/internal/ownfile"
)

// FileName is the name of the log's file in a data directory.
const FileName = "audit.db"

// Log is an open audit log. Any number of readers may use it concurrently. acquireWriter makes sure that there is at
// most one writer.
type Log struct {
	db     *sql.DB
	shared bool         // set for a log in PostgreSQL, where several servers take turns in writing
	lock   *flock.Flock // locks the file while the log is open; nil for PostgreSQL
	secret string       // key that encrypts the numbers of entries, see SealPosition

	// Only the writer uses the next three fields.
	careful  bool                        // the last write failed, see writer.write
	failures map[string]*repeatedFailure // transient errors of parts of a write, by writePart.key
	// unstorableEnds has the keys of expired relationships that remain in sluice_audit_present although a placeholder
	// replaces the entry of their expiry. endKey returns such a key.
	unstorableEnds []string

	mu      sync.Mutex
	changed chan struct{} // closed after a write
}

// createStatements creates the log's tables: the entries, their search terms, the relationships after the last entry,
// the relationships that the current snapshot has read, and the state, such as the log's position in Watch.
const createStatements = `
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

// The ids of the rows of sluice_audit_state. The rows hold the token after which the log continues, the number of the
// last entry, and the secret that encrypts the numbers of entries.
const (
	stateToken  = 1
	stateLast   = 2
	stateSecret = 3
)

// version is the version of the tables and of the format of entries. A log of versionWithoutStarts lacks the search
// terms of the kind byStart; its next writer adds them.
const (
	version              = 2
	versionWithoutStarts = 1
)

// writerLock is the PostgreSQL advisory lock that the writer holds. tablesLock is the advisory lock for creating
// tables.
const (
	writerLock = 0x736c756963650001
	tablesLock = 0x736c756963650002
)

// OpenMemory opens a log in memory, which is lost when the process ends.
func OpenMemory(ctx context.Context) (*Log, error) {
	// Each connection to an unnamed database has its own database, so the log uses a single connection and never closes
	// it.
	db, err := sql.Open("sqlite", "file::memory:?_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.SetConnMaxIdleTime(0)
	db.SetConnMaxLifetime(0)
	return initialize(ctx, &Log{db: db})
}

// OpenFile opens or creates the log in a data directory. It fails if another process has the log open. It returns
// errForeign if the file's schema has parts that Sluice does not create, for example a trigger. Triggers that are
// created later do not run.
func OpenFile(ctx context.Context, directory string) (*Log, error) {
	return openFile(ctx, directory, false)
}

func openFile(ctx context.Context, directory string, trusting bool) (*Log, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("the data directory: %w", err)
	}
	path := filepath.Join(directory, FileName)
	if err := refuseLinks(directory); err != nil {
		return nil, err
	}
	// The operating system releases the lock when the process ends.
	lock := flock.New(filepath.Join(directory, "audit.lock"), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the data directory: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("the audit log %s is in use by another process: "+
			"give each server its own data directory, or let all servers share a log in PostgreSQL", path)
	}
	// Create the file with these permissions, since SQLite would let other users read it. SQLite copies the permissions
	// to its other files.
	if file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("the data directory: %w", err), lock.Close())
	} else if err := file.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("the data directory: %w", err), lock.Close())
	}
	const settings = "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=trusted_schema(0)" +
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	db := sql.OpenDB(connector{"file:" + escapePath(path) + settings, trusting})
	if !trusting {
		if err := refuseForeign(ctx, db); err != nil {
			return nil, errors.Join(fmt.Errorf("opening the audit log %s: %w", path, err), db.Close(), lock.Close())
		}
	}
	return initialize(ctx, &Log{db: db, lock: lock})
}

func escapePath(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// refuseLinks returns an error if one of the log's files in the data directory is a link.
func refuseLinks(directory string) error {
	for _, name := range []string{FileName, FileName + "-wal", FileName + "-shm", FileName + "-journal", "audit.lock"} {
		if err := ownfile.RefuseLink(filepath.Join(directory, name)); err != nil {
			return fmt.Errorf("the data directory: %w", err)
		}
	}
	return nil
}

// OpenPostgres opens or creates the log in a PostgreSQL database. Several servers can share it.
func OpenPostgres(ctx context.Context, uri string) (*Log, error) {
	db, err := openPostgres(uri)
	if err != nil {
		return nil, err
	}
	return initialize(ctx, &Log{db: db, shared: true})
}

func openPostgres(uri string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(uri)
	if err != nil {
		// The original error may contain the password.
		return nil, errors.New("the audit log's address is not a PostgreSQL URI; " +
			"an example is postgres://user:password@host:5432/database")
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8) // the default of 2 would close and open connections while several queries run
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

func initialize(ctx context.Context, l *Log) (*Log, error) {
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
	for statement := range strings.SplitSeq(strings.TrimSpace(createStatements), ";\n") {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for id, begin := range map[int]string{stateToken: "", stateLast: "0", stateSecret: newSecret()} {
		if _, err := tx.ExecContext(
			ctx, "INSERT INTO sluice_audit_state (id, token, version) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", id,
			begin, version,
		); err != nil {
			return err
		}
	}
	var stored int
	if err := tx.QueryRowContext(
		ctx, "SELECT version FROM sluice_audit_state WHERE id = $1", stateToken,
	).Scan(&stored); err != nil {
		return err
	}
	if stored != version && stored != versionWithoutStarts {
		return fmt.Errorf("the log has format version %d; this version of Sluice reads version %d", stored, version)
	}
	if err := tx.QueryRowContext(
		ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", stateSecret,
	).Scan(&l.secret); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the log. Its readers and its writer must have ended.
func (l *Log) Close() error {
	err := l.db.Close()
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

// Changed returns a channel that is closed after this server's next write.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// pollInterval is how often a reader checks for writes of other servers.
const pollInterval = time.Second

// Wait returns when an entry may have been written since the caller obtained changed, or when ctx ends.
func (l *Log) Wait(ctx context.Context, changed <-chan struct{}) error {
	var others <-chan time.Time
	if l.shared {
		others = time.After(pollInterval)
	}
	select {
	case <-changed:
	case <-others:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (l *Log) notifyChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}
