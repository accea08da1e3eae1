package httpapi_test

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

var someGroup = operation.Group{ID: "g1", Subscription: "s1", Title: "Data team"}

func (o *operations) CreateGroup(
	ctx context.Context, by operation.Caller, in operation.Group,
) (operation.Group, operation.Done, error) {
	return in, o.done(), o.record(ctx, "CreateGroup", by, in)
}

func (o *operations) RemoveAccountMemberAndGroups(
	ctx context.Context, by operation.Caller, id, user authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "RemoveAccountMemberAndGroups", by, id, user)
}

func (o *operations) RemainingGroups(
	context.Context, operation.Caller, authz.ID, authz.ID,
) ([]operation.HolderRoles, error) {
	return nil, nil
}

func (o *operations) GetGroup(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.Group, authz.Token, error) {
	return someGroup, token, o.record(ctx, "GetGroup", by, id)
}

func (o *operations) RenameGroup(
	ctx context.Context, by operation.Caller, id, title authz.ID,
) (operation.Group, operation.Done, error) {
	return someGroup, o.done(), o.record(ctx, "RenameGroup", by, id, title)
}

func (o *operations) SubscriptionGroups(
	ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
) (operation.Groups, authz.Token, error) {
	return operation.Groups{Groups: []operation.Group{someGroup}, NextCursor: "next"}, token,
		o.record(ctx, "SubscriptionGroups", by, id, page)
}

func (o *operations) GroupMembers(
	ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
) (operation.GroupMembers, authz.Token, error) {
	return operation.GroupMembers{Members: []authz.ID{"bob"}, NextCursor: "next"}, token,
		o.record(ctx, "GroupMembers", by, id, page)
}

func (o *operations) ChangeGroupMembers(
	ctx context.Context, by operation.Caller, id authz.ID, add, remove []authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "ChangeGroupMembers", by, id, add, remove)
}

func (o *operations) AddGroupMember(
	ctx context.Context, by operation.Caller, id, user authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "AddGroupMember", by, id, user)
}

func (o *operations) RemoveGroupMember(
	ctx context.Context, by operation.Caller, id, user authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "RemoveGroupMember", by, id, user)
}
