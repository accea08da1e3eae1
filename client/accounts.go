package client

import (
	"context"
	"iter"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// CreateAccount creates an account in a subscription.
func (a *Actor) CreateAccount(ctx context.Context, in NewAccount) (Account, error) {
	return answer[Account](a.rest.CreateAccount(ctx, nil, in))
}

// GetAccount returns an account.
func (a *Actor) GetAccount(ctx context.Context, id string) (Account, error) {
	return answer[Account](a.rest.GetAccount(ctx, id, nil))
}

// DeleteAccount deletes an account with everything in it and every reference to it.
func (a *Actor) DeleteAccount(ctx context.Context, id string) error {
	return done(a.rest.DeleteAccount(ctx, id, nil))
}

// Accounts lists the accounts on which the actor holds roles, with these roles.
func (a *Actor) Accounts(ctx context.Context) iter.Seq2[ListedAccount, error] {
	return userAccounts(ctx, a.rest, a.user)
}

// UserAccounts lists the accounts on which a person holds roles, with these roles. It needs a key with the scope
// inspect.
func (c *Client) UserAccounts(ctx context.Context, user string) iter.Seq2[ListedAccount, error] {
	return userAccounts(ctx, c.rest, user)
}

func userAccounts(ctx context.Context, by *rest.Client, user string) iter.Seq2[ListedAccount, error] {
	return pages(func(cursor string) ([]ListedAccount, string, error) {
		page, err := answer[rest.AccountPage](by.ListUserAccounts(
			ctx, user, &rest.ListUserAccountsParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.Accounts, page.NextCursor, err
	})
}

// AccountHolders lists the members of an account of one type: user, group or service_account. The field Holder of a
// group or service account names it, for example group:data-team.
func (a *Actor) AccountHolders(ctx context.Context, id, holderType string) iter.Seq2[Member, error] {
	return pages(func(cursor string) ([]Member, string, error) {
		page, err := answer[rest.MemberPage](a.rest.ListAccountMembers(
			ctx, id, &rest.ListAccountMembersParams{HolderType: &holderType, Limit: &pageSize, Cursor: cursor},
		))
		return page.Members, page.NextCursor, err
	})
}

// AccountMembers lists the people who are members of an account.
func (a *Actor) AccountMembers(ctx context.Context, id string) iter.Seq2[Member, error] {
	return pages(func(cursor string) ([]Member, string, error) {
		page, err := answer[rest.MemberPage](a.rest.ListAccountMembers(
			ctx, id, &rest.ListAccountMembersParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.Members, page.NextCursor, err
	})
}

// GetAccountMember returns a member of an account. If the person holds no role on the account, the error is NotFound.
func (a *Actor) GetAccountMember(ctx context.Context, id, user string) (MemberDetails, error) {
	return answer[MemberDetails](a.rest.GetAccountMember(ctx, id, user, nil))
}

// PutAccountMember sets the roles of a person on an account permanently.
func (a *Actor) PutAccountMember(ctx context.Context, id, user string, roles ...string) (ChangedMember, error) {
	return a.PutAccountMemberUntil(ctx, id, user, time.Time{}, roles...)
}

// PutAccountMemberUntil sets the roles of a person on an account until a time. The server drops a fraction of a
// second. The zero time means permanently.
func (a *Actor) PutAccountMemberUntil(
	ctx context.Context, id, user string, until time.Time, roles ...string,
) (ChangedMember, error) {
	return answer[ChangedMember](a.rest.PutAccountMember(
		ctx, id, user, nil, rest.AccountRoles{Roles: list(roles), ExpiresAt: until},
	))
}

// AddAccountOwner adds an owner to a team account, without an actor. It needs a key with the scope provision. The
// audit log stores the reason.
func (c *Client) AddAccountOwner(ctx context.Context, id, user, reason string) (ChangedMember, error) {
	return c.addRequiredRole(ctx, id, user, "owner", reason)
}

// AddAccountAdministrator adds an administrator to an operations account, without an actor. It needs a key with the
// scope provision. The audit log stores the reason.
func (c *Client) AddAccountAdministrator(ctx context.Context, id, user, reason string) (ChangedMember, error) {
	return c.addRequiredRole(ctx, id, user, "administrator", reason)
}

func (c *Client) addRequiredRole(ctx context.Context, id, user, role, reason string) (ChangedMember, error) {
	return answer[ChangedMember](
		c.rest.PutAccountMember(ctx, id, user, nil, rest.AccountRoles{Roles: list([]string{role}), Reason: reason}),
	)
}

// RemoveAccountMember removes a person from an account.
func (a *Actor) RemoveAccountMember(ctx context.Context, id, user string) error {
	return done(a.rest.RemoveAccountMember(ctx, id, user, nil))
}

// RemoveAccountMemberAndGroups removes a person from an account and from all groups of its subscription.
func (a *Actor) RemoveAccountMemberAndGroups(ctx context.Context, id, user string) (RemovedMember, error) {
	return answer[RemovedMember](
		a.rest.RemoveAccountMember(ctx, id, user, &rest.RemoveAccountMemberParams{Groups: new("leave")}),
	)
}

// PatchAccountMembers sets the roles of many people on one account. If the change fits into one write, it is atomic.
// Otherwise the server first removes roles, in several writes. Then it grants all new roles in one write.
func (a *Actor) PatchAccountMembers(ctx context.Context, id string, members RolesByID) ([]Member, error) {
	changed, err := answer[rest.ChangedMembers](
		a.rest.PatchAccountMembers(ctx, id, nil, rest.AccountMembers{Members: rest.RolesByPerson(rolesByID(members))}),
	)
	return changed.Members, err
}
