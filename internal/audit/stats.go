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
}

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

// Lag is how long the last change took to come into the log.
func (s *Stats) Lag() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lag
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
