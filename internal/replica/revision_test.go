package replica

import (
	"encoding/base64"
	"math/rand/v2"
	"testing"

	implv1 "github.com/authzed/spicedb/pkg/proto/impl/v1"
	"github.com/authzed/spicedb/pkg/zedtoken"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func tokenOf(t testing.TB, store, revision string) authz.Token {
	t.Helper()
	token, err := zedtoken.Encode(
		&implv1.DecodedZedToken{VersionOneof: &implv1.DecodedZedToken_V1{V1: &implv1.DecodedZedToken_V1ZedToken{
			Revision: revision, DatastoreUniqueIdPrefix: store,
		}}},
	)
	require.NoError(t, err)
	return authz.Token(token.GetToken())
}

func TestIncludes(t *testing.T) {
	of := func(store, text string) revision {
		r, ok := parseRevision(tokenOf(t, store, text))
		require.True(t, ok)
		return r
	}
	const now, later = "1795318551045196030", "1795318551045196031"
	for _, c := range []struct {
		this, other revision
		want        bool
	}{
		{of("s", now), of("s", now), true},
		{of("s", later), of("s", now), true},
		{of("s", now), of("s", later), false},
		{of("s", later), of("another", now), false},
		{of("s", now+".0000000002"), of("s", now+".0000000001"), true},
		{of("s", now+".0000000001"), of("s", now+".0000000002"), false},
		{of("s", now+".1"), of("s", now+".0999999999"), true}, // trailing zeros are omitted
		{of("s", later), of("s", snapshotText(t, 5, 9)), false},
		{of("s", snapshotText(t, 5, 9)), of("s", now), false},
	} {
		require.Equal(t, c.want, c.this.includes(c.other), "%+v %+v", c.this, c.other)
	}
	for _, token := range []authz.Token{
		"", "nonsense", tokenOf(t, "", now), tokenOf(t, "s", "soon"), tokenOf(t, "s", now+".00000000001"),
		tokenOf(t, "s", ""),
	} {
		_, ok := parseRevision(token)
		require.False(t, ok, "%q", token)
	}
}

func snapshotText(t testing.TB, xmin, xmax uint64, inProgress ...uint64) string {
	t.Helper()
	stored := implv1.PostgresRevision{Xmin: xmin, RelativeXmax: int64(xmax - xmin)}
	for _, x := range inProgress {
		stored.RelativeXips = append(stored.RelativeXips, int64(x-xmin))
	}
	raw, err := stored.MarshalVT()
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(raw)
}

// TestSnapshotsInclude compares includes with its definition: every transaction of one snapshot is in the other.
func TestSnapshotsInclude(t *testing.T) {
	const most = 14
	random := rand.New(rand.NewPCG(3, 4))
	some := func() (revision, map[uint64]bool) {
		xmin := 1 + random.Uint64N(most-1)
		xmax := xmin + random.Uint64N(most-xmin)
		visible := make(map[uint64]bool)
		var inProgress []uint64
		for x := uint64(1); x < xmax; x++ {
			if x >= xmin && random.IntN(2) == 0 {
				inProgress = append(inProgress, x)
				continue
			}
			visible[x] = true
		}
		r, ok := parseRevision(tokenOf(t, "s", snapshotText(t, xmin, xmax, inProgress...)))
		require.True(t, ok)
		return r, visible
	}
	included := 0
	for range 4_000 {
		a, inA := some()
		b, inB := some()
		want := true
		for x := range inB {
			want = want && inA[x]
		}
		require.Equal(t, want, a.includes(b), "%+v %+v", a.snapshot, b.snapshot)
		if want {
			included++
		}
	}
	require.Greater(t, included, 200)
}

func FuzzParseRevision(f *testing.F) {
	f.Add("", "1795318551045196030.0000000001")
	f.Add("s", snapshotText(f, 5, 9, 7))
	f.Fuzz(func(t *testing.T, store, text string) {
		if r, ok := parseRevision(tokenOf(t, store, text)); ok && !r.includes(r) {
			t.Errorf("%q does not include itself", text)
		}
		_, _ = parseRevision(authz.Token(text))
	})
}
