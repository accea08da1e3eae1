package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// created is an object that a person created, with the relationships of which it is the resource.
type created struct {
	creator authz.Relationship
	own     []authz.Relationship
	account authz.ID // empty if the object is in no account
}

// object returns the created object.
func (c created) object() authz.Object { return c.creator.Resource }

// private reports whether the object is a connection that is not shared with its account.
func (c created) private() bool {
	return c.object().Type == "connection" && !c.holds(sharedWithTheWhole)
}

// holds reports whether the object has a relationship of the relation.
func (c created) holds(relation authz.Relation) bool {
	return slices.ContainsFunc(c.own, func(r authz.Relationship) bool { return r.Relation == relation })
}

// accountsOfPlace returns a function that reports whether an offboarding from the object covers an account.
func accountsOfPlace(ctx context.Context, p *plan, place authz.Object) (func(authz.ID) bool, error) {
	switch place.Type {
	case "account":
		return func(id authz.ID) bool { return id == place.ID }, nil
	case "subscription":
		accounts, err := readAccountsOf(ctx, p, place.ID)
		return func(id authz.ID) bool {
			_, found := slices.BinarySearch(accounts, id)
			return found
		}, err
	}
	return func(authz.ID) bool { return true }, nil
}

// accountsWithoutRole returns a function that reports whether in returns true for an account and the person holds no
// role on it.
func accountsWithoutRole(
	ctx context.Context, p *plan, who authz.ID, in func(authz.ID) bool,
) (func(authz.ID) bool, error) {
	rows, err := p.Find(ctx, authz.Filter{Type: "account", SubjectType: user, SubjectID: who})
	held := make(map[authz.ID]bool, len(rows))
	for _, r := range rows {
		held[r.Resource.ID] = true
	}
	return func(id authz.ID) bool { return in(id) && !held[id] }, err
}

// readChunk is how many objects are read together.
const readChunk = 256

// forEachCreated yields the objects that the person created in the accounts for which the function in returns true.
func forEachCreated(
	ctx context.Context, p *plan, who authz.ID, in func(authz.ID) bool, yield func(created) (more bool, err error),
) error {
	for _, typ := range createdTypes() {
		rows, err := p.Find(ctx, creatorRows(typ, who))
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(rows, readChunk) {
			filters := make([]authz.Filter, len(chunk))
			for i, r := range chunk {
				filters[i] = authz.Filter{Type: typ, ID: r.Resource.ID}
			}
			found, err := p.FindAll(ctx, filters)
			if err != nil {
				return err
			}
			for i, r := range chunk {
				c := created{creator: r, own: found[i]}
				for _, place := range c.own {
					if place.Relation == kindOf(typ).place {
						c.account = place.Subject.ID
					}
				}
				if !in(c.account) {
					continue
				}
				if more, err := yield(c); err != nil || !more {
					return err
				}
			}
		}
	}
	return nil
}

// creatorRows returns a filter for the objects of a type that a person created.
func creatorRows(typ authz.Type, who authz.ID) authz.Filter {
	return authz.Filter{Type: typ, Relation: creator, SubjectType: user, SubjectID: who}
}

// maxWriteTime limits one attempt at a large write. PostgreSQL rejects a large write that overlaps with smaller and
// faster ones, and SpiceDB would retry it again and again.
const maxWriteTime = 5 * time.Second

// fitsOffboarding reports whether the write of an offboarding has space for this number of further updates and
// preconditions. An empty plan may use the whole write. After each conflict with other writes the limit is halved,
// since a larger write conflicts more often.
func fitsOffboarding(p *plan, more int) bool {
	const most = authz.MaxUpdates - 1 // one update stores the idempotency key
	if len(p.Updates()) == 0 {
		return len(p.Preconditions())+more <= most
	}
	return max(len(p.Updates()), len(p.Preconditions()))+more <= most>>p.halved
}

// planCleanup plans the updates of an offboarding that follow the end of the roles, as many as fit the write. elsewhere
// is documented at offboardingJob.
func planCleanup(ctx context.Context, p *plan, d offboarding, elsewhere map[authz.Object]bool) error {
	in, err := accountsOfPlace(ctx, p, d.from)
	if err != nil {
		return err
	}
	if d.keepsRoles {
		if in, err = accountsWithoutRole(ctx, p, d.who, in); err != nil {
			return err
		}
	}
	if err := planEndOfShares(ctx, p, d, in, elsewhere); err != nil {
		return err
	}
	if !d.reassigns() {
		return nil
	}
	return forEachCreated(ctx, p, d.who, in, func(c created) (bool, error) { return handOverObject(p, d, c), nil })
}

// maxUpdatesPerObject is how many updates, and how many preconditions, the reassignment of one object needs.
const maxUpdatesPerObject = 4

// handOverObject plans to reassign or disconnect an object that the person created. It returns false if the updates do
// not fit the write. It requires as preconditions that the object's creator, account and visibility are unchanged.
func handOverObject(p *plan, d offboarding, c created) bool {
	if c.private() && d.private == disconnectsPrivate {
		return disconnectPrivate(p, d, c)
	}
	if c.private() && d.private == "" {
		return true
	}
	if !fitsOffboarding(p, maxUpdatesPerObject) {
		return false
	}
	requireUnchanged(p, c)
	p.Delete(c.creator)
	if d.newOwner != "" {
		p.Touch(c.object(), creator, person(d.newOwner))
	}
	addReassigned(p, d, c, false)
	return true
}

// requireUnchanged requires as preconditions that the object's creator, account and visibility are unchanged.
func requireUnchanged(p *plan, c created) {
	for _, r := range c.own {
		if r.Relation == creator || r.Relation == kindOf(r.Resource.Type).place || r.Relation == sharedWithTheWhole {
			p.Require(r)
		}
	}
	if c.private() {
		p.Forbid(authz.Filter{Type: c.object().Type, ID: c.object().ID, Relation: sharedWithTheWhole})
	}
}

// disconnectPrivate plans the cut-off of a private connection, see Delete; offboardingJob does the cleanup. If the
// cut-off does not fit one write, it first plans to delete the connection's shares.
func disconnectPrivate(p *plan, d offboarding, c created) bool {
	if !fitsOffboarding(p, len(c.own)+maxUpdatesPerObject) {
		if len(p.Updates()) > 0 {
			return false
		}
		for _, r := range c.own {
			if r.Relation == sharedWithSomeNamed && fitsOffboarding(p, 1) {
				p.Delete(r)
			}
		}
		return false
	}
	requireUnchanged(p, c)
	for _, r := range c.own {
		p.Delete(r)
	}
	p.Touch(deletionOf(c.object()), deletionRequestedBy, d.requestedBy)
	addReassigned(p, d, c, true)
	return true
}

// createdTypes returns the types of objects that have a creator, sorted.
func createdTypes() []authz.Type {
	var types []authz.Type
	for typ, kind := range kinds {
		if kind.creates != "" {
			types = append(types, typ)
		}
	}
	slices.Sort(types)
	return types
}
