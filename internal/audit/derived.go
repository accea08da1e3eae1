package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// derived is what follows from the texts of entries.
type derived struct {
	batch  *batch // reads
	v      *verification
	marker marker

	seed    maphash.Seed
	words   map[int64]uint64  // a sum of the marks of each entry
	present map[string]string // the relationships after the last entry, by their identity
	places  map[authz.Object]map[authz.Object]bool
	after   map[authz.Object]map[authz.Object]bool // the places behind the snapshot that an entry is of
	lenient map[int64]bool                         // placeholders: which accounts they are in depended on what was lost
	unknown bool                                   // there is a placeholder that names no object
}

func newDerived(ctx context.Context, tx *sql.Tx, place Place, v *verification) *derived {
	d := &derived{
		batch: &batch{ctx: ctx, tx: tx, place: place}, v: v, seed: maphash.MakeSeed(), words: make(map[int64]uint64),
		present: make(map[string]string), places: make(map[authz.Object]map[authz.Object]bool), lenient: make(map[int64]bool),
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
			for key, value := range d.present {
				var expires int64
				_, _ = fmt.Sscan(value, &expires)
				if strings.HasPrefix(key, keyOf(object)+" ") && expires > 0 && expires <= e.Time.UnixMicro() {
					delete(d.present, key)
				}
			}
		}
	}
	for _, u := range e.Updates {
		apply(d.places, u, d.marker.place)
		if key := relationshipKey(u); u.Action == gone {
			delete(d.present, key)
		} else {
			d.present[key] = relationshipValue(u)
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
		found, err := (&Log{}).entries(d.batch.ctx, d.batch.tx, "SELECT body, hash FROM sluice_audit_entries WHERE seq > $1 ORDER BY seq LIMIT $2", after, verifyPage)
		switch {
		case errors.Is(err, authz.CodeInternal):
			return nil // an entry that is no longer JSON is a fault of its own
		case err != nil:
			return err
		}
		more = len(found) > 0
		for _, e := range found {
			if e.Kind != Unstored && (e.Kind != Snapshot || len(e.Updates) == 0) {
				return nil
			}
			for _, u := range e.Updates {
				apply(d.after, u, d.marker.place)
			}
			after = e.Seq
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

func relationshipKey(u Update) string {
	return keyOf(u.Resource) + " " + u.Relation + " " + keyOf(u.Subject)
}

func relationshipValue(u Update) string {
	return fmt.Sprint(microsOf(u.ExpiresAt), " ", u.Caveat, " ", string(u.CaveatContext))
}

// compare holds what is stored against what is derived.
func (d *derived) compare() error {
	return errors.Join(d.compareMarks(), d.comparePresent(), d.compareFound())
}

func (d *derived) compareMarks() (err error) {
	rows, err := d.batch.tx.QueryContext(d.batch.ctx, "SELECT kind, value, seq FROM sluice_audit_marks")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	stored := make(map[int64]uint64)
	for rows.Next() {
		var m mark
		var seq int64
		if err := rows.Scan(&m.kind, &m.value, &seq); err != nil {
			return err
		}
		stored[seq] += d.sum(m, seq)
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
	stored, err := d.batch.rows("SELECT resource, relation, subject, expires_at, caveat, context FROM sluice_audit_present")
	if err != nil {
		return err
	}
	for _, u := range stored {
		key := relationshipKey(u)
		switch value, known := d.present[key]; {
		case !known:
			d.v.fault("the relationship %s is noted as present, and no entry says so", key)
		case value != relationshipValue(u):
			d.v.fault("the relationship %s is noted otherwise than the entries say", key)
		}
		delete(d.present, key)
	}
	for _, key := range slices.Sorted(maps.Keys(d.present)) {
		if !d.unknown || strings.HasPrefix(d.present[key], "0 ") { // the end of one that expires may have had a placeholder without objects
			d.v.fault("the relationship %s is not noted as present, and the entries say so", key)
		}
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
