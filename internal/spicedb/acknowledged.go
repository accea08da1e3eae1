package spicedb

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	implv1 "github.com/authzed/spicedb/pkg/proto/impl/v1"
	"github.com/authzed/spicedb/pkg/zedtoken"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Acknowledged collects the writes that this process has acknowledged, until a follower of Watch reports that they were
// delivered. The zero value is empty. It is safe for concurrent use.
//
// For an embedded SpiceDB it collects every write. If the store is in a directory, it also has the last write of an
// earlier process. For a remote SpiceDB it collects the writes of Write and DeleteAll. It includes writes that changed
// nothing, since every datastore of SpiceDB sends a checkpoint for them.
type Acknowledged struct {
	mu      sync.Mutex
	writes  []AcknowledgedWrite
	dropped int // number of older writes that are no longer in the list
}

// AcknowledgedWrite describes an acknowledged write.
type AcknowledgedWrite struct {
	At       time.Time      // time of the acknowledgement by the clock of this process
	Metadata map[string]any // metadata of the transaction

	revision revision
}

// maxAcknowledged is the largest number of writes in the list. Above it, only the newest are in the list, but all are
// counted.
const maxAcknowledged = 10_000

func (a *Acknowledged) add(text string, metadata map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.writes) == maxAcknowledged {
		a.writes = slices.Delete(a.writes, 0, maxAcknowledged/2)
		a.dropped += maxAcknowledged / 2
	}
	a.writes = append(
		a.writes, AcknowledgedWrite{At: time.Now(), Metadata: maps.Clone(metadata), revision: parseRevision(text)},
	)
}

// addToken adds the write that has a token. It does nothing if a is nil.
func (a *Acknowledged) addToken(token authz.Token, metadata map[string]any) {
	if a != nil && token != "" {
		a.add(revisionText(token), metadata)
	}
}

// Delivered removes the writes that Watch has delivered to its follower. through is a token up to which the follower
// has received everything.
func (a *Acknowledged) Delivered(through authz.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	position := parseRevision(revisionText(through))
	a.writes = slices.DeleteFunc(a.writes, func(w AcknowledgedWrite) bool { return position.covers(w.revision) })
	if len(a.writes) == 0 {
		a.dropped = 0
	}
}

// Outstanding returns the undelivered writes, the oldest first, and their number. If there are more than
// maxAcknowledged, the list has only the newest of them.
func (a *Acknowledged) Outstanding() (writes []AcknowledgedWrite, count int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.writes), len(a.writes) + a.dropped
}

// ComparePosition returns nil if a follower of Watch can continue after the token through. last is the revision of the
// last change that the follower received, or "" to compare nothing. Otherwise the error says why the follower cannot
// continue.
func ComparePosition(through authz.Token, last string) error {
	decoded, err := zedtoken.Decode(toToken(through))
	if err != nil || decoded.GetV1() == nil || parseRevision(decoded.GetV1().GetRevision()).unknown() {
		return fmt.Errorf("%.200q is not a token of SpiceDB", through)
	}
	store, lastText, named := strings.Cut(last, "/")
	if !named {
		return nil
	}
	if of := decoded.GetV1().GetDatastoreUniqueIdPrefix(); store != of {
		return fmt.Errorf("it is of the store %.100q, but the last change is of the store %q", of, store)
	}
	// PostgreSQL's Watch can repeat a transaction that overlapped the last transaction. In that case, neither of the two
	// revisions covers the other.
	position, change := parseRevision(decoded.GetV1().GetRevision()), parseRevision(lastText)
	if !position.covers(change) && change.covers(position) {
		return fmt.Errorf("its revision %.200q is before the last change %q", position.text, lastText)
	}
	return nil
}

// unknown reports whether the text is not a revision of a supported datastore.
func (r revision) unknown() bool { return !r.numeric && r.snapshot == nil }

func revisionText(token authz.Token) string {
	decoded, err := zedtoken.Decode(toToken(token))
	if err != nil {
		return ""
	}
	return decoded.GetV1().GetRevision()
}

// revision is the parsed text of a datastore's revision: a number, with a logical part in CockroachDB, or PostgreSQL's
// snapshot.
type revision struct {
	text            string
	number, logical uint64 // of numeric revisions
	numeric         bool
	snapshot        *snapshot // of PostgreSQL
}

// snapshot is the set of PostgreSQL transactions that a state contains: those before max that are not in progress.
type snapshot struct {
	min, max   uint64
	inProgress []uint64
	txid       uint64 // transaction that created the state; 0 if the revision does not name it
}

func parseRevision(text string) revision {
	r := revision{text: text}
	whole, fraction, _ := strings.Cut(text, ".")
	if number, err := strconv.ParseUint(whole, 10, 64); err == nil {
		logical, err := strconv.ParseUint("0"+fraction, 10, 64)
		r.number, r.logical, r.numeric = number, logical, err == nil
		return r
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	var stored implv1.PostgresRevision
	if text == "" || err != nil || stored.UnmarshalVT(raw) != nil {
		return r
	}
	absolute := func(relative int64) uint64 { return stored.GetXmin() + uint64(relative) } //nolint:gosec // wraps around
	r.snapshot = &snapshot{min: stored.GetXmin(), max: absolute(stored.GetRelativeXmax()), txid: stored.GetOptionalTxid()}
	for _, relative := range stored.GetRelativeXips() {
		r.snapshot.inProgress = append(r.snapshot.inProgress, absolute(relative))
	}
	return r
}

// covers reports whether the state of r contains every transaction of another state.
func (r revision) covers(other revision) bool {
	switch {
	case r.numeric && other.numeric:
		return r.number > other.number || r.number == other.number && r.logical >= other.logical
	case r.snapshot != nil && other.snapshot != nil:
		if other.snapshot.txid != 0 {
			return r.snapshot.contains(other.snapshot.txid)
		}
		return r.snapshot.includes(*other.snapshot)
	default:
		return r.text != "" && r.text == other.text
	}
}

func (s snapshot) contains(txid uint64) bool {
	return txid < s.min || txid < s.max && !slices.Contains(s.inProgress, txid)
}

// includes reports whether the snapshot contains every transaction of another snapshot.
func (s snapshot) includes(other snapshot) bool {
	return s.max >= other.max && !slices.ContainsFunc(s.inProgress, other.contains)
}

// addStored adds the last write of an earlier process, which may have been killed before Watch delivered it. It does
// this only for a store in a directory, which no other process uses. It adds nothing for a database, whose Watch sends
// no checkpoint for the newest state.
func addStored(ctx context.Context, store datastore.Datastore, config EmbeddedConfig) error {
	if config.Datastore != SQLite {
		return nil
	}
	head, err := store.HeadRevision(ctx)
	if err == nil {
		config.Acknowledged.add(head.Revision.String(), nil)
	}
	return err
}

// recording is a datastore that adds each finished write to an Acknowledged.
type recording struct {
	datastore.Datastore
	into *Acknowledged
}

// Unwrap returns the datastore whose writes are recorded.
func (r recording) Unwrap() datastore.Datastore { return r.Datastore }

// ReadWriteTx runs a write, and adds it to the Acknowledged before it returns.
func (r recording) ReadWriteTx(
	ctx context.Context, do datastore.TxUserFunc, opts ...options.RWTOptionsOption,
) (datastore.Revision, error) {
	written, err := r.Datastore.ReadWriteTx(ctx, do, opts...)
	if err == nil {
		r.into.add(written.String(), options.NewRWTOptionsWithOptions(opts...).Metadata.AsMap())
	}
	return written, err
}
