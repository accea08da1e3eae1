package replica_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/replica"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// Environment variables for the differential tests: the number of random schemas and the first seed. A failure prints
// the seed of its schema.
const (
	seedVariable    = "SLUICE_DIFFERENTIAL_SEED"
	schemasVariable = "SLUICE_DIFFERENTIAL_SCHEMAS"
)

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

// ownShare is the minimum share of the replica's own answers. With a smaller share, the test would mostly compare
// SpiceDB with itself.
const ownShare = 0.4

// TestDifferential compares the replica's answers with SpiceDB's at the same state: random questions about random
// relationships under random schemas, while both change.
func TestDifferential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := setting(t, seedVariable, 3) // SpiceDB takes longest for the first two
	schemas := setting(t, schemasVariable, schemasInCI)
	for seed := first; seed < first+schemas; seed++ {
		w.schema(t, seed, randomTraits(random(seed)))
	}
	t.Logf(
		"%d schemas, %d refused; %d comparisons, %d of the replica's own answers; SpiceDB divided %d times; outcomes %v; answers %v",
		w.accepted,
		w.refused,
		w.asked,
		w.own,
		w.divided,
		w.outcomes,
		w.who.all(),
	)
	require.Less(t, w.refused, max(2, w.accepted/5), "the generator makes too many schemas that SpiceDB rejects")
	require.Greater(t, float64(w.own), ownShare*float64(w.asked))
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// world is a SpiceDB behind a replica. The test applies random schemas to it, one after the other.
type world struct {
	comparison
	engine   *spicedb.EmbeddedEngine
	replica  *replica.Replica
	small    bool // ask a tenth of the questions, in one round
	accepted int
	refused  int
	lookedUp int // answers of look-ups compared with checks

	model *model
	token authz.Token
}

func newWorld(t testing.TB) *world {
	t.Helper()
	engine := embedded(t, spicedb.EmbeddedConfig{})
	who := &answers{}
	r := followed(t, engine, engine.Client, replica.Options{Observe: who.observe})
	return &world{comparison: comparison{engine: r, truth: engine, who: who}, engine: engine, replica: r}
}

// schema applies a random schema and compares some questions after each of several rounds of writes.
func (w *world) schema(t *testing.T, seed uint64, traits traits) {
	t.Helper()
	r := random(seed)
	m := randomModel(r, traits)
	if !w.apply(t, m) {
		w.refused++
		return
	}
	w.accepted++
	for range 4 + r.IntN(8) {
		w.write(t, w.model.randomWrite(r, 10+r.IntN(40), w.stored(t)))
	}
	if w.small {
		w.compareAll(t, seed, w.model.questions(r).some(r, 0.1))
		return
	}
	w.compareAll(t, seed, w.model.questions(r).some(r, 0.2))
	for range 2 {
		for range 1 + r.IntN(5) {
			w.change(t, r)
		}
		w.compareAll(t, seed, w.model.questions(r).some(r, 0.2))
	}
}

// apply replaces the schema and deletes all relationships of the previous one. It reports whether SpiceDB accepts it.
func (w *world) apply(t *testing.T, m *model) bool {
	t.Helper()
	if w.model != nil {
		for _, d := range w.model.objects() {
			w.deleteAll(t, authz.Filter{Type: d.name})
		}
	}
	err := w.engine.ApplySchema(t.Context(), m.String())
	if errors.Is(err, authz.CodeInvalid) {
		return false
	}
	require.NoError(t, err, m)
	w.model = m
	return true
}

// change makes one random change of a relationship or, sometimes, of a permission.
func (w *world) change(t *testing.T, r *rand.Rand) {
	t.Helper()
	switch r.IntN(12) {
	case 0:
		before := w.model.permissions()
		w.model.randomPermissions(r)
		if err := w.engine.ApplySchema(t.Context(), w.model.String()); err != nil {
			require.ErrorIs(t, err, authz.CodeInvalid)
			w.model.restore(before)
		}
		w.write(t, w.model.randomWrite(r, 1, nil)) // its token is newer than the schema's
	case 1, 2:
		w.deleteAll(t, w.model.randomFilter(r))
	default:
		w.write(t, w.model.randomWrite(r, 1+r.IntN(6), w.stored(t)))
	}
}

func (w *world) write(t *testing.T, write authz.Write) {
	t.Helper()
	token, err := w.engine.Write(t.Context(), write)
	require.NoError(t, err, "%v\n%s", write, w.model)
	w.token = token
}

func (w *world) deleteAll(t *testing.T, filter authz.Filter) {
	t.Helper()
	token, err := w.engine.DeleteAll(t.Context(), filter, nil, nil)
	require.NoError(t, err, "%+v", filter)
	w.token = token
}

func (w *world) stored(t *testing.T) []authz.Relationship {
	t.Helper()
	var out []authz.Relationship
	for _, d := range w.model.objects() {
		for item, err := range w.engine.Read(t.Context(), authz.Filter{Type: d.name}, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			out = append(out, item.Relationship)
		}
	}
	return out
}

// compareAll compares the answers after the replica has every write. On a difference, the test fails with the smallest
// example.
func (w *world) compareAll(t *testing.T, seed uint64, q questions) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	require.NoError(t, w.replica.Reached(ctx, w.token), "seed %d", seed)
	w.compare(t, q, w.token)
	if len(w.found) == 0 {
		return
	}
	example := w.found[0]
	var b strings.Builder
	for _, one := range w.shrink(t, example) {
		b.WriteString("\t" + text(one) + "\n")
	}
	t.Fatalf(
		"%s=%d: %d differences, for example\n%s\nunder\n%s\nwith\n%s", seedVariable, seed, len(w.found), example, w.model, &b,
	)
}

// shrink removes every relationship without which the answers still differ.
func (w *world) shrink(t *testing.T, d difference) []authz.Relationship {
	t.Helper()
	all := w.stored(t)
	kept := all[:0:0]
	for _, one := range all {
		w.write(t, authz.Write{Updates: []authz.Update{{Action: authz.Delete, Relationship: one}}})
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		require.NoError(t, w.replica.Reached(ctx, w.token))
		if d.ask(ctx, w.replica, authz.AsFreshAs(w.token)) == d.ask(ctx, w.engine, authz.AtSnapshot(w.token)) {
			w.write(t, authz.Write{Updates: []authz.Update{{Action: authz.Touch, Relationship: one}}})
			kept = append(kept, one)
		}
		cancel()
	}
	return kept
}

func text(r authz.Relationship) string {
	out := r.String()
	if r.Caveat != "" {
		out += "[" + r.Caveat + ":" + r.CaveatContext + "]"
	}
	if !r.ExpiresAt.IsZero() {
		out += "[expiration:" + r.ExpiresAt.Format(time.RFC3339) + "]"
	}
	return out
}
