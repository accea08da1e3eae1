package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// After an object is deleted, its id can be used for a new object. People may read only entries about the present
// object. So the log stores which entry created it, as a search term of the kind byStart. Earlier entries with the id
// are about a deleted object.

// clockDifference is how much the clocks of SpiceDB and of the log may differ. If all relationships of an object
// expire within this time, the object counts as deleted, since SpiceDB may already consider them expired.
const clockDifference = time.Minute

// startedBy returns the objects that an entry may create. These are the objects that get a relationship and had none.
// They are also the objects that a change puts into a containing object where they were not before. Operations create
// an object only if no relationship of a deleted object with the same id is left, and no deletion of it is under way.
// So every entry about the deleted object, and about references to it, comes before the creation. A placeholder may
// create all of its objects, since it may replace an entry that deletes and creates them.
//
// A snapshot creates no object. After a gap, view treats the snapshot as the creation of every object.
func (b termIndexer) startedBy(e Entry) (map[authz.Object]bool, error) {
	started := make(map[authz.Object]bool)
	if e.Kind == Unstored {
		for _, object := range e.Objects {
			started[object.Object] = true
		}
	}
	if e.Kind != Changed {
		return started, nil
	}
	touched := make(map[authz.Object]bool)
	for _, u := range e.Updates {
		if u.Action == actionTouch {
			touched[u.Resource.Object] = true
		}
	}
	existing, err := b.existing(slices.Collect(maps.Keys(touched)), e.Time.Add(clockDifference))
	if err != nil {
		return nil, err
	}
	for object := range touched {
		if !existing[object] {
			started[object] = true
		}
	}
	for _, u := range e.Updates {
		object := u.Resource.Object
		if u.Action != actionTouch || started[object] || u.Relation != string(b.place(object.Type)) {
			continue
		}
		places, err := b.placesOf(object, authz.Relation(u.Relation))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(places, u.Subject.Object) {
			started[object] = true
		}
	}
	return started, nil
}

// existing returns the objects that have a relationship in sluice_audit_present that does not expire by the given time.
func (b *batch) existing(objects []authz.Object, by time.Time) (map[authz.Object]bool, error) {
	existing := make(map[authz.Object]bool)
	for some := range slices.Chunk(objects, b.rowsPerStatement) {
		byKey, rows := make(map[string]authz.Object, len(some)), make([][]any, len(some))
		for i, object := range some {
			key := keyOfObject(object)
			byKey[key], rows[i] = object, []any{key}
		}
		values, args := tuples(rows)
		found, err := b.texts(fmt.Sprintf(`SELECT column1 FROM (VALUES %s) AS object WHERE EXISTS
			(SELECT 1 FROM sluice_audit_present WHERE resource = column1 AND (expires_at = 0 OR expires_at > $%d))`,
			values, len(args)+1), append(args, by.UnixMicro())...)
		if err != nil {
			return nil, err
		}
		for _, key := range found {
			existing[byKey[key]] = true
		}
	}
	return existing, nil
}

// texts reads the values of a query with one column.
func (b *batch) texts(query string, args ...any) (found []string, err error) {
	rows, err := b.query(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	return found, rows.Err()
}

// storeStarts adds the search terms of the kind byStart to all entries of a log of version 1, which has no such
// terms.
func (w *writer) storeStarts(ctx context.Context) error {
	return w.write(ctx, func(b *batch) error {
		if err := b.rebuildTables(w.log, true); err != nil {
			return err
		}
		return b.exec("UPDATE sluice_audit_state SET version = $1", version)
	})
}

// start is the entry that created the present object with an id.
type start struct {
	seq int64
	at  time.Time
}

// startsOf returns, by keyOfObject, the entries that created objects. An object that has existed since the log
// started is missing. If several entries of one transaction created an object, startsOf returns the first of them.
func (l *Log) startsOf(ctx context.Context, objects []authz.Object) (map[string]start, error) {
	starts := make(map[string]start, len(objects))
	for some := range slices.Chunk(objects, objectsPerQuery) {
		keys := make([]any, len(some))
		for i, object := range some {
			keys[i] = keyOfObject(object)
		}
		values, args := tuples([][]any{keys})
		if err := l.addStarts(ctx, starts, fmt.Sprintf(`SELECT m.value, e.at, COALESCE((SELECT f.seq
			FROM sluice_audit_entries f WHERE f.revision = e.revision AND f.part = 1), e.seq)
			FROM (SELECT value, MAX(seq) AS seq FROM sluice_audit_marks WHERE kind = $%d AND value IN %s GROUP BY value) m
			JOIN sluice_audit_entries e ON e.seq = m.seq`, len(args)+1, values), append(args, byStart)...); err != nil {
			return nil, err
		}
	}
	return starts, nil
}

func (l *Log) addStarts(ctx context.Context, starts map[string]start, query string, args ...any) (err error) {
	rows, err := l.db.QueryContext(ctx, query, args...)
	if err != nil {
		return unavailable(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var key string
		var micros, seq int64
		if err := rows.Scan(&key, &micros, &seq); err != nil {
			return unavailable(err)
		}
		starts[key] = start{seq, time.UnixMicro(micros)}
	}
	if err := rows.Err(); err != nil {
		return unavailable(err)
	}
	return nil
}
