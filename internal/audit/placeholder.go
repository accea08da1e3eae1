package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// refusal is an error of the log itself, in contrast to one of SpiceDB.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

func refuse(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{err}
}

// placeholder is an entry that stands for one that could not be stored, and why.
type placeholder struct {
	entry Entry
	cause error
}

// The limits of placeholders: how many objects one names, and how many bytes of a reason it has.
const (
	maxObjects = 1000
	maxReason  = 300
)

// errBroken is that the transaction cannot go on, as when its connection is lost.
var errBroken = errors.New("the transaction cannot go on")

// store appends an entry; in a careful batch, a placeholder if the log refuses it. An error means that the log may take the
// entry later.
func (b *batch) store(e Entry) error {
	if !b.careful {
		return b.add(e)
	}
	refused, err := b.offerEntry(e, nil)
	if err != nil || refused == nil {
		return err
	}
	return b.standIn(e, refused)
}

// offerEntry offers an entry, and updates that it applies without having them.
func (b *batch) offerEntry(e Entry, applied []Update) (refused, err error) {
	return b.offer(offered{
		name: fmt.Sprintf("the entry %d of kind %s and revision %q", b.last.Seq+1, e.Kind, e.Revision),
		key:  contentKey(e),
		do:   func() error { return b.addAndApply(e, applied) },
		same: func() error { return b.addAndApply(likeness(e), likeUpdates(applied)) },
	})
}

func (b *batch) addAndApply(e Entry, applied []Update) error {
	if err := b.add(e); err != nil {
		return err
	}
	return b.apply(applied)
}

// leastPlaceholder is the placeholder that the log takes if it takes anything.
func leastPlaceholder(at Time) Entry { return Entry{Time: at, Kind: Unstored, Reason: "unknown"} }

// standIn appends a placeholder for an entry: with as much of it as the log takes.
func (b *batch) standIn(e Entry, cause error) error {
	full := Entry{
		Time: e.Time, Kind: Unstored, Revision: e.Revision, Part: e.Part, Origin: e.Origin, Overlapping: e.Overlapping,
		Objects: changedBy(e.Updates), Reason: Reason(shortened(cause.Error())),
	}
	some := Entry{Time: e.Time, Kind: Unstored, Revision: e.Revision, Part: e.Part, Reason: full.Reason}
	for _, candidate := range []Entry{full, some} {
		var ended []Update
		if e.Kind == Expiry && len(candidate.Objects) == 0 {
			ended = e.Updates // lest the end of the relationship is due again
		}
		refused, err := b.offerEntry(candidate, ended)
		if err != nil {
			return err
		}
		if refused == nil {
			b.standsFor(candidate, cause)
			return nil
		}
	}
	if e.Kind == Expiry { // it stays in the log's tables, and is due until the process ends
		for _, u := range e.Updates {
			b.endless = append(b.endless, endOf(u))
		}
	}
	least := leastPlaceholder(e.Time)
	if err := b.try(func() error { return b.add(least) }); err != nil {
		return err
	}
	b.standsFor(least, cause)
	return nil
}

// standsFor keeps that the last entry is a placeholder.
func (b *batch) standsFor(candidate Entry, cause error) {
	candidate.Seq = b.last.Seq
	b.placeholders = append(b.placeholders, placeholder{candidate, cause})
}

// endOf names the end of a relationship.
func endOf(u Update) string { return fmt.Sprint(identity(u), microsOf(u.ExpiresAt)) }

// dueOrNone are those of the updates' relationships that had ended. A careful batch does without those that it cannot read.
func (b *batch) dueOrNone(updates []Update, at time.Time) (ended []Update, err error) {
	if !b.careful {
		return b.due(updates, at)
	}
	_, err = b.offer(offered{
		name: "what had ended before an entry",
		key:  "due " + contentKey(Entry{Time: Time{at}, Updates: updates}),
		do: func() (err error) {
			ended, err = b.due(updates, at)
			return err
		},
		same: func() error {
			_, err := b.due(likeUpdates(updates), at)
			return err
		},
	})
	return ended, err
}

// putEach keeps the relationships that a snapshot finds, each for itself. What the log refuses has a placeholder.
func (b *batch) putEach(updates []Update) error {
	for _, u := range updates {
		e := Entry{Time: b.last.Time, Kind: Snapshot, Updates: []Update{u}}
		refused, err := b.offer(offered{
			name: "a relationship that a snapshot found",
			key:  "found " + contentKey(Entry{Updates: e.Updates}),
			do:   func() error { return b.putAll(foundTable, e.Updates) },
			same: func() error { return b.putAll(foundTable, likeUpdates(e.Updates)) },
		})
		if err != nil {
			return err
		}
		if refused != nil {
			if err := b.standIn(e, refused); err != nil {
				return err
			}
		}
	}
	return nil
}

// try does something, and undoes it alone if it fails.
func (b *batch) try(do func() error) error {
	const savepoint = "sluice_audit_try"
	last, added := b.last, maps.Clone(b.added)
	if err := b.exec("SAVEPOINT " + savepoint); err != nil {
		return errors.Join(errBroken, err)
	}
	err := do()
	if err != nil {
		if undone := b.exec("ROLLBACK TO SAVEPOINT " + savepoint); undone != nil {
			return errors.Join(errBroken, err, undone)
		}
		b.last, b.added = last, added
	}
	if ended := b.exec("RELEASE SAVEPOINT " + savepoint); ended != nil {
		return errors.Join(errBroken, err, ended)
	}
	return err
}

// The result codes of SQLite that are about an entry: others are about the file, the machine or other users of it.
const (
	sqliteError      = 1
	sqliteFull       = 13
	sqliteTooBig     = 18
	sqliteConstraint = 19
	sqliteMismatch   = 20
	sqliteRange      = 25
)

// mayPass reports whether an error may be the log's and not that of the entry: the same entry may be stored later.
func mayPass(err error) bool {
	if errors.Is(err, errBroken) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if inFile := (*sqlite.Error)(nil); errors.As(err, &inFile) {
		switch inFile.Code() & 0xff {
		case sqliteError, sqliteTooBig, sqliteConstraint, sqliteMismatch, sqliteRange:
			return false
		default:
			return true
		}
	}
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		switch refused.Code[:min(len(refused.Code), 2)] {
		case "08", "25", "28", "40", "53", "55", "57", "58": // connections, transactions, resources, locks, operators, the system
			return true
		}
		return false
	}
	refused := (*refusal)(nil)
	return !errors.As(err, &refused) // an error of SpiceDB
}

// isFull reports whether there is no room on the disk.
func isFull(err error) bool {
	inFile, refused := (*sqlite.Error)(nil), (*pgconn.PgError)(nil)
	return errors.As(err, &inFile) && inFile.Code()&0xff == sqliteFull || errors.As(err, &refused) && refused.Code == "53100"
}

// changedBy are the objects that updates are about; none if there are too many to name.
func changedBy(updates []Update) (objects []Reference) {
	seen := make(map[Reference]bool)
	for _, u := range updates {
		if object := (Reference{Object: u.Resource.Object}); !seen[object] {
			seen[object] = true
			objects = append(objects, object)
		}
	}
	if len(objects) > maxObjects {
		return nil
	}
	return objects
}

// shortened is a text of a limited length, without what a database refuses as text.
func shortened(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}
