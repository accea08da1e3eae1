package audit

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// view decides which updates of the log a person may see, for one request. SpiceDB knows only present objects, and the
// log may not yet have the latest changes. So an update is visible if
//   - the person has the permissions now, and also had them at the position of the log, at or after the update. An
//     object that was created again after that position does not show the earlier object's updates; and
//   - at the update, the present existence of its objects had started: see starts.go.
type view struct {
	history *History
	reader  authz.ID

	position authz.Token // position of the log
	last     int64       // number of the last entry at the position
	reset    int64       // number of the last entry after which every object may be another one: a gap, or zero

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

// before returns the number of the last entry before the present existence of an object that locate has read.
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

// floor returns the number of the last entry before the present existence of objects. Objects that are zero or people
// are ignored.
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

// entry returns the part of an entry that the person may see. Its other fields do not depend on hidden updates: it
// always says that there may be some. It has no overlapping origins, since one may have made only hidden updates.
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
	// The expiry of an earlier object's relationship can follow the start.
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
