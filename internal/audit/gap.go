package audit

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// errCutOff reports that the last entries of the log were deleted.
var errCutOff = errors.New("the last entries of the audit log were deleted")

// reasonOf returns why the log needs a gap after an error, or "" if it needs none. A gap is an entry that says that
// the changes of a time span are unknown.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errCutOff):
		return CutOff
	case errors.Is(err, authz.ErrOtherStore):
		return OtherStore
	case errors.Is(err, authz.ErrWentBack):
		return WentBack
	case errors.Is(err, authz.ErrHistoryLost):
		return NotKept
	default:
		return ""
	}
}

// message returns the text with which the server's log reports a gap.
func (r Reason) message() string {
	const restarts = ": the audit log has a gap and restarts with a snapshot"
	switch r {
	case OtherStore:
		return "SpiceDB has another store than before, or a restored one" + restarts
	case WentBack:
		return "SpiceDB lacks changes that the audit log has, as after a restore" + restarts
	case CutOff:
		return "the last entries of the audit log were deleted" + restarts
	default:
		return "SpiceDB no longer has the changes since the audit log stopped" + restarts
	}
}

const (
	// confirmHistory compares the last entries with SpiceDB: at most confirmedEntries entries, and at most
	// confirmedUpdates of their updates.
	confirmedEntries = 10
	confirmedUpdates = 50

	// A relationship that expires within expiresSoon is not compared, since SpiceDB may have deleted it already.
	expiresSoon = time.Minute
)

// confirmHistory returns authz.ErrWentBack if SpiceDB lacks updates of the log's last entries, because its database
// was restored. Only a comparison of updates can show this: a restored database has the same name, and new writes may
// already have reached the log's position again.
func (f *Follower) confirmHistory(ctx context.Context, w *writer) error {
	last, err := f.log.entries(
		ctx, w.connection(), "SELECT body, hash FROM sluice_audit_entries ORDER BY seq DESC LIMIT $1", confirmedEntries,
	)
	if err != nil {
		return err
	}
	seen := make(map[term]bool)
	for _, e := range last {
		for _, u := range e.Updates {
			key := term{keyOf(u.Resource) + "#" + u.Relation, keyOf(u.Subject)}
			if seen[key] || len(seen) == confirmedUpdates {
				continue
			}
			seen[key] = true
			if e.Kind == Expiry || u.ExpiresAt != nil && u.ExpiresAt.Before(f.now().Add(expiresSoon)) {
				continue
			}
			isUpdateStored, err := f.isUpdateStored(ctx, w.next, u)
			if err != nil {
				return err
			}
			if !isUpdateStored {
				return authz.ErrWentBack
			}
		}
	}
	return nil
}

// isUpdateStored reports whether SpiceDB has the result of an update at the log's position or now. It needs both
// states: on PostgreSQL, the state at a revision may lack transactions that Watch delivered before that revision. It
// also returns true if SpiceDB no longer knows the revision, or the type or relation of the update.
func (f *Follower) isUpdateStored(ctx context.Context, at authz.Token, u Update) (bool, error) {
	for _, consistency := range []authz.Consistency{authz.AtSnapshot(at), authz.Fully()} {
		isStored, err := f.isStored(ctx, u.Relationship(), consistency)
		if errors.Is(err, authz.CodeInvalid) {
			return true, nil
		}
		if err != nil || isStored == (u.Action != actionDelete) {
			return err == nil, err
		}
	}
	return false, nil
}

// rebuildTables recomputes the tables that are derived from entries. This is necessary after some entries were
// deleted, and for an upgrade. rebuildTables recomputes search terms of the kind byStart only if starts is true, and
// keeps those of other kinds.
func (b *batch) rebuildTables(l *Log, starts bool) error {
	if err := errors.Join(
		b.exec("DELETE FROM sluice_audit_present"),
		b.exec("DELETE FROM sluice_audit_marks WHERE seq > $1", b.last.Seq),
	); err != nil {
		return err
	}
	for after, more := int64(0), true; more; {
		found, err := l.entries(
			b.ctx, b.tx, "SELECT body, hash FROM sluice_audit_entries WHERE seq > $1 ORDER BY seq LIMIT $2", after,
			verifyPage,
		)
		if err != nil {
			return err
		}
		for _, e := range found {
			if starts {
				if err := b.storeStartsOf(e.Entry); err != nil {
					return err
				}
			}
			if err := b.applyEntry(e.Entry); err != nil {
				return err
			}
			after = e.Seq
		}
		more = len(found) > 0
	}
	return nil
}

// storeStartsOf stores the search terms of the kind byStart of an entry. The updates of the entry must not have been
// applied yet.
func (b *batch) storeStartsOf(e Entry) error {
	started, err := b.termIndexer().startedBy(e)
	if err != nil {
		return err
	}
	rows := make([][]any, 0, len(started))
	for object := range started {
		rows = append(rows, []any{byStart, keyOfObject(object), e.Seq})
	}
	return b.execRows(rows, "INSERT INTO sluice_audit_marks (kind, value, seq) VALUES %s ON CONFLICT DO NOTHING")
}
