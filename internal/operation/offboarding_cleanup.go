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
	default:
		return func(authz.ID) bool { return true }, nil
	}
}

// accountsWithoutRole returns a function that reports whether in returns true for an account and the person holds no
// role on it.
func accountsWithoutRole(
	ctx context.Context, p *plan, who authz.ID, in func(authz.ID) bool,
) (func(authz.ID) bool, error) {
	roles, err := readRolesOn(ctx, p, authz.Person(who), "account")
	held := make(map[authz.ID]bool, len(roles))
	for _, r := range roles {
		held[r.place.ID] = true
	}
	return func(id authz.ID) bool { return in(id) && !held[id] }, err
}

// readChunk is how many objects are read together.
const readChunk = 256

// forEachCreated yields the objects that the person created in the accounts for which the function in returns true.
// It stops reading when yield returns false. It skips the objects in elsewhere, and adds to elsewhere the objects
// in other accounts.
func forEachCreated(
	ctx context.Context, p *plan, who authz.ID, in func(authz.ID) bool, elsewhere map[authz.Object]bool,
	yield func(created) (more bool, err error),
) error {
	for _, typ := range createdTypes() {
		var chunk []authz.Relationship
		for item, err := range p.engine.Read(ctx, creatorRows(typ, who), p.Consistency(), authz.Page{}) {
			if err != nil {
				return err
			}
			if elsewhere[item.Relationship.Resource] {
				continue
			}
			if chunk = append(chunk, item.Relationship); len(chunk) < readChunk {
				continue
			}
			if more, err := yieldCreated(ctx, p, chunk, in, elsewhere, yield); err != nil || !more {
				return err
			}
			chunk = nil
		}
		if more, err := yieldCreated(ctx, p, chunk, in, elsewhere, yield); err != nil || !more {
			return err
		}
	}
	return nil
}

// yieldCreated does what forEachCreated does, for the objects of some creator relationships.
func yieldCreated(
	ctx context.Context, p *plan, rows []authz.Relationship, in func(authz.ID) bool, elsewhere map[authz.Object]bool,
	yield func(created) (more bool, err error),
) (more bool, err error) {
	filters := make([]authz.Filter, len(rows))
	for i, r := range rows {
		filters[i] = authz.Filter{Type: r.Resource.Type, ID: r.Resource.ID}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return false, err
	}
	for i, r := range rows {
		c := created{creator: r, own: found[i]}
		for _, place := range c.own {
			if place.Relation == kindOf(r.Resource.Type).place {
				c.account = place.Subject.ID
			}
		}
		if !in(c.account) {
			elsewhere[r.Resource] = true
			continue
		}
		if more, err := yield(c); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// maxCreatedReadFirst is the highest number of objects created by one person that are read before the first write of
// the person's removal. If there are more, the first write ends the roles, and an offboarding reads these objects.
const maxCreatedReadFirst = authz.MaxUpdates

// createdFirst says what a person created in any account, as far as the first write of a removal reads it.
type createdFirst struct {
	types []authz.Type
	many  bool // the person created more than maxCreatedReadFirst objects
}

// readCreatedFirst reads a bounded number of the objects that a person created. The plan remembers the answer.
func readCreatedFirst(ctx context.Context, p *plan, who authz.ID) (createdFirst, error) {
	if known, ok := p.created[who]; ok {
		return known, nil
	}
	var first createdFirst
	read := 0
	for _, typ := range createdTypes() {
		rows, err := p.FindSome(ctx, creatorRows(typ, who), max(1, maxCreatedReadFirst+1-read))
		if err != nil {
			return first, err
		}
		if read += len(rows); len(rows) > 0 {
			first.types = append(first.types, typ)
		}
	}
	first.many = read > maxCreatedReadFirst
	p.created[who] = first
	return first, nil
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

// planCleanup plans the updates of an offboarding that follow the end of the roles, as many as fit the write.
// elsewhere is documented at offboardingJob.
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
	return forEachCreated(
		ctx, p, d.who, in, elsewhere, func(c created) (bool, error) { return handOverObject(p, d, c), nil },
	)
}

// maxUpdatesPerObject is how many updates, and how many preconditions, the reassignment of one object needs.
const maxUpdatesPerObject = 4

// handOverObject plans to reassign or disconnect an object that the person created. It returns false if the updates
// do not fit the write. It requires as preconditions that the object's creator, account and visibility are
// unchanged.
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
