package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type holderRoleOperations interface {
	AccountGroups(
		ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
	) (operation.AccountGroups, authz.Token, error)
	GetHolderRoles(
		ctx context.Context, by operation.Caller, on authz.Object, holder authz.Holder,
	) (operation.HolderRoles, authz.Token, error)
	PutHolderRoles(
		ctx context.Context, by operation.Caller, on authz.Object, holder authz.Holder, roles []string, until time.Time,
	) (operation.HolderRoles, operation.Done, error)
	RemoveHolderRoles(
		ctx context.Context, by operation.Caller, on authz.Object, holder authz.Holder,
	) (operation.Done, error)
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
	a.getHolderRoles(c, "account", id, authz.TypeGroup, group)
}

// GetSubscriptionGroupRoles implements ServerInterface.
func (a *productAPI) GetSubscriptionGroupRoles(
	c *gin.Context, id ID, group GroupID, _ GetSubscriptionGroupRolesParams,
) {
	a.getHolderRoles(c, "subscription", id, authz.TypeGroup, group)
}

// GetAccountServiceAccountRoles implements ServerInterface.
func (a *productAPI) GetAccountServiceAccountRoles(
	c *gin.Context, id ID, account ServiceAccountID, _ GetAccountServiceAccountRolesParams,
) {
	a.getHolderRoles(c, "account", id, authz.TypeServiceAccount, account)
}

// getHolderRoles answers with the roles of a group or service account on an account or subscription.
func (a *productAPI) getHolderRoles(c *gin.Context, on authz.Type, id ID, holders authz.Type, holder ID) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		roles, token, err := a.operations.GetHolderRoles(
			ctx, callOf(c).caller(), authz.Object{Type: on, ID: authz.ID(id)},
			authz.Holder{Type: holders, ID: authz.ID(holder)},
		)
		return showHolderRoles(roles, token), err
	})
}

// putHolderRoles decodes a request that sets the roles of a group or service account on an account or subscription.
// The last parameter in the path is the holder.
func putHolderRoles(on, holders authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		body, err := decodeHolderRoles(r, on)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, operations Operations) (any, operation.Done, error) {
			roles, done, err := operations.PutHolderRoles(
				ctx, r.caller(), r.object(on), r.holder(holders), body.Roles, endOf(body.ExpiresAt),
			)
			return showHolderRoles(roles, done.Token), done, err
		}, nil
	}
}

// decodeHolderRoles decodes roles with their end. Roles on a subscription have no end.
func decodeHolderRoles(r request, on authz.Type) (HolderRoles, error) {
	if on == "account" {
		return decodeBody[HolderRoles](r)
	}
	body, err := decodeBody[SubscriptionHolderRoles](r)
	return HolderRoles{Roles: body.Roles}, err
}

// removeHolderRoles decodes a request that removes the roles of a group or service account on an account or
// subscription.
func removeHolderRoles(on, holders authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		return func(ctx context.Context, operations Operations) (any, operation.Done, error) {
			done, err := operations.RemoveHolderRoles(ctx, r.caller(), r.object(on), r.holder(holders))
			return doneAnswer(done), done, err
		}, nil
	}
}

// object returns the object of a type whose id is in the path.
func (r request) object(typ authz.Type) authz.Object { return authz.Object{Type: typ, ID: r.id()} }

// holder returns the group or service account in the path. The name of the parameter is the type of the holder.
func (r request) holder(typ authz.Type) authz.Holder {
	return authz.Holder{Type: typ, ID: authz.ID(r.params.ByName(string(typ)))}
}

func showHolderRoles(h operation.HolderRoles, token authz.Token) any {
	var roles *RoleNames
	if h.Roles != nil {
		roles = new(toStrings(h.Roles))
	}
	id, end := string(h.Holder.ID), showTime(h.ExpiresAt)
	if h.Holder.Type == authz.TypeGroup {
		return GroupRoles{Group: id, Roles: roles, ExpiresAt: end, Token: string(token)}
	}
	return ServiceAccountRoles{ServiceAccount: id, Roles: roles, ExpiresAt: end, Token: string(token)}
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
