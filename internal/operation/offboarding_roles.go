package operation

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// places are subscriptions and accounts that would lose their last owner or administrator.
type places struct{ subscriptions, accounts []authz.ID }

// err returns an error with CodeConflict that names the places, or nil if there are none.
func (o places) err() error {
	if len(o.subscriptions) == 0 {
		return lastHolderError(o.accounts)
	}
	what := "subscription " + list(o.subscriptions)
	if len(o.accounts) > 0 {
		what += " and account " + list(o.accounts)
	}
	err := authz.Errorf(
		authz.CodeConflict,
		"this would remove the last owner or administrator of %s; give somebody else that role first",
		what,
	)
	err.Subscriptions = o.subscriptions[:min(len(o.subscriptions), maxNamed)]
	err.Accounts = o.accounts[:min(len(o.accounts), maxNamed)]
	return err
}

// holding is the roles that a person holds on one object.
type holding struct {
	object authz.Object
	rows   []authz.Relationship
}

// holdsRequiredRole reports whether one of the roles is owner or administrator.
func (h holding) holdsRequiredRole() bool {
	return slices.ContainsFunc(h.rows, func(r authz.Relationship) bool {
		return r.Relation == authz.Relation(authz.RoleOwner) || r.Relation == authz.Relation(authz.RoleAdministrator)
	})
}

// readHoldings reads the roles of a person on an account or subscription and the objects in it. Owner and
// administrator come first.
func readHoldings(ctx context.Context, p *plan, place authz.Object, who authz.ID) ([]holding, error) {
	in, err := accountsOfPlace(ctx, p, place)
	if err != nil {
		return nil, err
	}
	var found []holding
	at := make(map[authz.Object]int)
	roles, err := readRolesOn(ctx, p, authz.Person(who), "subscription", "account")
	if err != nil {
		return nil, err
	}
	for _, r := range roles {
		if r.place != place && place != platform && (r.place.Type != "account" || !in(r.place.ID)) {
			continue
		}
		i, known := at[r.place]
		if !known {
			i, found = len(found), append(found, holding{object: r.place})
			at[r.place] = i
		}
		found[i].rows = append(found[i].rows, r.row)
	}
	slices.SortStableFunc(found, func(a, b holding) int {
		rank := func(h holding) int { return map[bool]int{true: 0, false: 1}[h.holdsRequiredRole()] }
		return cmp.Compare(rank(a), rank(b))
	})
	return found, nil
}

// maxUpdatesPerPlace is a bound for ending the roles on one object, or storing that an offboarding is under way: the
// highest number of updates, and of preconditions, that this takes.
const maxUpdatesPerPlace = 30

// maxRolesAtOnce is the highest number of objects on which an operation without an offboarding ends the roles of a
// person. For more objects, it starts an offboarding.
const maxRolesAtOnce = 64

// maxRowsAtOnce is the same limit for the number of roles. A person may hold many custom roles on one object.
const maxRowsAtOnce = 256

// startRemoval plans the first write of an offboarding. It ends the person's roles on the object and on everything in
// it, as many as fit the write.
func startRemoval(ctx context.Context, p *plan, place authz.Object, who authz.ID) error {
	if p.isRetry {
		if err := finishOffboardingOf(ctx, p, who); err != nil {
			return err
		}
	}
	p.Forbid(authz.Filter{Type: offboardingType, ID: who})
	d := offboarding{who: who, from: place, requestedBy: p.requester()}
	if err := endRoles(ctx, p, d); err != nil {
		return err
	}
	startOffboarding(p, d, d.from)
	return nil
}

// endRoles checks that all roles may end, and plans to end as many as fit the write.
func endRoles(ctx context.Context, p *plan, d offboarding) error {
	orphaned, err := readOrphaned(ctx, p.observer(), d)
	if err == nil {
		err = orphaned.err()
	}
	if err != nil {
		return err
	}
	// When the person is erased, later writes delete their invitations.
	if !d.erases() {
		if err := withdrawInvitations(ctx, p, []authz.ID{d.who}, d.from, d.from); err != nil {
			return err
		}
	}
	_, err = deleteRoles(ctx, p, d, func() bool { return fitsOffboarding(p, maxUpdatesPerPlace) })
	return err
}

