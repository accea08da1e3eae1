package audit

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// How often and for how long an entry fails, in a way that may pass, before a placeholder stands for it: while another entry of
// the same size can be stored, and while only a small one can.
const (
	minFailures   = 10
	patience      = 3 * time.Minute
	sizedPatience = time.Hour
)

// staleFailure is how long a failure counts: the follower retries after ten seconds at most.
const staleFailure = 10 * time.Minute

// streak is a number of failures without a success between them.
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

// repeatedFailure is a part of a write that fails in a way that may pass. A failure counts only while other things can be stored, so a
// database that is away or has no room is not taken for a fault of the entry.
type repeatedFailure struct {
	cause error
	last  time.Time
	small streak // while a small entry could be stored
	same  streak // while an entry of the same size could be stored
	full  bool   // there was no room for an entry of the same size
}

// isPermanent reports whether it is the entry that fails, and not the database.
func (f *repeatedFailure) isPermanent(now time.Time) bool {
	return f.same.lasted(patience, now) || !f.full && f.small.lasted(sizedPatience, now)
}

// offered is a part of a write that the log may refuse.
type offered struct {
	name string       // for people
	key  string       // the same whenever the same part is offered again
	do   func() error // stores it
	same func() error // stores something of the same size with other words
}

// offer does a part of a careful write; it undoes that part alone if the log refuses it. It returns why the log refused it,
// or nil if it is done. A refusal that may pass leaves the write undecided: the rest of it is tried too, so that all that
// fails is known, and then all of it is undone. An err is that of the whole log.
func (b *batch) offer(o offered) (refused, err error) {
	now := b.now()
	f, known := b.log.failures[o.key]
	if known && now.Sub(f.last) > staleFailure {
		known = false
	}
	if known {
		if f.isPermanent(now) {
			f.last = now
			b.offered = append(b.offered, o.key)
			return f.cause, nil
		}
		// Before the entry, which may break the connection.
		if err := b.probe(o, f); err != nil {
			return nil, err
		}
	}
	refused = b.try(o.do)
	if refused == nil {
		b.offered = append(b.offered, o.key)
		return nil, nil
	}
	if !mayPass(refused) {
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
	b.keep(o, f, refused)
	if broken {
		return nil, fmt.Errorf("%s: %w", o.name, refused)
	}
	if b.undecided == nil && !f.isPermanent(now) {
		b.undecided = fmt.Errorf("%s: %w", o.name, refused)
	}
	b.offered = append(b.offered, o.key)
	return refused, nil
}

// keep remembers a failure for the next attempt.
func (b *batch) keep(o offered, f *repeatedFailure, cause error) {
	f.cause, f.last = cause, b.now()
	if b.log.failures == nil {
		b.log.failures = make(map[string]*repeatedFailure)
	}
	b.log.failures[o.key] = f
}

// probe stores something else in place of a part that failed, counts what that says about the failure, and undoes it. An
// error means that the whole log fails, or that the write cannot go on.
func (b *batch) probe(o offered, f *repeatedFailure) error {
	now := b.now()
	if err := b.tryOut(func() error { return b.add(leastPlaceholder(b.last.Time)) }); err != nil {
		delete(b.log.failures, o.key)
		return err
	}
	f.small.count(now)
	err := b.tryOut(o.same)
	f.full = err != nil && isFull(err)
	if err == nil {
		f.same.count(now)
		return nil
	}
	f.same = streak{}
	if errors.Is(err, errBroken) {
		if b.ctx.Err() == nil {
			b.keep(o, f, err)
		}
		return err
	}
	return nil
}

// errTriedOut is that something was stored, and is undone.
var errTriedOut = errors.New("it could be stored")

// tryOut does something and undoes it.
func (b *batch) tryOut(do func() error) error {
	err := b.try(func() error {
		if err := do(); err != nil {
			return err
		}
		return errTriedOut
	})
	if errors.Is(err, errTriedOut) && !errors.Is(err, errBroken) {
		return nil
	}
	return err
}

// settled forgets the failures of a write that is stored, and those that nobody came back to.
func (b *batch) settled() {
	for _, key := range b.offered {
		delete(b.log.failures, key)
	}
	for key, f := range b.log.failures {
		if b.now().Sub(f.last) > staleFailure {
			delete(b.log.failures, key)
		}
	}
}

// contentKey is the same for the same entry, wherever it stands in the log, and for the same placeholder, whatever its reason.
func contentKey(e Entry) string {
	e.Seq, e.Prev, e.Reason = 0, "", ""
	body, _, err := seal(e)
	if err != nil {
		return fmt.Sprint(e.Kind, e.Revision, e.Part)
	}
	return hashOf(body)
}

// likeness is an entry of the same size, with other words in it. Its kind is one that no check on others refuses.
func likeness(e Entry) Entry {
	e.Kind = Unstored
	e.Revision, e.Schema, e.Reason = likeWord(e.Revision), likeWord(e.Schema), likeWord(e.Reason)
	e.Origin = likeOrigin(e.Origin)
	overlapping, objects := e.Overlapping, e.Objects
	e.Overlapping, e.Objects = nil, nil
	for _, origin := range overlapping {
		e.Overlapping = append(e.Overlapping, likeOrigin(origin))
	}
	for _, object := range objects {
		e.Objects = append(e.Objects, likeReference(object))
	}
	e.Updates = likeUpdates(e.Updates)
	return e
}

func likeUpdates(updates []Update) (like []Update) {
	for _, u := range updates {
		u.Resource, u.Relation, u.Subject = likeReference(u.Resource), likeWord(u.Relation), likeReference(u.Subject)
		u.Caveat = likeWord(u.Caveat)
		if context := likeWord(string(u.CaveatContext)); len(context) > 1 {
			u.CaveatContext = []byte(`"` + context[2:] + `"`)
		}
		like = append(like, u)
	}
	return like
}

func likeOrigin(o Origin) Origin {
	return Origin{likeWord(o.Actor), likeWord(o.Key), likeWord(o.Operation), likeWord(o.RequestID), likeWord(o.StatedReason)}
}

func likeReference(r Reference) Reference {
	r.Type, r.Relation = likeWord(r.Type), likeWord(r.Relation)
	if !r.Wildcard {
		r.ID = likeWord(authz.ID(authz.EncodeID(r.ID)))
	}
	return r
}

// likeWord is another word of the same length; the same for the same word.
func likeWord[T ~string](word T) T {
	digits := hashOf([]byte("like " + word))
	return T(strings.Repeat(digits, len(word)/len(digits)+1)[:len(word)])
}
