package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/cenkalti/backoff/v5"

	"github.com/sluice-authz/sluice/internal/authz"
)

const (
	probeEvery = time.Second // interval at which SpiceDB is asked for its newest state
	retryFirst = 50 * time.Millisecond
	retryLast  = 5 * time.Second // longest pause before the replica retries a failure
)

// Reasons why following ends.
var (
	errSchema  = errors.New("the schema changed")
	errTooMany = errors.New(
		"SpiceDB stores more relationships than the in-memory replica may hold (--replica-max-relationships)",
	)
	errEmpty = errors.New("SpiceDB has no schema yet")
)

// Run follows SpiceDB until ctx ends. It returns after all its goroutines have ended.
func (r *Replica) Run(ctx context.Context) {
	ctx, r.stop = context.WithCancel(ctx)
	r.life = ctx
	defer r.end()
	pauses, logged := newPauses(), ""
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		start := clock()
		err := r.loadAndFollow(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errSchema):
			r.withdraw(reasonSchema)
			r.options.Logger.InfoContext(ctx, "the in-memory replica reloads, since the schema changed")
			return struct{}{}, &backoff.RetryAfterError{}
		case errors.Is(err, errTooMany):
			r.standDown(reasonTooMany)
			r.options.Logger.WarnContext(
				ctx,
				"the in-memory replica stands down: too many relationships are stored; SpiceDB answers everything",
				"max",
				r.options.MaxRelationships,
				"flag",
				"--replica-max-relationships",
			)
			return struct{}{}, nil
		case !errors.Is(err, errEmpty):
			r.withdraw(reasonLost)
			if err.Error() != logged {
				logged = err.Error()
				r.options.Logger.WarnContext(
					ctx, "the in-memory replica cannot follow Watch; SpiceDB answers everything until it can", "error", logged,
				)
			}
		}
		if clock()-start > time.Minute {
			pauses.Reset()
			logged = ""
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
}

func newPauses() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: retryFirst, Multiplier: 2, MaxInterval: retryLast}
}

// end frees the relationships that Run loaded.
func (r *Replica) end() {
	r.stop()
	r.withdraw(reasonLost)
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.running.Wait()
}

// withdraw withdraws the current state. The engine behind the replica then answers everything, until the next state is
// published.
func (r *Replica) withdraw(why string) {
	if !r.off.Load() {
		r.why.Store(why)
	}
	r.current.Store(nil)
	r.retired = nil
}

// standDown turns the replica off permanently and ends Run. The engine behind the replica then answers everything.
func (r *Replica) standDown(why string) {
	r.why.Store(why)
	r.off.Store(true)
	r.stop()
}

