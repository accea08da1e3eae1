package pages_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
)

// pager reads pages of generated lists, and counts the look-ups that this needs.
type pager struct {
	pages   pages.Resources
	lookUps int
}

func (p *pager) page(t *testing.T, caller string, n, size int, cursor string) string {
	t.Helper()
	query := authz.ResourceQuery{
		Subject: authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(strconv.Itoa(n))}}, Permission: "view",
		Type: "importer",
	}
	ctx, page := pages.WithCaller(t.Context(), caller), authz.Page{Limit: 1, Cursor: cursor}
	found, err := p.pages.Page(ctx, query, authz.Consistency{}, page, func(
		authz.Consistency,
	) ([]authz.FoundResource, error) {
		p.lookUps++
		all := make([]authz.FoundResource, size)
		for i := range all {
			all[i] = authz.FoundResource{ID: authz.ID(strconv.Itoa(1000000 + i)), Token: "t"}
		}
		return all, nil
	})
	require.NoError(t, err)
	require.Len(t, found, 1)
	return pages.Cursor(query, found[0])
}

// TestKeepingListsTakesConstantTime compares the time of adding lists to a full cache with the time of adding them to
// an empty one.
func TestKeepingListsTakesConstantTime(t *testing.T) {
	const some = 500
	inserts := func(p *pager, from int) time.Duration {
		start := time.Now()
		for n := range some {
			p.page(t, "app", from+n, 2, "")
		}
		return time.Since(start)
	}
	var p pager
	for n := range 29_000 {
		p.page(t, "app", n, 2, "")
	}
	// Other processes also use the CPU, so the test repeats the comparison until it is below the limit once.
	const tries, noise = 20, 8
	ratio := math.Inf(1)
	for try := 0; try < tries && ratio > noise; try++ {
		ratio = float64(inserts(&p, 40_000+try*some)) / float64(inserts(new(pager), 0))
	}
	require.LessOrEqual(
		t, ratio, float64(noise), "time of adding lists to 29,000 lists, divided by the time of adding them to none",
	)
	last := p.page(t, "app", 30_000, 2, "")
	p.lookUps = 0
	p.page(t, "app", 30_000, 2, last)
	require.Zero(t, p.lookUps, "the cache does not have the newest list")
}

// TestEveryKeyHasItsShareOfKeptLists adds more lists of one caller than fit into the cache. The cache must still have
// the list of another caller.
func TestEveryKeyHasItsShareOfKeptLists(t *testing.T) {
	var p pager
	cursor := p.page(t, "modest", -1, 50_000, "")
	for n := range 20 {
		p.page(t, "greedy", n, 50_000, "")
	}
	p.lookUps = 0
	p.page(t, "modest", -1, 50_000, cursor)
	require.Zero(t, p.lookUps, "the cache no longer has the list of the other caller")
	p.page(t, "greedy", 0, 50_000, "")
	require.NotZero(t, p.lookUps, "a first page must be looked up, since it has no cursor with a revision")
}
