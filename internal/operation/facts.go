package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// membersCreateAccounts is stored while the feature user_permissions is off. A permission in the schema can only
// depend on stored relationships, so the rule "without the feature, members create accounts" needs one.
const membersCreateAccounts authz.Relation = "members_create_accounts"

// subscriptionFacts are the facts about a subscription that operations need.
type subscriptionFacts struct {
	object   authz.Object
	set      authz.RoleSet
	features []authz.Feature
}

// has reports whether the subscription has a feature. It returns true for the empty feature.
func (f subscriptionFacts) has(feature authz.Feature) bool {
	return feature == "" || slices.Contains(f.features, feature)
}

// accountFacts are the facts about an account that operations need.
type accountFacts struct {
	object       authz.Object
	set          authz.RoleSet
	subscription subscriptionFacts
}

// privateConnections reports whether connections of the account can be private.
func (f accountFacts) privateConnections() bool {
	return f.set.Name == authz.Team && f.subscription.set.Name == authz.MultiOwner
}

// needsRequiredRole reports whether somebody must hold the required role of the account's role set. Under
// single_owner the subscription's owner has access to every account, so an account needs no holder of its own.
func (f accountFacts) needsRequiredRole() bool {
	return f.set.Required != "" && f.subscription.set.Name != authz.SingleOwner
}

// readSubscription reads the facts about a subscription, and requires its role set as a precondition. It returns an
// error with CodeNotFound if there is no such subscription.
func readSubscription(ctx context.Context, p *plan, id authz.ID) (subscriptionFacts, error) {
	facts := subscriptionFacts{object: subscriptionObject(id)}
	if _, err := p.FindAll(ctx, []authz.Filter{flagsFilter(facts.object), bindingsOf(facts.object)}); err != nil {
		return facts, err // so that the reads below find them in memory
	}
	flags, err := readFlags(ctx, p, facts.object)
	if err != nil {
		return facts, err
	}
	for _, feature := range authz.Features {
		if slices.Contains(flags, authz.Relation(feature)) {
			facts.features = append(facts.features, feature)
		}
	}
	if facts.set, err = requireRoleSet(p, facts.object, flags); err != nil {
		return facts, err
	}
	facts.set, err = withBoundRoles(ctx, p, facts.object, facts.set, id)
	return facts, err
}

// readAccount reads the facts about an account, and requires its role set and its subscription as preconditions. It
// returns an error with CodeNotFound if there is no such account.
func readAccount(ctx context.Context, p *plan, id authz.ID) (accountFacts, error) {
	facts := accountFacts{object: accountObject(id)}
	place := authz.Filter{Type: "account", ID: id, Relation: "subscription"}
	reads := []authz.Filter{flagsFilter(facts.object), place, bindingsOf(facts.object)}
	if _, err := p.FindAll(ctx, reads); err != nil { // so that the reads below find them in memory
		return facts, err
	}
	flags, err := readFlags(ctx, p, facts.object)
	if err != nil {
		return facts, err
	}
	if facts.set, err = requireRoleSet(p, facts.object, flags); err != nil {
		return facts, err
	}
	places, err := p.Find(ctx, place)
	if err != nil {
		return facts, err
	}
	if len(places) == 0 {
		return facts, notFoundError(p, facts.object)
	}
	p.Require(places[0])
	if facts.subscription, err = readSubscription(ctx, p, places[0].Subject.ID); err != nil {
		return facts, err
	}
	facts.set, err = withBoundRoles(ctx, p, facts.object, facts.set, facts.subscription.object.ID)
	return facts, err
}

// readAccountOf reads the account that contains an object, and requires as a precondition that it still does.
func readAccountOf(ctx context.Context, p *plan, object authz.Object) (accountFacts, error) {
	place, err := readPlaceOf(ctx, p, object)
	if err != nil {
		return accountFacts{}, err
	}
	switch place.Type {
	case "workspace":
		return readAccountOf(ctx, p, place)
	case "account":
		return readAccount(ctx, p, place.ID)
	default:
		return accountFacts{}, notFoundError(p, object)
	}
}

// readPlaceOf reads the place that contains an object, and requires as a precondition that it still does. It
// returns an error with CodeNotFound if the object has no place.
func readPlaceOf(ctx context.Context, p *plan, object authz.Object) (authz.Object, error) {
	places, err := p.Find(ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place})
	if err != nil {
		return authz.Object{}, err
	}
	if len(places) == 0 {
		return authz.Object{}, notFoundError(p, object)
	}
	p.Require(places[0])
	return places[0].Subject.Object, nil
}

// readFlags returns the flags of a subscription or an account: its role set and its features.
func readFlags(ctx context.Context, p *plan, object authz.Object) ([]authz.Relation, error) {
	found, err := p.Find(ctx, flagsFilter(object))
	if err != nil {
		return nil, err
	}
	return flagsIn(found), nil
}

// flagsFilter returns the filter for the flags of an object.
func flagsFilter(object authz.Object) authz.Filter {
	return authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user, SubjectWildcard: true}
}

