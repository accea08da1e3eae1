package operation

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// RoleHolder is a holder of a role on one object.
type RoleHolder struct {
	Holder authz.Holder
	On     authz.Object

	// ExpiresAt is when the holder loses the role; zero if the role does not end.
	ExpiresAt time.Time
}

// RoleHolders is a page of the holders of a role; NextCursor is empty at the end.
type RoleHolders struct {
	Holders    []RoleHolder
	NextCursor string
}

// bindingsPerRead is how many bindings of a role are read at a time.
const bindingsPerRead = 100

// bindingsOfRole returns a filter for the relationships of bindings to their role, a custom role.
func bindingsOfRole(role authz.Object) authz.Filter {
	return authz.Filter{
		Type: authz.TypeRoleBinding, Relation: bindingRole, SubjectType: role.Type, SubjectID: role.ID, SubjectPlain: true,
	}
}

// readBindings reads the objects of all bindings of a custom role, sorted.
func readBindings(ctx context.Context, p *plan, role authz.Object) ([]authz.Object, error) {
	rows, err := p.Find(ctx, bindingsOfRole(role))
	bindings := make([]authz.Object, len(rows))
	for i, r := range rows {
		bindings[i] = r.Resource
	}
	slices.SortFunc(bindings, func(a, b authz.Object) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return bindings, err
}

// holdersOfBinding returns a filter for the holders of a binding.
func holdersOfBinding(binding authz.Object) authz.Filter {
	return authz.Filter{Type: binding.Type, ID: binding.ID, Relation: bindingHolder}
}

// RoleHolders returns a page of the holders of a role that can be given on an account or subscription. For an account,
// these are the holders on the account and on objects in it. For a subscription, they are also those on its accounts. A
// page leaves out holders on accounts whose members the actor may not list. The actor needs list_members on the
// account, or list_users on the subscription.
func (s *Service) RoleHolders(
	ctx context.Context, by Caller, place authz.Object, id authz.ID, page Page,
) (RoleHolders, authz.Token, error) {
	var holders RoleHolders
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Roles(place)); err != nil {
			return err
		}
		facts, err := readRolePlace(ctx, p, place)
		if err != nil {
			return err
		}
		role, err := facts.readRole(ctx, p, id)
		if err != nil {
			return err
		}
		page.cursors = pages.CursorsOf("holders", place, id)
		if role.BuiltIn {
			holders, err = readBuiltInHolders(ctx, p, place, id, page)
			return err
		}
		l := holderList{plan: p, view: viewOf(p), place: place, subscription: facts.subscription.object}
		holders, err = l.read(ctx, role.Object, page)
		return err
	})
	return answered(holders, token, err)
}

// readBuiltInHolders returns a page of the holders of a built-in role on a place.
func readBuiltInHolders(
	ctx context.Context, p *plan, place authz.Object, role authz.ID, page Page,
) (holders RoleHolders, err error) {
	rows, next, err := readPage(ctx, p, page.cursors, page, authz.Filter{
		Type: place.Type, ID: place.ID, Relation: authz.Relation(role),
	})
	holders.NextCursor = next
	for _, r := range rows {
		if holder, ok := authz.HolderOf(r.Subject); ok {
			holders.Holders = append(holders.Holders, RoleHolder{Holder: holder, On: place, ExpiresAt: r.ExpiresAt})
		}
	}
	return holders, err
}

// holderList reads the holders of a custom role whom the actor may know.
type holderList struct {
	*plan

	view                *visibility.View
	place, subscription authz.Object
}

// read returns a page of the holders. The list is sorted by binding. A cursor has a binding, and the position in it.
func (l holderList) read(ctx context.Context, role authz.Object, page Page) (holders RoleHolders, err error) {
	var from, inside string
	if page.Cursor != "" {
		position, err := page.cursors.Parse(page.Cursor)
		if err != nil {
			return holders, err
		}
		from, inside, _ = strings.Cut(position, "\n") // no id has a line break
	}
	bindings, err := readBindings(ctx, l.plan, role)
	if err != nil {
		return holders, err
	}
	bindings = slices.DeleteFunc(bindings, func(b authz.Object) bool { return string(b.ID) < from })
	for chunk := range slices.Chunk(bindings, bindingsPerRead) {
		places, err := l.knownPlaces(ctx, chunk)
		if err != nil {
			return holders, err
		}
		for i, binding := range chunk {
			if places[i] == (authz.Object{}) {
				continue
			}
			cursor := ""
			if string(binding.ID) == from {
				cursor = inside
			}
			if err := l.add(ctx, &holders, binding, places[i], cursor, page); err != nil || holders.NextCursor != "" {
				return holders, err
			}
		}
	}
	return holders, nil
}

