package replica

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
)

// DefaultMaxRelationships is how many relationships a replica holds at most unless it is told otherwise.
const DefaultMaxRelationships = 5_000_000

// Bound is how old the state may be that an answer rests on: a write that another server made is seen at the latest then.
const Bound = 5 * time.Second

// Source tells what SpiceDB holds, in SpiceDB's own form. Its errors are those of an authz.Engine.
type Source interface {
	// Head returns the stored schema and a token of the newest state.
	Head(ctx context.Context) (schema string, token authz.Token, err error)

	// ExportStored hands every relationship of a state to take, a part at a time, until it returns an error.
	ExportStored(ctx context.Context, at authz.Token, take func([]*v1.Relationship) error) error

	// WatchStored hands what SpiceDB's Watch tells after a state to take, until it returns an error or ctx ends; first a
	// checkpoint of the state itself. The error has authz.ErrHistoryLost as a cause if SpiceDB does not have what happened after it.
	WatchStored(ctx context.Context, after authz.Token, take func(*v1.WatchResponse) error) error
}

// Options are what a replica can be told. The zero value is fine.
type Options struct {
	// MaxRelationships is above which number the replica stands down for good; DefaultMaxRelationships if zero.
	MaxRelationships int

	// Verify is which share of the replica's answers is asked of the engine behind as well, from 0 to 1.
	Verify float64

	// Observe is told of each call who answered, FromReplica or FromSpiceDB, and in the latter case why.
	Observe func(method, source, reason string)

	Logger *slog.Logger // discards if nil
}

// Methods are those of authz.Engine that the replica answers.
var Methods = []string{"Check", "CheckBulk", "LookupResources", "LookupSubjects"}

// Who answers.
const (
	FromReplica = "replica"
	FromSpiceDB = "spicedb"
)

// Why SpiceDB answers, in place of the replica.
const (
	whyFully      = "fully_consistent" // it was asked for
	whyLoading    = "loading"          // nothing is loaded yet
	whyLost       = "watch_lost"       // nothing is heard of SpiceDB's changes
	whySchema     = "schema_change"    // the schema is changing
	whyStale      = "stale"            // nothing was heard for too long
	whyBehind     = "behind"           // the token names what has not arrived yet
	whyToken      = "unknown_token"    // the token is none that the replica can read
	whySnapshot   = "other_snapshot"   // a state was asked for that the replica does not show
	whyCaveat     = "caveat"           // a caveat is on the path
	whyWildcard   = "wildcard"         // everybody is among the subjects
	whySubjectSet = "subject_set"      // the subject is a set of subjects
	whyUnknown    = "unknown_name"     // the schema does not have it, SpiceDB says what is wrong
	whyTooMuch    = "too_much"         // too many relationships would have to be looked at
	whyPlanner    = "planner"          // the query planner does not decide it as SpiceDB does
	whyEnded      = "ended"            // the request is over, as SpiceDB says
	whyTooMany    = "too_many"         // more relationships are stored than the replica may hold
	whyDiffers    = "differs"          // an answer differed from SpiceDB's
)

// Replica is an authz.Engine that answers from memory what it can, and has the engine behind it answer the rest. Run makes it
// follow what is stored; until then, and whenever it cannot follow, the engine behind answers everything.
type Replica struct {
	authz.Engine // behind it

	source  Source
	options Options
	pages   authz.ResourcePages
	random  func() float64

	current atomic.Pointer[state] // nil while the replica does not answer
	why     atomic.Value          // a string: why it does not
	fresh   atomic.Int64          // when the current state is known to have been the newest, by clock; or never
	known   atomic.Int64          // the last of these times, also if Watch broke off since
	off     atomic.Bool           // for good

	life context.Context //nolint:containedctx // Run's, which verifications end with
	stop context.CancelFunc

	retired []*state // of the current store, which may be pinned, the oldest first; Run's own

	mu       sync.Mutex
	watching bool          // Watch is under way
	probes   []probe       // newer than what has arrived, the oldest first
	arrived  chan struct{} // closed when a state has arrived or is known to be new
	ended    bool          // Run has

	verifying chan struct{}
	running   sync.WaitGroup
	stats     counters
}

var _ authz.Engine = (*Replica)(nil)

// New returns a replica of what source tells, in front of engine.
func New(engine authz.Engine, source Source, options Options) *Replica {
	if options.MaxRelationships == 0 {
		options.MaxRelationships = DefaultMaxRelationships
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Replica{
		Engine: engine, source: source, options: options, random: rand.Float64,
		arrived: make(chan struct{}), verifying: make(chan struct{}, maxVerifying),
		life: context.Background(), stop: func() {},
	}
	r.fresh.Store(never)
	r.why.Store(whyLoading)
	return r
}

// started is what clock counts from.
var started = time.Now()

// never is the time at which a state is known to have been the newest of which that is not known at all.
const never = int64(-1 << 62)

// clock is a time that never goes back.
func clock() time.Duration { return time.Since(started) }

// acquire pins the state that answers a request of some consistency; nil, and why, if SpiceDB has to.
func (r *Replica) acquire(at authz.Consistency) (_ *state, why string) {
	var wanted revision
	switch at.Freshness {
	case authz.Default, authz.FullyConsistent:
		return nil, whyFully
	case authz.AtLeastAsFresh, authz.ExactSnapshot:
		var ok bool
		if wanted, ok = parseRevision(at.Token); !ok {
			return nil, whyToken
		}
	case authz.MinimizeLatency:
	}
	fresh := r.fresh.Load() // of this state or an earlier one
	s := r.pin()
	if s == nil || r.off.Load() {
		if s != nil {
			s.unpin()
		}
		return nil, r.why.Load().(string) //nolint:errcheck,forcetypeassert // nothing else is stored
	}
	switch {
	case fresh == never:
		why = whyLost
	case clock()-time.Duration(fresh) > Bound:
		why = whyStale
	case at.Freshness == authz.MinimizeLatency:
	case s.revision.store != wanted.store:
		why = whyToken
	case !s.revision.includes(wanted):
		why = whyBehind
	case at.Freshness == authz.ExactSnapshot && !wanted.includes(s.revision):
		why = whySnapshot
	}
	if why != "" {
		s.unpin()
		return nil, why
	}
	return s, ""
}

// observe counts an answer.
func (r *Replica) observe(method, why string) {
	source := FromReplica
	if why != "" {
		source = FromSpiceDB
	}
	if r.options.Observe != nil {
		r.options.Observe(method, source, why)
	}
}

// Reached returns when the replica answers from a state that includes what the token names, or with an error when ctx ends.
func (r *Replica) Reached(ctx context.Context, token authz.Token) error {
	wanted, ok := parseRevision(token)
	if !ok {
		return authz.Errorf(authz.CodeInvalid, "%q is no token of a state that a replica can wait for", token)
	}
	for {
		r.mu.Lock()
		arrived := r.arrived
		r.mu.Unlock()
		if s := r.current.Load(); s != nil && s.revision.includes(wanted) && r.fresh.Load() != never {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
