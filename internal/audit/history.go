package audit

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// History answers what a person may read of the log.
type History struct {
	*Log

	Engine interface {
		authz.Checker
		authz.Scratcher
	}

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
	allowed, _, err := h.allowed(
		ctx, reader, []permissionOn{{object, h.Visible(account)}, {object, listing}}, authz.Fully(),
	)
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

// allowed checks which of the permissions the person has. A permission that the schema does not know is denied. The
// token is the revision of the checks, or empty if they had several.
func (h *History) allowed(
	ctx context.Context, reader authz.ID, grants []permissionOn, consistency authz.Consistency,
) (allowed map[permissionOn]bool, at authz.Token, err error) {
	allowed = make(map[permissionOn]bool)
	subject := authz.Subject{Object: authz.Object{Type: person, ID: reader}}
	for len(grants) > 0 {
		some := grants[:min(len(grants), maxChecks)]
		grants = grants[len(some):]
		checks := make([]authz.Check, len(some))
		for i, g := range some {
			checks[i] = authz.Check{Subject: subject, Permission: g.permission, Resource: g.object}
		}
		results, token, err := h.Engine.CheckBulk(ctx, checks, consistency)
		if err != nil && !isUnknown(err) {
			return nil, "", err
		}
		if at = token; len(allowed) > 0 {
			at = ""
		}
		for i, result := range results {
			if result.Err != nil && !isUnknown(result.Err) {
				return nil, "", result.Err
			}
			allowed[some[i]] = result.Err == nil && result.Decision.Allowed()
		}
	}
	return allowed, at, nil
}

// isUnknown reports whether an error says that the schema lacks a type or permission.
func isUnknown(err error) bool { return authz.CodeOf(err) == authz.CodeInvalid }

// VisibleEntries returns the part of the entries that a person may see. It removes updates about objects that they may
// not view now, or that are about an earlier object with the same id, and all hashes. It then removes entries that the
// query no longer selects. Seq remains set for the caller, but is not in the JSON.
func (h *History) VisibleEntries(
	ctx context.Context, reader authz.ID, query Query, entries []Stored,
) (shown []Entry, err error) {
	err = h.catchUp(ctx, func() (*view, error) {
		v, err := h.newView(ctx, reader)
		if err == nil {
			shown, err = v.entries(ctx, entries)
		}
		if err == nil {
			shown, err = h.filterShown(ctx, query, shown)
		}
		return v, err
	})
	return shown, err
}

// maxCatchUp is how long a request waits for the log. It usually has a change within a few milliseconds.
const maxCatchUp = 2 * time.Second

// catchUp calls read. If the reader has just received a permission and the log does not have that change yet, catchUp
// waits for the change and calls read again.
func (h *History) catchUp(ctx context.Context, read func() (*view, error)) error {
	waiting, cancel := context.WithTimeout(ctx, maxCatchUp)
	defer cancel()
	for {
		changed := h.Changed()
		v, err := read()
		if err != nil || !v.isBehind {
			return err
		}
		if err := h.Wait(waiting, changed); err != nil {
			return ctx.Err()
		}
	}
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
