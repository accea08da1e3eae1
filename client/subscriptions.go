package client

import (
	"context"
	"iter"

	"github.com/sluice-authz/sluice/client/rest"
)

// CreateSubscription creates a subscription with its first owner. It needs a key with the scope provision.
func (c *Client) CreateSubscription(ctx context.Context, in NewSubscription) (Subscription, error) {
	return answer[Subscription](c.rest.CreateSubscription(ctx, nil, in))
}

// PutFeatures replaces the features of a subscription. It needs a key with the scope provision.
func (c *Client) PutFeatures(ctx context.Context, subscription string, features ...string) (Subscription, error) {
	return answer[Subscription](c.rest.PutFeatures(ctx, subscription, nil, rest.Features{Features: list(features)}))
}

// Subscriptions lists all subscriptions. It needs a key with the scope inspect.
func (c *Client) Subscriptions(ctx context.Context) iter.Seq2[ListedSubscription, error] {
	return pages(func(cursor string) ([]ListedSubscription, string, error) {
		params := &rest.ListSubscriptionsParams{Limit: &pageSize, Cursor: cursor}
		page, err := answer[rest.SubscriptionPage](c.rest.ListSubscriptions(ctx, params))
		return page.Subscriptions, page.NextCursor, err
	})
}

// GetSubscription returns a subscription.
func (a *Actor) GetSubscription(ctx context.Context, id string) (Subscription, error) {
	return answer[Subscription](a.rest.GetSubscription(ctx, id, nil))
}

// DeleteSubscription deletes a subscription with all of its accounts and everything in them.
func (a *Actor) DeleteSubscription(ctx context.Context, id string) error {
	return done(a.rest.DeleteSubscription(ctx, id, nil))
}

// TransferSubscription transfers a subscription to another owner.
func (a *Actor) TransferSubscription(ctx context.Context, id, to string) error {
	return done(a.rest.TransferSubscription(ctx, id, nil, rest.Transfer{To: to}))
}

// ReplaceSubscriptionOwner replaces the only owner of a single_owner subscription, without an actor. It needs a key
// with the scope provision. The audit log stores the reason.
func (c *Client) ReplaceSubscriptionOwner(ctx context.Context, id, to, reason string) error {
	return done(c.rest.TransferSubscription(ctx, id, nil, rest.Transfer{To: to, Reason: reason}))
}

// AddSubscriptionOwner adds an owner to a multi_owner subscription, without an actor. It needs a key with the scope
// provision. The audit log stores the reason.
func (c *Client) AddSubscriptionOwner(ctx context.Context, id, user, reason string) (ChangedMember, error) {
	return answer[ChangedMember](
		c.rest.PutSubscriptionMember(ctx, id, user, nil, rest.Roles{Roles: list([]string{"owner"}), Reason: reason}),
	)
}

// SubscriptionAccounts lists the accounts of a subscription that the actor may view, with the actor's roles on them.
func (a *Actor) SubscriptionAccounts(ctx context.Context, id string) iter.Seq2[ListedAccount, error] {
	return pages(func(cursor string) ([]ListedAccount, string, error) {
		page, err := answer[rest.AccountPage](a.rest.ListSubscriptionAccounts(
			ctx, id, &rest.ListSubscriptionAccountsParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.Accounts, page.NextCursor, err
	})
}

// SubscriptionMembers lists the people who hold a role on a subscription. With byAccount, each person also has the
// roles that they hold on the accounts of the subscription.
func (a *Actor) SubscriptionMembers(ctx context.Context, id string, byAccount bool) iter.Seq2[Member, error] {
	return pages(func(cursor string) ([]Member, string, error) {
		page, err := answer[rest.MemberPage](a.rest.ListSubscriptionMembers(ctx, id,
			&rest.ListSubscriptionMembersParams{ByAccount: byAccount, Limit: &pageSize, Cursor: cursor}))
		return page.Members, page.NextCursor, err
	})
}

// GetSubscriptionMember returns a member of a subscription. If the person holds no role on the subscription, the error
// is NotFound.
func (a *Actor) GetSubscriptionMember(ctx context.Context, id, user string) (MemberDetails, error) {
	return answer[MemberDetails](a.rest.GetSubscriptionMember(ctx, id, user, nil))
}

// SubscriptionPeople lists everybody who holds a role on a subscription or on one of its accounts. Each person has
// the roles that they hold on the accounts.
func (a *Actor) SubscriptionPeople(ctx context.Context, id string) iter.Seq2[Member, error] {
	return pages(func(cursor string) ([]Member, string, error) {
		page, err := answer[rest.PeoplePage](
			a.rest.ListSubscriptionPeople(ctx, id, &rest.ListSubscriptionPeopleParams{Limit: &pageSize, Cursor: cursor}),
		)
		return page.People, page.NextCursor, err
	})
}

// PutSubscriptionMember sets the roles of a person on a subscription.
func (a *Actor) PutSubscriptionMember(ctx context.Context, id, user string, roles ...string) (ChangedMember, error) {
	return answer[ChangedMember](a.rest.PutSubscriptionMember(ctx, id, user, nil, rest.Roles{Roles: list(roles)}))
}

// RemoveSubscriptionMember removes a person from a subscription and all of its accounts.
func (a *Actor) RemoveSubscriptionMember(ctx context.Context, id, user string) error {
	return done(a.rest.RemoveSubscriptionMember(ctx, id, user, nil))
}

// PutMemberAccounts sets the roles of one person on many accounts of a subscription. If the change fits into one
// write, it is atomic. Otherwise the server first removes roles, in several writes. Then it grants all new roles in
// one write.
func (a *Actor) PutMemberAccounts(ctx context.Context, id, user string, accounts RolesByID) (ChangedMember, error) {
	return answer[ChangedMember](a.rest.PutMemberAccounts(
		ctx, id, user, nil, rest.MemberAccounts{Accounts: rolesByID(accounts)},
	))
}