// readOrphaned returns the places that would lose their last owner or administrator with the roles of the person. It
// reads only about places where the person holds the required role, many of them at the same time: the roles on all
// other places can end in any case.
func readOrphaned(ctx context.Context, p *plan, d offboarding) (orphaned places, err error) {
	held, err := readHoldings(ctx, p, d.from, d.who)
	if err != nil {
		return orphaned, err
	}
	if i := slices.IndexFunc(held, func(h holding) bool { return !h.holdsRequiredRole() }); i >= 0 {
		held = held[:i]
	}
	for chunk := range slices.Chunk(held, readChunk) {
		if err := readFactsOfMany(ctx, p, chunk); err != nil {
			return orphaned, err
		}
		var objects []authz.Object
		var holders []authz.Filter
		for _, h := range chunk {
			set, guarded, err := readRequiredRole(ctx, p, h.object)
			if errors.Is(err, authz.CodeNotFound) { // the object is being deleted
				continue
			}
			if err != nil {
				return orphaned, err
			}
			required := authz.Relation(set.Required)
			if guarded && slices.ContainsFunc(h.rows, func(r authz.Relationship) bool { return r.Relation == required }) {
				objects = append(objects, h.object)
				holders = append(holders, authz.Filter{
					Type: h.object.Type, ID: h.object.ID, Relation: required, SubjectType: user,
				})
			}
		}
		found, err := p.FindSomeOfEach(ctx, holders, 2)
		if err != nil {
			return orphaned, err
		}
		for i, rows := range found {
			switch {
			case slices.ContainsFunc(rows, func(r authz.Relationship) bool { return r.Subject.ID != d.who }):
			case objects[i].Type == "account":
				orphaned.accounts = append(orphaned.accounts, objects[i].ID)
			default:
				orphaned.subscriptions = append(orphaned.subscriptions, objects[i].ID)
			}
		}
	}
	return orphaned, nil
}

// readFactsOfMany reads the flags and places of objects at the same time. Afterwards, readRequiredRole finds them in
// memory.
func readFactsOfMany(ctx context.Context, p *plan, held []holding) error {
	var filters []authz.Filter
	for _, h := range held {
		filters = append(filters, flagsFilter(h.object))
		if h.object.Type == "account" {
			filters = append(filters, authz.Filter{Type: "account", ID: h.object.ID, Relation: "subscription"})
		}
	}
	_, err := p.FindAll(ctx, filters)
	return err
}

// deleteRoles plans to delete the person's roles on an object and on everything in it, and then their memberships of
// groups in it. It stops when room returns false. It returns the places that would lose their last owner or
// administrator. For each changed place, the write requires as a precondition that another owner or administrator
// exists. If the person gets another role meanwhile, the offboarding deletes it too: it reads again until no role is
// left.
func deleteRoles(
	ctx context.Context, p *plan, d offboarding, room func() bool,
) (orphaned places, err error) {
	held, err := readHoldings(ctx, p, d.from, d.who)
	if err != nil {
		return orphaned, err
	}
	if d.erases() {
		administers, err := p.Find(ctx, authz.Filter{Type: platform.Type, SubjectType: user, SubjectID: d.who})
		if err != nil {
			return orphaned, err
		}
		deleteIf(p, true, administers)
	}
	observer := p.observer()
	for _, h := range held {
		if !room() {
			return orphaned, nil
		}
		set, guarded, err := readRequiredRole(ctx, observer, h.object)
		// The object is being deleted.
		if errors.Is(err, authz.CodeNotFound) {
			if d.erases() {
				deleteIf(p, true, builtInOf(h.rows))
				if !deleteCustomRoles(p, h.rows, room) {
					return orphaned, nil
				}
			}
			continue
		}
		if err != nil {
			return orphaned, err
		}
		change, err := readChange(ctx, p, h.object, set, d.who, nil)
		if err != nil {
			return orphaned, err
		}
		if guarded {
			if guarded, err = requireRoleHolder(ctx, p, h.object, set.Required, []roleChange{change}); err != nil {
				return orphaned, err
			}
			if !guarded && h.object.Type == "account" {
				orphaned.accounts = append(orphaned.accounts, h.object.ID)
			} else if !guarded {
				orphaned.subscriptions = append(orphaned.subscriptions, h.object.ID)
			}
		}
		if h.object.Type == "account" && d.from.Type == "subscription" && len(change.held) > 0 {
			rememberRemoval(p, h.object, d.who)
		}
		deleteIf(p, true, builtInOf(change.held))
		if err := deleteReasons(ctx, p, h.object, change.held); err != nil {
			return orphaned, err
		}
		deleteIf(p, d.erases(), builtInOf(h.rows)) // another tool wrote these: roles that the role set does not have
		if !deleteCustomRoles(p, h.rows, room) {
			return orphaned, nil
		}
	}
	return orphaned, deleteMemberships(ctx, p, d, room)
}

