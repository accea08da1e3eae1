package audit

import (
	"context"
	"encoding/json"

	"github.com/sluice-authz/sluice/internal/authz"
)

// History is the log as whoever asks may see it.
type History struct {
	*Log

	Engine authz.Engine

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

// Show returns the entries as a person may see them: without the updates that are about what they may not view now, without
// the entries of which nothing is left, and without hashes, which are about the whole.
func (h *History) Show(ctx context.Context, reader authz.ID, entries []Stored) ([]Entry, error) {
	needed := make(map[grant]bool)
	for _, e := range entries {
		for _, u := range e.Updates {
			for _, g := range h.needs(reader, u) {
				needed[g] = true
			}
		}
	}
	grants := make([]grant, 0, len(needed))
	for g := range needed {
		grants = append(grants, g)
	}
	allowed, err := h.allowed(ctx, reader, grants)
	if err != nil {
		return nil, err
	}
	var shown []Entry
	for _, e := range entries {
		visible := e.Entry
		visible.Prev, visible.Hash, visible.Schema, visible.Updates = "", "", "", nil
		for _, u := range e.Updates {
			all := true
			for _, g := range h.needs(reader, u) {
				all = all && allowed[g]
			}
			if all {
				visible.Updates = append(visible.Updates, u)
			}
		}
		visible.Withheld = len(visible.Updates) < len(e.Updates)
		if len(visible.Updates) > 0 {
			shown = append(shown, visible)
		}
	}
	return shown, nil
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

// JSON is the entry as it is shown.
func (e Entry) JSON() (json.RawMessage, error) { return marshal(e) }