// loadAndFollow loads all relationships and follows their changes until an error occurs.
func (r *Replica) loadAndFollow(ctx context.Context) error {
	start := clock()
	f, err := r.load(ctx)
	if err != nil {
		return err
	}
	relationships, _ := f.state.store.size()
	r.options.Logger.DebugContext(ctx, "the in-memory replica has loaded all relationships",
		"relationships", relationships, "took", (clock() - start).Round(time.Millisecond).String())

	probing, stop := context.WithCancel(ctx)
	ended, schema := make(chan struct{}), f.state.plans.text
	go func() {
		defer close(ended)
		r.probe(probing, schema)
	}()
	defer func() {
		stop()
		<-ended
	}()
	pauses, complaint := newPauses(), ""
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		logged := f.state.token
		err := r.source.WatchStored(ctx, logged, f.receive)
		r.setWatching(false)
		switch {
		case ctx.Err() != nil, errors.Is(err, errSchema), errors.Is(err, errTooMany), errors.Is(err, authz.ErrHistoryLost):
			return struct{}{}, backoff.Permanent(err)
		case f.state.token != logged:
			pauses.Reset()
			complaint = ""
		}
		// Watch resumes after the last state. It may send some changes again.
		r.stats.lost.Add(1)
		if err.Error() != complaint {
			complaint = err.Error()
			r.options.Logger.WarnContext(
				ctx, "the in-memory replica lost Watch; SpiceDB answers everything until it resumes", "error", complaint,
			)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	return err
}

// setWatching records whether Watch is running. After a failure of Watch, the replica's state counts as outdated until
// SpiceDB has reported its newest state.
func (r *Replica) setWatching(running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watching = running
	if running {
		r.updateFreshness()
		return
	}
	r.probes = nil
	r.fresh.Store(never)
}

// follower applies the changes after a loaded state.
type follower struct {
	replica  *Replica
	state    *state   // the last published state
	loaded   revision // the revision of the first load
	received revision // the revision up to which changes were received
}

// load reads all relationships at one state and publishes it.
func (r *Replica) load(ctx context.Context) (*follower, error) {
	start := clock()
	text, token, err := r.source.Head(ctx)
	switch {
	case errors.Is(err, authz.CodeNotFound) || err == nil && text == "":
		return nil, errEmpty
	case err != nil:
		return nil, err
	}
	plans, err := newPlans(text)
	if err != nil {
		return nil, fmt.Errorf("the query planner does not accept the schema: %w", err)
	}
	revision, ok := parseRevision(token)
	if !ok {
		return nil, fmt.Errorf("SpiceDB sent a token that names no known state: %q", token)
	}
	s := &state{store: newStore(), version: 1, plans: plans, token: token, revision: revision}
	err = r.source.ExportStored(ctx, token, func(relationships []*v1.Relationship) error {
		s.store.touch(relationships, s.version)
		if s.store.live > r.options.MaxRelationships {
			return errTooMany
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.probes = []probe{{at: start, revision: revision}}
	r.mu.Unlock()
	f := &follower{replica: r, state: s, loaded: revision, received: revision}
	f.publish(s)
	return f, nil
}

// receive stores the changes in a message of Watch. They become visible together, when SpiceDB confirms that it has
// sent every change up to a revision.
//
// SpiceDB may send a transaction twice and out of order: on PostgreSQL when transactions overlap, and on other
// datastores after Watch resumes. receive skips changes that it has applied already.
func (f *follower) receive(message *v1.WatchResponse) error {
	s := f.state
	token := authz.Token(message.GetChangesThrough().GetToken())
	if token == s.token && message.GetIsCheckpoint() { // the first message of Watch
		f.replica.setWatching(true)
		return nil
	}
	revision, ok := parseRevision(token)
	switch {
	case !ok:
		return fmt.Errorf("SpiceDB sent a token that names no known state: %q", token)
	case message.GetSchemaUpdated():
		if f.loaded.includes(revision) {
			return nil
		}
		return errSchema
	case len(message.GetUpdates()) > 0:
		if f.received.includes(revision) {
			return nil
		}
		f.received = f.received.join(revision)
		s.store.apply(message.GetUpdates(), s.version+1)
		if s.store.live > f.replica.options.MaxRelationships {
			return errTooMany
		}
		f.replica.stats.changes.Add(uint64(len(message.GetUpdates())))
	case message.GetIsCheckpoint():
		return f.complete(token, revision)
	}
	return nil
}

// complete publishes the received changes when SpiceDB confirms that it has sent all changes up to a revision. On
// PostgreSQL that revision may be older than some received changes. Then no token of SpiceDB names the new state, and
// complete creates one.
func (f *follower) complete(token authz.Token, revision revision) error {
	if !revision.includes(f.received) {
		if revision.snapshot == nil {
			return nil // Watch has resumed, and has not yet reached the last state
		}
		revision = revision.join(f.received)
		var err error
		if token, err = revision.token(token); err != nil {
			return err
		}
	}
	f.received = revision
	s := f.state
	if s.revision.includes(revision) {
		return nil // the current state includes the revision already
	}
	f.publish(&state{store: s.store, version: s.version + 1, plans: s.plans, token: token, revision: revision})
	return nil
}

func (f *follower) publish(s *state) {
	f.state = s
	r := f.replica
	r.publish(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updateFreshness()
}

// probe is the newest state of SpiceDB, and the time when SpiceDB was asked for it.
type probe struct {
	at       time.Duration
	revision revision
}

// probe asks SpiceDB for the newest state periodically. The replica is as recent as the latest of these states that it
// includes, even if Watch sends nothing.
func (r *Replica) probe(ctx context.Context, schema string) {
	ticks := time.NewTicker(probeEvery)
	defer ticks.Stop()
	for {
		at := clock()
		text, token, err := r.source.Head(ctx)
		if revision, ok := parseRevision(token); err == nil && ok {
			r.mu.Lock()
			if text != schema { // Watch did not report the new schema
				r.fresh.Store(never)
			} else {
				r.probes = append(r.probes, probe{at, revision})
				r.updateFreshness()
			}
			r.mu.Unlock()
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// maxProbes limits the number of waiting probes. Older probes are useless, since a state older than Bound may not
// answer.
const maxProbes = int(2 * Bound / probeEvery)

// updateFreshness updates the last time at which the current state was the newest, and wakes the waiting requests. The
// caller holds r.mu.
func (r *Replica) updateFreshness() {
	defer func() {
		close(r.arrived)
		r.arrived = make(chan struct{})
	}()
	s := r.current.Load()
	if s == nil || !r.watching {
		return
	}
	for i, p := range slices.Backward(r.probes) {
		if s.revision.includes(p.revision) {
			r.fresh.Store(int64(max(p.at, time.Duration(r.fresh.Load()))))
			r.known.Store(int64(p.at))
			r.probes = slices.Delete(r.probes, 0, i+1)
			break
		}
	}
	if n := len(r.probes) - maxProbes; n > 0 {
		r.probes = slices.Delete(r.probes, 0, n)
	}
}
