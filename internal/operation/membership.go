package operation

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// A person can become a member of a subscription through permanent roles on its accounts. An object of the type
// membership then stores these accounts as reasons: one of them may be the first reason, and the others are further
// reasons. Without such an object, the membership was granted explicitly. A membership ends with its first reason if
// there is no further reason. The write that ends it requires both as preconditions, so it fails if another request
// adds a reason at the same time.
const (
	membershipType authz.Type     = "membership"
	firstReason    authz.Relation = "first"
	furtherReason  authz.Relation = "further"
)

// membershipOf returns the object that stores the reasons for a person's membership of a subscription. Other tools
// can store people with ids that the API does not accept. For such a person it returns an object without
// relationships, since operations never give them a role, see rejectForeignIDs.
func membershipOf(who authz.ID, subscription authz.Object) authz.Object {
	if who.IsForeign() {
		who = digest(string(who))
	}
	return authz.Object{Type: membershipType, ID: who + "/" + digest(string(subscription.ID))}
}

// memberOf returns the person of a membership.
func memberOf(membership authz.Object) authz.ID {
	id := string(membership.ID)
	return authz.ID(id[:max(0, strings.LastIndexByte(id, '/'))])
}

// reasonsOf returns a filter for the reasons for a membership.
func reasonsOf(membership authz.Object) authz.Filter {
	return authz.Filter{Type: membershipType, ID: membership.ID}
}

// reason returns the relationship that stores an object as a reason for a membership.
func reason(membership authz.Object, relation authz.Relation, object authz.Object) authz.Relationship {
	return authz.Relationship{Resource: membership, Relation: relation, Subject: only(object)}
}

// makesMembers reports whether people who hold the role on an account permanently become members of the subscription.
func makesMembers(role authz.Relation) bool {
	return slices.ContainsFunc(authz.RoleSets, func(set authz.RoleSet) bool {
		info, found := set.Role(authz.Role(role))
		return found && info.MakesMember
	})
}

// membershipChange is the part of a plan that can begin or end a person's membership of a multi_owner subscription.
type membershipChange struct {
	who          authz.ID
	subscription subscriptionFacts
	gained       []authz.Object // accounts on which the plan gives the person a permanent role, see makesMembers
	changed      []authz.Object // accounts on which the plan changes a role of the person, who already holds one there
	granted      bool           // the plan gives roles on the subscription itself
}

// object returns the object that stores the reasons for the membership.
func (c membershipChange) object() authz.Object { return membershipOf(c.who, c.subscription.object) }

// explicitGrant records that an operation gives a person roles on the subscription itself, perhaps roles that they
// hold already.
type explicitGrant struct {
	who          authz.ID
	subscription authz.Object
}

// membershipChanges collects which memberships the updates of a plan can change.
type membershipChanges struct {
	p             *plan
	changes       []*membershipChange
	at            map[authz.Object]*membershipChange
	subscriptions map[authz.Object]*subscriptionFacts // nil if the role set has no derived memberships
}

// readMembershipChanges reads from the updates of the plan which memberships they can change.
func readMembershipChanges(ctx context.Context, p *plan) ([]*membershipChange, error) {
	all := membershipChanges{
		p: p, at: make(map[authz.Object]*membershipChange), subscriptions: make(map[authz.Object]*subscriptionFacts),
	}
	for _, g := range p.granted {
		c, err := all.of(ctx, g.who, g.subscription)
		if err != nil {
			return nil, err
		}
		c.granted = true
	}
	for _, u := range p.Updates() {
		if err := all.add(ctx, u); err != nil {
			return nil, err
		}
	}
	return all.changes, nil
}

// of returns the change of a person's membership of a subscription.
func (m *membershipChanges) of(
	ctx context.Context, who authz.ID, subscription authz.Object,
) (*membershipChange, error) {
	facts, known := m.subscriptions[subscription]
	if !known {
		var err error
		if facts, err = readMultiOwner(ctx, m.p, subscription); err != nil {
			return nil, err
		}
		m.subscriptions[subscription] = facts
	}
	if facts == nil {
		return &membershipChange{}, nil
	}
	object := membershipOf(who, subscription)
	if m.at[object] == nil {
		m.at[object] = &membershipChange{who: who, subscription: *facts}
		m.changes = append(m.changes, m.at[object])
	}
	return m.at[object], nil
}

