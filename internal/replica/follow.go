package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
)

const (
	probeEvery = time.Second // how often SpiceDB is asked for its newest state
	retryFirst = 50 * time.Millisecond
	retryLast  = 5 * time.Second // how long the replica waits at most before it tries again what failed
)

// Why following ends.
var (
	errSchema  = errors.New("the schema changed")
	errTooMany = errors.New("there are more relationships than the replica may hold")
	errEmpty   = errors.New("SpiceDB holds no schema yet")
)

// Run follows what is stored, until ctx ends. It returns when nothing of it is under way any more.
func (r *Replica) Run(ctx context.Context) {
	ctx, r.stop = context.WithCancel(ctx)
	r.life = ctx
	defer r.end()
	wait, told := retryFirst, ""
	for ctx.Err() == nil {
		begun := clock()
		err := r.loadAndFollow(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errSchema):
			r.withdraw(whySchema)
			r.options.Logger.InfoContext(ctx, "the replica loads anew, since the schema changed")
			continue
		case errors.Is(err, errTooMany):
			r.standDown(whyTooMany)
			r.options.Logger.WarnContext(ctx, "the replica stands down: more relationships are stored than it may hold; SpiceDB answers everything",
				"max", r.options.MaxRelationships, "flag", "--replica-max-relationships")
			return
		case !errors.Is(err, errEmpty):
			r.withdraw(whyLost)
			if err.Error() != told {
				told = err.Error()
				r.options.Logger.WarnContext(ctx, "the replica cannot follow SpiceDB, which answers everything until it can again", "error", told)
			}
		}
		if clock()-begun > time.Minute {
			wait, told = retryFirst, ""
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, retryLast)
	}
}

// end takes back what Run began.
func (r *Replica) end() {
	r.stop()
	r.withdraw(whyLost)
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.running.Wait()
}

// withdraw lets the engine behind answer everything, until the next state is published.
func (r *Replica) withdraw(why string) {
	if !r.off.Load() {
		r.why.Store(why)
	}
	r.current.Store(nil)
	r.retired = nil
}

// standDown lets the engine behind answer everything, for good, and ends Run.
func (r *Replica) standDown(why string) {
	r.why.Store(why)
	r.off.Store(true)
	r.stop()
}

// loadAndFollow holds what is stored and follows its changes, until that fails.
func (r *Replica) loadAndFollow(ctx context.Context) error {
	begun := clock()
	f, err := r.load(ctx)
	if err != nil {
		return err
	}
	relationships, _ := f.state.store.size()
	r.options.Logger.DebugContext(ctx, "the replica has loaded what is stored", "relationships", relationships, "took", (clock() - begun).Round(time.Millisecond).String())

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
	complaint := ""
	for wait := retryFirst; ; wait = min(2*wait, retryLast) {
		told := f.state.token
		err := r.source.WatchStored(ctx, told, f.take)
		r.watch(false)
		switch {
		case ctx.Err() != nil, errors.Is(err, errSchema), errors.Is(err, errTooMany), errors.Is(err, authz.ErrHistoryLost):
			return err
		case f.state.token != told:
			wait, complaint = retryFirst, ""
		}
		// It goes on behind the last state: changes that were told and show in none are told again.
		r.stats.lost.Add(1)
		if err.Error() != complaint {
			complaint = err.Error()
			r.options.Logger.WarnContext(ctx, "the replica lost SpiceDB's Watch, and SpiceDB answers until it is back", "error", complaint)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch notes whether Watch is under way. After it broke off nothing is known to be new until SpiceDB has been asked again.
func (r *Replica) watch(under bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watching = under
	if under {
		r.settle()
		return
	}
	r.probes = nil
	r.fresh.Store(never)
}

// follower is a replica that follows changes, from a state that it loaded.
type follower struct {
	replica *Replica
	state   *state   // the last one that was published
	loaded  revision // what it began with
	told    revision // that, and everything that Watch has told since
}

// load reads everything at one state, and publishes it.
func (r *Replica) load(ctx context.Context) (*follower, error) {
	begun := clock()
	text, token, err := r.source.Head(ctx)
	switch {
	case errors.Is(err, authz.CodeNotFound) || err == nil && text == "":
		return nil, errEmpty
	case err != nil:
		return nil, err
	}
	plans, err := newPlans(text)
	if err != nil {
		return nil, fmt.Errorf("the schema is none that the query planner takes: %w", err)
	}
	revision, ok := parseRevision(token)
	if !ok {
		return nil, fmt.Errorf("SpiceDB gave a token that does not tell its state: %q", token)
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
	r.probes = []probe{{at: begun, revision: revision}}
	r.mu.Unlock()
	f := &follower{replica: r, state: s, loaded: revision, told: revision}
	f.publish(s)
	return f, nil
}

// take makes the changes that SpiceDB tells. They show when SpiceDB has said that everything up to some revision is told, and so
// all at once.
//
// A transaction can be told again, and out of order: on PostgreSQL whenever transactions overlap, elsewhere after a Watch broke
// off. What has been told is passed over.
func (f *follower) take(message *v1.WatchResponse) error {
	s := f.state
	token := authz.Token(message.GetChangesThrough().GetToken())
	if token == s.token && message.GetIsCheckpoint() { // where Watch begins
		f.replica.watch(true)
		return nil
	}
	revision, ok := parseRevision(token)
	switch {
	case !ok:
		return fmt.Errorf("SpiceDB gave a token that does not tell its state: %q", token)
	case message.GetSchemaUpdated():
		if f.loaded.includes(revision) {
			return nil
		}
		return errSchema
	case len(message.GetUpdates()) > 0:
		if f.told.includes(revision) {
			return nil
		}
		f.told = f.told.join(revision)
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

// complete publishes what has been told, when SpiceDB says that nothing up to a revision is left to tell. On PostgreSQL that
// revision may be an older one, at which SpiceDB goes on: the state is then named by a token of its own.
func (f *follower) complete(token authz.Token, revision revision) error {
	if !revision.includes(f.told) {
		if revision.snapshot == nil {
			return nil // of a Watch that was taken up again, and is not there yet
		}
		revision = revision.join(f.told)
		var err error
		if token, err = revision.token(token); err != nil {
			return err
		}
	}
	f.told = revision
	s := f.state
	if s.revision.includes(revision) {
		return nil // nothing new
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
	r.settle()
}

// probe is the newest state at a time.
type probe struct {
	at       time.Duration
	revision revision
}

// probe asks for the newest state again and again. What the replica holds is as new as the last of these states that it includes,
// also when SpiceDB has nothing to tell.
func (r *Replica) probe(ctx context.Context, schema string) {
	ticks := time.NewTicker(probeEvery)
	defer ticks.Stop()
	for {
		at := clock()
		text, token, err := r.source.Head(ctx)
		if revision, ok := parseRevision(token); err == nil && ok {
			r.mu.Lock()
			if text != schema { // and Watch has not said so
				r.fresh.Store(never)
			} else {
				r.probes = append(r.probes, probe{at, revision})
				r.settle()
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

// maxProbes is how many probes wait for what they saw: older than the bound, they would be of no use.
const maxProbes = int(2 * Bound / probeEvery)

// settle takes over how new the current state is known to be, and says so to those who wait for it. The caller holds r.mu.
func (r *Replica) settle() {
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
