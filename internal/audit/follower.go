package audit

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Follower writes what a source tells to a log, for as long as Run does.
type Follower struct {
	log    *Log
	source authz.Source
	engine authz.Engine
	place  Place
	logger *slog.Logger
	now    func() time.Time
	stored func(authz.Token)
	stats  Stats

	settle  sync.Once
	settled chan struct{} // closed when it is known whether the log goes on, or is not for now
}

// Config is what a Follower needs.
type Config struct {
	Log    *Log
	Source authz.Source
	Engine authz.Engine // answers whether a relationship has expired
	Place  Place

	Logger *slog.Logger     // discards if nil
	Now    func() time.Time // the server's clock; time.Now if nil

	// Stored, if set, is called whenever the log has everything that Watch delivered up to a token. It must return soon.
	Stored func(authz.Token)
}

// NewFollower returns a Follower that does nothing yet.
func NewFollower(config Config) *Follower {
	f := &Follower{
		log: config.Log, source: config.Source, engine: config.Engine, place: config.Place,
		logger: config.Logger, now: config.Now, stored: config.Stored, settled: make(chan struct{}),
	}
	if f.logger == nil {
		f.logger = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	f.stats.now = f.now
	return f
}

// Stats counts what the follower does.
func (f *Follower) Stats() *Stats { return &f.stats }

// How long the follower waits before it tries again what failed.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// Run follows until ctx ends. What fails is tried again: nothing is lost as long as the source keeps it.
func (f *Follower) Run(ctx context.Context) {
	wait := firstRetry
	for ctx.Err() == nil {
		began := f.now()
		err := f.FollowOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if f.now().Sub(began) > time.Minute {
			wait = firstRetry
		}
		f.logger.WarnContext(ctx, "the audit log does not follow SpiceDB at the moment; it goes on where it stopped", "error", err, "again_in", wait.String())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, lastRetry)
	}
}

// FollowOnce follows until ctx ends or something fails, and returns what failed.
func (f *Follower) FollowOnce(ctx context.Context) error {
	err := f.lead(ctx)
	f.stats.setFollowing(false)
	f.stats.wait(waitingForAll, f.now())
	f.settles()
	return err
}

// settles has Begun return.
func (f *Follower) settles() { f.settle.Do(func() { close(f.settled) }) }

// Begun returns when it is noted where the log begins, or when it goes on, behind a gap if there is one, so that
// everything from then on comes with its origin; or when ctx ends. A log that has begun is not waited for where
// another server writes it, or where SpiceDB or the log cannot be reached.
func (f *Follower) Begun(ctx context.Context) error {
	select {
	case <-f.settled:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		changed := f.log.Changed()
		begun, err := f.log.begun(ctx)
		if err != nil || begun {
			return err
		}
		if err := f.log.Wait(ctx, changed); err != nil {
			return err
		}
	}
}

// lead waits until nobody else writes the log, and follows until that fails.
func (f *Follower) lead(ctx context.Context) (err error) {
	w, err := f.log.Lead(ctx, f.place, func() {
		f.stats.leave()
		f.settles()
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close(ctx)) }()
	w.now, w.stored = f.now, f.stored
	w.unstored = func(e Entry, cause error) {
		f.stats.unstored.Add(1)
		f.logger.ErrorContext(ctx, "an entry of the audit log could not be stored: a placeholder stands for it",
			"entry", e.Seq, "revision", e.Revision, "part", e.Part, "reason", string(e.Reason), "error", cause)
	}
	switch {
	case w.wrote > w.last.Seq:
		err = errCutOff
	case w.last.Seq == 0:
		if err := f.begin(ctx, w); err != nil {
			return err
		}
	default:
		f.logger.InfoContext(ctx, "the audit log goes on", "after_entry", w.last.Seq, "of", w.last.Time.Format(time.RFC3339Nano))
		err = f.confirm(ctx, w)
	}
	if err == nil {
		err = f.follow(ctx, w)
	}
	reason := reasonOf(err)
	if reason == "" {
		return err
	}
	f.logger.ErrorContext(ctx, reason.message(), "reason", string(reason), "since", w.last.Time.Format(time.RFC3339Nano), "error", err)
	if err := f.beginAnew(ctx, w, reason); err != nil {
		return err
	}
	f.stats.gaps.Add(1)
	return f.follow(ctx, w)
}

// told is a change or the error that ended the Watch.
type told struct {
	change authz.Change
	err    error
}

// How many changes wait at most until they are written, and how many are written at once.
const (
	maxWaiting = 1024
	maxAtOnce  = 100
)

