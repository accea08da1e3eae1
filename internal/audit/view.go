package audit

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// view decides, for one request, which updates in the log a person may see. The id of a deleted object can be used
// for a new object, and readers of the new object must not see updates of the deleted one. The position of the log is
// the state of SpiceDB up to which the log has every change. An update is visible under two conditions:
//   - The person has the needed permissions now, and had them at the position of the log. The second part hides updates
//     of an object that was deleted and created again after the position.
//   - The objects on which the person has these permissions were created by the update or before it, see startedBy.
type view struct {
	history *History
	visible *visibility.View // what the person may see both now and at the position

	position authz.Token // position of the log
	last     int64       // number of the last entry at the position
	reset    int64       // number of the last gap or placeholder, or 0; an id may have been used again there

	starts   map[string]start // by keyOfObject; the zero value if an object has existed since the log started
	isBehind bool             // the person has a permission now that they lacked at the position
}

// newView reads the position of the log. The view decides about entries up to that position.
func (h *History) newView(ctx context.Context, reader authz.Actor) (*view, error) {
	v := &view{history: h, starts: make(map[string]start)}
	v.visible = visibility.New(h.Rules, readerOf(reader), v.check).WithPlaces(h.placesOfObject)
	var stored int
	if err := h.db.QueryRowContext(ctx, `SELECT token, version,
		(SELECT COALESCE(MAX(seq), 0) FROM sluice_audit_entries),
		(SELECT COALESCE(MAX(seq), 0) FROM sluice_audit_marks WHERE kind = $1 AND value IN ($2, $3))
		FROM sluice_audit_state WHERE id = $4`, byContent, string(Gap), string(Unstored), stateToken,
	).Scan(&v.position, &stored, &v.last, &v.reset); err != nil {
		return nil, unavailable(err)
	}
	if stored != version {
		return nil, authz.Errorf(authz.CodeUnavailable, "the audit log is being upgraded; try again shortly")
	}
	return v, nil
}

// check reports which checks are allowed both now and at the position of the log.
func (v *view) check(ctx context.Context, checks []authz.Check) ([]bool, error) {
	allowed, at, err := v.history.decide(ctx, checks, authz.Fully())
	if err != nil || at == v.position {
		return allowed, err
	}
	var held []authz.Check
	var indexes []int
	for i, check := range checks {
		if allowed[i] {
			held, indexes = append(held, check), append(indexes, i)
		}
	}
	if len(held) == 0 {
		return allowed, nil
	}
	then, _, err := v.history.decide(ctx, held, authz.AtSnapshot(v.position))
	if err != nil {
		return nil, err
	}
	for n, i := range indexes {
		allowed[i] = then[n]
		v.isBehind = v.isBehind || !then[n]
	}
	return allowed, nil
}

// locate reads which entries created the objects, and stores this in v.starts.
func (v *view) locate(ctx context.Context, objects map[authz.Object]bool) error {
	maps.DeleteFunc(objects, func(object authz.Object, _ bool) bool {
		_, known := v.starts[keyOfObject(object)]
		return known
	})
	if len(objects) == 0 {
		return nil
	}
	found, err := v.history.startsOf(ctx, slices.Collect(maps.Keys(objects)))
	if err != nil {
		return err
	}
	for object := range objects {
		v.starts[keyOfObject(object)] = found[keyOfObject(object)]
	}
	return nil
}

// before returns the number of the last entry that precedes the creation of the present object with an id. locate
// must have been called for the object.
func (v *view) before(object authz.Object) int64 {
	return max(v.reset, v.starts[keyOfObject(object)].seq-1)
}

// shows reports whether a person may see an object now. People are never hidden.
func (v *view) shows(ctx context.Context, object authz.Object) (bool, error) {
	return v.visible.MayKnow(ctx, v.history.Rules.Naming(object)...)
}

// floor returns the number of the last entry before the creation of the object that was created last. It ignores zero
// objects and people.
func (v *view) floor(ctx context.Context, objects ...authz.Object) (int64, error) {
	known := make(map[authz.Object]bool)
	for _, object := range objects {
		if object != (authz.Object{}) && object.Type != v.history.Rules.People {
			known[object] = true
		}
	}
	if err := v.locate(ctx, maps.Clone(known)); err != nil {
		return 0, err
	}
	floor := v.reset
	for object := range known {
		floor = max(floor, v.before(object))
	}
	return floor, nil
}

// entries returns the part of the entries that the person may see, without hashes.
func (v *view) entries(ctx context.Context, entries []Stored) (shown []Entry, err error) {
	var facts []visibility.Fact
	for _, e := range entries {
		for _, u := range e.Updates {
			if u.Subject.Type == v.history.Rules.People {
				if err := v.visible.ReadPlaces(ctx, u.Resource.Object); err != nil {
					return nil, err
				}
			}
			facts = append(facts, v.factsOf(u)...)
		}
	}
	if err := v.visible.Ask(ctx, facts...); err != nil {
		return nil, err
	}
	objects := make(map[authz.Object]bool)
	for _, fact := range facts {
		if v.visible.Knows(fact) {
			objects[fact.Object] = true
		}
	}
	if err := v.locate(ctx, objects); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if visible := v.entry(e.Entry); len(visible.Updates) > 0 {
			shown = append(shown, visible)
		}
	}
	return shown, nil
}

// entry returns the part of an entry that the person may see. It must not reveal whether updates are hidden, so Omitted
// is always set. Overlapping is always empty, since one of its origins may have made only hidden updates.
func (v *view) entry(e Entry) Entry {
	visible := e
	visible.Part, visible.Prev, visible.Hash, visible.Schema, visible.Updates = 0, "", "", "", nil
	visible.Overlapping, visible.Omitted = nil, true
	for _, u := range e.Updates {
		if v.isVisible(e, u) {
			visible.Updates = append(visible.Updates, u)
		}
	}
	return visible
}

// factsOf returns the facts that an update reveals to the person.
func (v *view) factsOf(u Update) []visibility.Fact {
	return v.visible.FactsOf(u.Relationship())
}

func (v *view) isVisible(e Entry, u Update) bool {
	// The relationship was deleted during the gap, perhaps together with an earlier object of the same id.
	if e.Kind == Snapshot && u.Action == actionDelete {
		return false
	}
	for _, fact := range v.factsOf(u) {
		if !v.visible.Knows(fact) || e.Seq <= v.before(fact.Object) {
			return false
		}
	}
	// A relationship of an earlier object can expire after the present object with the same id was created.
	start := v.starts[keyOfObject(u.Resource.Object)]
	return e.Kind != Expiry || start.seq == 0 || u.ExpiresAt != nil && u.ExpiresAt.After(start.at.Add(clockDifference))
}

// newestBefore returns the upper limit of a query for entries before a number; zero means all entries. The limit
// excludes entries after the position of the log.
func (v *view) newestBefore(before int64) int64 {
	if before == 0 {
		before = math.MaxInt64
	}
	return min(before, v.last+1)
}
