package audit

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// A part of a write, for example an entry, may fail with a transient error in every attempt. A placeholder replaces
// it if it has failed at least minFailures times and the database could store other content meanwhile. This other
// content is content of the same size during permanentAfter, or a small entry during permanentSizeAfter.
const (
	minFailures        = 10
	permanentAfter     = 3 * time.Minute
	permanentSizeAfter = time.Hour
)

// forgetFailureAfter is how long a failure counts. The follower retries after at most ten seconds, so a part that
// still fails fails again before this time.
const forgetFailureAfter = 10 * time.Minute

// streak is a number of consecutive failures, and the time of the first one.
type streak struct {
	times int
	since time.Time
}

func (s *streak) count(now time.Time) {
	if s.times == 0 {
		s.since = now
	}
	s.times++
}

func (s *streak) lasted(least time.Duration, now time.Time) bool {
	return s.times >= minFailures && now.Sub(s.since) >= least
}

// repeatedFailure describes the failures of one part of a write with transient errors. A failure counts only if the
// database can store another part at the same time. So a database that is unavailable or full never causes a
// placeholder.
type repeatedFailure struct {
	cause error
	last  time.Time
	small streak // failures while a small entry could be stored
	same  streak // failures while an entry of the same size could be stored
	full  bool   // the disk has no room for an entry of the same size
}

// isPermanent reports whether the part itself causes the failures, and not the state of the database.
func (f *repeatedFailure) isPermanent(now time.Time) bool {
	return f.same.lasted(permanentAfter, now) || !f.full && f.small.lasted(permanentSizeAfter, now)
}

// writePart is a part of a write that the log's database may reject: an entry, a relationship of a snapshot, or the
// query of dueOrNone.
type writePart struct {
	name string       // names the part in errors
	key  string       // equal in each attempt of the same part
	do   func() error // stores the part
	same func() error // stores a part of the same size with other content
}

// attemptPart stores a part of a careful write in a savepoint. refused is the error with which the database rejects
// the part, or nil if the part is stored. err is an error that ends the whole write, for example a broken connection.
// After a transient error that has not proved permanent, attemptPart sets b.pending: the write still attempts its
// other parts, so that it finds all failing parts, and is then rolled back.
func (b *batch) attemptPart(o writePart) (refused, err error) {
	now := b.now()
	f, known := b.log.failures[o.key]
	if known && now.Sub(f.last) > forgetFailureAfter {
		known = false
	}
	if known {
		if f.isPermanent(now) {
			f.last = now
			b.attemptedKeys = append(b.attemptedKeys, o.key)
			return f.cause, nil
		}
		// Probe first, since an attempt to store the part may break the connection.
		if err := b.probe(o, f); err != nil {
			return nil, err
		}
	}
	refused = b.inSavepoint(o.do)
	if refused == nil {
		b.attemptedKeys = append(b.attemptedKeys, o.key)
		return nil, nil
	}
	if !isTransient(refused) {
		return refused, nil
	}
	if b.ctx.Err() != nil {
		return nil, refused
	}
	broken := errors.Is(refused, errBroken)
	if !known {
		f = &repeatedFailure{}
		if !broken {
			if err := b.probe(o, f); err != nil {
				return nil, err
			}
		}
	}
	b.rememberFailure(o, f, refused)
	if broken {
		return nil, fmt.Errorf("%s: %w", o.name, refused)
	}
	if b.pending == nil && !f.isPermanent(now) {
		b.pending = fmt.Errorf("%s: %w", o.name, refused)
	}
	b.attemptedKeys = append(b.attemptedKeys, o.key)
	return refused, nil
}

// rememberFailure stores the failure of a part for the next attempt.
func (b *batch) rememberFailure(o writePart, f *repeatedFailure, cause error) {
	f.cause, f.last = cause, b.now()
	if b.log.failures == nil {
		b.log.failures = make(map[string]*repeatedFailure)
	}
	b.log.failures[o.key] = f
}

