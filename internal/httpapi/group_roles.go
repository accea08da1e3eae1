package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type groupRoleOperations interface {
	AccountGroups(
		ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
	) (operation.AccountGroups, authz.Token, error)
	GetAccountGroup(
		ctx context.Context, by operation.Caller, id, group authz.ID,
	) (operation.HolderRoles, authz.Token, error)
	PutAccountGroup(
		ctx context.Context, by operation.Caller, id, group authz.ID, roles []string, until time.Time,
	) (operation.HolderRoles, operation.Done, error)
	RemoveAccountGroup(ctx context.Context, by operation.Caller, id, group authz.ID) (operation.Done, error)
	PutSubscriptionGroupRoles(
		ctx context.Context, by operation.Caller, id, group authz.ID, roles []string,
	) (operation.HolderRoles, operation.Done, error)
	GetSubscriptionGroupRoles(
		ctx context.Context, by operation.Caller, id, group authz.ID,
	) (operation.HolderRoles, authz.Token, error)
	RemoveSubscriptionGroupRoles(ctx context.Context, by operation.Caller, id, group authz.ID) (operation.Done, error)
}

// ListAccountGroups implements ServerInterface.
func (a *productAPI) ListAccountGroups(c *gin.Context, id ID, params ListAccountGroupsParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		groups, token, err := a.operations.AccountGroups(
			ctx, callOf(c).caller(), authz.ID(id), page(params.Limit, params.Cursor),
		)
		listed := optional(showGroups(groups.Groups))
		page := AccountGroupPage{NextCursor: groups.NextCursor, Token: string(token)}
		page.Groups = append([]AccountGroup{}, listed...)
		return page, err
	})
}

// GetAccountGroup implements ServerInterface.
func (a *productAPI) GetAccountGroup(c *gin.Context, id ID, group GroupID, _ GetAccountGroupParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		roles, token, err := a.operations.GetAccountGroup(ctx, callOf(c).caller(), authz.ID(id), authz.ID(group))
		return showGroupRoles(roles, token), err
	})
}

// putAccountGroup decodes PUT /v1/accounts/{id}/groups/{group}.
func putAccountGroup(r request) (writeCall, error) {
	body, err := decodeBody[HolderRoles](r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		roles, done, err := on.PutAccountGroup(ctx, r.caller(), r.id(), r.group(), body.Roles, endOf(body.ExpiresAt))
		return showGroupRoles(roles, done.Token), done, err
	}, nil
}

// removeAccountGroup decodes DELETE /v1/accounts/{id}/groups/{group}.
func removeAccountGroup(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.RemoveAccountGroup(ctx, r.caller(), r.id(), r.group())
		return doneAnswer(done), done, err
	}, nil
}

// GetSubscriptionGroupRoles implements ServerInterface.
func (a *productAPI) GetSubscriptionGroupRoles(
	c *gin.Context, id ID, group GroupID, _ GetSubscriptionGroupRolesParams,
) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		roles, token, err := a.operations.GetSubscriptionGroupRoles(ctx, callOf(c).caller(), authz.ID(id), authz.ID(group))
		return showGroupRoles(roles, token), err
	})
}

// putSubscriptionGroupRoles decodes PUT /v1/subscriptions/{id}/groups/{group}/roles.
func putSubscriptionGroupRoles(r request) (writeCall, error) {
	body, err := decodeBody[SubscriptionGroupRoles](r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		roles, done, err := on.PutSubscriptionGroupRoles(ctx, r.caller(), r.id(), r.group(), body.Roles)
		return showGroupRoles(roles, done.Token), done, err
	}, nil
}

// removeSubscriptionGroupRoles decodes DELETE /v1/subscriptions/{id}/groups/{group}/roles.
func removeSubscriptionGroupRoles(r request) (writeCall, error) {
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		done, err := on.RemoveSubscriptionGroupRoles(ctx, r.caller(), r.id(), r.group())
		return doneAnswer(done), done, err
	}, nil
}

// group returns the group in the path.
func (r request) group() authz.ID { return authz.ID(r.params.ByName("group")) }

func showGroupRoles(h operation.HolderRoles, token authz.Token) GroupRoles {
	shown := GroupRoles{Group: string(h.Holder.ID), ExpiresAt: showTime(h.ExpiresAt), Token: string(token)}
	if h.Roles != nil {
		shown.Roles = new(toStrings(h.Roles))
	}
	return shown
}

// showGroups shows groups with their roles. It returns nil if there are none, so that an answer leaves them out.
func showGroups(groups []operation.HolderRoles) *[]AccountGroup {
	if len(groups) == 0 {
		return nil
	}
	shown := make([]AccountGroup, len(groups))
	for i, group := range groups {
		shown[i] = AccountGroup{
			Group: string(group.Holder.ID), Roles: toStrings(group.Roles), ExpiresAt: showTime(group.ExpiresAt),
		}
	}
	return &shown
}
