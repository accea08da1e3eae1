package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type roleOperations interface {
	CreateCustomRole(
		ctx context.Context, by operation.Caller, in operation.NewCustomRole,
	) (operation.RoleDefinition, operation.Done, error)
	ReplaceCustomRole(
		ctx context.Context, by operation.Caller, scope authz.Object, id authz.ID, content operation.RoleContent,
	) (operation.RoleDefinition, operation.Done, error)
	DeleteCustomRole(
		ctx context.Context, by operation.Caller, scope authz.Object, id authz.ID, cascade bool, match []string,
	) (operation.Done, error)
	GetRole(
		ctx context.Context, by operation.Caller, place authz.Object, id authz.ID,
	) (operation.RoleDefinition, authz.Token, error)
	ListRoles(
		ctx context.Context, by operation.Caller, place authz.Object, page operation.Page,
	) (operation.RoleDefinitions, authz.Token, error)
	RoleHolders(
		ctx context.Context, by operation.Caller, place authz.Object, id authz.ID, page operation.Page,
	) (operation.RoleHolders, authz.Token, error)
}

// createRole decodes POST /v1/accounts/{id}/roles, and the same call on a subscription.
func createRole(place authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		body, err := decodeBody[NewRole](r)
		if err != nil {
			return nil, err
		}
		var in reader
		input := operation.NewCustomRole{
			ID: in.roleID("id", body.ID), Scope: authz.Object{Type: place, ID: r.id()}, Title: in.title(body.Title),
			Description: in.description(body.Description), Grants: body.Grants, From: optional(body.From),
		}
		if body.From != nil && *body.From == "" {
			in.refuse("from", "is empty; name a role, or leave the field out")
		}
		if in.err != nil {
			return nil, in.err
		}
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			role, done, err := on.CreateCustomRole(ctx, r.caller(), input)
			return showRoleAfter(role, done, err)
		}, nil
	}
}

// putRole decodes PUT /v1/accounts/{id}/roles/{role}, and the same call on a subscription.
func putRole(place authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		body, err := decodeBody[RoleContent](r)
		if err != nil {
			return nil, err
		}
		var in reader
		content := operation.RoleContent{
			Title: in.title(body.Title), Description: in.description(body.Description), Grants: body.Grants, Match: r.match,
		}
		if in.err != nil {
			return nil, in.err
		}
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			role, done, err := on.ReplaceCustomRole(
				ctx, r.caller(), authz.Object{Type: place, ID: r.id()}, r.role(), content,
			)
			return showRoleAfter(role, done, err)
		}, nil
	}
}

// deleteRole decodes DELETE /v1/accounts/{id}/roles/{role}, and the same call on a subscription.
func deleteRole(place authz.Type) func(request) (writeCall, error) {
	return func(r request) (writeCall, error) {
		cascade := r.query.Get("cascade") == "true"
		return func(ctx context.Context, on Operations) (any, operation.Done, error) {
			done, err := on.DeleteCustomRole(
				ctx, r.caller(), authz.Object{Type: place, ID: r.id()}, r.role(), cascade, r.match,
			)
			return doneAnswer(done), done, err
		}, nil
	}
}

// role returns the role in the path.
func (r request) role() authz.ID { return authz.ID(r.params.ByName("role")) }

// ListAccountRoles implements ServerInterface.
func (a *productAPI) ListAccountRoles(c *gin.Context, id ID, params ListAccountRolesParams) {
	a.listRoles(c, accountOf(id), page(params.Limit, params.Cursor))
}

// ListSubscriptionRoles implements ServerInterface.
func (a *productAPI) ListSubscriptionRoles(c *gin.Context, id ID, params ListSubscriptionRolesParams) {
	a.listRoles(c, subscriptionOf(id), page(params.Limit, params.Cursor))
}

func accountOf(id ID) authz.Object      { return authz.Object{Type: "account", ID: authz.ID(id)} }
func subscriptionOf(id ID) authz.Object { return authz.Object{Type: "subscription", ID: authz.ID(id)} }

func (a *productAPI) listRoles(c *gin.Context, place authz.Object, page operation.Page) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		roles, token, err := a.operations.ListRoles(ctx, callOf(c).caller(), place, page)
		if err != nil {
			return nil, err
		}
		refer := referrer{&err}
		listed := make([]ListedRole, len(roles.Roles))
		for i, role := range roles.Roles {
			listed[i] = ListedRole{
				ID: string(role.ID), Title: string(role.Title), Description: nilIfEmpty(role.Description),
				Scope: refer.scope(role), Builtin: role.BuiltIn, Required: nilIfFalse(role.IsRequired),
				Grants: showGrants(role), Version: versionOf(role),
			}
		}
		return RoleDefinitionPage{Roles: listed, NextCursor: roles.NextCursor, Token: string(token)}, err
	})
}

