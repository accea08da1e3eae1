package audit

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// History answers requests of people who read the log.
type History struct {
	*Log

	Engine interface {
		authz.Checker
		authz.Scratcher
	}

	// Window is how many of an account's entries Page reads at most for one page. Zero means 10,000.
	Window int

	// Rules say which permissions show objects and roles to a person, and which relation leads to the containing
	// object.
	Rules visibility.Rules
}

// RequireReader returns an error unless the reader may read the history of an account. The code is CodeNotFound if they
// may not see the account, and CodeForbidden if they may not list its members.
func (h *History) RequireReader(ctx context.Context, reader authz.Actor, id authz.ID) error {
	if !h.Rules.HasRoles(account) {
		return authz.Errorf(authz.CodeNotFound, "the schema that this server serves has no accounts")
	}
	now := func(ctx context.Context, checks []authz.Check) ([]bool, error) {
		allowed, _, err := h.decide(ctx, checks, authz.Fully())
		return allowed, err
	}
	return visibility.New(h.Rules, readerOf(reader), now).Require(
		ctx, visibility.Roles(authz.Object{Type: account, ID: id}),
	)
}

// readerOf returns the person or service account that reads the history.
func readerOf(reader authz.Actor) visibility.Reader {
	return visibility.Reader{Subject: reader.Subject()}
}

// decide reports which checks the engine allows, and the revision at which it decided. It denies a permission that
// the schema does not define.
func (h *History) decide(
	ctx context.Context, checks []authz.Check, consistency authz.Consistency,
) (allowed []bool, at authz.Token, err error) {
	results, at, err := h.Engine.CheckBulk(ctx, checks, consistency)
	if err != nil && !isUnknown(err) {
		return nil, "", err
	}
	allowed = make([]bool, len(checks))
	for i, result := range results {
		if result.Err != nil && !isUnknown(result.Err) {
			return nil, "", result.Err
		}
		allowed[i] = result.Err == nil && result.Decision.Allowed()
	}
	return allowed, at, nil
}

// isUnknown reports whether an error says that the schema lacks a type or permission.
func isUnknown(err error) bool { return authz.CodeOf(err) == authz.CodeInvalid }

// VisibleEntries returns the part of the entries that a person may see. It removes all hashes, updates about objects
// that the person may not view now, and updates about an earlier object with the same id. Then it removes each entry
// that no longer matches the query. The field Seq remains set, but JSON omits it.
func (h *History) VisibleEntries(
	ctx context.Context, reader authz.Actor, query Query, entries []Stored,
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

// maxCatchUp is the longest time that a request waits until the log has a change. Usually this takes a few
// milliseconds.
const maxCatchUp = 2 * time.Second

// catchUp calls read. If the reader has a permission now that they lacked at the position of the log, the log may not
// have the change that granted it yet. Then catchUp waits for this change and calls read again.
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

// filterShown removes the entries whose visible part does not match the query.
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

// JSON returns the entry as shown to a person, without its number. From the missing numbers, a person could see how
// many entries are hidden.
func (e Entry) JSON() (json.RawMessage, error) {
	return marshal(struct {
		Seq *int64 `json:"seq,omitempty"` // hides the field Seq of Entry, so that JSON omits it
		Entry
	}{Entry: e})
}
