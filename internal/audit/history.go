package audit

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// History answers what a person may read of the log.
type History struct {
	*Log

	Engine authz.Engine

	// Window is the largest number of entries of an account that Page reads for one page. Zero means 10,000.
	Window int

	// Place returns the relation in which objects of a type hold the object that contains them.
	Place Place

	// Visible returns the permission that makes an object of a type visible to a person. Listing returns the permission
	// to list the roles on it, or "" if the type has no roles.
	Visible, Listing func(authz.Type) authz.Permission
}

const person authz.Type = "user"

// RequireReader returns an error unless the person may read the history of an account. The code is CodeNotFound if the
// account is hidden from them, and CodeForbidden if they may not list its members.
func (h *History) RequireReader(ctx context.Context, reader authz.ID, id authz.ID) error {
	object := authz.Object{Type: account, ID: id}
	listing := h.Listing(account)
	if listing == "" {
		return authz.Errorf(authz.CodeNotFound, "the schema that this server serves has no accounts")
	}
	allowed, err := h.allowed(ctx, reader, []permissionOn{{object, h.Visible(account)}, {object, listing}})
	switch {
	case err != nil:
		return err
	case !allowed[permissionOn{object, h.Visible(account)}]:
		return authz.Errorf(authz.CodeNotFound, "there is no %s, or the actor may not see it", object)
	case !allowed[permissionOn{object, listing}]:
		err := authz.Errorf(authz.CodeForbidden, "%s lacks the permission %s on %s", reader, listing, object)
		err.Permission = listing
		return err
	}
	return nil
}

// permissionOn is a permission on an object.
type permissionOn struct {
	object     authz.Object
	permission authz.Permission
}

// maxChecks is the largest number of checks in one call of the engine.
const maxChecks = 1000

// allowed checks which of the permissions the person has now. A permission that the schema does not know is denied.
func (h *History) allowed(ctx context.Context, reader authz.ID, grants []permissionOn) (map[permissionOn]bool, error) {
	allowed := make(map[permissionOn]bool)
	subject := authz.Subject{Object: authz.Object{Type: person, ID: reader}}
	for len(grants) > 0 {
		some := grants[:min(len(grants), maxChecks)]
		grants = grants[len(some):]
		checks := make([]authz.Check, len(some))
		for i, g := range some {
			checks[i] = authz.Check{Subject: subject, Permission: g.permission, Resource: g.object}
		}
		results, _, err := h.Engine.CheckBulk(ctx, checks, authz.Fully())
		if err != nil && !isUnknown(err) {
			return nil, err
		}
		for i, result := range results {
			if result.Err != nil && !isUnknown(result.Err) {
				return nil, result.Err
			}
			allowed[some[i]] = result.Err == nil && result.Decision.Allowed()
		}
	}
	return allowed, nil
}

// isUnknown reports whether an error says that the schema lacks a type or permission.
func isUnknown(err error) bool { return authz.CodeOf(err) == authz.CodeInvalid }

// VisibleEntries returns the part of the entries that a person may see. It removes updates about objects that they may
// not view now, and all hashes. It then removes entries that the query no longer selects. Seq remains set for the
// caller, but is not in the JSON.
func (h *History) VisibleEntries(ctx context.Context, reader authz.ID, query Query, entries []Stored) ([]Entry, error) {
	needed := make(map[permissionOn]bool)
	for _, e := range entries {
		for _, u := range e.Updates {
			for _, g := range h.neededPermissions(reader, u) {
				needed[g] = true
			}
		}
	}
	allowed, err := h.allowed(ctx, reader, slices.Collect(maps.Keys(needed)))
	if err != nil {
		return nil, err
	}
	var shown []Entry
	for _, e := range entries {
		if visible := h.visible(reader, e.Entry, allowed); len(visible.Updates) > 0 {
			shown = append(shown, visible)
		}
	}
	return h.filterShown(ctx, query, shown)
}

// visible returns the part of an entry that a person may see.
func (h *History) visible(reader authz.ID, e Entry, allowed map[permissionOn]bool) Entry {
	visible := e
	visible.Part, visible.Prev, visible.Hash, visible.Schema, visible.Updates = 0, "", "", "", nil
	for _, u := range e.Updates {
		if !slices.ContainsFunc(h.neededPermissions(reader, u), func(g permissionOn) bool { return !allowed[g] }) {
			visible.Updates = append(visible.Updates, u)
		}
	}
	if visible.Omitted = len(visible.Updates) < len(e.Updates); visible.Omitted {
		visible.Overlapping = nil // an origin may have made only hidden updates
	}
	return visible
}

// filterShown removes the entries that the query does not select by their visible part.
func (h *History) filterShown(ctx context.Context, query Query, shown []Entry) ([]Entry, error) {
	var resources []authz.Object
	for _, e := range shown {
		for _, u := range e.Updates {
			resources = append(resources, u.Resource.Object)
		}
	}
	inside, err := h.inAccount(ctx, query.Account, resources)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(shown, func(e Entry) bool {
		return query.Account != "" &&
			!slices.ContainsFunc(e.Updates, func(u Update) bool { return inside[u.Resource.Object] }) ||
			query.Object != (authz.Object{}) &&
				!slices.ContainsFunc(e.Updates, func(u Update) bool { return u.names(query.Object) }) ||
			query.Actor != "" &&
				!slices.ContainsFunc(e.Origins(), func(o Origin) bool { return o.Actor == string(query.Actor) }) ||
			query.Operation != "" &&
				!slices.ContainsFunc(e.Origins(), func(o Origin) bool { return o.Operation == query.Operation })
	}), nil
}

func (u Update) names(object authz.Object) bool {
	return u.Resource.Object == object || !u.Subject.Wildcard && u.Subject.Object == object
}

// neededPermissions returns the permissions that a person needs to see an update: to view both objects, and to list
// roles if the subject is another person.
func (h *History) neededPermissions(reader authz.ID, u Update) []permissionOn {
	neededPermissions := []permissionOn{{u.Resource.Object, h.Visible(u.Resource.Type)}}
	switch {
	case u.Subject.Type != person:
		neededPermissions = append(neededPermissions, permissionOn{u.Subject.Object, h.Visible(u.Subject.Type)})
	case u.Subject.ID != reader && !u.Subject.Wildcard && h.Listing(u.Resource.Type) != "":
		neededPermissions = append(neededPermissions, permissionOn{u.Resource.Object, h.Listing(u.Resource.Type)})
	}
	return neededPermissions
}

// JSON returns the entry as shown to a person. It has no number, since gaps in the numbers would count the hidden
// entries.
func (e Entry) JSON() (json.RawMessage, error) {
	return marshal(struct {
		Seq *int64 `json:"seq,omitempty"` // shadows the number of Entry
		Entry
	}{Entry: e})
}