// add adds the change that an update of a person's role makes. Other updates change no membership.
func (m *membershipChanges) add(ctx context.Context, u authz.Update) error {
	r := u.Relationship
	if r.Subject.Type != user || r.Subject.Wildcard {
		return nil
	}
	switch {
	case r.Resource.Type == "subscription":
		c, err := m.of(ctx, r.Subject.ID, r.Resource)
		if err != nil {
			return err
		}
		c.granted = c.granted || u.Action != authz.Delete
	case r.Resource.Type == "account" && makesMembers(r.Relation):
		return m.addAccountRole(ctx, u)
	}
	return nil
}

// addAccountRole adds the change that an update of a role on an account makes.
func (m *membershipChanges) addAccountRole(ctx context.Context, u authz.Update) error {
	r := u.Relationship
	subscription, err := readSubscriptionOf(ctx, m.p, r.Resource)
	if err != nil || subscription.ID == "" {
		return err
	}
	c, err := m.of(ctx, r.Subject.ID, subscription)
	if err != nil {
		return err
	}
	held, err := m.p.Find(ctx, rowsOfPerson(r.Resource, r.Subject.ID))
	if err != nil {
		return err
	}
	if len(held) > 0 {
		c.changed = append(c.changed, r.Resource)
	}
	if u.Action != authz.Delete && r.ExpiresAt.IsZero() {
		c.gained = append(c.gained, r.Resource)
	}
	return nil
}

// readSubscriptionOf reads in which subscription an account is after the plan. It returns the zero object if the
// account is in no subscription, or if the plan deletes the account. If the plan deletes the account, the cleanup of
// the deletion ends the memberships.
func readSubscriptionOf(ctx context.Context, p *plan, account authz.Object) (authz.Object, error) {
	for _, u := range p.Updates() {
		if r := u.Relationship; r.Resource == account && r.Relation == kindOf(account.Type).place {
			if u.Action == authz.Delete {
				return authz.Object{}, nil
			}
			return r.Subject.Object, nil
		}
	}
	places, err := p.Find(ctx, authz.Filter{Type: account.Type, ID: account.ID, Relation: kindOf(account.Type).place})
	if err != nil || len(places) == 0 {
		return authz.Object{}, err
	}
	return places[0].Subject.Object, nil
}

// readMultiOwner reads a subscription. It returns nil unless the role set is multi_owner and the plan neither creates
// nor deletes the subscription.
func readMultiOwner(ctx context.Context, p *plan, subscription authz.Object) (*subscriptionFacts, error) {
	for _, u := range p.Updates() {
		if r := u.Relationship; r.Resource == subscription && r.Relation == authz.Relation(authz.MultiOwner) {
			return nil, nil //nolint:nilnil // memberships of this subscription are not settled
		}
	}
	facts, err := readSubscription(ctx, p.observer(), subscription.ID)
	if errors.Is(err, authz.CodeNotFound) || err == nil && facts.set.Name != authz.MultiOwner {
		return nil, nil //nolint:nilnil // memberships of this subscription are not settled
	}
	return &facts, err
}

// readMemberships reads in advance, for all changes and several at a time, the relationships that settleMembership
// needs.
func readMemberships(ctx context.Context, p *plan, changes []*membershipChange) error {
	var filters, roles []authz.Filter
	for _, c := range changes {
		filters = append(filters, reasonsOf(c.object()), rowsOfPerson(c.subscription.object, c.who))
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return err
	}
	for i, c := range changes {
		if reasons := found[2*i]; len(reasons) > 0 {
			roles = append(roles, accountRoles(c.who))
		}
	}
	_, err = p.FindAll(ctx, roles)
	return err
}

// rowsOfPerson returns a filter for the built-in roles of a person on an object.
func rowsOfPerson(object authz.Object, who authz.ID) authz.Filter {
	return rolesFilterOf(object, authz.Person(who))
}

// rolesFilterOf returns a filter for the roles of a holder that an object stores: the built-in roles on an account or
// subscription, or the role of a role binding.
func rolesFilterOf(object authz.Object, holder authz.Holder) authz.Filter {
	return authz.Filter{Type: object.Type, ID: object.ID, SubjectType: holder.Type, SubjectID: holder.ID}
}

