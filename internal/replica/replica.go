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
	"github.com/sluice-authz/sluice/internal/pages"
)

// DefaultMaxRelationships is the largest number of relationships that a replica stores by default.
const DefaultMaxRelationships = 5_000_000

// Bound is the maximum age of the state behind an answer. A write through another server is visible after at most this
// time.
const Bound = 5 * time.Second

// Source reads and watches SpiceDB's relationships as SpiceDB's own types. It returns the same errors as an
// authz.Engine.
type Source interface {
	// Head returns the stored schema and a token of the newest state.
	Head(ctx context.Context) (schema string, token authz.Token, err error)

	// ExportStored calls take with every relationship of a state, in batches. It stops if take returns an error.
	ExportStored(ctx context.Context, at authz.Token, take func([]*v1.Relationship) error) error

	// WatchStored calls take with the messages of SpiceDB's Watch after a state. The first message is a checkpoint of
	// the state itself. WatchStored stops if take returns an error or ctx ends. The error wraps authz.ErrHistoryLost if
	// SpiceDB no longer has the changes after the state.
	WatchStored(ctx context.Context, after authz.Token, take func(*v1.WatchResponse) error) error
}

// Options configure a replica. The zero value selects the defaults.
type Options struct {
	// MaxRelationships limits the number of relationships. Above it, the replica turns itself off until the next start.
	// Zero selects DefaultMaxRelationships.
	MaxRelationships int

	// Verify is the share of answers, from 0 to 1, that the replica compares with those of the engine behind it.
	Verify float64

	// Observe is called after each call. source says who answered, FromReplica or FromSpiceDB. For FromSpiceDB, reason
	// says why the replica did not.
	Observe func(method, source, reason string)

	Logger *slog.Logger // discards if nil
}

// Methods are the methods of authz.Engine that the replica answers.
var Methods = []string{"Check", "CheckBulk", "LookupResources", "LookupSubjects", "Read"}

// The values of source in Observe.
const (
	FromReplica = "replica"
	FromSpiceDB = "spicedb"
)

// Reasons why SpiceDB answers instead of the replica.
const (
	reasonFully      = "fully_consistent" // the request requires it
	reasonLoading    = "loading"          // no state is loaded yet
	reasonLost       = "watch_lost"       // Watch is not running
	reasonSchema     = "schema_change"    // the schema is changing
	reasonStale      = "stale"            // the state is older than Bound
	reasonBehind     = "behind"           // the token names a state that has not arrived yet
	reasonToken      = "unknown_token"    // the replica cannot read the token
	reasonSnapshot   = "other_snapshot"   // the request names a state that the replica no longer has
	reasonCaveat     = "caveat"           // a relationship with a caveat is on the path
	reasonWildcard   = "wildcard"         // a wildcard is among the subjects
	reasonSubjectSet = "subject_set"      // the subject is a set of subjects
	reasonUnknown    = "unknown_name"     // the schema lacks the name; SpiceDB answers with the error
	reasonScan       = "scan"             // the read names neither a resource nor a subject
	reasonTooMuch    = "too_much"         // the answer would read too many relationships
	reasonPlanner    = "planner"          // the query planner does not decide it as SpiceDB does
	reasonEnded      = "ended"            // the request was cancelled; SpiceDB answers with the error
	reasonTooMany    = "too_many"         // SpiceDB stores more relationships than the replica may hold
	reasonDiffers    = "differs"          // an answer differed from SpiceDB's
)

// Replica is an authz.Engine that answers from memory if it can. Otherwise the engine behind it answers. Run loads the
// relationships and follows their changes. Until it has loaded the relationships, and whenever it cannot follow them,
// the engine behind the replica answers everything.
type Replica struct {
	authz.Engine // the engine behind the replica

	source  Source
	options Options
	pages   pages.Resources
	random  func() float64

	current atomic.Pointer[state]    // nil while the replica does not answer
	recent  atomic.Pointer[[]*state] // the states before the current one, oldest first; at most maxRecent
	why     atomic.Value             // a string: why the replica does not answer
	fresh   atomic.Int64             // last time at which the current state was known to be the newest; or never
	known   atomic.Int64             // the last value of fresh, kept after Watch fails
	off     atomic.Bool              // the replica has turned itself off permanently

	life context.Context //nolint:containedctx // context of Run; verifications end with it
	stop context.CancelFunc

	retired []*state // earlier states that may be pinned, oldest first; only Run uses it

	mu       sync.Mutex
	watching bool          // Watch is running
	probes   []probe       // probes newer than the current state, oldest first
	arrived  chan struct{} // closed when a state arrives or becomes known to be new
	ended    bool          // Run has returned

	verifying chan struct{}
	running   sync.WaitGroup
	stats     counters
}

var _ authz.Engine = (*Replica)(nil)

// New returns a replica of the source in front of an engine. It answers nothing until Run is called.
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
	r.why.Store(reasonLoading)
	return r
}

// started is the zero of clock.
var started = time.Now()

// never is the value of fresh before any state was known to be the newest.
const never = int64(-1 << 62)

// clock returns a monotonic time.
func clock() time.Duration { return time.Since(started) }

// acquire pins the state that answers a request with the given consistency. If SpiceDB has to answer, it returns nil
// and the reason.
func (r *Replica) acquire(at authz.Consistency) (_ *state, why string) {
	var wanted revision
	switch at.Freshness {
	case authz.Default, authz.FullyConsistent:
		return nil, reasonFully
	case authz.AtLeastAsFresh, authz.ExactSnapshot:
		var ok bool
		if wanted, ok = parseRevision(at.Token); !ok {
			return nil, reasonToken
		}
	case authz.MinimizeLatency:
	}
	fresh := r.fresh.Load() // belongs to the pinned state or an earlier one
	s := r.pin()
	if s == nil || r.off.Load() {
		if s != nil {
			s.unpin()
		}
		return nil, r.why.Load().(string) //nolint:errcheck,forcetypeassert // why holds strings only
	}
	switch {
	case fresh == never:
		why = reasonLost
	case clock()-time.Duration(fresh) > Bound:
		why = reasonStale
	case at.Freshness == authz.MinimizeLatency:
	case s.revision.store != wanted.store:
		why = reasonToken
	case !s.revision.includes(wanted):
		why = reasonBehind
	case at.Freshness == authz.ExactSnapshot && !wanted.includes(s.revision):
		why = reasonSnapshot
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
