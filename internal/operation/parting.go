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

// accountsFrom returns which accounts a departure from a place is about.
func (p *plan) accountsFrom(ctx context.Context, place authz.Object) (func(authz.ID) bool, error) {
	switch place.Type {
	case "account":
		return func(id authz.ID) bool { return id == place.ID }, nil
	case "subscription":
		accounts, err := p.accountsOf(ctx, place.ID)
		return func(id authz.ID) bool {
			_, found := slices.BinarySearch(accounts, id)
			return found
		}, err
	}
	return func(authz.ID) bool { return true }, nil
}

// withoutRole returns which of the accounts the person holds no role on.
func (p *plan) withoutRole(ctx context.Context, who authz.ID, in func(authz.ID) bool) (func(authz.ID) bool, error) {
	rows, err := p.find(ctx, authz.Filter{Type: "account", SubjectType: user, SubjectID: who})
	held := make(map[authz.ID]bool, len(rows))
	for _, r := range rows {
		held[r.Resource.ID] = true
	}
	return func(id authz.ID) bool { return in(id) && !held[id] }, err
}

// lookChunk is how many objects are looked at together.
const lookChunk = 256

// createdBy yields what the person created in the accounts.
func (p *plan) createdBy(
	ctx context.Context, who authz.ID, in func(authz.ID) bool, yield func(created) (more bool, err error),
) error {
	for _, typ := range createdTypes() {
		rows, err := p.find(ctx, creatorRows(typ, who))
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(rows, lookChunk) {
			filters := make([]authz.Filter, len(chunk))
			for i, r := range chunk {
				filters[i] = authz.Filter{Type: typ, ID: r.Resource.ID}
			}
			if err := p.findAll(ctx, filters); err != nil {
				return err
			}
			for i, r := range chunk {
				c := created{creator: r, own: p.reads[filters[i]]}
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

// namedIn yields the relationships in the accounts that name the person.
func (p *plan) namedIn(
	ctx context.Context, who authz.ID, in func(authz.ID) bool, yield func(authz.Relationship) (more bool),
) error {
	for _, filter := range naming {
		filter.SubjectID = who
		rows, err := p.find(ctx, filter)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(rows, lookChunk) {
			places := make([]authz.Filter, len(chunk))
			for i, r := range chunk {
				places[i] = authz.Filter{Type: r.Resource.Type, ID: r.Resource.ID, Relation: kindOf(r.Resource.Type).place}
			}
			if err := p.findAll(ctx, places); err != nil {
				return err
			}
			for i, r := range chunk {
				var account authz.ID
				for _, place := range p.reads[places[i]] {
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

// patience is how long an attempt at a large write may take. PostgreSQL refuses what overlaps with smaller and faster writes
// of others, and SpiceDB tries it again and again.
const patience = 5 * time.Second

// fits reports whether a plan of a departure takes as many more updates and preconditions; an empty one takes what one write
// does. A write that others got ahead of is halved, since the larger it is, the more can get ahead of it.
func (p *plan) fits(more int) bool {
	const most = authz.MaxUpdates - 1 // one is for what remembers the call
	if len(p.updates) == 0 {
		return len(p.preconditions)+more <= most
	}
	return max(len(p.updates), len(p.preconditions))+more <= most>>p.halved
}

// part plans what is left to do of a departure but the roles, as far as there is room.
func (p *plan) part(ctx context.Context, d departure) error {
	in, err := p.accountsFrom(ctx, d.from)
	if err != nil {
		return err
	}
	if d.keepsRoles {
		if in, err = p.withoutRole(ctx, d.who, in); err != nil {
			return err
		}
	}
	err = p.namedIn(ctx, d.who, in, func(r authz.Relationship) bool {
		if !p.fits(1) {
			return false
		}
		p.delete(r)
		return true
	})
	if err != nil {
		return err
	}
	if !d.reassigns() {
		return nil
	}
	return p.createdBy(ctx, d.who, in, func(c created) (bool, error) { return p.passOn(d, c), nil })
}

// mostOfOne is how many updates, and how many preconditions, passing on one object takes.
const mostOfOne = 4

// passOn plans what becomes of something that the person created, and reports whether there was room for it. It rests on the
// person still being its creator, and on who sees it.
func (p *plan) passOn(d departure, c created) bool {
	if c.private() && d.private == disconnectsPrivate {
		return p.disconnect(d, c)
	}
	if c.private() && d.private == "" {
		return true
	}
	if !p.fits(mostOfOne) {
		return false
	}
	p.asItStands(c)
	p.delete(c.creator)
	if d.heir != "" {
		p.touch(c.object(), creator, person(d.heir))
	}
	p.noteReassigned(d, c, false)
	return true
}

// asItStands restates what decides about something that a person created.
func (p *plan) asItStands(c created) {
	for _, r := range c.own {
		if r.Relation == creator || r.Relation == kindOf(r.Resource.Type).place || r.Relation == sharedWithTheWhole {
			p.require(r)
		}
	}
	if c.private() {
		p.forbid(authz.Filter{Type: c.object().Type, ID: c.object().ID, Relation: sharedWithTheWhole})
	}
}

// disconnect plans the cut of a private connection, see Delete; the sweep is left to carryOut. If it holds more than
// one write takes, those that it is shared with go first.
func (p *plan) disconnect(d departure, c created) bool {
	if !p.fits(len(c.own) + mostOfOne) {
		if len(p.updates) > 0 {
			return false
		}
		for _, r := range c.own {
			if r.Relation == sharedWithSomeNamed && p.fits(1) {
				p.delete(r)
			}
		}
		return false
	}
	p.asItStands(c)
	for _, r := range c.own {
		p.delete(r)
	}
	p.touch(deletionOf(c.object()), deletionBy, d.by)
	p.noteReassigned(d, c, true)
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
