package spicedb

import (
	"encoding/base64"
	"testing"

	implv1 "github.com/authzed/spicedb/pkg/proto/impl/v1"
	"github.com/authzed/spicedb/pkg/zedtoken"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestRevisionCovers compares revisions of every datastore.
func TestRevisionCovers(t *testing.T) {
	postgres := func(xmin uint64, relativeXmax int64, txid uint64, relativeXips ...int64) string {
		raw, err := (&implv1.PostgresRevision{
			Xmin: xmin, RelativeXmax: relativeXmax, RelativeXips: relativeXips, OptionalTxid: txid,
		}).MarshalVT()
		require.NoError(t, err)
		return base64.StdEncoding.EncodeToString(raw)
	}
	for name, c := range map[string]struct {
		position, write string
		want            bool
	}{
		"a later time":               {"1700000000000000001", "1700000000000000000", true},
		"the same time":              {"1700000000000000000", "1700000000000000000", true},
		"an earlier time":            {"1699999999999999999", "1700000000000000000", false},
		"a number with fewer digits": {"9", "10", false},
		"a later logical part":       {"1700000000000000000.0000000010", "1700000000000000000.0000000009", true},
		"an earlier logical part": {
			"1700000000000000000.0000000009", "1700000000000000000.0000000010", false,
		},
		"no logical part":                         {"1700000000000000000", "1700000000000000000.0000000001", false},
		"a snapshot after the transaction":        {postgres(12, 0, 0), postgres(10, 1, 10), true},
		"a snapshot before the transaction":       {postgres(10, 0, 0), postgres(10, 1, 10), false},
		"the transaction is in progress":          {postgres(10, 3, 11, 0, 2), postgres(10, 1, 10), false},
		"another transaction is in progress":      {postgres(10, 3, 12, 1), postgres(10, 1, 10), true},
		"a transaction that overlapped":           {postgres(10, 2, 11, 0), postgres(10, 1, 10), false},
		"a state that is not a write's, included": {postgres(12, 0, 0), postgres(10, 2, 0, 0), true},
		"a state that shows one more":             {postgres(10, 2, 0, 1), postgres(12, 0, 0), false},
		"a state that ends later":                 {postgres(12, 0, 0), postgres(13, 0, 0), false},
		"a time and a snapshot":                   {"1700000000000000000", postgres(10, 1, 10), false},
		"a snapshot and a time":                   {postgres(10, 1, 10), "17", false},
		"an unknown form":                         {"?later", "?earlier", false},
		"the same, of an unknown form":            {"?same", "?same", true},
		"no position":                             {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, parseRevision(c.position).covers(parseRevision(c.write)))
		})
	}
}

// TestComparePosition checks tokens that are invalid, belong to another store, or are before the last change.
func TestComparePosition(t *testing.T) {
	token := func(store, revision string) authz.Token {
		encoded, err := zedtoken.Encode(&implv1.DecodedZedToken{VersionOneof: &implv1.DecodedZedToken_V1{
			V1: &implv1.DecodedZedToken_V1ZedToken{Revision: revision, DatastoreUniqueIdPrefix: store},
		}})
		require.NoError(t, err)
		return fromToken(encoded)
	}
	for name, c := range map[string]struct {
		through    authz.Token
		last, says string
	}{
		"the last change":     {token("a", "17"), "a/17", ""},
		"after it":            {token("a", "18"), "a/17", ""},
		"nothing to compare":  {token("a", "18"), "", ""},
		"before it":           {token("a", "16"), "a/17", "is before the last change"},
		"another store":       {token("b", "18"), "a/17", "is of the store"},
		"no token":            {"x", "a/17", "is not a token"},
		"empty":               {"", "", "is not a token"},
		"a revision of none":  {token("a", "?"), "a/17", "is not a token"},
		"a token, and a byte": {token("a", "18") + "x", "a/17", "is not a token"},
	} {
		err := ComparePosition(c.through, c.last)
		if c.says == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.says, name)
		}
	}
}

// TestAcknowledgedIsBounded checks that above the limit only the newest writes are kept, but all are counted.
func TestAcknowledgedIsBounded(t *testing.T) {
	var a Acknowledged
	for range maxAcknowledged + 1 {
		a.add("5", nil)
	}
	a.add("7", map[string]any{"request_id": "last"})
	writes, count := a.Outstanding()
	require.LessOrEqual(t, len(writes), maxAcknowledged)
	require.Equal(t, maxAcknowledged+2, count)
	require.Equal(t, "last", writes[len(writes)-1].Metadata["request_id"])
}
