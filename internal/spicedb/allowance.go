package spicedb

import (
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxScratchSubjects limits all look-ups of subjects during one use of a scratch engine together. Each look-up costs
// the subjects that it holds, counted as in subjectSimulation, plus the relationships that it reads. The limit of one
// look-up does not suffice, since a preview makes a look-up for each permission.
const maxScratchSubjects = 20_000_000

const togetherMessage = "the answer needs the people of too many permissions, or too many paths lead to them"

// allowance is how much the look-ups of subjects of several calls may still cost together. A nil allowance has no
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