// add adds the holders of a binding after a position, as many as the page can have.
func (l holderList) add(
	ctx context.Context, holders *RoleHolders, binding, place authz.Object, cursor string, page Page,
) error {
	start := authz.Page{Limit: page.limit() - len(holders.Holders) + 1, Cursor: cursor}
	last := cursor
	for item, err := range l.engine.Read(ctx, holdersOfBinding(binding), l.Consistency(), start) {
		if err != nil {
			return err
		}
		holder, ok := authz.HolderOf(item.Relationship.Subject)
		if !ok {
			continue
		}
		if len(holders.Holders) == page.limit() {
			holders.NextCursor = page.cursors.New(string(binding.ID) + "\n" + last)
			return nil
		}
		holders.Holders = append(holders.Holders, RoleHolder{
			Holder: holder, On: place, ExpiresAt: item.Relationship.ExpiresAt,
		})
		last = item.Cursor
	}
	return nil
}

// knownPlaces returns the place of each binding. The place is zero if the list does not have the binding, because its
// place is not in the place of the list, or because the actor may not know who holds roles there.
func (l holderList) knownPlaces(ctx context.Context, bindings []authz.Object) ([]authz.Object, error) {
	places, err := readBindingPlaces(ctx, l.plan, bindings)
	if err != nil {
		return nil, err
	}
	accounts, err := readAccountsOfPlaces(ctx, l.plan, places)
	if err != nil {
		return nil, err
	}
	var facts []visibility.Fact
	for _, account := range accounts {
		facts = append(facts, visibility.Roles(account))
	}
	known, err := l.view.MayKnowEach(ctx, facts)
	if err != nil {
		return nil, err
	}
	for i, account := range accounts {
		isInList := l.place == account || l.place == l.subscription
		if !isInList || !known[i] {
			places[i] = authz.Object{}
		}
	}
	return places, nil
}

// readBindingPlaces reads the place of each of the bindings. The place of a binding without one is zero.
func readBindingPlaces(ctx context.Context, p *plan, bindings []authz.Object) ([]authz.Object, error) {
	return readSubjects(ctx, p, bindings, func(authz.Object) authz.Relation { return bindingPlace })
}

// readAccountsOfPlaces returns the account of each place on which a role is given. A subscription stands for itself.
func readAccountsOfPlaces(ctx context.Context, p *plan, places []authz.Object) ([]authz.Object, error) {
	accounts := slices.Clone(places)
	var inside []authz.Object
	var at []int
	for i, place := range places {
		if place.Type != "account" && place.Type != "subscription" && place.Type != "" {
			inside, at = append(inside, place), append(at, i)
		}
	}
	found, err := readSubjects(ctx, p, inside, func(o authz.Object) authz.Relation { return kindOf(o.Type).place })
	for j, i := range at {
		if err == nil {
			accounts[i] = found[j]
		}
	}
	return accounts, err
}

// readSubjects reads the one subject of a relation of each object. The subject of an object without one is zero.
func readSubjects(
	ctx context.Context, p *plan, objects []authz.Object, relation func(authz.Object) authz.Relation,
) ([]authz.Object, error) {
	filters := make([]authz.Filter, len(objects))
	for i, object := range objects {
		filters[i] = authz.Filter{Type: object.Type, ID: object.ID, Relation: relation(object)}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return nil, err
	}
	subjects := make([]authz.Object, len(objects))
	for i, rows := range found {
		if len(rows) > 0 {
			subjects[i] = rows[0].Subject.Object
		}
	}
	return subjects, nil
}
