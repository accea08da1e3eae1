package audit

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats counts the follower's work since the process started. It is safe for concurrent use.
type Stats struct {
	gaps     atomic.Int64
	unstored atomic.Int64

	mu        sync.Mutex
	entries   map[Kind]int64
	following bool
	lag       time.Duration
	now       func() time.Time                // nil means time.Now
	since     [waitingForExpiry + 1]time.Time // start of each delay that lasts now; zero if there is none
}

// waiting is a reason why the log is behind SpiceDB.
type waiting int

const (
	waitingForAll    waiting = iota // SpiceDB or the log is unavailable, or Watch is not followed
	waitingForChange                // a delivered change is not in the log yet
	waitingForExpiry                // a relationship has expired and the log lacks the expiry
)

// Kinds lists all kinds of entries.
var Kinds = []Kind{Snapshot, Changed, Expiry, Schema, Gap, Unstored}

// Entries returns how many entries of a kind this server has written.
func (s *Stats) Entries(kind Kind) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[kind]
}

// Gaps returns how many entries of the kind Gap this server has written.
func (s *Stats) Gaps() int64 { return s.gaps.Load() }

// Unstored returns how many placeholders this server has written.
func (s *Stats) Unstored() int64 { return s.unstored.Load() }

// Following reports whether this server writes the log.
func (s *Stats) Following() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.following
}

// Lag returns how long the last change took to reach the log. During a delay, it returns at least the length of the
// delay so far.
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

// wait records the start of a delay, unless one has started already.
func (s *Stats) wait(what waiting, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since[what].IsZero() {
		s.since[what] = since
	}
}

// stopWaiting records the end of a delay.
func (s *Stats) stopWaiting(what waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since[what] = time.Time{}
}

// clearWaiting ends all delays, since another server writes the log.
func (s *Stats) clearWaiting() {
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
