package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"

	"github.com/authzed/spicedb/pkg/datastore"
	"modernc.org/sqlite"
)

// Engine is SpiceDB's name for this datastore.
const Engine = "sqlite"

// Options configure a store. A zero value selects SpiceDB's default.
type Options struct {
	// MustExist makes Open return ErrNone instead of creating a store.
	MustExist bool

	// GCWindow is how long a revision stays readable after a newer one exists. The default is 24 hours.
	GCWindow time.Duration

	// GCInterval is the time between two garbage collections. The default is 3 minutes.
	GCInterval time.Duration

	// quantization is how long readers that do not request the newest revision get the same revision. Zero means that
	// they always get the newest, which costs nothing in this store. Only SpiceDB's tests of datastores set it.
	quantization time.Duration

	// watchBuffer is the number of changes that Watch buffers for a slow watcher. The default is 1024.
	watchBuffer uint16

	// now is the clock. The default is time.Now.
	now func() time.Time
}

func (o *Options) complete() {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&o.GCWindow, 24*time.Hour)
	set(&o.GCInterval, 3*time.Minute)
	if o.watchBuffer == 0 {
		o.watchBuffer = 1024
	}
	if o.now == nil {
		o.now = time.Now
	}
}

// Store is a datastore.Datastore in a directory. It is safe for concurrent use.
type Store struct {
	options   Options
	directory *directory
	id        string
	readers   *pool

	writing chan struct{} // holds one element while the writer is in use
	writer  *conn
	lastID  int64 // id of the last row of the table change

	head      atomic.Pointer[head]
	ended     atomic.Int64 // newest revision that replaced or deleted a relationship
	redefined atomic.Int64 // the definitions have not changed since this revision
	sets      atomic.Pointer[typesOfSets]
	collected atomic.Int64 // the history up to this revision is deleted

	mu        sync.Mutex
	published chan struct{} // closed when head is replaced
	optimized head
	until     time.Time // time at which to replace optimized

	gcHasRun atomic.Bool
	closing  context.CancelFunc
	closed   chan struct{} // closed by Close
	tasks    sync.WaitGroup
}

// head describes the newest revision.
type head struct {
	revision      revision
	schemaHash    string
	relationships int64
}

// Open opens the store in a directory and creates it if there is none. It locks the directory for this process until
// Close. Except for errors of the operating system, it returns errors that this package declares.
func Open(path string, options Options) (_ *Store, err error) {
	options.complete()
	if options.MustExist {
		if err := requireStore(path); err != nil {
			return nil, err
		}
	}
	directory, err := openDirectory(path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		options: options, directory: directory, readers: newPool(directory.file()),
		writing: make(chan struct{}, 1), published: make(chan struct{}), closed: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeFiles())
		}
	}()
	if err := directory.prepare(revision(options.now().UnixNano())); err != nil {
		return nil, err
	}
	// With fdatasync, a commit waits for the data but not for the modification time of the file.
	_, _ = sqlite.Fdatasync(true)
	if err := s.connectWriter(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("cannot read the store in %s: %w", path, err)
	}
	background, cancel := context.WithCancel(context.Background()) // this context ends at Close
	s.closing = cancel
	s.tasks.Go(func() {
		_ = datastore.StartGarbageCollector(background, s, options.GCInterval, options.GCWindow, gcTimeout)
	})
	return s, nil
}

// connectWriter opens the connection that writes.
func (s *Store) connectWriter() (err error) {
	if err := s.directory.dropStatistics(); err != nil {
		return err
	}
	s.writer, err = connectStore(
		s.directory.file(), "rw", "journal_mode(wal)", "synchronous(full)", "journal_size_limit(67108864)",
		"cache_size(-65536)",
	)
	return err
}

// load reads the state of the store. It also compares the row counts of both tables of relationships, which takes
// longer for larger stores.
func (s *Store) load() error {
	if err := compareCounts(s.writer); err != nil {
		return err
	}
	stored, err := readStart(s.writer)
	if err != nil {
		return err
	}
	s.id, s.lastID = stored.id, stored.last
	s.head.Store(&stored.head)
	s.ended.Store(stored.ended)
	s.redefined.Store(int64(stored.head.revision))
	s.collected.Store(stored.collected)
	return nil
}

// start is the data that Open reads. Every store must have it.
type start struct {
	id                     string
	head                   head
	last, ended, collected int64
}

// readStart reads the data that Open needs. It returns ErrCorrupt if the file lacks some of it.
func readStart(c *conn) (stored start, err error) {
	var rows int64
	for _, read := range []struct {
		query        string
		destinations []any
	}{
		{"SELECT count(*) FROM store", []any{&rows}},
		{"SELECT id, collected FROM store", []any{&stored.id, &stored.collected}},
		{
			"SELECT id, revision, relationships FROM change ORDER BY id DESC LIMIT 1",
			[]any{&stored.last, (*int64)(&stored.head.revision), &stored.head.relationships},
		},
		{"SELECT ifnull(max(ended), 0) FROM history", []any{&stored.ended}},
	} {
		found, err := c.queryRow(read.query, nil, read.destinations...)
		switch {
		case err != nil:
			return stored, err
		case !found:
			return stored, fmt.Errorf("%w: a required row is missing: %s", ErrCorrupt, read.query)
		case rows != 1:
			return stored, fmt.Errorf("%w: the table \"store\" has %d rows instead of one", ErrCorrupt, rows)
		}
	}
	if stored.id == "" || stored.head.revision <= 0 {
		return stored, fmt.Errorf("%w: its id is %q and its last revision is %d", ErrCorrupt, stored.id, stored.head.revision)
	}
	schema, err := readStoredSchema(c, stored.head.revision)
	if err != nil && !errors.Is(err, datastore.ErrSchemaNotFound) {
		return stored, err
	}
	stored.head.schemaHash = hashOf(schema)
	return stored, nil
}

func hashOf(schema *core.StoredSchema) string { return schema.GetV1().GetSchemaHash() }

// Close waits for running reads and writes, closes the store and unlocks the directory.
func (s *Store) Close() error {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return nil
	default:
	}
	close(s.closed)
	s.mu.Unlock()
	s.closing()
	s.writing <- struct{}{} // never released: no write starts after Close
	s.tasks.Wait()
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	errs := []error{s.readers.close()}
	if s.writer != nil {
		errs = append(errs, s.writer.Close()) // closed last, so that SQLite merges the write-ahead log into the file
	}
	return errors.Join(append(errs, s.directory.close())...)
}

// open returns errClosed after Close, and nil before.
func (s *Store) open() error {
	select {
	case <-s.closed:
		return errClosed
	default:
		return nil
	}
}
