package audit

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// derived is what follows from the texts of entries.
type derived struct {
	batch  *batch // reads
	shared bool   // the log is in PostgreSQL
	v      *verification
	marker marker

	seed    maphash.Seed
	words   map[int64]uint64    // a sum of the marks of each entry
	present map[[3]string]value // the relationships after the last entry, by their resource, relation and subject
	places  map[authz.Object]map[authz.Object]bool
	after   map[authz.Object]map[authz.Object]bool // the places behind the snapshot that an entry is of
	lenient map[int64]bool                         // placeholders: which accounts they are in depended on what was lost
	unknown bool                                   // there is a placeholder that names no object
}

func newDerived(ctx context.Context, tx *sql.Tx, place Place, shared bool, v *verification) *derived {
	d := &derived{
		batch: &batch{ctx: ctx, tx: tx, place: place}, shared: shared, v: v, seed: maphash.MakeSeed(), words: make(map[int64]uint64),
		present: make(map[[3]string]value), places: make(map[authz.Object]map[authz.Object]bool), lenient: make(map[int64]bool),
	}
	d.marker = marker{place, func(object authz.Object, _ authz.Relation) ([]authz.Object, error) {
		return slices.Concat(slices.Collect(maps.Keys(d.places[object])), slices.Collect(maps.Keys(d.after[object]))), nil
	}}
	return d
}

// entry derives what follows from an entry.
func (d *derived) entry(e Entry) error {
	if e.Kind == Snapshot && len(e.Updates) == 0 {
		if err := d.snapshot(e.Seq); err != nil {
			return err
		}
	} else if e.Kind != Snapshot && e.Kind != Unstored {
		d.after = nil
	}
	marks, err := d.marker.marksOf(e)
	if err != nil {
		return err
	}
	d.lenient[e.Seq] = e.Kind == Unstored
	for m := range marks {
		d.words[e.Seq] += d.sum(m, e.Seq)
	}
	if e.Kind == Unstored && len(e.Objects) == 0 {
		d.unknown = true
	}
	if e.Kind == Unstored && e.Revision == "" {
		for _, object := range e.Objects {
			maps.DeleteFunc(d.present, func(key [3]string, value value) bool {
				return key[0] == keyOf(object) && value.expires > 0 && value.expires <= e.Time.UnixMicro()
			})
		}
	}
	for _, u := range e.Updates {
		apply(d.places, u, d.marker.place)
		if key := [3]string{keyOf(u.Resource), u.Relation, keyOf(u.Subject)}; u.Action == gone {
			delete(d.present, key)
		} else {
			d.present[key] = value{microsOf(u.ExpiresAt), u.Caveat, string(u.CaveatContext)}
		}
	}
	return nil
}

// apply brings the places of objects up to date.
func apply(places map[authz.Object]map[authz.Object]bool, u Update, place Place) {
	if relation := place(u.Resource.Type); relation == "" || string(relation) != u.Relation {
		return
	}
	if u.Action == gone {
		delete(places[u.Resource.Object], u.Subject.Object)
		return
	}
	if places[u.Resource.Object] == nil {
		places[u.Resource.Object] = make(map[authz.Object]bool)
	}
	places[u.Resource.Object][u.Subject.Object] = true
}

// snapshot derives the places behind a snapshot: its entries were found by them.
func (d *derived) snapshot(first int64) error {
	d.after = make(map[authz.Object]map[authz.Object]bool, len(d.places))
	for object, places := range d.places {
		d.after[object] = maps.Clone(places)
	}
	for after, more := first, true; more; {
		found, err := entryRows(d.batch.ctx, d.batch.tx, d.shared, after)
		if err != nil {
			return err
		}
		more = len(found) > 0
		for _, row := range found {
			e, err := parse(row.body)
			if err != nil || e.Kind != Unstored && (e.Kind != Snapshot || len(e.Updates) == 0) {
				return nil // an entry that is no longer JSON is a fault of its own
			}
			for _, u := range e.Updates {
				apply(d.after, u, d.marker.place)
			}
			after = row.seq
		}
	}
	return nil
}

func (d *derived) sum(m mark, seq int64) uint64 {
	if m.kind == byAccount && d.lenient[seq] {
		return 0
	}
	return maphash.String(d.seed, m.kind+"\x00"+m.value)
}

// value is what a relationship has beside its identity.
type value struct {
	expires         int64 // microseconds since 1970; 0 for never
	caveat, context string
}

// ifWhole compares what is stored with what is derived, unless there are entries that could not be read: everything that
// follows from those would be a fault.
func (d *derived) ifWhole(whole bool, compare func() error) error {
	if !whole {
		return nil
	}
	return compare()
}

func (d *derived) compareMarks() (err error) {
	rows, err := d.batch.tx.QueryContext(d.batch.ctx, "SELECT kind, value, seq FROM sluice_audit_marks")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	stored := make(map[int64]uint64)
	for rows.Next() {
		var kind, value, seq any
		if err := rows.Scan(&kind, &value, &seq); err != nil {
			return err
		}
		if seq, ok := seq.(int64); ok { // otherwise compareTypes has named it
			stored[seq] += d.sum(mark{textOf(kind), textOf(value)}, seq)
		}
	}
	for seq := range stored {
		if _, known := d.words[seq]; !known {
			d.words[seq] = 0
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(d.words)) {
		if d.words[seq] != stored[seq] {
			d.v.fault("entry %d: the words by which it is found are not those of its text", seq)
		}
	}
	return rows.Err()
}

func (d *derived) comparePresent() error {
	stored, err := tableRows(d.batch.ctx, d.batch.tx, 6, "SELECT resource, relation, subject, expires_at, caveat, context FROM sluice_audit_present")
	if err != nil {
		return err
	}
	for _, row := range stored {
		key := [3]string{textOf(row[0]), textOf(row[1]), textOf(row[2])}
		expires, _ := row[3].(int64)
		switch derived, known := d.present[key]; {
		case !known:
			d.v.fault("the relationship %s is noted as present, and no entry says so", strings.Join(key[:], " "))
		case derived != value{expires, textOf(row[4]), textOf(row[5])}:
			d.v.fault("the relationship %s is noted otherwise than the entries say", strings.Join(key[:], " "))
		}
		delete(d.present, key)
	}
	var missing []string
	for key, value := range d.present {
		if !d.unknown || value.expires == 0 { // the end of one that expires may have had a placeholder without objects
			missing = append(missing, strings.Join(key[:], " "))
		}
	}
	slices.Sort(missing)
	for _, key := range missing {
		d.v.fault("the relationship %s is not noted as present, and the entries say so", key)
	}
	return nil
}

func (d *derived) compareFound() error {
	var n int64
	err := d.batch.one("SELECT count(*) FROM sluice_audit_found", nil, &n)
	if n > 0 {
		d.v.fault("the table of a snapshot that is being taken still has %s", authz.Count(n, "relationship", "relationships"))
	}
	return err
}