// accountRoles returns a filter for the roles of a person on all accounts.
func accountRoles(who authz.ID) authz.Filter {
	return authz.Filter{Type: "account", SubjectType: user, SubjectID: who}
}

// membership is a stored membership and the effect of a plan on it.
type membership struct {
	held     []authz.Relationship // the person's built-in roles on the subscription
	leaves   bool                 // the plan ends all roles in held
	stored   []authz.Relationship // the reasons
	explicit bool                 // one of the reasons is the explicit grant
	kept     []authz.Relationship // reasons that remain after the plan: the person still holds a permanent role
	gone     []authz.Relationship // reasons that end: the person no longer holds such a role
	lasting  []authz.Relationship // stored permanent roles that make members, without those that the plan changes
}

// derived reports whether the membership came only from roles on accounts.
func (m membership) derived() bool {
	return len(m.stored) > 0 && !m.explicit && len(m.held) == 1 &&
		m.held[0].Relation == authz.Relation(authz.RoleMember)
}

// records reports whether an account is stored as a reason.
func (m membership) records(account authz.Object) bool {
	return slices.ContainsFunc(m.stored, func(r authz.Relationship) bool { return r.Subject.Object == account })
}

// readMembership reads a membership and how the plan changes it.
func readMembership(ctx context.Context, p *plan, c membershipChange) (m membership, err error) {
	if m.held, err = readRoles(ctx, p, c.subscription.object, c.subscription.set.BuiltIn(), c.who); err != nil {
		return m, err
	}
	stays := func(r authz.Relationship) bool { return !isPlanned(p, r) } // a planned role is deleted, unless c.granted
	m.leaves = len(m.held) > 0 && !c.granted && !slices.ContainsFunc(m.held, stays)
	if m.stored, err = p.Find(ctx, reasonsOf(c.object())); err != nil || len(m.stored) == 0 {
		return m, err
	}
	roles, err := p.Find(ctx, accountRoles(c.who))
	if err != nil {
		return m, err
	}
	lasts := make(map[authz.Object]bool)
	for _, account := range c.gained {
		lasts[account] = true
	}
	for _, r := range roles {
		if makesMembers(r.Relation) && r.ExpiresAt.IsZero() && !isPlanned(p, r) {
			m.lasting = append(m.lasting, r)
			lasts[r.Resource] = true
		}
	}
	for _, r := range m.stored {
		switch {
		case r.Subject.Object == c.subscription.object:
			m.explicit = true
		case lasts[r.Subject.Object]:
			m.kept = append(m.kept, r)
		default:
			m.gone = append(m.gone, r)
		}
	}
	return m, nil
}

// findUnrecordedReason returns a role on an account that is a reason for the membership but is not stored as one, or
// nil. Such a role exists if promotion deleted reasons and the operation that needed it failed afterwards.
func findUnrecordedReason(ctx context.Context, p *plan, c membershipChange, m membership) (*authz.Relationship, error) {
	places := make([]authz.Filter, len(m.lasting))
	for i, r := range m.lasting {
		places[i] = authz.Filter{Type: r.Resource.Type, ID: r.Resource.ID, Relation: kindOf(r.Resource.Type).place}
	}
	found, err := p.FindAll(ctx, places)
	if err != nil {
		return nil, err
	}
	for i, r := range m.lasting {
		for _, place := range found[i] {
			if place.Subject.Object == c.subscription.object && !m.records(r.Resource) {
				return &r, nil
			}
		}
	}
	return nil, nil //nolint:nilnil // no role is unrecorded
}

// wouldEndMembership reports whether a person's membership of the subscription ends with their roles on the account.
func wouldEndMembership(
	ctx context.Context, p *plan, account accountFacts, who authz.ID, held []authz.Relationship,
) (bool, error) {
	if account.subscription.set.Name != authz.MultiOwner {
		return false, nil
	}
	removal := p.observer()
	for _, r := range held {
		removal.Delete(r)
	}
	c := membershipChange{who: who, subscription: account.subscription}
	m, err := readMembership(ctx, removal, c)
	if err != nil || !m.derived() || len(m.gone) == 0 || len(m.kept) > 0 {
		return false, err
	}
	role, err := findUnrecordedReason(ctx, removal, c, m)
	return role == nil, err
}