// follow writes what the source tells, and what expires, until one of them fails.
func (f *Follower) follow(ctx context.Context, w *Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	changes := make(chan told, maxWaiting)
	after := w.next
	watching.Go(func() {
		for change, err := range f.source.Watch(ctx, after) {
			select {
			case changes <- told{change, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	f.stats.setFollowing(true)
	expiry := expiries{follower: f, writer: w, heard: f.now()}
	accepted := false
	for {
		wait := maxWait
		if accepted { // what expired in a gap is a part of it
			var err error
			if wait, err = expiry.wait(ctx); err != nil {
				return err
			}
		}
		timer := time.NewTimer(wait)
		var err error
		select {
		case next := <-changes:
			if err = f.take(ctx, w, next, changes, &expiry); err == nil {
				accepted = true
				f.stats.arrive(waitingForAll)
				f.settles()
			}
		case <-timer.C:
			if accepted {
				err = expiry.write(ctx)
			}
		case <-ctx.Done():
			err = ctx.Err()
		}
		timer.Stop()
		if err != nil {
			return err
		}
	}
}

// take writes a change and those that wait behind it.
func (f *Follower) take(ctx context.Context, w *Writer, first told, waiting <-chan told, expiry *expiries) error {
	batch := []authz.Change{}
	var ended error
	for next, more := first, true; more && ended == nil; {
		if ended = next.err; ended == nil {
			batch = append(batch, next.change)
		}
		select {
		case next = <-waiting:
			more = len(batch) < maxAtOnce
			if !more {
				batch = append(batch, next.change)
				ended = next.err
			}
		default:
			more = false
		}
	}
	return errors.Join(f.record(ctx, w, batch, expiry), ended)
}

// record writes changes, with what they tell about the time.
func (f *Follower) record(ctx context.Context, w *Writer, changes []authz.Change, expiry *expiries) error {
	if len(changes) == 0 {
		return nil
	}
	now := f.now()
	changed := slices.IndexFunc(changes, func(c authz.Change) bool { return len(c.Updates) > 0 || c.Schema })
	if changed >= 0 {
		since := changes[changed].At
		if since.IsZero() {
			since = now
		}
		f.stats.wait(waitingForChange, since)
	}
	var schema string
	var added map[Kind]int
	err := w.write(ctx, func(b *batch) error {
		for _, change := range changes {
			at := change.At
			if at.IsZero() || at.After(now) {
				at = now
			}
			if change.Schema && schema == "" {
				var err error
				if schema, _, err = f.source.Head(ctx); err != nil && !errors.Is(err, authz.CodeNotFound) {
					return err
				}
			}
			if err := b.change(change, at, schema); err != nil {
				return err
			}
			b.next = change.Token
		}
		added = b.added
		return nil
	})
	if err != nil {
		return err
	}
	if changed >= 0 {
		f.stats.arrive(waitingForChange)
	}
	f.stats.count(added)
	for _, change := range changes {
		expiry.hear(change.At, now)
		if len(change.Updates) > 0 && !change.At.IsZero() {
			f.stats.setLag(now.Sub(change.At))
		}
	}
	return nil
}

// maxUpdates is how many updates one entry has at most: a large deletion is told in several.
const maxUpdates = 1000

// change appends what one transaction changed, unless it is in the log already. Before a relationship that had expired is
// written anew or removed, its end is told.
func (b *batch) change(change authz.Change, at time.Time, schema string) error {
	e := Entry{Time: Time{at}, Kind: Changed, Revision: change.Revision}
	switch origins := originsOf(change.Metadata); {
	case len(origins) == 1 && len(change.Metadata) == 1:
		e.Origin = origins[0]
	default:
		e.Overlapping = origins
	}
	if change.Schema {
		e.Kind, e.Schema = Schema, schema
		known, err := b.knows(change.Revision, 0)
		if err != nil || known {
			return err
		}
		return b.store(e)
	}
	if len(change.Updates) == 0 {
		return nil
	}
	if known, err := b.knows(change.Revision, 1); err != nil || known {
		return err
	}
	for part := 0; part*maxUpdates < len(change.Updates); part++ {
		e.Part, e.Updates = part+1, nil
		for _, u := range change.Updates[part*maxUpdates : min((part+1)*maxUpdates, len(change.Updates))] {
			action := touch
			if u.Action == authz.Delete {
				action = gone
			}
			e.Updates = append(e.Updates, newUpdate(action, u.Relationship))
		}
		ended, err := b.dueOrNone(e.Updates, at)
		if err != nil {
			return err
		}
		for _, u := range ended {
			if err := b.expired(u); err != nil {
				return err
			}
		}
		if err := b.store(e); err != nil {
			return err
		}
	}
	return nil
}

func originsOf(metadata []map[string]any) []Origin {
	var origins []Origin
	for _, m := range metadata {
		if origin, ok := originOf(m); ok {
			origins = append(origins, origin)
		}
	}
	return origins
}
