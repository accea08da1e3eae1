package client

import (
	"context"
	"iter"
	"time"

	"github.com/sluice-authz/sluice/client/rest"
)

// Groups lists the groups of a subscription.
func (a *Actor) Groups(ctx context.Context, subscription string) iter.Seq2[ListedGroup, error] {
	return pages(func(cursor string) ([]ListedGroup, string, error) {
		page, err := answer[rest.GroupPage](a.rest.ListGroups(
			ctx, subscription, &rest.ListGroupsParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.Groups, page.NextCursor, err
	})
}

// CreateGroup creates a group without members in a subscription.
func (a *Actor) CreateGroup(ctx context.Context, subscription, id, title string) (Group, error) {
	return answer[Group](a.rest.CreateGroup(ctx, subscription, nil, rest.NewGroup{ID: id, Title: title}))
}

// GetGroup returns a group.
func (a *Actor) GetGroup(ctx context.Context, id string) (Group, error) {
	return answer[Group](a.rest.GetGroup(ctx, id, nil))
}

// RenameGroup replaces the title of a group.
func (a *Actor) RenameGroup(ctx context.Context, id, title string) (Group, error) {
	return answer[Group](a.rest.PutGroup(ctx, id, nil, rest.GroupTitle{Title: title}))
}

// DeleteGroup deletes a group. Its members lose the access that they had through the group.
func (a *Actor) DeleteGroup(ctx context.Context, id string) error {
	return done(a.rest.DeleteGroup(ctx, id, nil))
}

// GroupMembers lists the ids of the members of a group.
func (a *Actor) GroupMembers(ctx context.Context, id string) iter.Seq2[string, error] {
	return pages(func(cursor string) ([]string, string, error) {
		page, err := answer[rest.GroupMemberPage](a.rest.ListGroupMembers(
			ctx, id, &rest.ListGroupMembersParams{Limit: &pageSize, Cursor: cursor},
		))
		members := make([]string, len(page.Members))
		for i, member := range page.Members {
			members[i] = member.User
		}
		return members, page.NextCursor, err
	})
}

// ChangeGroupMembers adds people to a group and removes others. For more than 500 people, the server makes several
// writes: it first removes people, and then adds people.
func (a *Actor) ChangeGroupMembers(ctx context.Context, id string, add, remove []string) error {
	return done(a.rest.PatchGroupMembers(ctx, id, nil, rest.GroupMembers{Add: add, Remove: remove}))
}

// AddGroupMember adds a person to a group.
func (a *Actor) AddGroupMember(ctx context.Context, id, user string) error {
	return done(a.rest.AddGroupMember(ctx, id, user, nil))
}

// RemoveGroupMember removes a person from a group.
func (a *Actor) RemoveGroupMember(ctx context.Context, id, user string) error {
	return done(a.rest.RemoveGroupMember(ctx, id, user, nil))
}

// AccountGroups lists the groups that hold roles on an account.
func (a *Actor) AccountGroups(ctx context.Context, account string) iter.Seq2[AccountGroup, error] {
	return pages(func(cursor string) ([]AccountGroup, string, error) {
		page, err := answer[rest.AccountGroupPage](a.rest.ListAccountGroups(
			ctx, account, &rest.ListAccountGroupsParams{Limit: &pageSize, Cursor: cursor},
		))
		return page.Groups, page.NextCursor, err
	})
}

// GetAccountGroup returns the roles of a group on an account. If the group holds no role there, the error is NotFound.
func (a *Actor) GetAccountGroup(ctx context.Context, account, group string) (GroupRoles, error) {
	return answer[GroupRoles](a.rest.GetAccountGroup(ctx, account, group, nil))
}

// PutAccountGroup sets the roles of a group on an account permanently.
func (a *Actor) PutAccountGroup(ctx context.Context, account, group string, roles ...string) (GroupRoles, error) {
	return a.PutAccountGroupUntil(ctx, account, group, time.Time{}, roles...)
}

// PutAccountGroupUntil sets the roles of a group on an account until a time. The server drops a fraction of a second.
// The zero time means permanently.
func (a *Actor) PutAccountGroupUntil(
	ctx context.Context, account, group string, until time.Time, roles ...string,
) (GroupRoles, error) {
	return answer[GroupRoles](a.rest.PutAccountGroup(
		ctx, account, group, nil, rest.HolderRoles{Roles: list(roles), ExpiresAt: until},
	))
}

// RemoveAccountGroup removes all roles of a group on an account.
func (a *Actor) RemoveAccountGroup(ctx context.Context, account, group string) error {
	return done(a.rest.RemoveAccountGroup(ctx, account, group, nil))
}

// GetSubscriptionGroupRoles returns the roles of a group on its subscription. If the group holds no role there, the
// error is NotFound.
func (a *Actor) GetSubscriptionGroupRoles(ctx context.Context, subscription, group string) (GroupRoles, error) {
	return answer[GroupRoles](a.rest.GetSubscriptionGroupRoles(ctx, subscription, group, nil))
}

// PutSubscriptionGroupRoles sets the roles of a group on its subscription. The subscription must have the role set
// single_owner.
func (a *Actor) PutSubscriptionGroupRoles(
	ctx context.Context, subscription, group string, roles ...string,
) (GroupRoles, error) {
	return answer[GroupRoles](a.rest.PutSubscriptionGroupRoles(
		ctx, subscription, group, nil, rest.SubscriptionHolderRoles{Roles: list(roles)},
	))
}

// RemoveSubscriptionGroupRoles removes all roles of a group on its subscription.
func (a *Actor) RemoveSubscriptionGroupRoles(ctx context.Context, subscription, group string) error {
	return done(a.rest.RemoveSubscriptionGroupRoles(ctx, subscription, group, nil))
}