// deleteCustomRoles plans to delete the relationships that store custom roles, of which a person may have very many
// on one object. It returns false if room returns false before all are planned.
func deleteCustomRoles(p *plan, rows []authz.Relationship, room func() bool) (complete bool) {
	for _, r := range rows {
		if r.Resource.Type != authz.TypeRoleBinding {
			continue
		}
		if !room() {
			return false
		}
		p.Delete(r)
	}
	return true
}

// deleteMemberships plans to delete the person's memberships of groups in an object. It stops when room returns false.
// Unless the person is erased, it also plans to store that the person was removed from the accounts on which these
// groups hold roles.
func deleteMemberships(ctx context.Context, p *plan, d offboarding, room func() bool) error {
	memberships, err := readMembershipsIn(ctx, p, d.from, d.who)
	if err != nil {
		return err
	}
	fits := room
	if !d.erases() {
		fits = func() bool { return room() && fitsOffboarding(p, maxUpdatesPerPlace+maxAccountsOfGroups) }
	}
	for i, m := range memberships {
		if !fits() {
			memberships = memberships[:i]
			break
		}
		p.Delete(m)
	}
	if d.erases() {
		return nil
	}
	accounts, err := readAccountsOfGroups(ctx, p, memberships)
	if err != nil {
		return err
	}
	rememberLeaving(p, memberships, accounts)
	return nil
}

// deleteReasons plans to delete roles on an account from the reasons for a membership.
func deleteReasons(ctx context.Context, p *plan, account authz.Object, held []authz.Relationship) error {
	for _, r := range held {
		if account.Type != "account" || !makesMembers(r.Relation) {
			continue
		}
		subscription, err := readSubscriptionOf(ctx, p, account)
		if err != nil {
			return err
		}
		stored, err := p.Find(ctx, reasonsOf(membershipOf(r.Subject.ID, subscription)))
		if err != nil {
			return err
		}
		deleteIf(
			p,
			true,
			slices.DeleteFunc(
				slices.Clone(stored), func(r authz.Relationship) bool { return r.Subject.Object != account },
			),
		)
	}
	return nil
}

// deleteIf plans to delete the rows if the condition is true.
func deleteIf(p *plan, condition bool, rows []authz.Relationship) {
	for _, r := range rows {
		if condition {
			p.Delete(r)
		}
	}
}

// readRequiredRole reads the role set of a subscription or an account. It also reports whether somebody must hold the
// set's required role there.
func readRequiredRole(ctx context.Context, p *plan, object authz.Object) (authz.RoleSet, bool, error) {
	if object.Type == "account" {
		account, err := readAccount(ctx, p, object.ID)
		return account.set, account.needsRequiredRole(), err
	}
	subscription, err := readSubscription(ctx, p, object.ID)
	return subscription.set, true, err
}
