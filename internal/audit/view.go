package audit

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// view decides, for one request, which updates in the log a person may see. An id can be used again for a new object,
// whose readers may not see updates of the earlier object. The position of the log is the state of SpiceDB up to which
// the log has every change. So an update is visible if
//   - the person has the needed permissions now, and had them at the position of the log. The second condition hides
//     updates of an object that was deleted and created again after the position; and
//   - the present objects of these permissions were created by the update or before it: see starts.go.
type view struct {
	history *History
	reader  authz.ID

	position authz.Token // position of the log
	last     int64       // number of the last entry at the position
	reset    int64       // number of the last gap or placeholder, which may hide that an id was used again; or 0

	allowed  map[permissionOn]bool
	starts   map[string]start // by keyOfObject; the zero value if an object has existed since the log started
	isBehind bool             // the person has a permission now that they did not have at the position
}

// newView reads the position of the log. The view decides about entries up to that position.
func (h *History) newView(ctx context.Context, reader authz.ID) (*view, error) {
	v := &view{
		history: h, reader: reader, allowed: make(map[permissionOn]bool), starts: make(map[string]start),
	}
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

// permit checks permissions and remembers the results.
func (v *view) permit(ctx context.Context, needed map[permissionOn]bool) error {
	maps.DeleteFunc(needed, func(p permissionOn, _ bool) bool {
		_, known := v.allowed[p]
		return known
	})
	if len(needed) == 0 {
		return nil
	}
	now, at, err := v.history.allowed(ctx, v.reader, slices.Collect(maps.Keys(needed)), authz.Fully())
	if err != nil {
		return err
	}
	then := now
	if at != v.position {
		held := slices.DeleteFunc(slices.Collect(maps.Keys(now)), func(p permissionOn) bool { return !now[p] })
		if then, _, err = v.history.allowed(ctx, v.reader, held, authz.AtSnapshot(v.position)); err != nil {
			return err
		}
	}
	for p := range needed {
		v.allowed[p] = now[p] && then[p]
		v.isBehind = v.isBehind || now[p] && !then[p]
	}
	return nil
}

// locate reads the starts of objects and remembers them.
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

// before returns the number of the last entry before the present object with an id was created. locate must have read
// the object.
func (v *view) before(object authz.Object) int64 {
	return max(v.reset, v.starts[keyOfObject(object)].seq-1)
}

// shows reports whether a person may see an object now. People are never hidden.
func (v *view) shows(ctx context.Context, object authz.Object) (bool, error) {
	if object.Type == person {
		return true, nil
	}
	seen := permissionOn{object, v.history.Visible(object.Type)}
	err := v.permit(ctx, map[permissionOn]bool{seen: true})
	return v.allowed[seen], err
}

// floor returns the number of the last entry before the newest of the present objects was created. It ignores zero
// objects and people.
func (v *view) floor(ctx context.Context, objects ...authz.Object) (int64, error) {
	known := make(map[authz.Object]bool)
	for _, object := range objects {
		if object != (authz.Object{}) && object.Type != person {
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
	needed, objects := make(map[permissionOn]bool), make(map[authz.Object]bool)
	for _, e := range entries {
		for _, u := range e.Updates {
			for _, p := range v.history.neededPermissions(v.reader, u) {
				needed[p] = true
			}
		}
	}
	if err := v.permit(ctx, maps.Clone(needed)); err != nil {
		return nil, err
	}
	for p := range needed {
		if v.allowed[p] {
			objects[p.object] = true
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

// entry returns the part of an entry that the person may see. It does not reveal whether the entry has hidden updates:
// Omitted is always set, and Overlapping is empty, since an overlapping origin may have made only hidden updates.
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

func (v *view) isVisible(e Entry, u Update) bool {
	if e.Kind == Snapshot && u.Action == actionDelete { // the relationship was deleted before the gap's end
		return false
	}
	for _, p := range v.history.neededPermissions(v.reader, u) {
		if !v.allowed[p] || e.Seq <= v.before(p.object) {
			return false
		}
	}
	// A relationship of an earlier object can expire after the present object was created.
	start := v.starts[keyOfObject(u.Resource.Object)]
	return e.Kind != Expiry || start.seq == 0 || u.ExpiresAt != nil && u.ExpiresAt.After(start.at.Add(clockDifference))
}

// newestBefore limits a query to entries up to the position of the log.
func (v *view) newestBefore(before int64) int64 {
	if before == 0 {
		before = math.MaxInt64
	}
	return min(before, v.last+1)
}
