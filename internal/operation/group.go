package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// The relations of a group.
const (
	groupMember authz.Relation = "member"
	titleOf     authz.Relation = "title"
)

// Group is a group as operations show it. Its members are people, who get the roles of the group.
type Group struct {
	ID, Subscription authz.ID
	Title            authz.ID
}

// Groups is a page of groups; NextCursor is empty at the end.
type Groups struct {
	Groups     []Group
	NextCursor string
}

// GroupMembers is a page of the members of a group; NextCursor is empty at the end.
type GroupMembers struct {
	Members    []authz.ID
	NextCursor string
}

func groupObject(id authz.ID) authz.Object { return authz.Object{Type: authz.TypeGroup, ID: id} }

// titleSubject returns the subject that stores a title.
func titleSubject(title authz.ID) authz.Subject { return only(authz.Object{Type: "title", ID: title}) }

// CreateGroup creates a group without members in a subscription. The actor needs manage_groups there.
func (s *Service) CreateGroup(ctx context.Context, by Caller, in Group) (Group, Done, error) {
	build := func(ctx context.Context, p *plan) (Group, error) {
		place := subscriptionObject(in.Subscription)
		if err := requirePermission(ctx, p, place, "manage_groups"); err != nil {
			return in, err
		}
		object := groupObject(in.ID)
		if err := claimID(ctx, p, object); err != nil {
			return in, err
		}
		p.Create(object, kindOf(object.Type).place, only(place))
		p.Create(object, titleOf, titleSubject(in.Title))
		return in, nil
	}
	return runWithResult(ctx, s, by, "create_group", s.groupResult(by, in.ID), build)
}

// GetGroup returns a group that the actor may view. Subscription is empty if the actor may not view the subscription.
func (s *Service) GetGroup(ctx context.Context, by Caller, id authz.ID) (Group, authz.Token, error) {
	var group Group
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) (err error) {
		if err := viewOf(p).Require(ctx, visibility.Existence(groupObject(id))); err != nil {
			return err
		}
		if group, err = readGroup(ctx, p, id); err != nil {
			return err
		}
		isVisible, err := mayViewSubscriptions(ctx, p, group.Subscription)
		if !isVisible[group.Subscription] {
			group.Subscription = ""
		}
		return err
	})
	return answered(group, token, err)
}

// readGroup reads a group. It requires as a precondition that the group stays in its subscription.
func readGroup(ctx context.Context, p *plan, id authz.ID) (Group, error) {
	place, err := readPlaceOf(ctx, p, groupObject(id))
	if err != nil {
		return Group{}, err
	}
	titles, err := readTitles(ctx, p, groupObject(id))
	return Group{ID: id, Subscription: place.ID, Title: titles[0]}, err
}

// readTitles reads the titles of objects, several objects in one call. The title of an object without one is empty.
func readTitles(ctx context.Context, p *plan, objects ...authz.Object) ([]authz.ID, error) {
	filters, titles := make([]authz.Filter, len(objects)), make([]authz.ID, len(objects))
	for i, object := range objects {
		filters[i] = authz.Filter{Type: object.Type, ID: object.ID, Relation: titleOf}
	}
	found, err := p.FindAll(ctx, filters)
	if err != nil {
		return titles, err
	}
	for i, rows := range found {
		for _, r := range rows {
			titles[i] = r.Subject.ID
		}
	}
	return titles, nil
}

// RenameGroup replaces the title of a group. The actor needs manage on the group.
func (s *Service) RenameGroup(ctx context.Context, by Caller, id, title authz.ID) (Group, Done, error) {
	build := func(ctx context.Context, p *plan) (Group, error) {
		if err := requirePermission(ctx, p, groupObject(id), "manage"); err != nil {
			return Group{}, err
		}
		group, err := readGroup(ctx, p, id)
		if err != nil {
			return group, err
		}
		return Group{ID: id, Subscription: group.Subscription, Title: title}, planTitle(ctx, p, groupObject(id), title)
	}
	return runWithResult(ctx, s, by, "rename_group", s.groupResult(by, id), build)
}

// planTitle plans the write after which an object has this title and no other.
func planTitle(ctx context.Context, p *plan, object authz.Object, title authz.ID) error {
	filter := authz.Filter{Type: object.Type, ID: object.ID, Relation: titleOf}
	stored, err := p.Find(ctx, filter)
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		p.Forbid(filter)
	}
	for _, r := range stored {
		p.Require(r)
		p.Delete(r)
	}
	p.Touch(object, titleOf, titleSubject(title))
	return nil
}

// SubscriptionGroups returns a page of the groups of a subscription. The actor needs list_users there.
func (s *Service) SubscriptionGroups(
	ctx context.Context, by Caller, id authz.ID, page Page,
) (Groups, authz.Token, error) {
	var groups Groups
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		place := subscriptionObject(id)
		if err := viewOf(p).Require(ctx, visibility.Roles(place)); err != nil {
			return err
		}
		found, next, err := readTitledPage(ctx, p, authz.TypeGroup, place, page)
		groups = Groups{NextCursor: next}
		for _, group := range found {
			groups.Groups = append(groups.Groups, Group{ID: group.id, Subscription: id, Title: group.title})
		}
		return err
	})
	return answered(groups, token, err)
}

// titled is the id of an object with its title.
type titled struct{ id, title authz.ID }

// readTitledPage reads a page of the groups or service accounts of a place, with their titles.
func readTitledPage(
	ctx context.Context, p *plan, typ authz.Type, place authz.Object, page Page,
) (found []titled, next string, err error) {
	rows, next, err := readPage(ctx, p, pages.CursorsOf(typ, place), page, authz.Filter{
		Type: typ, Relation: kindOf(typ).place, SubjectType: place.Type, SubjectID: place.ID, SubjectPlain: true,
	})
	if err != nil {
		return nil, "", err
	}
	objects := make([]authz.Object, len(rows))
	for i, r := range rows {
		objects[i] = r.Resource
	}
	titles, err := readTitles(ctx, p, objects...)
	for i, object := range objects {
		found = append(found, titled{object.ID, titles[i]})
	}
	return found, next, err
}

// readPage reads a page of the relationships that match the filter, in the order of the store. next is the cursor of
// the next page. readPage reads no other relationships. A cursor continues the list as it was when the first page was
// read.
func readPage(
	ctx context.Context, p *plan, cursors pages.Cursors, page Page, filter authz.Filter,
) (rows []authz.Relationship, next string, err error) {
	start := authz.Page{Limit: page.limit() + 1}
	if page.Cursor != "" {
		if start.Cursor, err = cursors.Parse(page.Cursor); err != nil {
			return nil, "", err
		}
	}
	if _, err := p.head(ctx); err != nil {
		return nil, "", err
	}
	var last string
	for item, err := range p.engine.Read(ctx, filter, p.Consistency(), start) {
		if err != nil {
			return nil, "", err
		}
		if len(rows) == page.limit() {
			return rows, cursors.New(last), nil
		}
		rows, last = append(rows, item.Relationship), item.Cursor
	}
	return rows, "", nil
}

func (s *Service) groupResult(by Caller, id authz.ID) result[Group] {
	return result[Group]{Group{ID: id}, func(ctx context.Context) (Group, authz.Token, error) {
		return s.GetGroup(ctx, by, id)
	}}
}
