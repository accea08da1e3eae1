package sqlitestore

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// pool holds the connections that read. A connection never waits but for the disk, so that a few for each processor are
// enough; more would each read the same pages.
//
// Each has a goroutine of its own. SQLite needs a larger stack than a goroutine begins with, and SpiceDB begins one for each
// part of a check: they would spend more time on growing their stacks than on asking.
type pool struct {
	path    string
	pragmas []string
	free    chan struct{} // holds one element for each connection that may be in use beside those that are
	ended   sync.WaitGroup

	mu     sync.Mutex
	idle   []*worker // of which the last was used last, and has the most in its cache
	closed bool
}

// worker is a connection with its goroutine.
type worker struct {
	conn *conn
	jobs chan job
	done chan error
}

type job func(*conn) error

// readerCache is what all readers together keep in memory, in KiB. The rest is in the operating system's cache of the file.
const readerCache = 64 << 10

func newPool(path string) *pool {
	size := max(4, 2*runtime.GOMAXPROCS(0))
	p := &pool{
		path: path, free: make(chan struct{}, size),
		pragmas: []string{"query_only(1)", fmt.Sprintf("cache_size(-%d)", max(readerCache/size, 2<<10))},
	}
	for range size {
		p.free <- struct{}{}
	}
	return p
}

// use calls do with a connection that is its own during the call, when there is one. do must not call use.
func (p *pool) use(do job) error {
	<-p.free
	defer func() { p.free <- struct{}{} }()
	w, err := p.take()
	if err != nil {
		return err
	}
	w.jobs <- do
	err = <-w.done
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, w)
	return err
}

// take returns an idle worker, or a new one.
func (p *pool) take() (*worker, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	if last := len(p.idle) - 1; last >= 0 {
		w := p.idle[last]
		p.idle = p.idle[:last]
		p.mu.Unlock()
		return w, nil
	}
	p.mu.Unlock()
	c, err := connectStore(p.path, "rw", p.pragmas...)
	if err != nil {
		return nil, err
	}
	w := &worker{conn: c, jobs: make(chan job), done: make(chan error)}
	p.ended.Go(func() {
		for do := range w.jobs {
			w.done <- do(c)
		}
	})
	return w, nil
}

// close waits for readers under way.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for range cap(p.free) {
		<-p.free
	}
	defer func() { // for those who come later
		for range cap(p.free) {
			p.free <- struct{}{}
		}
	}()
	var errs []error
	for _, w := range p.idle {
		close(w.jobs)
		errs = append(errs, w.conn.Close())
	}
	p.idle = nil
	p.ended.Wait()
	return errors.Join(errs...)
}
