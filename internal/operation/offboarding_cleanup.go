package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// naming are the relations that name a person beside their roles and what they created. They end with the membership.
var naming = []authz.Filter{
	{Type: "connection", Relation: sharedWithSomeNamed, SubjectType: user},
	{Type: "workspace", Relation: "member", SubjectType: user},
}

// created is something that a person created, with all relationships that it holds.
type created struct {
	creator authz.Relationship
	own     []authz.Relationship
	account authz.ID // empty if it is in none
}

func (c created) object() authz.Object { return c.creator.Resource }

// private reports whether it is a connection that is not shared with its account.
func (c created) private() bool {
	return c.object().Type == "connection" && !c.holds(sharedWithTheWhole)
}

func (c created) holds(relation authz.Relation) bool {
	return slices.ContainsFunc(c.own, func(r authz.Relationship) bool { return r.Relation == relation })
}

// accountsOfPlace returns which accounts an offboarding from a place is about.
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

// accountsWithoutRole returns which of the accounts the person holds no role on.
func accountsWithoutRole(ctx context.Context, p *plan, who authz.ID, in func(authz.ID) bool) (func(authz.ID) bool, error) {
	rows, err := p.Find(ctx, authz.Filter{Type: "account", SubjectType: user, SubjectID: who})
	held := make(map[authz.ID]bool, len(rows))
	for _, r := range rows {
		held[r.Resource.ID] = true
	}
	return func(id authz.ID) bool { return in(id) && !held[id] }, err
}

// readChunk is how many objects are looked at together.
const readChunk = 256

// forEachCreated yields what the person created in the accounts.
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

func creatorRows(typ authz.Type, who authz.ID) authz.Filter {
	return authz.Filter{Type: typ, Relation: creator, SubjectType: user, SubjectID: who}
}

// forEachNamed yields the relationships in the accounts that name the person.
func forEachNamed(
	ctx context.Context, p *plan, who authz.ID, in func(authz.ID) bool, yield func(authz.Relationship) (more bool),
) error {
	for _, filter := range naming {
		filter.SubjectID = who
		rows, err := p.Find(ctx, filter)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(rows, readChunk) {
			places := make([]authz.Filter, len(chunk))
			for i, r := range chunk {
				places[i] = authz.Filter{Type: r.Resource.Type, ID: r.Resource.ID, Relation: kindOf(r.Resource.Type).place}
			}
			found, err := p.FindAll(ctx, places)
			if err != nil {
				return err
			}
			for i, r := range chunk {
				var account authz.ID
				for _, place := range found[i] {
					account = place.Subject.ID
				}
				if in(account) && !yield(r) {
					return nil
				}
			}
		}
	}
	return nil
}

// maxWriteTime is how long an attempt at a large write may take. PostgreSQL refuses what overlaps with smaller and faster writes
// of others, and SpiceDB tries it again and again.
const maxWriteTime = 5 * time.Second

// fitsOffboarding reports whether a plan of an offboarding takes as many more updates and preconditions; an empty one takes what one write
// does. A write that others got ahead of is halved, since the larger it is, the more can get ahead of it.
func fitsOffboarding(p *plan, more int) bool {
	const most = authz.MaxUpdates - 1 // one is for what remembers the call
	if len(p.Updates()) == 0 {
		return len(p.Preconditions())+more <= most
	}
	return max(len(p.Updates()), len(p.Preconditions()))+more <= most>>p.halved
}

// planCleanup plans what is left to do of an offboarding but the roles, as far as there is room.
func planCleanup(ctx context.Context, p *plan, d offboarding) error {
	in, err := accountsOfPlace(ctx, p, d.from)
	if err != nil {
		return err
	}
	if d.keepsRoles {
		if in, err = accountsWithoutRole(ctx, p, d.who, in); err != nil {
			return err
		}
	}
	err = forEachNamed(ctx, p, d.who, in, func(r authz.Relationship) bool {
		if !fitsOffboarding(p, 1) {
			return false
		}
		p.Delete(r)
		return true
	})
	if err != nil {
		return err
	}
	if !d.reassigns() {
		return nil
	}
	return forEachCreated(ctx, p, d.who, in, func(c created) (bool, error) { return handOverObject(p, d, c), nil })
}

// maxUpdatesPerObject is how many updates, and how many preconditions, passing on one object takes.
const maxUpdatesPerObject = 4

// handOverObject plans what becomes of something that the person created, and reports whether there was room for it. It rests on the
// person still being its creator, and on who sees it.
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
	noteReassigned(p, d, c, false)
	return true
}

// requireUnchanged requires what decides about something that a person created.
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

// disconnectPrivate plans the cut of a private connection, see Delete; the cleanup is left to carryOut. If it holds more than
// one write takes, those that it is shared with go first.
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
	noteReassigned(p, d, c, true)
	return true
}

// createdTypes are the types of objects that have a creator, sorted.
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
