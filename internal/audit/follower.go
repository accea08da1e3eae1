package audit

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Follower follows SpiceDB's Watch and writes its changes to a log while Run runs.
type Follower struct {
	log    *Log
	source authz.Source
	reader authz.Reader
	place  Place
	logger *slog.Logger
	now    func() time.Time
	stored func(authz.Token)
	stats  Stats

	readyOnce sync.Once
	ready     chan struct{} // closed when WaitForStart may return
}

// Config configures a Follower.
type Config struct {
	Log    *Log
	Source authz.Source
	Reader authz.Reader // used to find out whether a relationship has expired
	Place  Place

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // the server's clock; nil means time.Now

	// Stored is called after the log has stored every change up to a token. It may be nil and must return quickly.
	Stored func(authz.Token)
}

// NewFollower returns a Follower. It does nothing until Run or FollowOnce is called.
func NewFollower(config Config) *Follower {
	f := &Follower{
		log: config.Log, source: config.Source, reader: config.Reader, place: config.Place,
		logger: config.Logger, now: config.Now, stored: config.Stored, ready: make(chan struct{}),
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

// Stats returns the follower's counters.
func (f *Follower) Stats() *Stats { return &f.stats }

// firstRetry and lastRetry are the shortest and the longest wait before a retry.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// Run follows Watch until ctx ends, and retries after every failure. No change is lost while SpiceDB keeps its history.
func (f *Follower) Run(ctx context.Context) {
	pauses := &backoff.ExponentialBackOff{InitialInterval: firstRetry, Multiplier: 2, MaxInterval: lastRetry}
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		began := f.now()
		err := f.FollowOnce(ctx)
		if f.now().Sub(began) > time.Minute {
			pauses.Reset()
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, wait time.Duration) {
		f.logger.WarnContext(
			ctx, "the audit log cannot follow SpiceDB at the moment; it will retry and continue where it stopped",
			"error", err, "retry_in", wait.String(),
		)
	}))
}

// FollowOnce follows Watch until ctx ends or an error occurs, and returns the error.
func (f *Follower) FollowOnce(ctx context.Context) error {
	err := f.acquireAndFollow(ctx)
	f.stats.setFollowing(false)
	f.stats.wait(waitingForAll, f.now())
	f.markReady()
	return err
}

// markReady makes WaitForStart return.
func (f *Follower) markReady() { f.readyOnce.Do(func() { close(f.ready) }) }

// WaitForStart waits until the log records every later change with its origin. A new log must have stored its
// starting position for this. An existing log must have continued, if necessary after a gap. WaitForStart does not
// wait for an existing log while another server writes it, or while SpiceDB or the log is unavailable. When ctx ends,
// it returns ctx's error.
func (f *Follower) WaitForStart(ctx context.Context) error {
	select {
	case <-f.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		changed := f.log.Changed()
		begun, err := f.log.hasStarted(ctx)
		if err != nil || begun {
			return err
		}
		if err := f.log.Wait(ctx, changed); err != nil {
			return err
		}
	}
}

