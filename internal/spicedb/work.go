package spicedb

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// counted is a kind of work that limits can bound.
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

// work is the work that SpiceDB has done for a call, or for a check within it.
type work struct {
	most [countKinds]int64
	// done counts each kind of work. For the kind open, it is the current number. For same and reverse, it is the
	// largest number of repetitions of one query.
	done     [countKinds]atomic.Int64
	peak     atomic.Int64 // largest number of open steps
	exceeded atomic.Bool  // a limit was exceeded; it stays set

	mu   sync.Mutex
	seed maphash.Seed
	came map[uint64]int64 // repetitions by query
}

func newWork(most limits) *work {
	return &work{
		most: [countKinds]int64{most.steps, most.open, most.queries, most.rows, most.same, most.reverse},
		seed: maphash.MakeSeed(),
	}
}

// take counts one unit of work. It returns false if any limit was ever exceeded.
func (w *work) take(what counted) bool {
	w.exceeds(what, w.done[what].Add(1))
	return !w.exceeded.Load()
}

func (w *work) exceeds(what counted, n int64) {
	if w.most[what] > 0 && n > w.most[what] {
		w.exceeded.Store(true)
	}
}

// begin counts a step that is open until end.
func (w *work) begin() {
	w.take(countSteps)
	w.take(countOpen)
	n := w.done[countOpen].Load()
	raise(&w.peak, n)
}

// raise sets number to n if it is smaller.
func raise(number *atomic.Int64, n int64) {
	for {
		most := number.Load()
		if n <= most || number.CompareAndSwap(most, n) {
			return
		}
	}
}

func (w *work) end() { w.done[countOpen].Add(-1) }

// takeSame counts a repetition of a query. It returns false if any limit was ever exceeded, including the limit of
// repetitions. Two queries are the same if they have the same kind, parts, and ids in any order.
func (w *work) takeSame(what counted, ids, parts []string) bool {
	if w.most[what] == 0 {
		return true
	}
	var sum uint64 // the sum does not depend on the order of the ids
	for _, id := range ids {
		sum += maphash.String(w.seed, id)
	}
	var hash maphash.Hash
	hash.SetSeed(w.seed)
	maphash.WriteComparable(&hash, sum)
	maphash.WriteComparable(&hash, what)
	for _, part := range parts {
		_, _ = hash.WriteString(part)
		_ = hash.WriteByte(0) // a byte that no name and no id contains
	}
	key := hash.Sum64()
	w.mu.Lock()
	if w.came == nil {
		w.came = make(map[uint64]int64)
	}
	w.came[key]++
	n := w.came[key]
	w.mu.Unlock()
	raise(&w.done[what], n)
	w.exceeds(what, n)
	return !w.exceeded.Load()
}
