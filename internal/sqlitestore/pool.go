package sqlitestore

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// pool holds the connections for reads. A connection waits only for the disk, so a few for each processor are enough.
// More connections would cache the same pages again.
//
// Each connection has its own goroutine. SQLite needs a larger stack than a new goroutine has, and SpiceDB starts a
// goroutine for each part of a check. If those goroutines ran the queries, they would spend more time on growing
// their stacks than on queries.
type pool struct {
	path    string
	pragmas []string
	free    chan struct{} // holds one element for each additional connection that may be used
	ended   sync.WaitGroup

	mu     sync.Mutex
	idle   []*worker // the last worker was used most recently, and has the warmest cache
	closed bool
}

// worker is a connection with the goroutine that uses it.
type worker struct {
	conn *conn
	jobs chan job
	done chan error
}

type job func(*conn) error

// readerCache is the memory of all readers together, in KiB. The operating system caches the rest of the file.
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

// use waits for a free connection and passes it to the function do. The function must not call use.
func (p *pool) use(do job) error {
	<-p.free
	defer func() { p.free <- struct{}{} }()
	w, err := p.acquire()
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

// acquire returns an idle worker, or a new one.
func (p *pool) acquire() (*worker, error) {
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

// close waits for running readers and closes all connections.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for range cap(p.free) {
		<-p.free
	}
	// At the end, return all elements to the channel, so that later calls of use and close do not wait.
	defer func() {
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
