package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// Collection is all objects of one type in an account or workspace. Permissions are those that a list shows for each
// object.
type Collection struct {
	Place       authz.Object
	Type        authz.Type
	Permissions []authz.Permission
}

// Collections returns the lists of the objects in an account or workspace. It maps the name of each list to the type of
// its objects.
func Collections(place authz.Type) map[string]authz.Type {
	lists := make(map[string]authz.Type)
	for typ, kind := range kinds {
		if kind.visible != "" && kind.place == authz.Relation(place) && listed[place] {
			lists[string(typ)+"s"] = typ
		}
	}
	return lists
}

// listed are the types of containing objects for which Contents lists objects. SubscriptionAccounts lists the accounts
// of a subscription.
var listed = map[authz.Type]bool{"account": true, "workspace": true}

// VisibleObject is an object with the permissions that the actor has on it, and the errors of the permissions that
// could not be decided.
type VisibleObject struct {
	ID          authz.ID
	Permissions []authz.Permission
	Errors      map[authz.Permission]error
}

// Objects is a page of objects; NextCursor is empty at the end.
type Objects struct {
	Objects    []VisibleObject
	NextCursor string
}

// Contents returns a page of the objects of a collection that the actor may view, with the actor's permissions on each.
// It returns an error with CodeNotFound if the actor may not view the account or workspace.
//
// A cursor continues the list at the state of the first page. The permissions on each page are current. A page ends
// after reading 10,000 objects, even if the actor may view only a few of them.
func (s *Service) Contents(ctx context.Context, by Caller, of Collection, page Page) (Objects, authz.Token, error) {
	var objects Objects
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		start, err := readPageStart(p, of, page)
		if err != nil {
			return err
		}
		if err := viewOf(p).Require(ctx, visibility.Existence(of.Place)); err != nil {
			return err
		}
		found, next, err := readVisible(ctx, p, of, start, page.limit(), s.maxScanned)
		if err != nil {
			return err
		}
		objects.NextCursor = next
		objects.Objects, err = addPermissions(ctx, p, of, found)
		return err
	})
	return answered(objects, token, err)
}

// readPageStart returns where the engine starts to read a page.
func readPageStart(p *plan, of Collection, page Page) (authz.Page, error) {
	if page.Cursor == "" {
		return authz.Page{}, nil
	}
	cursor, err := pages.CursorsOf(of.Place, of.Type, p.by.Actor).Parse(page.Cursor)
	return authz.Page{Cursor: cursor}, err
}

// readVisible returns the ids on a page, and the cursor after them.
func readVisible(
	ctx context.Context, p *plan, of Collection, start authz.Page, limit, maxScanned int,
) (ids []authz.ID, next string, err error) {
	filter := authz.Filter{
		Type: of.Type, Relation: kindOf(of.Type).place,
		SubjectType: of.Place.Type, SubjectID: of.Place.ID, SubjectPlain: true,
	}
	cursor := func(item authz.ReadItem) string {
		return pages.CursorsOf(of.Place, of.Type, p.by.Actor).New(item.Cursor)
	}
	var batch, visible []authz.ReadItem
	// Read one object more than the page holds, to find out whether there is another page.
	size, scanned := limit+1, 0
	scan := func() error {
		seen, err := filterVisible(ctx, p, of, batch, start.Cursor != "")
		visible, batch, scanned, size = append(visible, seen...), batch[:0], scanned+len(batch), MaxLimit
		return err
	}
	for item, err := range p.engine.Read(ctx, filter, p.Consistency(), start) {
		if err != nil {
			return nil, "", err
		}
		if batch = append(batch, item); len(batch) < size {
			continue
		}
		if err := scan(); err != nil {
			return nil, "", err
		}
		if len(visible) <= limit && scanned >= maxScanned {
			return idsOf(visible), cursor(item), nil
		}
		if len(visible) > limit {
			break
		}
	}
	if err := scan(); err != nil {
		return nil, "", err
	}
	if len(visible) > limit {
		visible = visible[:limit]
		next = cursor(visible[len(visible)-1])
	}
	return idsOf(visible), next, nil
}

// idsOf returns the ids of the resources.
func idsOf(items []authz.ReadItem) []authz.ID {
	ids := make([]authz.ID, len(items))
	for i, item := range items {
		ids[i] = item.Relationship.Resource.ID
	}
	return ids
}

// filterVisible returns the objects that the actor may view. The ids may come from an older state: since then, an
// object may have been deleted, and a new object with its id created in another account or workspace. So filterVisible
// also requires that each object is still in the collection's account or workspace.
func filterVisible(
	ctx context.Context, p *plan, of Collection, items []authz.ReadItem, older bool,
) ([]authz.ReadItem, error) {
	if len(items) == 0 {
		return nil, nil
	}
	objects := make([]authz.Object, len(items))
	for i, item := range items {
		objects[i] = item.Relationship.Resource
	}
	check := visibility.HideUndecided(p.Check)
	if older {
		check = inPlaceCheck(check, of)
	}
	seen, err := visibility.New(VisibilityRules, visibility.Reader{Subject: p.actor()}, check).MaySeeEach(ctx, objects)
	if err != nil {
		return nil, err
	}
	var visible []authz.ReadItem
	for i, item := range items {
		if seen[i] {
			visible = append(visible, item)
		}
	}
	return visible, nil
}

// inPlaceCheck extends a check: it also requires, in the same call, that the object is in the collection's account or
// workspace.
func inPlaceCheck(check visibility.Check, of Collection) visibility.Check {
	return func(ctx context.Context, checks []authz.Check) ([]bool, error) {
		both := slices.Clone(checks)
		for _, c := range checks {
			both = append(both, authz.Check{
				Subject: only(of.Place), Permission: authz.Permission(kindOf(of.Type).place), Resource: c.Resource,
			})
		}
		allowed, err := check(ctx, both)
		if err != nil {
			return nil, err
		}
		for i := range checks {
			allowed[i] = allowed[i] && allowed[len(checks)+i]
		}
		return allowed[:len(checks)], nil
	}
}

// addPermissions checks every permission of the collection on each object in one call.
func addPermissions(ctx context.Context, p *plan, of Collection, ids []authz.ID) ([]VisibleObject, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var checks []authz.Check
	for _, id := range ids {
		for _, permission := range of.Permissions {
			checks = append(checks, actorCheck(p, permission, authz.Object{Type: of.Type, ID: id}))
		}
	}
	results, err := p.Check(ctx, checks)
	if err != nil {
		return nil, err
	}
	objects := make([]VisibleObject, len(ids))
	for i, id := range ids {
		objects[i].ID = id
		for j, permission := range of.Permissions {
			switch result := results[i*len(of.Permissions)+j]; {
			case result.Err != nil:
				if objects[i].Errors == nil {
					objects[i].Errors = make(map[authz.Permission]error)
				}
				objects[i].Errors[permission] = result.Err
			case result.Decision.Allowed():
				objects[i].Permissions = append(objects[i].Permissions, permission)
			}
		}
	}
	return objects, nil
}

// actorCheck returns the check of whether the actor has a permission.
func actorCheck(p *plan, permission authz.Permission, object authz.Object) authz.Check {
	return authz.Check{Subject: p.actor(), Permission: permission, Resource: object}
}
