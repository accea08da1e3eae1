package replica

import (
	"sync/atomic"
	"time"
)

// Stats describes the content and the work of a replica.
type Stats struct {
	Answering     bool          // whether the replica answers at all
	Relationships int           // number of relationships in memory
	Bytes         int           // approximate memory use
	Lag           time.Duration // time since the content was last known to be the newest; 0 without content
	Changes       uint64        // number of changes received from Watch
	Lost          uint64        // how often Watch failed
	Verified      uint64        // answers compared with SpiceDB's
	Differences   uint64        // compared answers that were not the same
}

type counters struct{ changes, lost, verified, differences atomic.Uint64 }

// Stats returns the current values. It is safe for concurrent use.
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
