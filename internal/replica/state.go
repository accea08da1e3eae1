package replica

import (
	"slices"
	"sync/atomic"

	"github.com/sluice-authz/sluice/internal/authz"
)

// state is an immutable pair of the relationships and the schema at one moment. Its rows stay in memory while it is
// pinned.
type state struct {
	store    *store
	version  version
	plans    *plans
	token    authz.Token
	revision revision

	pins atomic.Int64
}

func (s *state) unpin() { s.pins.Add(-1) }

// pin returns the current state, or nil if there is none. The caller unpins it.
func (r *Replica) pin() *state {
	for {
		s := r.current.Load()
		if s == nil {
			return nil
		}
		s.pins.Add(1)
		if r.current.Load() == s {
			return s
		}
		s.unpin() // a sweep may have removed the state before it was pinned
	}
}

// maxRecent is how many states before the current one stay in memory, for reads that name them.
const maxRecent = 8

// pinRecent pins the state before the current one that a token names, or returns nil. The caller unpins it.
func (r *Replica) pinRecent(token authz.Token) *state {
	wanted, ok := parseRevision(token)
	recent := r.recent.Load()
	if !ok || recent == nil {
		return nil
	}
	for _, s := range *recent {
		if s.revision.store != wanted.store || !s.revision.includes(wanted) || !wanted.includes(s.revision) {
			continue
		}
		s.pins.Add(1)
		if now := r.recent.Load(); now != nil && slices.Contains(*now, s) {
			return s
		}
		s.unpin() // a sweep may have removed the state before it was pinned
	}
	return nil
}

// publish makes a state current and frees rows of unpinned earlier states.
func (r *Replica) publish(s *state) {
	if before := r.current.Swap(s); before != nil && before.store == s.store {
		r.retired = append(r.retired, before)
	} else {
		r.retired = nil
	}
	recent := slices.Clone(r.retired[max(0, len(r.retired)-maxRecent):])
	r.recent.Store(&recent)
	r.sweep()
}

// sweep frees the rows that no current, recent or pinned state contains.
func (r *Replica) sweep() {
	current := r.current.Load()
	if current == nil {
		return
	}
	kept, recent := r.retired[:0], len(r.retired)-maxRecent
	for i, s := range r.retired {
		if i >= recent || s.pins.Load() > 0 {
			kept = append(kept, s)
		}
	}
	clear(r.retired[len(kept):])
	r.retired = kept
	oldest := current.version
	if len(kept) > 0 {
		oldest = kept[0].version
	}
	current.store.sweep(oldest)
}