// flagsIn returns the relations in which an object holds `user:*`.
func flagsIn(found []authz.Relationship) []authz.Relation {
	var relations []authz.Relation
	for _, r := range found {
		if r.Subject.Wildcard {
			relations = append(relations, r.Relation)
		}
	}
	return relations
}

// requireRoleSet returns the role set that is among the flags, and requires this flag as a precondition. It returns
// an error with CodeNotFound if no flag is a role set.
func requireRoleSet(p *plan, object authz.Object, flags []authz.Relation) (authz.RoleSet, error) {
	for _, set := range authz.RoleSets {
		if set.On == object.Type && slices.Contains(flags, authz.Relation(set.Name)) {
			p.Require(authz.Relationship{Resource: object, Relation: authz.Relation(set.Name), Subject: everybody})
			return set, nil
		}
	}
	return authz.RoleSet{}, notFoundError(p, object)
}

// readRoles reads the roles of the set that a person holds on an object, in the order of the set.
func readRoles(
	ctx context.Context, p *plan, object authz.Object, set authz.RoleSet, who authz.ID,
) ([]authz.Relationship, error) {
	return readHolderRoles(ctx, p, object, set, authz.Person(who))
}

// few is the highest number of people for whom a plan reads one by one. For more people, it reads all in one query.
const few = 20

// readRolesOfMany reads the roles of many people on an account and its subscription at once, so that readRoles
// needs no further read.
func readRolesOfMany(ctx context.Context, p *plan, account accountFacts, people []authz.ID) error {
	var filters []authz.Filter
	for _, place := range []authz.Object{account.object, account.subscription.object} {
		objects, err := readRoleObjects(ctx, p, place)
		if err != nil {
			return err
		}
		for _, object := range objects {
			filters = append(filters, rowsOf(object))
		}
	}
	return readOfMany(ctx, p, people, filters...)
}

// readOfMany reads the relationships of many people that match the filters, with one read for each filter. Find
// then answers for these people from memory. If very many relationships of other people match a filter, readOfMany
// keeps no result, and Find reads for each person.
func readOfMany(ctx context.Context, p *plan, people []authz.ID, filters ...authz.Filter) error {
	const perPerson = 5
	if len(people) <= few {
		return nil
	}
	for _, filter := range filters {
		if err := p.FindOfSubjects(ctx, filter, people, perPerson*len(people)); err != nil {
			return err
		}
	}
	return nil
}

// readNamesOfMany reads, for many people at once, the relationships that changeAccountRoles needs: their connection
// shares and workspace memberships, their invitations and their offboardings.
func readNamesOfMany(ctx context.Context, p *plan, changes []roleChange) error {
	if len(changes) <= few {
		return nil
	}
	without := func(c roleChange) bool { return c.ends() || c.isEmpty() }
	comesOrGoes := func(c roleChange) bool { return c.arrives() || without(c) }
	if err := readOfMany(ctx, p, peopleOf(changes, comesOrGoes), naming...); err != nil {
		return err
	}
	invitations := authz.Filter{Type: invitationType, SubjectType: user}
	received, sent := invitations, invitations
	received.Relation, sent.Relation = invitationFor, invitedBy
	stays := func(c roleChange) bool { return len(c.wanted) > 0 }
	for _, read := range []struct {
		people func(roleChange) bool
		filter authz.Filter
	}{{without, invitations}, {stays, received}, {roleChange.arrives, sent}} {
		if err := readOfMany(ctx, p, peopleOf(changes, read.people), read.filter); err != nil {
			return err
		}
	}
	return readOffboarded(ctx, p, len(changes))
}

// readOffboarded reads the people whose offboardings are under way, so that readOffboarding needs no read for other
// people. If there are more people than the limit, it keeps no result.
func readOffboarded(ctx context.Context, p *plan, limit int) error {
	under, err := p.FindSome(ctx, authz.Filter{Type: offboardingType, Relation: offboardingFrom}, limit+1)
	if err != nil || len(under) > limit {
		return err
	}
	p.offboarded = make(map[authz.ID]bool, len(under))
	for _, r := range under {
		p.offboarded[r.Resource.ID] = true
	}
	return nil
}

// readRolesAfter returns the roles that a person will hold on an object after the plan's write.
func readRolesAfter(
	ctx context.Context, p *plan, object authz.Object, set authz.RoleSet, who authz.ID,
) ([]authz.Relationship, error) {
	before, err := readRoles(ctx, p, object, set, who)
	if err != nil {
		return nil, err
	}
	var held []authz.Relationship
	for _, name := range set.Names() {
		row := set.Row(object, name, person(who))
		stored := slices.IndexFunc(before, func(r authz.Relationship) bool { return authz.RoleOf(r) == name })
		switch update, planned := p.Planned(row); {
		case planned && update.Action != authz.Delete:
			held = append(held, update.Relationship)
		case !planned && stored >= 0:
			held = append(held, before[stored])
		}
	}
	return held, nil
}

// rolesOf returns the roles that the relationships grant.
func rolesOf(held []authz.Relationship) Roles {
	roles := make(Roles, len(held))
	for i, r := range held {
		roles[i] = authz.RoleOf(r)
	}
	return roles
}
