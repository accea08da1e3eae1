package spicedb

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// counted is something that limits bound.
type counted int

const (
	countSteps counted = iota
	countOpen
	countQueries
	countRows
	countSame
	countReverse
	countKinds
)

// work is what SpiceDB has done so far for a call, or for a check within it.
type work struct {
	most     [countKinds]int64
	done     [countKinds]atomic.Int64 // of open, those at the moment; of same and reverse, the most of one query
	peak     atomic.Int64             // of open
	exceeded atomic.Bool              // from then on everything is too much

	mu   sync.Mutex
	seed maphash.Seed
	came map[uint64]int64 // how often each query came
}

func newWork(most limits) *work {
	return &work{
		most: [countKinds]int64{most.steps, most.open, most.queries, most.rows, most.same, most.reverse},
		seed: maphash.MakeSeed(),
	}
}

// take counts one more of something, and reports whether that was within the limits, as everything before.
func (w *work) take(what counted) bool {
	w.exceeds(what, w.done[what].Add(1))
	return !w.exceeded.Load()
}

func (w *work) exceeds(what counted, n int64) {
	if w.most[what] > 0 && n > w.most[what] {
		w.exceeded.Store(true)
	}
}

// begin counts a step, until end.
func (w *work) begin() {
	w.take(countSteps)
	w.take(countOpen)
	n := w.done[countOpen].Load()
	for peak := w.peak.Load(); n > peak && !w.peak.CompareAndSwap(peak, n); peak = w.peak.Load() { //nolint:revive // it counts in its condition
	}
}

func (w *work) end() { w.done[countOpen].Add(-1) }

// takeSame counts a query of a kind, which the ids, in any order, and the parts tell from others, and reports
// whether the same one came within its limit.
func (w *work) takeSame(what counted, ids, parts []string) bool {
	if w.most[what] == 0 {
		return true
	}
	var sum uint64 // independent of the order of the ids
	for _, id := range ids {
		sum += maphash.String(w.seed, id)
	}
	var hash maphash.Hash
	hash.SetSeed(w.seed)
	maphash.WriteComparable(&hash, sum)
	maphash.WriteComparable(&hash, what)
	for _, part := range parts {
		_, _ = hash.WriteString(part)
		_ = hash.WriteByte(0) // which no name and no id holds
	}
	key := hash.Sum64()
	w.mu.Lock()
	if w.came == nil {
		w.came = make(map[uint64]int64)
	}
	w.came[key]++
	n := w.came[key]
	w.mu.Unlock()
	for most := w.done[what].Load(); n > most && !w.done[what].CompareAndSwap(most, n); most = w.done[what].Load() { //nolint:revive // it counts in its condition
	}
	w.exceeds(what, n)
	return !w.exceeded.Load()
}
