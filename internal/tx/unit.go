// Package tx is the unit of work of an operation. A Unit reads relationships and checks permissions at one snapshot,
// collects updates and preconditions, and commits them as one atomic write. Attempts counts the attempts at a write: if
// another request changes what an attempt has read, another attempt follows.
//
// The package knows no product rule. SpiceDB verifies the preconditions in the transaction of the write. So an attempt
// that read old relationships fails, and is retried on the newest ones.
package tx

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxParallelReads is how many reads FindAll runs at the same time.
const maxParallelReads = 16

// Store is the part of authz.Engine that a Unit needs.
type Store interface {
	CheckBulk(ctx context.Context, checks []authz.Check, at authz.Consistency) ([]authz.CheckResult, authz.Token, error)
	Read(
		ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
	) iter.Seq2[authz.ReadItem, error]
	Write(ctx context.Context, write authz.Write) (authz.Token, error)
}

// Unit is one attempt at an operation. Its first check reads the newest state and fixes the snapshot; every later
// read and check sees that snapshot. A Unit is for one goroutine and one commit.
type Unit struct {
	store    Store
	snapshot authz.Token
	maxRead  int64
	maxWrite time.Duration
	reserved int

	rowsRead atomic.Int64
	found    map[authz.Filter][]authz.Relationship

	updates       []authz.Update
	indexes       map[authz.Filter]int // indexes of updates, by the filter that selects exactly their relationship
	preconditions []authz.Precondition
	required      map[authz.Precondition]bool
	deletedFirst  [][]authz.Relationship
	splits        bool
}

// Option configures a Unit.
type Option func(*Unit)

// AtSnapshot makes the Unit read the state that a token names instead of the newest state.
func AtSnapshot(token authz.Token) Option { return func(u *Unit) { u.snapshot = token } }

// WithMaxRead limits how many relationships the Unit reads. A read beyond the limit fails with CodeTooLarge. Without
// this option there is no limit.
func WithMaxRead(relationships int64) Option { return func(u *Unit) { u.maxRead = relationships } }

// WithReserved keeps space in the write for updates that are added immediately before the commit.
func WithReserved(updates int) Option { return func(u *Unit) { u.reserved = updates } }

// New returns an empty Unit on a store.
func New(store Store, options ...Option) *Unit {
	u := &Unit{
		store: store, found: make(map[authz.Filter][]authz.Relationship), required: make(map[authz.Precondition]bool),
		indexes: make(map[authz.Filter]int),
	}
	for _, option := range options {
		option(u)
	}
	return u
}

// Observer returns a Unit that reads the same snapshot and shares the results of earlier reads. Rules use it for
// decisions on which the write does not depend: the observer's updates and preconditions are never committed.
func (u *Unit) Observer() *Unit {
	observer := New(u.store, AtSnapshot(u.snapshot), WithMaxRead(u.maxRead), WithReserved(u.reserved))
	observer.found = u.found
	return observer
}

// Snapshot returns the token of the state that the Unit reads. It is empty before the first Check.
func (u *Unit) Snapshot() authz.Token { return u.snapshot }

// Consistency returns the consistency of the Unit's reads: its snapshot, or before the first check the newest state.
func (u *Unit) Consistency() authz.Consistency {
	if u.snapshot == "" {
		return authz.Fully()
	}
	return authz.AtSnapshot(u.snapshot)
}

// Find returns the stored relationships that match. The Unit stores the result: the same filter always has the same
// result.
func (u *Unit) Find(ctx context.Context, filter authz.Filter) ([]authz.Relationship, error) {
	if found, ok := u.found[filter]; ok {
		return found, nil
	}
	found, err := u.FindSome(ctx, filter, 0)
	if err == nil {
		u.found[filter] = found
	}
	return found, err
}

// FindAll is Find for several filters, some of them at the same time. It returns one slice for each filter, in their
// order.
func (u *Unit) FindAll(ctx context.Context, filters []authz.Filter) ([][]authz.Relationship, error) {
	answers, err := u.FindSomeOfEach(ctx, filters, 0)
	if err != nil {
		return nil, err
	}
	for i, filter := range filters {
		u.found[filter] = answers[i]
	}
	return answers, nil
}

// FindSomeOfEach is FindSome for several filters, some of them at the same time. It returns one slice for each filter,
// in their order. If Find has already read all relationships of a filter, it returns all of them.
func (u *Unit) FindSomeOfEach(
	ctx context.Context, filters []authz.Filter, limit int,
) ([][]authz.Relationship, error) {
	answers := make([][]authz.Relationship, len(filters))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallelReads)
	for i, filter := range filters {
		if found, ok := u.found[filter]; ok {
			answers[i] = found
			continue
		}
		group.Go(func() (err error) {
			answers[i], err = u.FindSome(ctx, filter, limit)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return answers, nil
}

// FindOfSubjects prepares Find for many subjects with one read of all relationships that match the filter. The filter
// has the type of the subjects but no id. Find then answers from memory. If more than limit relationships match,
// FindOfSubjects keeps no result, and each Find reads for itself.
func (u *Unit) FindOfSubjects(ctx context.Context, filter authz.Filter, subjects []authz.ID, limit int) error {
	all, err := u.FindSome(ctx, filter, limit+1)
	if err != nil || len(all) > limit {
		return err
	}
	of := make(map[authz.ID][]authz.Relationship)
	for _, r := range all {
		of[r.Subject.ID] = append(of[r.Subject.ID], r)
	}
	for _, id := range subjects {
		filter.SubjectID = id
		u.found[filter] = of[id]
	}
	return nil
}

// FindSome returns at most limit of the stored relationships that match, and does not store the result. A limit of 0
// means all.
func (u *Unit) FindSome(ctx context.Context, filter authz.Filter, limit int) ([]authz.Relationship, error) {
	var found []authz.Relationship
	for item, err := range u.store.Read(ctx, filter, u.Consistency(), authz.Page{Limit: limit, NoCursors: true}) {
		if err != nil {
			return nil, err
		}
		if u.maxRead > 0 && u.rowsRead.Add(1) > u.maxRead {
			return nil, authz.Errorf(authz.CodeTooLarge,
				"the answer would read more than %d relationships; ask for less at once", u.maxRead)
		}
		found = append(found, item.Relationship)
	}
	return found, nil
}

// Check performs several checks at the Unit's snapshot. The first Check of a Unit reads the newest state and fixes the
// snapshot. If one check fails by itself, its result has an error with CodeInvalid or CodeTooLarge. Any other error of
// a result makes the whole call fail.
func (u *Unit) Check(ctx context.Context, checks []authz.Check) ([]authz.CheckResult, error) {
	results, token, err := u.store.CheckBulk(ctx, checks, u.Consistency())
	if err != nil {
		return nil, err
	}
	if u.snapshot == "" {
		u.snapshot = token
	}
	for _, result := range results {
		switch authz.CodeOf(result.Err) {
		case authz.CodeInvalid, authz.CodeTooLarge:
		default:
			if result.Err != nil {
				return nil, result.Err
			}
		}
	}
	return results, nil
}
