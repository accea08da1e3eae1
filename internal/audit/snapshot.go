package audit

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// begin notes the state that the log begins with, and writes what is there then as its first entries. From the note
// on nothing is lost: what happens while the entries are written, or while this is interrupted, comes behind them.
func (f *Follower) begin(ctx context.Context, w *Writer) error {
	if w.next == "" {
		if err := f.note(ctx, w); err != nil {
			return err
		}
	}
	f.settles()
	err := f.snapshot(ctx, w, Entry{}, w.next)
	if !errors.Is(err, authz.CodeInvalid) {
		return err
	}
	// It was interrupted, and SpiceDB no longer has that state: with what is there now.
	if err := f.note(ctx, w); err != nil {
		return err
	}
	return f.snapshot(ctx, w, Entry{}, w.next)
}

// note has the log go on from the newest state.
func (f *Follower) note(ctx context.Context, w *Writer) error {
	_, at, err := f.source.Head(ctx)
	if err != nil {
		return err
	}
	return w.write(ctx, func(b *batch) error {
		b.next = at
		return nil
	})
}

// beginAnew writes that a span is missing, and how what is there differs from what the log knew.
func (f *Follower) beginAnew(ctx context.Context, w *Writer, reason Reason) error {
	since := w.last.Time
	return f.snapshot(ctx, w, Entry{Kind: Gap, Since: &since, Reason: reason}, "")
}

// snapshot writes how what is there at a state differs from what the log knew; at the newest state if none is given.
func (f *Follower) snapshot(ctx context.Context, w *Writer, gap Entry, at authz.Token) error {
	schema, newest, err := f.source.Head(ctx)
	if err != nil {
		return err
	}
	if at == "" {
		at = newest
	}
	now := Time{f.now()}
	var added map[Kind]int
	err = w.write(ctx, func(b *batch) error {
		if gap.Kind == Gap {
			gap.Time = now
			if gap.Reason == CutOff {
				if err := b.rebuild(f.log); err != nil {
					return err
				}
			}
			if err := b.store(gap); err != nil {
				return err
			}
		}
		if err := b.find(f.source.Export(ctx, at)); err != nil {
			return err
		}
		if err := b.store(Entry{Time: now, Kind: Snapshot, Schema: schema}); err != nil {
			return err
		}
		if err := b.differences(now); err != nil {
			return err
		}
		b.next, added = at, b.added
		return b.exec("DELETE FROM sluice_audit_found")
	})
	if err != nil {
		return err
	}
	f.stats.arrive(waitingForChange)
	f.stats.arrive(waitingForExpiry)
	f.stats.count(added)
	f.logger.DebugContext(ctx, "the audit log begins with what is there", "entries", added[Snapshot], "took", time.Since(now.Time).String())
	return nil
}

// find keeps relationships beside those that the log knows.
func (b *batch) find(all func(func(authz.Relationship, error) bool)) error {
	var some []Update
	for r, err := range all {
		if err != nil {
			return err
		}
		if some = append(some, newUpdate(touch, r)); len(some) == maxUpdates {
			if err := b.put(foundTable, some); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	return b.put(foundTable, some)
}

const (
	// lacking are the relationships that were found and that the log does not know, or not so.
	lacking = `SELECT f.resource, f.relation, f.subject, f.expires_at, f.caveat, f.context FROM sluice_audit_found f
		LEFT JOIN sluice_audit_present p ON p.resource = f.resource AND p.relation = f.relation AND p.subject = f.subject
		WHERE (p.resource IS NULL OR p.expires_at <> f.expires_at OR p.caveat <> f.caveat OR p.context <> f.context)
		AND (f.resource, f.relation, f.subject) > ($1, $2, $3) ORDER BY f.resource, f.relation, f.subject LIMIT $4`

	// surplus are those that the log knows and that were not found.
	surplus = `SELECT p.resource, p.relation, p.subject, p.expires_at, p.caveat, p.context FROM sluice_audit_present p
		LEFT JOIN sluice_audit_found f ON p.resource = f.resource AND p.relation = f.relation AND p.subject = f.subject
		WHERE f.resource IS NULL AND (p.resource, p.relation, p.subject) > ($1, $2, $3) ORDER BY p.resource, p.relation, p.subject LIMIT $4`
)

// differences appends what leads from what the log knows to what was found, an entry an object.
func (b *batch) differences(now Time) error {
	for _, difference := range []struct{ action, query string }{{touch, lacking}, {gone, surplus}} {
		for after := []any{"", "", ""}; ; {
			found, err := b.rows(difference.query, append(after, 10*maxUpdates)...)
			if err != nil {
				return err
			}
			if len(found) == 0 {
				break
			}
			after = identity(found[len(found)-1])
			for start, i := 0, 1; i <= len(found); i++ {
				if i < len(found) && found[i].Resource == found[start].Resource && i-start < maxUpdates {
					continue
				}
				e := Entry{Time: now, Kind: Snapshot, Updates: found[start:i]}
				for j := range e.Updates {
					e.Updates[j].Action = difference.action
				}
				if err := b.store(e); err != nil {
					return err
				}
				start = i
			}
		}
	}
	return nil
}
