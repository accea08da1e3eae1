package replica_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// TestConcurrent asks questions while others write and change the schema. Each answer must be SpiceDB's at the state of
// the token that came with it. All answers of a bulk or a look-up must belong to one state.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]spicedb.EmbeddedConfig{
		"memory": {},
		"sqlite": {Datastore: spicedb.SQLite, DataDir: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, config)
			s.play(t)
			s.verify(t)
		})
	}
}

// scene has the data that the concurrent writers and readers share.
type scene struct {
	engine  *spicedb.EmbeddedEngine
	replica *replica.Replica
	who     *answers

	model     *model
	schemas   []string // the stored relationships are valid under each of them
	questions questions
	newest    atomic.Value // the authz.Token of a recent write

	mu    sync.Mutex
	given map[authz.Token][]answer
}

// answer is a reader's result of checks or a look-up, with the state at which it was answered.
type answer struct {
	checks []authz.Check
	lookUp func(engine authz.Engine, at authz.Consistency) (string, authz.Token)
	told   []string
}

func newScene(t *testing.T, config spicedb.EmbeddedConfig) *scene {
	t.Helper()
	r := random(7)
	s := &scene{engine: embedded(t, config), who: &answers{}, given: make(map[authz.Token][]answer)}
	s.model = randomModel(r, traits{usersets: true, recursion: true, subtraction: true})
	s.questions = s.model.questions(r)
	// The replica leaves checks of usersets to SpiceDB, so this test omits them.
	s.questions.checks = slices.DeleteFunc(
		s.questions.checks, func(c authz.Check) bool { return c.Subject.Relation != "" },
	)
	for len(s.schemas) < 3 {
		if err := s.engine.ApplySchema(t.Context(), s.model.String()); err == nil {
			s.schemas = append(s.schemas, s.model.String())
		}
		s.model.randomPermissions(r)
	}
	token, err := s.engine.Write(t.Context(), s.model.randomWrite(r, 200, nil))
	require.NoError(t, err)
	s.newest.Store(token)
	s.replica = followed(t, s.engine, s.engine.Client, replica.Options{Observe: s.who.observe})
	reached(t, s.replica, token)
	return s
}

const (
	writers     = 3
	readers     = 4
	writesEach  = 20
	answersEach = 300 // largest number of answers that a reader gets
)

func (s *scene) play(t *testing.T) {
	t.Helper()
	var writing, reading sync.WaitGroup
	ended := make(chan struct{})
	for n := range writers {
		writing.Go(func() { s.writer(t, random(uint64(n))) })
	}
	for n := range readers {
		reading.Go(func() {
			r := random(uint64(100 + n))
			for range answersEach {
				select {
				case <-ended:
					return
				default:
					s.reader(t, r)
				}
			}
		})
	}
	writing.Wait()
	close(ended)
	reading.Wait()
}

func (s *scene) writer(t *testing.T, r *rand.Rand) {
	for i := range writesEach {
		if i%10 == 9 {
			if err := s.engine.ApplySchema(t.Context(), s.schemas[r.IntN(len(s.schemas))]); err != nil {
				t.Error(err)
				return
			}
			continue
		}
		var token authz.Token
		var err error
		if r.IntN(8) == 0 {
			token, err = s.engine.DeleteAll(t.Context(), s.model.randomFilter(r), nil, nil)
		} else {
			token, err = s.engine.Write(t.Context(), s.model.randomWrite(r, 1+r.IntN(20), nil))
		}
		if err != nil {
			t.Error(err)
			return
		}
		s.newest.Store(token)
	}
}

// reader asks one question. It records no answer for an error or an empty look-up, which has no token.
func (s *scene) reader(t *testing.T, r *rand.Rand) {
	at := authz.Consistency{Freshness: authz.MinimizeLatency}
	if r.IntN(3) == 0 {
		at = authz.AsFreshAs(s.newest.Load().(authz.Token))
	}
	switch r.IntN(6) {
	case 0:
		query := s.questions.resources[r.IntN(len(s.questions.resources))]
		s.lookUp(at, func(engine authz.Engine, at authz.Consistency) (string, authz.Token) {
			return resources(t.Context(), engine, query, at, 0)
		})
	case 1:
		query := s.questions.subjects[r.IntN(len(s.questions.subjects))]
		s.lookUp(at, func(engine authz.Engine, at authz.Consistency) (string, authz.Token) {
			return subjects(t.Context(), engine, query, at)
		})
	case 2, 3:
		checks := draw(r, s.questions.checks, 20/float64(len(s.questions.checks)))
		if results, token, err := s.replica.CheckBulk(t.Context(), checks, at); err == nil {
			told := make([]string, len(results))
			for i, result := range results {
				told[i] = outcome(result.Decision, result.Err)
			}
			s.note(token, answer{checks: checks, told: told})
		}
	default:
		check := s.questions.checks[r.IntN(len(s.questions.checks))]
		if decision, token, err := s.replica.Check(t.Context(), check, at); err == nil {
			s.note(token, answer{checks: []authz.Check{check}, told: []string{outcome(decision, nil)}})
		}
	}
}

func (s *scene) lookUp(
	at authz.Consistency, lookUp func(engine authz.Engine, at authz.Consistency) (string, authz.Token),
) {
	if told, token := lookUp(s.replica, at); token != "" {
		s.note(token, answer{lookUp: lookUp, told: []string{told}})
	}
}

func (s *scene) note(token authz.Token, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given[token] = append(s.given[token], a)
}

// verify asks SpiceDB all recorded questions again, at the states of their answers.
func (s *scene) verify(t *testing.T) {
	t.Helper()
	given := 0
	for token, answers := range s.given {
		var checks []authz.Check
		var told []string
		for _, a := range answers {
			given++
			if a.lookUp != nil {
				want, _ := a.lookUp(s.engine, authz.AtSnapshot(token))
				require.Equal(t, want, a.told[0])
				continue
			}
			checks, told = append(checks, a.checks...), append(told, a.told...)
		}
		if len(checks) == 0 {
			continue
		}
		results, _, err := s.engine.CheckBulk(t.Context(), checks, authz.AtSnapshot(token))
		require.NoError(t, err)
		for i, result := range results {
			require.Equal(t, outcome(result.Decision, result.Err), told[i], "%s", describe(checks[i]))
		}
	}
	t.Logf("%d answers at %d states; %v", given, len(s.given), s.who.all())
	require.Greater(t, len(s.given), writesEach/4, "the readers saw too few states")
	require.Greater(t, s.who.of(replica.FromReplica), given/5, "the replica gave too few answers itself")
}