// probe stores other content than a failed part, counts the result in f, and rolls the content back. It returns an
// error if the database accepts no content, or if the transaction is broken.
func (b *batch) probe(o writePart, f *repeatedFailure) error {
	now := b.now()
	if err := b.tryAndRollBack(func() error { return b.appendEntry(minimalPlaceholder(b.last.Time)) }); err != nil {
		delete(b.log.failures, o.key)
		return err
	}
	f.small.count(now)
	err := b.tryAndRollBack(o.same)
	f.full = err != nil && isFull(err)
	if err == nil {
		f.same.count(now)
		return nil
	}
	f.same = streak{}
	if errors.Is(err, errBroken) {
		if b.ctx.Err() == nil {
			b.rememberFailure(o, f, err)
		}
		return err
	}
	return nil
}

// errStored makes tryAndRollBack roll back although do has succeeded.
var errStored = errors.New("the content was stored and is rolled back")

// tryAndRollBack calls do and rolls back its changes.
func (b *batch) tryAndRollBack(do func() error) error {
	err := b.inSavepoint(func() error {
		if err := do(); err != nil {
			return err
		}
		return errStored
	})
	if errors.Is(err, errStored) && !errors.Is(err, errBroken) {
		return nil
	}
	return err
}

// forgetFailures deletes the failures of parts that are now stored, and failures that are too old.
func (b *batch) forgetFailures() {
	for _, key := range b.attemptedKeys {
		delete(b.log.failures, key)
	}
	for key, f := range b.log.failures {
		if b.now().Sub(f.last) > forgetFailureAfter {
			delete(b.log.failures, key)
		}
	}
}

// contentKey returns a key for the content of an entry. It ignores the entry's number and the reason of a placeholder.
func contentKey(e Entry) string {
	e.Seq, e.Prev, e.Reason = 0, "", ""
	body, _, err := encode(e)
	if err != nil {
		return fmt.Sprint(e.Kind, e.Revision, e.Part)
	}
	return hashOf(body)
}

// sameSizeEntry returns an entry of the same size with other content. It has the kind Unstored, so that no constraint
// on entries of other kinds rejects it.
func sameSizeEntry(e Entry) Entry {
	e.Kind = Unstored
	e.Revision, e.Schema, e.Reason = scramble(e.Revision), scramble(e.Schema), scramble(e.Reason)
	e.Origin = scrambleOrigin(e.Origin)
	overlapping, objects := e.Overlapping, e.Objects
	e.Overlapping, e.Objects = nil, nil
	for _, origin := range overlapping {
		e.Overlapping = append(e.Overlapping, scrambleOrigin(origin))
	}
	for _, object := range objects {
		e.Objects = append(e.Objects, scrambleReference(object))
	}
	e.Updates = scrambleUpdates(e.Updates)
	return e
}

func scrambleUpdates(updates []Update) (like []Update) {
	for _, u := range updates {
		u.Resource, u.Subject = scrambleReference(u.Resource), scrambleReference(u.Subject)
		u.Relation = scramble(u.Relation)
		u.Caveat = scramble(u.Caveat)
		if context := scramble(string(u.CaveatContext)); len(context) > 1 {
			u.CaveatContext = []byte(`"` + context[2:] + `"`)
		}
		like = append(like, u)
	}
	return like
}

func scrambleOrigin(o Origin) Origin {
	return Origin{
		scramble(o.Actor), scramble(o.Key), scramble(o.Operation), scramble(o.RequestID), scramble(o.StatedReason),
	}
}

func scrambleReference(r Reference) Reference {
	r.Type, r.Relation = scramble(r.Type), scramble(r.Relation)
	if !r.Wildcard {
		r.ID = scramble(authz.ID(authz.EncodeID(r.ID)))
	}
	return r
}

// scramble returns another word of the same length. Equal words have equal results.
func scramble[T ~string](word T) T {
	digits := hashOf([]byte("like " + word))
	return T(strings.Repeat(digits, len(word)/len(digits)+1)[:len(word)])
}
