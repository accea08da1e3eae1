package replica

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	implv1 "github.com/authzed/spicedb/pkg/proto/impl/v1"
	"github.com/authzed/spicedb/pkg/zedtoken"

	"github.com/sluice-authz/sluice/internal/authz"
)

// revision is the state that a token names: the store, and the transactions that it includes. On PostgreSQL it is a
// snapshot, on every other store a point in time.
type revision struct {
	store    string // the beginning of the store's id
	point    point
	snapshot *snapshot
}

// point is nanoseconds since 1970 with CockroachDB's logical clock as a fraction.
type point struct {
	nanos   int64
	logical uint64
}

// snapshot includes the transactions below xmax except those in progress, which are sorted.
type snapshot struct {
	xmax       uint64
	inProgress []uint64
}

// parseRevision reads a token. ok is false if it is malformed or does not name its store.
func parseRevision(token authz.Token) (r revision, ok bool) {
	decoded, err := zedtoken.Decode(&v1.ZedToken{Token: string(token)})
	if err != nil || decoded.GetV1().GetDatastoreUniqueIdPrefix() == "" {
		return revision{}, false
	}
	r.store = decoded.GetV1().GetDatastoreUniqueIdPrefix()
	text := decoded.GetV1().GetRevision()
	if r.point, ok = parsePoint(text); ok {
		return r, true
	}
	r.snapshot, ok = parseSnapshot(text)
	return r, ok
}

// logicalDigits is the number of digits of CockroachDB's logical clock after the decimal point.
const logicalDigits = 10

func parsePoint(text string) (p point, ok bool) {
	nanos, logical, hasLogical := strings.Cut(text, ".")
	var err error
	if p.nanos, err = strconv.ParseInt(nanos, 10, 64); err != nil {
		return point{}, false
	}
	if !hasLogical {
		return p, true
	}
	if len(logical) > logicalDigits {
		return point{}, false
	}
	p.logical, err = strconv.ParseUint(logical+strings.Repeat("0", logicalDigits-len(logical)), 10, 64)
	return p, err == nil
}

func parseSnapshot(text string) (*snapshot, bool) {
	raw, err := base64.StdEncoding.DecodeString(text)
	var stored implv1.PostgresRevision
	if err != nil || stored.UnmarshalVT(raw) != nil || stored.GetXmin() == 0 {
		return nil, false
	}
	xmin := int64(stored.GetXmin())                               //nolint:gosec // PostgreSQL has fewer transactions
	s := &snapshot{xmax: uint64(xmin + stored.GetRelativeXmax())} //nolint:gosec // PostgreSQL has fewer transactions
	for _, relative := range stored.GetRelativeXips() {
		s.inProgress = append(s.inProgress, uint64(xmin+relative)) //nolint:gosec // PostgreSQL has fewer transactions
	}
	slices.Sort(s.inProgress)
	return s, true
}

// includes reports whether this state includes everything that the other state includes. It is false for states of
// different stores.
func (r revision) includes(other revision) bool {
	switch {
	case r.store == "" || r.store != other.store || (r.snapshot == nil) != (other.snapshot == nil):
		return false
	case r.snapshot != nil:
		return r.snapshot.includes(other.snapshot)
	case r.point.nanos != other.point.nanos:
		return r.point.nanos > other.point.nanos
	default:
		return r.point.logical >= other.point.logical
	}
}

func (s *snapshot) includes(other *snapshot) bool {
	for _, missing := range s.inProgress {
		if other.has(missing) {
			return false
		}
	}
	for x := s.xmax; x < other.xmax; x++ {
		// The loop ends at the latest with a transaction after all those that are in progress in the other snapshot.
		if other.has(x) {
			return false
		}
	}
	return true
}

// join returns the revision that includes the transactions of both revisions, which must be of the same store.
func (r revision) join(other revision) revision {
	switch {
	case r.includes(other):
		return r
	case other.includes(r) || r.snapshot == nil || other.snapshot == nil:
		return other
	}
	joined := &snapshot{xmax: max(r.snapshot.xmax, other.snapshot.xmax)}
	for _, x := range slices.Concat(r.snapshot.missing(joined.xmax), other.snapshot.missing(joined.xmax)) {
		if !r.snapshot.has(x) && !other.snapshot.has(x) {
			joined.inProgress = append(joined.inProgress, x)
		}
	}
	slices.Sort(joined.inProgress)
	joined.inProgress = slices.Compact(joined.inProgress)
	r.snapshot = joined
	return r
}

// missing returns the transactions below a limit that the snapshot does not include.
func (s *snapshot) missing(below uint64) []uint64 {
	missing := slices.Clone(s.inProgress)
	for x := s.xmax; x < below; x++ {
		missing = append(missing, x)
	}
	return missing
}

// token returns a token of the revision. It takes the other fields of the token from like, the token of another
// revision of the same store.
func (r revision) token(like authz.Token) (authz.Token, error) {
	decoded, err := zedtoken.Decode(&v1.ZedToken{Token: string(like)})
	if err != nil {
		return "", err
	}
	xmin := r.snapshot.xmax
	if len(r.snapshot.inProgress) > 0 {
		xmin = r.snapshot.inProgress[0]
	}
	stored := implv1.PostgresRevision{
		Xmin:         xmin,
		RelativeXmax: int64(r.snapshot.xmax - xmin), //nolint:gosec // PostgreSQL has fewer transactions
	}
	for _, x := range r.snapshot.inProgress {
		stored.RelativeXips = append(stored.RelativeXips, int64(x-xmin)) //nolint:gosec // PostgreSQL has fewer transactions
	}
	raw, err := stored.MarshalVT()
	if err != nil {
		return "", err
	}
	decoded.GetV1().Revision = base64.StdEncoding.EncodeToString(raw)
	token, err := zedtoken.Encode(decoded)
	return authz.Token(token.GetToken()), err
}

func (s *snapshot) has(x uint64) bool {
	_, inProgress := slices.BinarySearch(s.inProgress, x)
	return x < s.xmax && !inProgress
}
