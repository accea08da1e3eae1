package operation

import (
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// readPeople reads the people who hold roles on an object, with their roles.
func readPeople(ctx context.Context, p *plan, object authz.Object, set authz.RoleSet) (map[authz.ID]Member, error) {
	objects, err := readRoleObjects(ctx, p, object)
	if err != nil {
		return nil, err
	}
	var rows []authz.Relationship
	for _, object := range objects {
		found, err := p.FindSome(ctx, rowsOf(object), 0)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	return membersOf(rows, set), nil
}

// rowsOf returns a filter for the relationships between an object and users: its roles, and its flags (see
// readFlags).
func rowsOf(object authz.Object) authz.Filter {
	return authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user}
}

// membersOf returns the people who hold roles according to one object's relationships.
func membersOf(rows []authz.Relationship, set authz.RoleSet) map[authz.ID]Member {
	held := make(map[authz.ID][]authz.Relationship)
	for _, r := range rows {
		if r.Subject.Type == user && !r.Subject.Wildcard {
			held[r.Subject.ID] = append(held[r.Subject.ID], r)
		}
	}
	members := make(map[authz.ID]Member, len(held))
	for id, rows := range held {
		member := Member{User: id}
		var roles []authz.Relationship
		for _, name := range set.Names() {
			holds := func(r authz.Relationship) bool { return authz.RoleOf(r) == name }
			if i := slices.IndexFunc(rows, holds); i >= 0 {
				member.Roles = append(member.Roles, name)
				roles = append(roles, rows[i])
			}
		}
		if len(member.Roles) > 0 {
			member.ExpiresAt = lastEnd(roles)
			members[id] = member
		}
	}
	return members
}

// pageOfMembers returns a page of the people, sorted by id.
func pageOfMembers(people map[authz.ID]Member, page Page) (Members, error) {
	ids, next, err := page.cut(sortedKeys(people))
	if err != nil {
		return Members{}, err
	}
	members := Members{NextCursor: next}
	for _, id := range ids {
		members.Members = append(members.Members, people[id])
	}
	return members, nil
}

// after returns the id after which the page begins.
func (g Page) after() (authz.ID, error) {
	if g.Cursor == "" {
		return "", nil
	}
	id, err := g.cursors.Parse(g.Cursor)
	return authz.ID(id), err
}

// of returns the page for one list. list names the kind of list, and id is the object whose list it is.
func (g Page) of(list string, id authz.ID) Page {
	g.cursors = pages.CursorsOf(list, id)
	return g
}

// limit returns how many entries the page has at most.
func (g Page) limit() int {
	if g.Limit == 0 {
		return DefaultLimit
	}
	return min(g.Limit, MaxLimit)
}

// cursorAfter returns the cursor that continues the list after an id.
func (g Page) cursorAfter(id authz.ID) string { return g.cursors.New(string(id)) }

// cut returns the part of the sorted ids that is on the page, and the cursor of the next page. A cursor holds the
// last id, not a position, so it stays correct if the list changes between two pages.
func (g Page) cut(sorted []authz.ID) (part []authz.ID, next string, err error) {
	after, err := g.after()
	if err != nil {
		return nil, "", err
	}
	i, found := slices.BinarySearch(sorted, after)
	if found {
		i++
	}
	sorted = sorted[i:]
	if len(sorted) <= g.limit() {
		return sorted, "", nil
	}
	part = sorted[:g.limit()]
	return part, g.cursorAfter(part[len(part)-1]), nil
}

// sortedKeys returns the keys of a map, sorted.
func sortedKeys[V any](m map[authz.ID]V) []authz.ID { return slices.Sorted(maps.Keys(m)) }

// readVisibleAccounts returns a page of the accounts that a person or service account may view, with their roles
// there. sorted holds the ids of all candidates. It reads only as many candidates as the page needs. It omits the
// subscription of an account if the actor may not view the subscription.
func readVisibleAccounts(
	ctx context.Context, p *plan, sorted []authz.ID, who authz.Object, page Page,
) (accounts Accounts, err error) {
	if accounts, err = readAccountPage(ctx, p, sorted, who, page); err != nil {
		return accounts, err
	}
	var subscriptions []authz.ID
	for _, account := range accounts.Accounts {
		if !slices.Contains(subscriptions, account.Subscription) {
			subscriptions = append(subscriptions, account.Subscription)
		}
	}
	isVisible, err := mayViewSubscriptions(ctx, p, subscriptions...)
	if err != nil {
		return accounts, err
	}
	for i := range accounts.Accounts {
		if account := &accounts.Accounts[i]; !isVisible[account.Subscription] {
			account.Subscription = ""
		}
	}
	return accounts, nil
}

// hideSubscription removes the id of a place if it is a subscription that the actor may not view.
func hideSubscription(ctx context.Context, p *plan, place *authz.Object) error {
	if place.Type != "subscription" {
		return nil
	}
	isVisible, err := mayViewSubscriptions(ctx, p, place.ID)
	if !isVisible[place.ID] {
		place.ID = ""
	}
	return err
}

// mayViewSubscriptions reports which of the subscriptions the actor may view. A call without an actor may view all of
// them.
func mayViewSubscriptions(ctx context.Context, p *plan, ids ...authz.ID) (map[authz.ID]bool, error) {
	isVisible := make(map[authz.ID]bool, len(ids))
	objects := make([]authz.Object, len(ids))
	for i, id := range ids {
		objects[i] = subscriptionObject(id)
	}
	reader := visibility.Reader{Subject: p.actor(), All: p.by.Actor == ""}
	seen, err := viewFor(p, reader).MaySeeEach(ctx, objects)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		isVisible[id] = seen[i]
	}
	return isVisible, nil
}

// readAccountPage is readVisibleAccounts, except that it shows the subscription of every account.
func readAccountPage(ctx context.Context, p *plan, sorted []authz.ID, who authz.Object, page Page) (Accounts, error) {
	var accounts Accounts
	after, err := page.after()
	if err != nil {
		return accounts, err
	}
	i, found := slices.BinarySearch(sorted, after)
	if found {
		i++
	}
	var last authz.ID
	for chunk := range slices.Chunk(sorted[i:], page.limit()+1) {
		visible, err := filterViewable(ctx, p, chunk, who)
		if err != nil {
			return accounts, err
		}
		for _, id := range visible {
			if len(accounts.Accounts) == page.limit() {
				accounts.NextCursor = page.cursorAfter(last)
				return accounts, nil
			}
			facts, err := readAccount(ctx, p, id)
			if err != nil {
				return accounts, err
			}
			held, err := readHolderRoles(ctx, p, facts.object, facts.set, authz.Holder(who))
			if err != nil {
				return accounts, err
			}
			accounts.Accounts = append(accounts.Accounts, Account{
				ID: id, Subscription: facts.subscription.object.ID, RoleSet: facts.set.Name,
				Roles: rolesOf(held), ExpiresAt: lastEnd(held),
			})
			last = id
		}
	}
	return accounts, nil
}

// filterViewable returns the accounts that a person or service account may view.
func filterViewable(ctx context.Context, p *plan, accounts []authz.ID, who authz.Object) ([]authz.ID, error) {
	objects := make([]authz.Object, len(accounts))
	for i, id := range accounts {
		objects[i] = accountObject(id)
	}
	seen, err := hidingViewOf(p, visibility.Reader{Subject: only(who)}).MaySeeEach(ctx, objects)
	if err != nil {
		return nil, err
	}
	var visible []authz.ID
	for i, id := range accounts {
		if seen[i] {
			visible = append(visible, id)
		}
	}
	return visible, nil
}
