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

// logError is an error of the log's database, as opposed to an error of SpiceDB.
type logError struct{ error }

func (r *logError) Unwrap() error { return r.error }

func asLogError(err error) error {
	if err == nil {
		return nil
	}
	return &logError{err}
}

// placeholder is an entry that replaces one which the log's database rejects. cause is the error of the database.
type placeholder struct {
	entry    Entry
	replaced Entry // the rejected entry, whose fields the placeholder may lack
	cause    error
}

// maxObjects is the largest number of objects in a placeholder. maxReason is the largest size of its reason in bytes.
const (
	maxObjects = 1000
	maxReason  = 300
)

// errBroken reports that the transaction cannot continue, for example because the connection was lost.
var errBroken = errors.New("the transaction cannot continue")

// store appends an entry. In a careful batch, store appends a placeholder instead if the log's database rejects the
// entry permanently. It returns an error if the database may accept the entry later. In any other batch, store
// returns every error.
func (b *batch) store(e Entry) error {
	if !b.careful {
		return b.appendEntry(e)
	}
	refused, err := b.attemptEntry(e, nil)
	if err != nil || refused == nil {
		return err
	}
	return b.storePlaceholder(e, refused)
}

// attemptEntry tries to append an entry. It also applies other updates to sluice_audit_present, which the entry does
// not contain. For the results, see attemptPart.
func (b *batch) attemptEntry(e Entry, applied []Update) (refused, err error) {
	return b.attemptPart(writePart{
		name: fmt.Sprintf("the entry %d of kind %s and revision %q", b.last.Seq+1, e.Kind, e.Revision),
		key:  contentKey(e),
		do:   func() error { return b.addAndApply(e, applied) },
		same: func() error { return b.addAndApply(sameSizeEntry(e), scrambleUpdates(applied)) },
	})
}

func (b *batch) addAndApply(e Entry, applied []Update) error {
	if err := b.appendEntry(e); err != nil {
		return err
	}
	return b.apply(applied)
}

// minimalPlaceholder returns the smallest placeholder. If the log's database rejects this one, it accepts no entry.
func minimalPlaceholder(at Time) Entry { return Entry{Time: at, Kind: Unstored, Reason: "unknown"} }

// storePlaceholder appends a placeholder for an entry, with as many of the entry's fields as the log's database
// accepts.
func (b *batch) storePlaceholder(e Entry, cause error) error {
	full := Entry{
		Time: e.Time, Kind: Unstored, Revision: e.Revision, Part: e.Part, Origin: e.Origin, Overlapping: e.Overlapping,
		Objects: objectsOf(e.Updates), Reason: Reason(truncateReason(cause.Error())),
	}
	some := Entry{Time: e.Time, Kind: Unstored, Revision: e.Revision, Part: e.Part, Reason: full.Reason}
	for _, candidate := range []Entry{full, some} {
		var ended []Update
		if e.Kind == Expiry && len(candidate.Objects) == 0 {
			// This placeholder does not name the objects of the expired relationship. Delete the relationship here, or
			// its expiry would be written again.
			ended = e.Updates
		}
		refused, err := b.attemptEntry(candidate, ended)
		if err != nil {
			return err
		}
		if refused == nil {
			b.notePlaceholder(candidate, e, cause)
			return nil
		}
	}
	// The log accepts only minimalPlaceholder, so the expired relationship stays in sluice_audit_present. This process
	// writes no further expiry of it. After a restart, the expiry is written again and gets another placeholder.
	if e.Kind == Expiry {
		for _, u := range e.Updates {
			b.unstorableEnds = append(b.unstorableEnds, endKey(u))
		}
	}
	least := minimalPlaceholder(e.Time)
	if err := b.inSavepoint(func() error { return b.appendEntry(least) }); err != nil {
		return err
	}
	b.notePlaceholder(least, e, cause)
	return nil
}

// notePlaceholder records in the batch that its last entry is a placeholder.
func (b *batch) notePlaceholder(candidate, replaced Entry, cause error) {
	candidate.Seq = b.last.Seq
	b.placeholders = append(b.placeholders, placeholder{candidate, replaced, cause})
}

// endKey returns a key that identifies a relationship together with its expiration.
func endKey(u Update) string { return fmt.Sprint(identity(u), microsOf(u.ExpiresAt)) }

// dueOrNone returns the same relationships as due. In a careful batch, due may fail because of the query itself. Then
// dueOrNone returns no relationships and no error.
func (b *batch) dueOrNone(updates []Update, at time.Time) (ended []Update, err error) {
	if !b.careful {
		return b.due(updates, at)
	}
	_, err = b.attemptPart(writePart{
		name: "the expired relationships of an entry",
		key:  "due " + contentKey(Entry{Time: Time{at}, Updates: updates}),
		do: func() (err error) {
			ended, err = b.due(updates, at)
			return err
		},
		same: func() error {
			_, err := b.due(scrambleUpdates(updates), at)
			return err
		},
	})
	return ended, err
}

// putEach stores the relationships that a snapshot has read, one by one. It stores a placeholder for a rejected one.
func (b *batch) putEach(updates []Update) error {
	for _, u := range updates {
		e := Entry{Time: b.last.Time, Kind: Snapshot, Updates: []Update{u}}
		refused, err := b.attemptPart(writePart{
			name: "a relationship of a snapshot",
			key:  "found " + contentKey(Entry{Updates: e.Updates}),
			do:   func() error { return b.putAll(foundTable, e.Updates) },
			same: func() error { return b.putAll(foundTable, scrambleUpdates(e.Updates)) },
		})
		if err != nil {
			return err
		}
		if refused != nil {
			if err := b.storePlaceholder(e, refused); err != nil {
				return err
			}
		}
	}
	return nil
}

// inSavepoint calls do in a savepoint, and rolls back to it if do fails.
func (b *batch) inSavepoint(do func() error) error {
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

// SQLite's result codes for errors that the entry causes. Other codes are about the file, the machine or other
// processes.
const (
	sqliteError      = 1
	sqliteFull       = 13
	sqliteTooBig     = 18
	sqliteConstraint = 19
	sqliteMismatch   = 20
	sqliteRange      = 25
)

// isTransient reports whether the log's database may accept the same entry later.
func isTransient(err error) bool {
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
		// classes: connection, transaction, authorization, rollback, resources, object state, operator, system
		case "08", "25", "28", "40", "53", "55", "57", "58":
			return true
		}
		return false
	}
	refused := (*logError)(nil)
	return !errors.As(err, &refused) // an error of SpiceDB is transient
}

// isFull reports whether an error says that the disk is full.
func isFull(err error) bool {
	inFile, refused := (*sqlite.Error)(nil), (*pgconn.PgError)(nil)
	return errors.As(err, &inFile) && inFile.Code()&0xff == sqliteFull || errors.As(err, &refused) &&
		refused.Code == "53100"
}

// objectsOf returns the objects whose relationships are updated, or none if there are more than maxObjects.
func objectsOf(updates []Update) (objects []Reference) {
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

// truncateReason shortens a text to maxReason bytes and replaces characters that a database rejects.
func truncateReason(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "?")
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}
