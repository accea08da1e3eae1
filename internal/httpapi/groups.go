package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type groupOperations interface {
	holderRoleOperations
	CreateGroup(
		ctx context.Context, by operation.Caller, in operation.Group,
	) (operation.Group, operation.Done, error)
	GetGroup(ctx context.Context, by operation.Caller, id authz.ID) (operation.Group, authz.Token, error)
	RenameGroup(
		ctx context.Context, by operation.Caller, id, title authz.ID,
	) (operation.Group, operation.Done, error)
	SubscriptionGroups(
		ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
	) (operation.Groups, authz.Token, error)
	GroupMembers(
		ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
	) (operation.GroupMembers, authz.Token, error)
	ChangeGroupMembers(
		ctx context.Context, by operation.Caller, id authz.ID, add, remove []authz.ID,
	) (operation.Done, error)
	AddGroupMember(ctx context.Context, by operation.Caller, id, user authz.ID) (operation.Done, error)
	RemoveGroupMember(ctx context.Context, by operation.Caller, id, user authz.ID) (operation.Done, error)
}

// createGroup decodes POST /v1/subscriptions/{id}/groups.
func createGroup(r request) (writeCall, error) {
	body, err := decodeBody[NewGroup](r)
	if err != nil {
		return nil, err
	}
	var in reader
	input := operation.Group{ID: in.id("id", body.ID), Subscription: r.id(), Title: in.title(body.Title)}
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		group, done, err := on.CreateGroup(ctx, r.caller(), input)
		return showGroup(group, done.Token), done, err
	}, nil
}

// ListGroups implements ServerInterface.
func (a *productAPI) ListGroups(c *gin.Context, id ID, params ListGroupsParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		groups, token, err := a.operations.SubscriptionGroups(
			ctx, callOf(c).caller(), authz.ID(id), page(params.Limit, params.Cursor),
		)
		listed := make([]ListedGroup, len(groups.Groups))
		for i, group := range groups.Groups {
			listed[i] = ListedGroup{ID: string(group.ID), Title: string(group.Title)}
		}
		return GroupPage{Groups: listed, NextCursor: groups.NextCursor, Token: string(token)}, err
	})
}

// GetGroup implements ServerInterface.
func (a *productAPI) GetGroup(c *gin.Context, id ID, _ GetGroupParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		group, token, err := a.operations.GetGroup(ctx, callOf(c).caller(), authz.ID(id))
		return showGroup(group, token), err
	})
}

// putGroup decodes PUT /v1/groups/{id}.
func putGroup(r request) (writeCall, error) {
	body, err := decodeBody[GroupTitle](r)
	if err != nil {
		return nil, err
	}
	var in reader
	title := in.title(body.Title)
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		group, done, err := on.RenameGroup(ctx, r.caller(), r.id(), title)
		return showGroup(group, done.Token), done, err
	}, nil
}

// ListGroupMembers implements ServerInterface.
func (a *productAPI) ListGroupMembers(c *gin.Context, id ID, params ListGroupMembersParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		members, token, err := a.operations.GroupMembers(
			ctx, callOf(c).caller(), authz.ID(id), page(params.Limit, params.Cursor),
		)
		listed := make([]GroupMember, len(members.Members))
		for i, who := range members.Members {
			listed[i] = GroupMember{User: string(who)}
		}
		return GroupMemberPage{Members: listed, NextCursor: members.NextCursor, Token: string(token)}, err
	})
}

// patchGroupMembers decodes PATCH /v1/groups/{id}/members.
func patchGroupMembers(r request) (writeCall, error) {
	body, err := decodeBody[GroupMembers](r)
	if err != nil {
		return nil, err
	}
	var in reader
	add, remove := in.people("add", body.Add), in.people("remove", body.Remove)
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.ChangeGroupMembers(ctx, r.caller(), r.id(), add, remove)
		return doneAnswer(done), done, err
	}, nil
}

// changeGroupMember decodes a request that adds the person in the path to a group, or removes the person.
func changeGroupMember(adds bool) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			change := on.RemoveGroupMember
			if adds {
				change = on.AddGroupMember
			}
			done, err := change(ctx, r.caller(), r.id(), r.user())
			return doneAnswer(done), done, err
		}, nil
	}
}

func showGroup(g operation.Group, token authz.Token) Group {
	return Group{
		ID: string(g.ID), Subscription: nilIfEmpty(g.Subscription), Title: nilIfEmpty(g.Title), Token: string(token),
	}
}
