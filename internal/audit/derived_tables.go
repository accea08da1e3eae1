package audit

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// derived recomputes search terms and current relationships from the text of the entries. Verify compares them with
// the tables that the server stored.
type derived struct {
	batch       *batch // reads within the transaction of the verification
	shared      bool   // the log is in PostgreSQL
	v           *verification
	termIndexer termIndexer

	seed              maphash.Seed
	termSums          map[int64]uint64                       // sum of the search terms' hashes, by entry
	present           map[string]map[[2]string]value         // relationships after the last entry, by resource
	places            map[authz.Object]map[authz.Object]bool // the objects that contain an object
	snapshotPlaces    map[authz.Object]map[authz.Object]bool // like places, but after the snapshot that is being read
	isPlaceholder     map[int64]bool                         // entries whose search terms for accounts are not compared
	hasUnknownObjects bool                                   // a placeholder does not name the changed objects
}

func newDerived(ctx context.Context, tx *sql.Tx, place Place, shared bool, v *verification) *derived {
	d := &derived{
		batch: &batch{
			ctx: ctx, tx: tx, place: place,
		}, shared: shared, v: v, seed: maphash.MakeSeed(), termSums: make(map[int64]uint64),
		present: make(map[string]map[[2]string]value), places: make(
			map[authz.Object]map[authz.Object]bool,
		), isPlaceholder: make(map[int64]bool),
	}
	d.termIndexer = termIndexer{place, func(object authz.Object, _ authz.Relation) ([]authz.Object, error) {
		return slices.Concat(
			slices.Collect(maps.Keys(d.places[object])), slices.Collect(maps.Keys(d.snapshotPlaces[object])),
		), nil
	}, d.existing}
	return d
}

func (d *derived) existing(objects []authz.Object, by time.Time) (map[authz.Object]bool, error) {
	existing := make(map[authz.Object]bool)
	for _, object := range objects {
		for _, value := range d.present[keyOfObject(object)] {
			if value.expires == 0 || value.expires > by.UnixMicro() {
				existing[object] = true
				break
			}
		}
	}
	return existing, nil
}

// entry applies an entry of the log to the derived tables, as the server did when it stored the entry.
func (d *derived) entry(e Entry) error {
	if e.Kind == Snapshot && len(e.Updates) == 0 {
		if err := d.snapshot(e.Seq); err != nil {
			return err
		}
	} else if e.Kind != Snapshot && e.Kind != Unstored {
		d.snapshotPlaces = nil
	}
	terms, err := d.termIndexer.termsOf(e)
	if err != nil {
		return err
	}
	d.isPlaceholder[e.Seq] = e.Kind == Unstored
	for m := range terms {
		d.termSums[e.Seq] += d.sum(m, e.Seq)
	}
	if e.Kind == Unstored && len(e.Objects) == 0 {
		d.hasUnknownObjects = true
	}
	if e.Kind == Unstored && e.Revision == "" {
		for _, object := range e.Objects {
			maps.DeleteFunc(d.present[keyOf(object)], func(_ [2]string, value value) bool {
				return value.expires > 0 && value.expires <= e.Time.UnixMicro()
			})
		}
	}
	for _, u := range e.Updates {
		apply(d.places, u, d.termIndexer.place)
		resource, key := keyOf(u.Resource), [2]string{u.Relation, keyOf(u.Subject)}
		if u.Action == actionDelete {
			if delete(d.present[resource], key); len(d.present[resource]) == 0 {
				delete(d.present, resource)
			}
			continue
		}
		if d.present[resource] == nil {
			d.present[resource] = make(map[[2]string]value)
		}
		d.present[resource][key] = value{microsOf(u.ExpiresAt), u.Caveat, string(u.CaveatContext)}
	}
	return nil
}

// apply applies an update to places, which maps an object to the objects that contain it.
func apply(places map[authz.Object]map[authz.Object]bool, u Update, place Place) {
	if relation := place(u.Resource.Type); relation == "" || string(relation) != u.Relation {
		return
	}
	if u.Action == actionDelete {
		delete(places[u.Resource.Object], u.Subject.Object)
		return
	}
	if places[u.Resource.Object] == nil {
		places[u.Resource.Object] = make(map[authz.Object]bool)
	}
	places[u.Resource.Object][u.Subject.Object] = true
}

