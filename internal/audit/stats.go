package audit

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats are counted since the process began. They can be read at any time.
type Stats struct {
	gaps     atomic.Int64
	unstored atomic.Int64

	mu        sync.Mutex
	entries   map[Kind]int64
	following bool
	lag       time.Duration
	now       func() time.Time                // time.Now if nil
	since     [waitingForExpiry + 1]time.Time // since when there is something to wait for; zero if there is not
}

// waiting is what keeps a log from being up to date.
type waiting int

const (
	waitingForAll    waiting = iota // SpiceDB or the log cannot be reached, or not be followed
	waitingForChange                // a change is delivered, and not in the log
	waitingForExpiry                // a relationship has ended, and the log does not have that
)

// Kinds are all kinds of entries.
var Kinds = []Kind{Snapshot, Changed, Expiry, Schema, Gap, Unstored}

// Entries is how many entries of a kind this server wrote.
func (s *Stats) Entries(kind Kind) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[kind]
}

// Gaps is how often SpiceDB no longer had the changes where the log stopped.
func (s *Stats) Gaps() int64 { return s.gaps.Load() }

// Unstored is how many entries could not be stored, and have a placeholder.
func (s *Stats) Unstored() int64 { return s.unstored.Load() }

// Following reports whether this server writes the log.
func (s *Stats) Following() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.following
}

// Lag is how long the last change took to come into the log; while something is not in the log, at least how long that
// has been so.
func (s *Stats) Lag() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now
	if s.now != nil {
		now = s.now
	}
	lag := s.lag
	for _, since := range s.since {
		if !since.IsZero() {
			lag = max(lag, now().Sub(since))
		}
	}
	return lag
}

// wait notes since when there is something to wait for, unless there is already.
func (s *Stats) wait(what waiting, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since[what].IsZero() {
		s.since[what] = since
	}
}

// arrive notes that there is nothing of a kind to wait for any more.
func (s *Stats) arrive(what waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since[what] = time.Time{}
}

// leave notes that another server writes the log.
func (s *Stats) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.since[:])
	s.lag = 0
}

func (s *Stats) count(added map[Kind]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = make(map[Kind]int64)
	}
	for kind, n := range added {
		s.entries[kind] += int64(n)
	}
}

func (s *Stats) setFollowing(following bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.following = following
}

func (s *Stats) setLag(lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = max(lag, 0)
}
