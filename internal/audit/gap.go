package audit

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// errCutOff is that entries are gone from the end of the log.
var errCutOff = errors.New("entries are gone from the end of the audit log")

// reasonOf is the reason of the gap that an error makes; none if it makes none.
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

func (r Reason) message() string {
	switch r {
	case OtherStore:
		return "SpiceDB has another store than the one that the audit log followed, or a restored one: the log has a gap, and begins anew with what is there"
	case WentBack:
		return "SpiceDB does not have what the audit log has seen, as after a restore: the log has a gap, and begins anew with what is there"
	case CutOff:
		return "somebody removed entries from the end of the audit log: it has a gap, and begins anew with what is there"
	default:
		return "SpiceDB no longer has what happened since the audit log stopped: the log has a gap, and begins anew with what is there"
	}
}

const (
	// confirmed is how many of the last entries are held against SpiceDB, and confirmedUpdates how many of their updates.
	confirmed        = 10
	confirmedUpdates = 50

	// ending is how soon a relationship expires that may be gone already.
	ending = time.Minute
)

// confirm returns authz.ErrWentBack if SpiceDB does not have what the last entries tell. A database that was restored
// keeps its name, and once enough was written to it, the place where the log stopped is one that SpiceDB knows, in
// another past.
func (f *Follower) confirm(ctx context.Context, w *Writer) error {
	last, err := f.log.entries(ctx, w.connection(), "SELECT body, hash FROM sluice_audit_entries ORDER BY seq DESC LIMIT $1", confirmed)
	if err != nil {
		return err
	}
	seen := make(map[mark]bool)
	for _, e := range last {
		for _, u := range e.Updates {
			key := mark{keyOf(u.Resource) + "#" + u.Relation, keyOf(u.Subject)}
			if seen[key] || len(seen) == confirmedUpdates {
				continue
			}
			seen[key] = true
			if e.Kind == Expiry || u.ExpiresAt != nil && u.ExpiresAt.Before(f.now().Add(ending)) {
				continue
			}
			agrees, err := f.agrees(ctx, w.next, u)
			if err != nil {
				return err
			}
			if !agrees {
				return authz.ErrWentBack
			}
		}
	}
	return nil
}

// agrees reports whether an update shows where the log stopped, or now: on PostgreSQL a state does not show every
// transaction that was told before it. It does, where SpiceDB does not know that state or what the update is about.
func (f *Follower) agrees(ctx context.Context, at authz.Token, u Update) (bool, error) {
	for _, consistency := range []authz.Consistency{authz.AtSnapshot(at), authz.Fully()} {
		there, err := f.there(ctx, u.Relationship(), consistency)
		if errors.Is(err, authz.CodeInvalid) {
			return true, nil
		}
		if err != nil || there == (u.Action != gone) {
			return err == nil, err
		}
	}
	return false, nil
}

// rebuild makes what the log knows of relationships what its entries tell, after some of those were removed.
func (b *batch) rebuild(l *Log) error {
	if err := errors.Join(
		b.exec("DELETE FROM sluice_audit_present"),
		b.exec("DELETE FROM sluice_audit_marks WHERE seq > $1", b.last.Seq),
	); err != nil {
		return err
	}
	for after, more := int64(0), true; more; {
		found, err := l.entries(b.ctx, b.tx, "SELECT body, hash FROM sluice_audit_entries WHERE seq > $1 ORDER BY seq LIMIT $2", after, verifyPage)
		if err != nil {
			return err
		}
		for _, e := range found {
			if err := b.applyEntry(e.Entry); err != nil {
				return err
			}
			after = e.Seq
		}
		more = len(found) > 0
	}
	return nil
}
