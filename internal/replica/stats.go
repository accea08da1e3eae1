package replica

import (
	"sync/atomic"
	"time"
)

// Stats is what a replica holds and has done.
type Stats struct {
	Answering     bool          // whether it answers what it can
	Relationships int           // that it holds
	Bytes         int           // that they take, roughly
	Lag           time.Duration // since when what it holds is known to have been the newest; 0 if it holds nothing
	Changes       uint64        // that it has followed
	Lost          uint64        // how often Watch ended
	Verified      uint64        // answers that were asked of SpiceDB as well
	Differences   uint64        // of them, that were not the same
}

type counters struct{ changes, lost, verified, differences atomic.Uint64 }

// Stats may be asked for at any time.
func (r *Replica) Stats() Stats {
	out := Stats{
		Changes: r.stats.changes.Load(), Lost: r.stats.lost.Load(),
		Verified: r.stats.verified.Load(), Differences: r.stats.differences.Load(),
	}
	s := r.pin()
	if s == nil {
		return out
	}
	defer s.unpin()
	out.Lag = clock() - time.Duration(r.known.Load())
	out.Answering = !r.off.Load() && r.fresh.Load() != never && out.Lag <= Bound
	out.Relationships, out.Bytes = s.store.size()
	return out
}
