package spicedb

import (
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxScratchSubjects limits the cost of all look-ups of subjects together during one use of a scratch engine, a
// temporary SpiceDB in memory. The cost of a look-up is that of the subjects that it keeps in memory, see
// subjectSimulation, plus the number of relationships that it reads. The limit of one look-up does not suffice, since
// a preview makes a look-up for each permission.
const maxScratchSubjects = 20_000_000

const togetherMessage = "the answer needs the people of too many permissions, or too many paths lead to them"

// allowance is how much the look-ups of subjects of several calls may still cost together. A nil allowance means no
// limit.
type allowance struct{ left atomic.Int64 }

func newAllowance() *allowance {
	a := &allowance{}
	a.renew()
	return a
}

func (a *allowance) renew() { a.left.Store(maxScratchSubjects) }

// spend subtracts n from the allowance. It returns an error if too little is left.
func (a *allowance) spend(n int64) error {
	if a != nil && a.left.Add(-n) < 0 {
		return status.Error(codes.ResourceExhausted, togetherMessage)
	}
	return nil
}
