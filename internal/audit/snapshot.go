package audit

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// start stores the current position of SpiceDB, and then writes the relationships at that position as the first
// entries. Changes during the snapshot, or during an interruption, have a later position. So their entries follow the
// snapshot, and no change is lost.
func (f *Follower) start(ctx context.Context, w *writer) error {
	if w.next == "" {
		if err := f.storePosition(ctx, w); err != nil {
			return err
		}
	}
	f.markReady()
	err := f.snapshot(ctx, w, Entry{}, w.next)
	if !errors.Is(err, authz.CodeInvalid) {
		return err
	}
	// The first attempt was interrupted, and SpiceDB no longer has the revision of the stored position. Start at the
	// newest revision instead.
	if err := f.storePosition(ctx, w); err != nil {
		return err
	}
	return f.snapshot(ctx, w, Entry{}, w.next)
}

// storePosition makes the log continue from SpiceDB's newest revision.
func (f *Follower) storePosition(ctx context.Context, w *writer) error {
	_, at, err := f.source.Head(ctx)
	if err != nil {
		return err
	}
	return w.write(ctx, func(b *batch) error {
		b.next = at
		return nil
	})
}

// restartAfterGap writes an entry of the kind Gap. Then it writes the differences between the relationships in
// SpiceDB and those in the log.
func (f *Follower) restartAfterGap(ctx context.Context, w *writer, reason Reason) error {
	since := w.last.Time
	return f.snapshot(ctx, w, Entry{Kind: Gap, Since: &since, Reason: reason}, "")
}

// snapshot writes the differences between the relationships in SpiceDB at a revision and those in the log. An empty
// token means the newest revision. If gap is an entry of the kind Gap, snapshot writes it first.
func (f *Follower) snapshot(ctx context.Context, w *writer, gap Entry, at authz.Token) error {
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
				if err := b.rebuildTables(f.log, false); err != nil {
					return err
				}
			}
			if err := b.store(gap); err != nil {
				return err
			}
		}
		if err := b.storeFound(f.source.Export(ctx, at)); err != nil {
			return err
		}
		if err := b.store(Entry{Time: now, Kind: Snapshot, Schema: schema}); err != nil {
			return err
		}
		if err := b.appendDifferences(now); err != nil {
			return err
		}
		b.next, added = at, b.added
		return b.exec("DELETE FROM sluice_audit_found")
	})
	if err != nil {
		return err
	}
	f.stats.stopWaiting(waitingForChange)
	f.stats.stopWaiting(waitingForExpiry)
	f.stats.count(added)
	f.logger.DebugContext(
		ctx, "the audit log has written a snapshot", "entries", added[Snapshot], "took", time.Since(now.Time).String(),
	)
	return nil
}

// storeFound stores the relationships that SpiceDB exports in foundTable.
func (b *batch) storeFound(all func(func(authz.Relationship, error) bool)) error {
	var some []Update
	for r, err := range all {
		if err != nil {
			return err
		}
		if some = append(some, newUpdate(actionTouch, r)); len(some) == maxUpdates {
			if err := b.put(foundTable, some); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	return b.put(foundTable, some)
}

const (
	// missingQuery selects SpiceDB's relationships that the log lacks, or has with another expiration or caveat.
	missingQuery = `SELECT f.resource, f.relation, f.subject, f.expires_at, f.caveat, f.context FROM sluice_audit_found f
		LEFT JOIN sluice_audit_present p ON p.resource = f.resource AND p.relation = f.relation AND p.subject = f.subject
		WHERE (p.resource IS NULL OR p.expires_at <> f.expires_at OR p.caveat <> f.caveat OR p.context <> f.context)
		AND (f.resource, f.relation, f.subject) > ($1, $2, $3) ORDER BY f.resource, f.relation, f.subject LIMIT $4`

	// goneQuery selects relationships that the log has and SpiceDB lacks.
	goneQuery = `SELECT p.resource, p.relation, p.subject, p.expires_at, p.caveat, p.context FROM sluice_audit_present p
		LEFT JOIN sluice_audit_found f ON p.resource = f.resource AND p.relation = f.relation AND p.subject = f.subject
		WHERE f.resource IS NULL AND (p.resource, p.relation, p.subject) > ($1, $2, $3)
			ORDER BY p.resource, p.relation, p.subject LIMIT $4`
)

// appendDifferences appends entries that turn the relationships of the log into those in foundTable. Each entry is
// about one object.
func (b *batch) appendDifferences(now Time) error {
	for _, difference := range []struct{ action, query string }{
		{actionTouch, missingQuery}, {actionDelete, goneQuery},
	} {
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
