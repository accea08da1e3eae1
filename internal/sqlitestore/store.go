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

// Engine is the name of the datastore.
const Engine = "sqlite"

// Options say how a store works. The zero value of each is SpiceDB's default.
type Options struct {
	// MustExist makes Open return ErrNone where there is no store, instead of making one.
	MustExist bool

	// GCWindow is how long a revision can be read after a newer one has come: 24 hours by default.
	GCWindow time.Duration

	// GCInterval is the time between two garbage collections: 3 minutes by default.
	GCInterval time.Duration

	// Quantization is how long one revision is told to readers that do not ask for the newest. With 0 they are told the
	// newest as well, which costs nothing here.
	Quantization time.Duration

	// WatchBuffer is how many changes a watcher may be behind before it has WatchTimeout to take one: 1024 and one second
	// by default.
	WatchBuffer  uint16
	WatchTimeout time.Duration

	// Now is the clock: time.Now by default.
	Now func() time.Time
}

func (o *Options) complete() {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&o.GCWindow, 24*time.Hour)
	set(&o.GCInterval, 3*time.Minute)
	set(&o.WatchTimeout, time.Second)
	if o.WatchBuffer == 0 {
		o.WatchBuffer = 1024
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Store is a datastore.Datastore in a directory. It can be used by many goroutines.
type Store struct {
	options   Options
	directory *directory
	id        string
	readers   *pool

	writing chan struct{} // holds one element while the writer is in use
	writer  *conn
	lastID  int64 // of the table change

	head      atomic.Pointer[head]
	ended     atomic.Int64 // no relationship has ended after this revision
	collected atomic.Int64 // what ended up to this revision is gone

	mu        sync.Mutex
	published chan struct{} // closed when a newer head is there
	optimized head
	until     time.Time // when optimized is to be chosen anew

	gcHasRun atomic.Bool
	closing  context.CancelFunc
	closed   chan struct{} // of closing
	tasks    sync.WaitGroup
}

// head is the newest revision.
type head struct {
	revision      revision
	schemaHash    string
	relationships int64
}

// Open opens the store in a directory, or makes one where there is none. The directory is then in use by this process until
// Close. The error is one of those of this package, where it is none of the operating system.
func Open(path string, options Options) (_ *Store, err error) {
	options.complete()
	if options.MustExist {
		if err := find(path); err != nil {
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
	if err := directory.prepare(revision(options.Now().UnixNano())); err != nil {
		return nil, err
	}
	// A commit waits for the data, not for the time of the last change. Without the system call, it waits for both.
	_, _ = sqlite.Fdatasync(true)
	if err := s.connectWriter(); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("cannot read the store in %s: %w", path, err)
	}
	background, cancel := context.WithCancel(context.Background()) // until Close
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
		s.directory.file(), "rw", "journal_mode(wal)", "synchronous(full)", "journal_size_limit(67108864)", "cache_size(-65536)",
	)
	return err
}

// load reads where the store stands, and compares the numbers of relationships in both tables, which takes longer with more of
// them.
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
	s.collected.Store(stored.collected)
	return nil
}

// start is what a store must have to be opened.
type start struct {
	id                     string
	head                   head
	last, ended, collected int64
}

// readStart returns ErrCorrupt for a file that cannot be opened as a store.
func readStart(c *conn) (stored start, err error) {
	var rows int64
	for _, read := range []struct {
		query        string
		destinations []any
	}{
		{"SELECT count(*) FROM store", []any{&rows}},
		{"SELECT id, collected FROM store", []any{&stored.id, &stored.collected}},
		{"SELECT id, revision, relationships FROM change ORDER BY id DESC LIMIT 1", []any{&stored.last, (*int64)(&stored.head.revision), &stored.head.relationships}},
		{"SELECT ifnull(max(ended), 0) FROM history", []any{&stored.ended}},
	} {
		found, err := c.one(read.query, nil, read.destinations...)
		switch {
		case err != nil:
			return stored, err
		case !found:
			return stored, fmt.Errorf("%w: a table is empty that never is: %s", ErrCorrupt, read.query)
		case rows != 1:
			return stored, fmt.Errorf("%w: the table store has %d rows instead of one", ErrCorrupt, rows)
		}
	}
	if stored.id == "" || stored.head.revision <= 0 {
		return stored, fmt.Errorf("%w: its id is %q, and its last revision %d", ErrCorrupt, stored.id, stored.head.revision)
	}
	schema, err := readStoredSchema(c, stored.head.revision)
	if err != nil && !errors.Is(err, datastore.ErrSchemaNotFound) {
		return stored, err
	}
	stored.head.schemaHash = hashOf(schema)
	return stored, nil
}

func hashOf(schema *core.StoredSchema) string { return schema.GetV1().GetSchemaHash() }

// Close waits for what is under way and closes the store. The directory is then free.
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
	s.writing <- struct{}{} // for ever
	s.tasks.Wait()
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	errs := []error{s.readers.close()}
	if s.writer != nil {
		errs = append(errs, s.writer.Close()) // the last one, so that all is in the one file then
	}
	return errors.Join(append(errs, s.directory.close())...)
}

// open returns an error after Close.
func (s *Store) open() error {
	select {
	case <-s.closed:
		return errClosed
	default:
		return nil
	}
}