// acquireAndFollow waits until no other server writes the log, and then follows Watch until an error.
func (f *Follower) acquireAndFollow(ctx context.Context) (err error) {
	w, err := f.log.acquireWriter(ctx, f.place, func() {
		f.stats.clearWaiting()
		f.markReady()
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	w.now, w.stored = f.now, f.stored
	w.unstored = func(p placeholder) {
		f.stats.unstored.Add(1)
		f.logPlaceholder(ctx, p)
	}
	switch {
	case w.wrote > w.last.Seq:
		err = errCutOff
	case w.last.Seq == 0:
		if err := f.start(ctx, w); err != nil {
			return err
		}
	default:
		if err = f.confirmHistory(ctx, w); err == nil {
			f.logger.InfoContext(
				ctx, "the audit log continues", "after_entry", w.last.Seq, "time", w.last.Time.Format(time.RFC3339Nano),
			)
		}
	}
	if err == nil {
		err = f.follow(ctx, w)
	}
	reason := reasonOf(err)
	if reason == "" {
		return err
	}
	f.logger.ErrorContext(
		ctx, reason.message(), "reason", string(reason), "since", w.last.Time.Format(time.RFC3339Nano), "error", err,
	)
	if err := f.restartAfterGap(ctx, w, reason); err != nil {
		return err
	}
	f.stats.gaps.Add(1)
	return f.follow(ctx, w)
}

// logPlaceholder reports in the server's log which entry of the audit log a placeholder replaces. It always names the
// change. The placeholder lacks this information if the audit log rejected a placeholder with it.
func (f *Follower) logPlaceholder(ctx context.Context, p placeholder) {
	fields := []any{
		"entry", p.entry.Seq, "revision", p.replaced.Revision, "part", p.replaced.Part, "kind", string(p.replaced.Kind),
	}
	for _, origin := range p.replaced.Origins() {
		fields = append(
			fields, "request_id", origin.RequestID, "actor", origin.Actor, "operation", origin.Operation,
		)
	}
	fields = append(fields, "reason", string(p.entry.Reason), "error", p.cause)
	const message = "an entry of the audit log could not be stored and was replaced by a placeholder"
	f.logger.ErrorContext(ctx, message, fields...)
}

// watched is a change that Watch delivered, or the error that ended Watch.
type watched struct {
	change authz.Change
	err    error
}

// maxWaitingChanges is the largest number of delivered changes that wait in memory to be written. maxChangesPerWrite
// is the largest number of changes in one transaction.
const (
	maxWaitingChanges  = 1024
	maxChangesPerWrite = 100
)

// follow writes the changes that Watch delivers, and the expiries of relationships, until an error.
func (f *Follower) follow(ctx context.Context, w *writer) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	changes := make(chan watched, maxWaitingChanges)
	after := w.next
	watching.Go(func() {
		for change, err := range f.source.Watch(ctx, after) {
			select {
			case changes <- watched{change, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	f.stats.setFollowing(true)
	expiry := expiryWriter{follower: f, writer: w, lastChange: f.now()}
	accepted := false
	for {
		wait := maxIdle
		if accepted { // earlier, the log may still need a gap, and its snapshot includes the expiries
			var err error
			if wait, err = expiry.wait(ctx); err != nil {
				return err
			}
		}
		timer := time.NewTimer(wait)
		var err error
		select {
		case next := <-changes:
			if err = f.writeWaiting(ctx, w, next, changes, &expiry); err == nil {
				accepted = true
				f.stats.stopWaiting(waitingForAll)
				f.markReady()
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

// writeWaiting writes a change, together with the changes that wait after it.
func (f *Follower) writeWaiting(
	ctx context.Context, w *writer, first watched, waiting <-chan watched, expiry *expiryWriter,
) error {
	batch := []authz.Change{}
	var ended error
	for next, more := first, true; more && ended == nil; {
		if ended = next.err; ended == nil {
			batch = append(batch, next.change)
		}
		select {
		case next = <-waiting:
			more = len(batch) < maxChangesPerWrite
			if !more {
				batch = append(batch, next.change)
				ended = next.err
			}
		default:
			more = false
		}
	}
	return errors.Join(f.writeChanges(ctx, w, batch, expiry), ended)
}

// writeChanges writes changes in one transaction and updates the statistics.
func (f *Follower) writeChanges(ctx context.Context, w *writer, changes []authz.Change, expiry *expiryWriter) error {
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
		f.stats.stopWaiting(waitingForChange)
	}
	f.stats.count(added)
	for _, change := range changes {
		expiry.observe(change.At, now)
		if len(change.Updates) > 0 && !change.At.IsZero() {
			f.stats.setLag(now.Sub(change.At))
		}
	}
	return nil
}

// maxUpdates is the largest number of updates in one entry. A larger transaction has several entries.
const maxUpdates = 1000

// change appends the updates of one transaction, unless the log has them already. If the transaction touches or deletes
// an expired relationship, change first appends the expiry.
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
		known, err := b.contains(change.Revision, 0)
		if err != nil || known {
			return err
		}
		return b.store(e)
	}
	if len(change.Updates) == 0 {
		return nil
	}
	if known, err := b.contains(change.Revision, 1); err != nil || known {
		return err
	}
	for part := 0; part*maxUpdates < len(change.Updates); part++ {
		e.Part, e.Updates = part+1, nil
		for _, u := range change.Updates[part*maxUpdates : min((part+1)*maxUpdates, len(change.Updates))] {
			action := actionTouch
			if u.Action == authz.Delete {
				action = actionDelete
			}
			e.Updates = append(e.Updates, newUpdate(action, u.Relationship))
		}
		ended, err := b.dueOrNone(e.Updates, at)
		if err != nil {
			return err
		}
		for _, u := range ended {
			if err := b.appendExpiry(u); err != nil {
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
