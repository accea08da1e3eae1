package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// GetAccountMember returns a person who holds a role on an account, with their roles there. It needs list_members,
// unless the person is the actor.
func (s *Service) GetAccountMember(ctx context.Context, by Caller, id, who authz.ID) (Member, authz.Token, error) {
	return s.getMember(ctx, by, accountObject(id), who, func(ctx context.Context, p *plan) (authz.RoleSet, error) {
		facts, err := readAccount(ctx, p, id)
		return facts.set, err
	})
}

// GetSubscriptionMember returns a person who holds a role on a subscription, with their roles there. It needs
// list_users, unless the person is the actor.
func (s *Service) GetSubscriptionMember(ctx context.Context, by Caller, id, who authz.ID) (Member, authz.Token, error) {
	return s.getMember(ctx, by, subscriptionObject(id), who, func(ctx context.Context, p *plan) (authz.RoleSet, error) {
		facts, err := readSubscription(ctx, p, id)
		return facts.set, err
	})
}

// getMember returns a person's roles on an object. It returns an error with CodeNotFound if the actor may not view
// the object, and if the person holds no role on it.
func (s *Service) getMember(
	ctx context.Context, by Caller, object authz.Object, who authz.ID,
	roleSet func(context.Context, *plan) (authz.RoleSet, error),
) (Member, authz.Token, error) {
	var member Member
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, rolesFact(by, object, who)); err != nil {
			return err
		}
		set, err := roleSet(ctx, p)
		if err != nil {
			return err
		}
		held, err := readRoles(ctx, p, object, set, who)
		if err != nil {
			return err
		}
		via, err := readGroupsOf(ctx, p, object, set, who)
		if err != nil {
			return err
		}
		if len(held)+len(via) == 0 {
			return authz.Errorf(authz.CodeNotFound, "%s holds no role on %s", who, object)
		}
		member = Member{User: who, Roles: rolesOf(held), ExpiresAt: lastEnd(held), Via: via}
		return nil
	})
	return answered(member, token, err)
}

// rolesFact returns the fact that shows a person's roles on an object to the caller.
func rolesFact(by Caller, object authz.Object, who authz.ID) visibility.Fact {
	if who == by.Actor.Person() {
		return visibility.Existence(object)
	}
	return visibility.Roles(object)
}

// Subscriptions is a page of subscriptions; NextCursor is empty at the end.
type Subscriptions struct {
	Subscriptions []Subscription
	NextCursor    string
}

// Subscriptions returns a page of all subscriptions. It has no actor and checks no permission. A cursor continues the
// list as it was when the first page was read. Each page leaves out subscriptions that were deleted since.
func (s *Service) Subscriptions(ctx context.Context, by Caller, page Page) (Subscriptions, authz.Token, error) {
	var subscriptions Subscriptions
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		rows, next, err := readPage(ctx, p, pages.CursorsOf("subscriptions"), page, authz.Filter{
			Type: "subscription", Relation: "platform", SubjectType: platform.Type, SubjectID: platform.ID, SubjectPlain: true,
		})
		if err != nil {
			return err
		}
		ids := make([]authz.ID, len(rows))
		for i, r := range rows {
			ids[i] = r.Resource.ID
		}
		subscriptions.NextCursor = next
		subscriptions.Subscriptions, err = readSubscriptions(ctx, p, ids)
		return err
	})
	return answered(subscriptions, token, err)
}

// readSubscriptions reads several subscriptions at a time. It leaves out subscriptions that do not exist.
func readSubscriptions(ctx context.Context, p *plan, ids []authz.ID) ([]Subscription, error) {
	flags := make([]authz.Filter, len(ids))
	for i, id := range ids {
		object := subscriptionObject(id)
		flags[i] = authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user, SubjectWildcard: true}
	}
	if _, err := p.FindAll(ctx, flags); err != nil {
		return nil, err
	}
	var found []Subscription
	for _, id := range ids {
		facts, err := readSubscription(ctx, p, id)
		switch {
		case errors.Is(err, authz.CodeNotFound): // the subscription was deleted after the list was read
			continue
		case err != nil:
			return nil, err
		}
		found = append(found, Subscription{ID: id, RoleSet: facts.set.Name, Features: facts.features})
	}
	return found, nil
}
