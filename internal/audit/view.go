package audit

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// History is the log as a reader may see it.
type History struct {
	*Log

	Engine authz.Engine

	// Window is how many entries of an account a page for a person goes through at most; 10,000 if zero.
	Window int

	// Place tells what is in an account.
	Place Place

	// Visible is the permission without which an object of a type does not exist for a person, and Listing the one that lets them
	// know who holds which role on it; empty if there is none.
	Visible, Listing func(authz.Type) authz.Permission
}

const person authz.Type = "user"

// May returns an error unless the person may read the history of an account: CodeNotFound if they may not see it, CodeForbidden
// if they may not list its members.
func (h *History) May(ctx context.Context, reader authz.ID, id authz.ID) error {
	object := authz.Object{Type: account, ID: id}
	listing := h.Listing(account)
	if listing == "" {
		return authz.Errorf(authz.CodeNotFound, "the schema that this server serves has no accounts")
	}
	allowed, err := h.allowed(ctx, reader, []grant{{object, h.Visible(account)}, {object, listing}})
	switch {
	case err != nil:
		return err
	case !allowed[grant{object, h.Visible(account)}]:
		return authz.Errorf(authz.CodeNotFound, "there is no %s, or the actor may not see it", object)
	case !allowed[grant{object, listing}]:
		err := authz.Errorf(authz.CodeForbidden, "%s lacks the permission %s on %s", reader, listing, object)
		err.Permission = listing
		return err
	}
	return nil
}

// grant is a permission on an object.
type grant struct {
	object     authz.Object
	permission authz.Permission
}

// maxGrants is how many permissions are asked for at once.
const maxGrants = 1000

// allowed asks which of the grants the person has now. What the schema does not know, nobody has.
func (h *History) allowed(ctx context.Context, reader authz.ID, grants []grant) (map[grant]bool, error) {
	allowed := make(map[grant]bool)
	subject := authz.Subject{Object: authz.Object{Type: person, ID: reader}}
	for len(grants) > 0 {
		some := grants[:min(len(grants), maxGrants)]
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

// isUnknown reports whether an error says that the schema has no such type or permission, any more.
func isUnknown(err error) bool { return authz.CodeOf(err) == authz.CodeInvalid }

// Show returns the entries of a query as a person may see them: without the updates that are about what they may not view now,
// without numbers and hashes, which are about the whole, and without the entries that the query does not select by what is left.
// Seq is set for the caller alone: JSON leaves it out.
func (h *History) Show(ctx context.Context, reader authz.ID, query Query, entries []Stored) ([]Entry, error) {
	needed := make(map[grant]bool)
	for _, e := range entries {
		for _, u := range e.Updates {
			for _, g := range h.needs(reader, u) {
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
	return h.selected(ctx, query, shown)
}

// visible is what a person may see of an entry.
func (h *History) visible(reader authz.ID, e Entry, allowed map[grant]bool) Entry {
	visible := e
	visible.Part, visible.Prev, visible.Hash, visible.Schema, visible.Updates = 0, "", "", "", nil
	for _, u := range e.Updates {
		if !slices.ContainsFunc(h.needs(reader, u), func(g grant) bool { return !allowed[g] }) {
			visible.Updates = append(visible.Updates, u)
		}
	}
	if visible.Withheld = len(visible.Updates) < len(e.Updates); visible.Withheld {
		visible.Overlapping = nil // one of them may have made the hidden updates alone
	}
	return visible
}

// selected are the entries that a query selects by what is shown of them.
func (h *History) selected(ctx context.Context, query Query, shown []Entry) ([]Entry, error) {
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
		return query.Account != "" && !slices.ContainsFunc(e.Updates, func(u Update) bool { return inside[u.Resource.Object] }) ||
			query.Object != (authz.Object{}) && !slices.ContainsFunc(e.Updates, func(u Update) bool { return u.names(query.Object) }) ||
			query.Actor != "" && !slices.ContainsFunc(e.Origins(), func(o Origin) bool { return o.Actor == string(query.Actor) }) ||
			query.Operation != "" && !slices.ContainsFunc(e.Origins(), func(o Origin) bool { return o.Operation == query.Operation })
	}), nil
}

func (u Update) names(object authz.Object) bool {
	return u.Resource.Object == object || !u.Subject.Wildcard && u.Subject.Object == object
}

// needs are the permissions that a person needs to know of an update: to see what it is about and what it leads to, and to list
// roles to know somebody else's. People are not seen or hidden by themselves.
func (h *History) needs(reader authz.ID, u Update) []grant {
	needs := []grant{{u.Resource.Object, h.Visible(u.Resource.Type)}}
	switch {
	case u.Subject.Type != person:
		needs = append(needs, grant{u.Subject.Object, h.Visible(u.Subject.Type)})
	case u.Subject.ID != reader && !u.Subject.Wildcard && h.Listing(u.Resource.Type) != "":
		needs = append(needs, grant{u.Resource.Object, h.Listing(u.Resource.Type)})
	}
	return needs
}

// JSON is the entry as a person is shown it: without its number, as the numbers of others' entries lie between those of theirs.
func (e Entry) JSON() (json.RawMessage, error) {
	return marshal(struct {
		Seq *int64 `json:"seq,omitempty"` // in place of the entry's
		Entry
	}{Entry: e})
}