// GetAccountRole implements ServerInterface.
func (a *productAPI) GetAccountRole(c *gin.Context, id ID, role RoleID, _ GetAccountRoleParams) {
	a.getRole(c, accountOf(id), authz.ID(role))
}

// GetSubscriptionRole implements ServerInterface.
func (a *productAPI) GetSubscriptionRole(c *gin.Context, id ID, role RoleID, _ GetSubscriptionRoleParams) {
	a.getRole(c, subscriptionOf(id), authz.ID(role))
}

func (a *productAPI) getRole(c *gin.Context, place authz.Object, id authz.ID) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		role, token, err := a.operations.GetRole(ctx, callOf(c).caller(), place, id)
		if err != nil {
			return nil, err
		}
		return showRole(role, token)
	})
}

// ListAccountRoleHolders implements ServerInterface.
func (a *productAPI) ListAccountRoleHolders(
	c *gin.Context, id ID, role RoleID, params ListAccountRoleHoldersParams,
) {
	a.listRoleHolders(c, accountOf(id), authz.ID(role), page(params.Limit, params.Cursor))
}

// ListSubscriptionRoleHolders implements ServerInterface.
func (a *productAPI) ListSubscriptionRoleHolders(
	c *gin.Context, id ID, role RoleID, params ListSubscriptionRoleHoldersParams,
) {
	a.listRoleHolders(c, subscriptionOf(id), authz.ID(role), page(params.Limit, params.Cursor))
}

func (a *productAPI) listRoleHolders(c *gin.Context, place authz.Object, role authz.ID, page operation.Page) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		holders, token, err := a.operations.RoleHolders(ctx, callOf(c).caller(), place, role, page)
		if err != nil {
			return nil, err
		}
		refer := referrer{&err}
		listed := make([]RoleHolder, len(holders.Holders))
		for i, h := range holders.Holders {
			listed[i] = RoleHolder{
				Holder: refer.object(h.Holder.Object()), On: refer.object(h.On), ExpiresAt: showTime(h.ExpiresAt),
			}
		}
		return RoleHolderPage{Holders: listed, NextCursor: holders.NextCursor, Token: string(token)}, err
	})
}

// showRoleAfter shows a role that an operation has written.
func showRoleAfter(role operation.RoleDefinition, done operation.Done, err error) (any, operation.Done, error) {
	if err != nil {
		return nil, done, err
	}
	shown, err := showRole(role, done.Token)
	return shown, done, err
}

func showRole(role operation.RoleDefinition, token authz.Token) (shown RoleDefinition, err error) {
	refer := referrer{&err}
	return RoleDefinition{
		ID: string(role.ID), Title: nilIfEmpty(role.Title), Description: nilIfEmpty(role.Description),
		Scope: refer.scope(role), Builtin: new(role.BuiltIn), Required: nilIfFalse(role.IsRequired),
		Grants: new(showGrants(role)), Version: versionOf(role), Token: string(token),
	}, err
}

// scope returns the reference to the scope of a role, or nil if the scope is hidden.
func (f referrer) scope(role operation.RoleDefinition) *RoleScope {
	if role.Scope.Type == "" {
		return nil
	}
	return new(f.object(role.Scope))
}

func showGrants(role operation.RoleDefinition) []string {
	grants := make([]string, len(role.Grants))
	for i, grant := range role.Grants {
		grants[i] = grant.String()
	}
	return grants
}

// versionOf returns the version of a custom role, or nil for a built-in role.
func versionOf(role operation.RoleDefinition) *string {
	if role.BuiltIn {
		return nil
	}
	return new(string(role.Version()))
}

// tagged is an answer with a version of the object.
type tagged interface{ etag() string }

// etag returns the entity tag of a custom role, or "" for an answer without one.
func (r RoleDefinition) etag() string {
	if r.Version == nil {
		return ""
	}
	return `"` + *r.Version + `"`
}

const ifMatchHeader = "If-Match"

// readMatch reads the versions in the header If-Match. They are nil if the call has no such header, or if it accepts
// any version.
func (k *call) readMatch(header http.Header) error {
	values, given := header[ifMatchHeader]
	if !k.route.conditional || !given {
		return nil
	}
	k.match = []string{}
	for _, tag := range listItems(values) {
		version, isStart := strings.CutPrefix(tag, `"`)
		version, isEnd := strings.CutSuffix(version, `"`)
		switch {
		case tag == "*":
			k.match = nil
			return nil
		case !isStart || !isEnd:
			return authz.Errorf(authz.CodeInvalid,
				"the header %s must have versions in quotation marks, as in the header ETag of an answer, or *", ifMatchHeader)
		}
		k.match = append(k.match, version)
	}
	return nil
}
