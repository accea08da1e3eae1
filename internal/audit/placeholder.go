package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

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

// failing is an entry that fails again and again, in a way that may be the log's fault and not its own.
type failing struct {
	key   string
	times int
	cause error
}

// The limits of placeholders: how often an entry fails in a way that may pass before a placeholder stands for it, how
// many objects a placeholder names, and how many bytes of a reason it has.
const (
	maxFailures = 10
	maxObjects  = 1000
	maxReason   = 300
)

// errBroken is that the transaction cannot go on, as when its connection is lost.
var errBroken = errors.New("the transaction cannot go on")

// store appends an entry; in a careful batch, a placeholder if the log refuses it. An error means that the log may take the
// entry later.
func (b *batch) store(e Entry) error {
	if !b.careful {
		return b.add(e)
	}
	key := fmt.Sprint(b.last.Seq, e.Kind, e.Revision, e.Part)
	if b.log.failing.key != key {
		b.log.failing = failing{key: key}
	}
	cause := b.log.failing.cause
	if b.log.failing.times < maxFailures {
		if cause = b.try(func() error { return b.add(e) }); cause == nil {
			return nil
		}
		if mayPass(cause) {
			if !isFull(cause) { // which is the fault of no entry
				b.log.failing.times++
				b.log.failing.cause = cause
			}
			return cause
		}
	}
	return b.standIn(e, cause)
}

// standIn appends a placeholder for an entry: with as much of it as the log takes.
func (b *batch) standIn(e Entry, cause error) error {
	full := Entry{
		Time: e.Time, Kind: Unstored, Revision: e.Revision, Part: e.Part, Origin: e.Origin, Overlapping: e.Overlapping,
		Objects: changedBy(e.Updates), Reason: Reason(shortened(cause.Error())),
	}
	some := Entry{Time: e.Time, Kind: Unstored, Revision: e.Revision, Part: e.Part, Reason: full.Reason}
	least := Entry{Time: e.Time, Kind: Unstored, Reason: "unknown"}
	var err error
	for _, candidate := range []Entry{full, some, least} {
		err = b.try(func() error {
			if err := b.add(candidate); err != nil || e.Kind != Expiry || len(candidate.Objects) > 0 {
				return err
			}
			return b.apply(e.Updates) // lest the end of the relationship is due again
		})
		if err == nil {
			candidate.Seq = b.last.Seq
			b.placeholders = append(b.placeholders, placeholder{candidate, cause})
			return nil
		}
		if mayPass(err) {
			return err
		}
	}
	return err
}

// leaveOut does what an entry can do without, in a careful batch: there it has no error that does not pass.
func (b *batch) leaveOut(do func() error) error {
	if !b.careful {
		return do()
	}
	err := b.try(do)
	if err == nil || mayPass(err) {
		return err
	}
	return nil
}

// putEach keeps the relationships that a snapshot finds, each for itself. What the log refuses has a placeholder.
func (b *batch) putEach(updates []Update, rows [][]any) error {
	for i, row := range rows {
		err := b.try(func() error { return b.each([][]any{row}, fmt.Sprintf(putInto, foundTable)) })
		if err != nil && mayPass(err) {
			return err
		}
		if err != nil {
			if err := b.standIn(Entry{Time: b.last.Time, Kind: Snapshot, Updates: updates[i : i+1]}, err); err != nil {
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

// isFull reports whether there is no room on the disk or in memory.
func isFull(err error) bool {
	inFile, refused := (*sqlite.Error)(nil), (*pgconn.PgError)(nil)
	return errors.As(err, &inFile) && inFile.Code()&0xff == sqliteFull || errors.As(err, &refused) && strings.HasPrefix(refused.Code, "53")
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
