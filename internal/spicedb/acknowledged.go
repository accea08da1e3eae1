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

// Acknowledged collects the writes that this process has acknowledged, until somebody who follows Watch says that Watch
// has delivered them. The zero value is empty. It can be used by many goroutines.
//
// Of an embedded SpiceDB it has every write, and with a store in a directory also the last one of an earlier process.
// Of a remote SpiceDB it has those of Write and DeleteAll. A write that changed nothing counts as well: every
// datastore of SpiceDB sends a checkpoint that covers it.
type Acknowledged struct {
	mu      sync.Mutex
	writes  []AcknowledgedWrite
	dropped int // writes that were forgotten because there were too many
}

// AcknowledgedWrite is one write.
type AcknowledgedWrite struct {
	At       time.Time      // when it was acknowledged, by the clock of this process
	Metadata map[string]any // of the transaction

	revision revision
}

// maxAcknowledged bounds how many writes are remembered. Older ones are only counted.
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

// addToken is add for the token of a write; nothing is added to nil.
func (a *Acknowledged) addToken(token authz.Token, metadata map[string]any) {
	if a != nil && token != "" {
		a.add(revisionText(token), metadata)
	}
}

// Delivered forgets the writes that Watch has delivered to somebody who has followed it through a token.
func (a *Acknowledged) Delivered(through authz.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	position := parseRevision(revisionText(through))
	a.writes = slices.DeleteFunc(a.writes, func(w AcknowledgedWrite) bool { return position.covers(w.revision) })
	if len(a.writes) == 0 {
		a.dropped = 0
	}
}

// Outstanding returns the writes that are not yet delivered, the oldest first, and their number, which is larger if
// there were too many to remember.
func (a *Acknowledged) Outstanding() (writes []AcknowledgedWrite, count int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.writes), len(a.writes) + a.dropped
}

// Covers reports whether Watch has delivered everything up to the state of a token to somebody who has followed it
// through another. On PostgreSQL, whose states also contain transactions of other programs, only tokens of writes are
// certain.
func Covers(through, state authz.Token) bool {
	return parseRevision(revisionText(through)).covers(parseRevision(revisionText(state)))
}

// ComparePosition returns why somebody who has followed Watch and received its last change with a revision cannot go on
// after a token; nil if they can. Nothing is compared with an empty revision.
func ComparePosition(through authz.Token, last string) error {
	decoded, err := zedtoken.Decode(toToken(through))
	if err != nil || decoded.GetV1() == nil || parseRevision(decoded.GetV1().GetRevision()).unknown() {
		return fmt.Errorf("%.200q is no token of SpiceDB's", through)
	}
	store, lastText, named := strings.Cut(last, "/")
	if !named {
		return nil
	}
	if of := decoded.GetV1().GetDatastoreUniqueIdPrefix(); store != of {
		return fmt.Errorf("it is of the store %.100q, and the last change is of %q", of, store)
	}
	// PostgreSQL's Watch can deliver a transaction again that overlapped the last one: neither of the two is before the
	// other.
	position, change := parseRevision(decoded.GetV1().GetRevision()), parseRevision(lastText)
	if !position.covers(change) && change.covers(position) {
		return fmt.Errorf("its revision %.200q is before the last change, %q", position.text, lastText)
	}
	return nil
}

// unknown reports whether the text is none of a datastore that Covers knows.
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

// snapshot is the set of PostgreSQL's transactions that a state shows: those before max that are not in progress.
type snapshot struct {
	min, max   uint64
	inProgress []uint64
	txid       uint64 // the transaction that made the state; 0 if the revision does not name it
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

// covers reports whether what led to another revision is part of this one.
func (r revision) covers(other revision) bool {
	switch {
	case r.numeric && other.numeric:
		return r.number > other.number || r.number == other.number && r.logical >= other.logical
	case r.snapshot != nil && other.snapshot != nil:
		if other.snapshot.txid != 0 {
			return r.snapshot.shows(other.snapshot.txid)
		}
		return r.snapshot.includes(*other.snapshot)
	default:
		return r.text != "" && r.text == other.text
	}
}

func (s snapshot) shows(txid uint64) bool {
	return txid < s.min || txid < s.max && !slices.Contains(s.inProgress, txid)
}

// includes reports whether the snapshot shows every transaction that another shows.
func (s snapshot) includes(other snapshot) bool {
	return s.max >= other.max && !slices.ContainsFunc(s.inProgress, other.shows)
}

// addStored adds the last write of an earlier process, which alone had the store of a directory and may have been
// killed before everything was delivered. The newest state of a database cannot be added: Watch sends no checkpoint
// for it.
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

// recording is a datastore that records which writes have ended.
type recording struct {
	datastore.Datastore
	into *Acknowledged
}

// Unwrap returns the datastore itself.
func (r recording) Unwrap() datastore.Datastore { return r.Datastore }

// ReadWriteTx adds a write before its caller has an answer.
func (r recording) ReadWriteTx(
	ctx context.Context, do datastore.TxUserFunc, opts ...options.RWTOptionsOption,
) (datastore.Revision, error) {
	written, err := r.Datastore.ReadWriteTx(ctx, do, opts...)
	if err == nil {
		r.into.add(written.String(), options.NewRWTOptionsWithOptions(opts...).Metadata.AsMap())
	}
	return written, err
}