// snapshot computes which objects contain an object after a snapshot. For this it reads the entries of the snapshot
// ahead, after the one with the number first. The search terms of these entries depend on the result.
func (d *derived) snapshot(first int64) error {
	d.snapshotPlaces = make(map[authz.Object]map[authz.Object]bool, len(d.places))
	for object, places := range d.places {
		d.snapshotPlaces[object] = maps.Clone(places)
	}
	for after, more := first, true; more; {
		found, err := entryRows(d.batch.ctx, d.batch.tx, d.shared, after)
		if err != nil {
			return err
		}
		more = len(found) > 0
		for _, row := range found {
			e, err := parseEntry(row.body)
			if err != nil || e.Kind != Unstored && (e.Kind != Snapshot || len(e.Updates) == 0) {
				return nil // another step of Verify reports an entry without valid JSON
			}
			for _, u := range e.Updates {
				apply(d.snapshotPlaces, u, d.termIndexer.place)
			}
			after = row.seq
		}
	}
	return nil
}

func (d *derived) sum(m term, seq int64) uint64 {
	if m.kind == byAccount && d.isPlaceholder[seq] {
		return 0
	}
	return maphash.String(d.seed, m.kind+"\x00"+m.value)
}

// value holds the fields of a relationship that do not identify it.
type value struct {
	expires         int64 // microseconds since 1970; 0 for none
	caveat, context string
}

// compareIfComplete runs a comparison only if all entries could be read. Otherwise, it would report a fault for every
// value that an unreadable entry should have caused.
func (d *derived) compareIfComplete(whole bool, compare func() error) error {
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
		if seq, ok := seq.(int64); ok { // compareTypes reports a value of another type
			stored[seq] += d.sum(term{textOf(kind), textOf(value)}, seq)
		}
	}
	for seq := range stored {
		if _, known := d.termSums[seq]; !known {
			d.termSums[seq] = 0
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(d.termSums)) {
		if d.termSums[seq] != stored[seq] {
			d.v.fault("entry %d: its search terms do not match its text", seq)
		}
	}
	return rows.Err()
}

func (d *derived) comparePresent() error {
	stored, err := tableRows(
		d.batch.ctx, d.batch.tx, 6,
		"SELECT resource, relation, subject, expires_at, caveat, context FROM sluice_audit_present",
	)
	if err != nil {
		return err
	}
	for _, row := range stored {
		resource, key := textOf(row[0]), [2]string{textOf(row[1]), textOf(row[2])}
		expires, _ := row[3].(int64)
		switch derived, known := d.present[resource][key]; {
		case !known:
			d.v.fault("the relationship %s %s is in sluice_audit_present, but no entry adds it",
				resource, strings.Join(key[:], " "))
		case derived != value{expires, textOf(row[4]), textOf(row[5])}:
			d.v.fault("the relationship %s %s differs between sluice_audit_present and the entries",
				resource, strings.Join(key[:], " "))
		}
		delete(d.present[resource], key)
	}
	var missing []string
	for resource, relationships := range d.present {
		for key, value := range relationships {
			// A placeholder that names no objects may stand for the expiry of this relationship.
			if !d.hasUnknownObjects || value.expires == 0 {
				missing = append(missing, resource+" "+strings.Join(key[:], " "))
			}
		}
	}
	slices.Sort(missing)
	for _, key := range missing {
		d.v.fault("the relationship %s is missing in sluice_audit_present", key)
	}
	return nil
}

func (d *derived) compareFound() error {
	var n int64
	err := d.batch.queryOne("SELECT count(*) FROM sluice_audit_found", nil, &n)
	if n > 0 {
		d.v.fault("sluice_audit_found must be empty, but has %s", authz.Count(n, "relationship", "relationships"))
	}
	return err
}
