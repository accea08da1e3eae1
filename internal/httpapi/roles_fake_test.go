package httpapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

var someRole = operation.RoleDefinition{CustomRole: operation.CustomRole{
	ID: "auditor", Scope: authz.Object{Type: "subscription", ID: "s1"}, Title: "Auditor", Description: "Reads",
	Grants: []authz.Grant{{Type: "importer", Permission: "view"}, {Type: "importer", Permission: "run"}},
}}

func (o *operations) CreateCustomRole(
	ctx context.Context, by operation.Caller, in operation.NewCustomRole,
) (operation.RoleDefinition, operation.Done, error) {
	return someRole, o.done(), o.record(ctx, "CreateCustomRole", by, in)
}

func (o *operations) ReplaceCustomRole(
	ctx context.Context, by operation.Caller, scope authz.Object, id authz.ID, content operation.RoleContent,
) (operation.RoleDefinition, operation.Done, error) {
	return someRole, o.done(), o.record(ctx, "ReplaceCustomRole", by, scope, id, content)
}

func (o *operations) DeleteCustomRole(
	ctx context.Context, by operation.Caller, scope authz.Object, id authz.ID, cascade bool, match []string,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "DeleteCustomRole", by, scope, id, cascade, match)
}

func (o *operations) GetRole(
	ctx context.Context, by operation.Caller, place authz.Object, id authz.ID,
) (operation.RoleDefinition, authz.Token, error) {
	return someRole, token, o.record(ctx, "GetRole", by, place, id)
}

func (o *operations) ListRoles(
	ctx context.Context, by operation.Caller, place authz.Object, page operation.Page,
) (operation.RoleDefinitions, authz.Token, error) {
	owner := operation.RoleDefinition{BuiltIn: true, IsRequired: true, CustomRole: operation.CustomRole{
		ID: "owner", Scope: authz.Object{Type: "account", ID: "a1"}, Title: "Owner",
		Grants: []authz.Grant{{Type: "account", Permission: "view"}},
	}}
	hidden := someRole
	hidden.Scope = authz.Object{}
	roles := operation.RoleDefinitions{Roles: []operation.RoleDefinition{owner, hidden}, NextCursor: "next"}
	return roles, token, o.record(ctx, "ListRoles", by, place, page)
}

func (o *operations) RoleHolders(
	ctx context.Context, by operation.Caller, place authz.Object, id authz.ID, page operation.Page,
) (operation.RoleHolders, authz.Token, error) {
	holders := operation.RoleHolders{NextCursor: "next", Holders: []operation.RoleHolder{
		{
			Holder: authz.Person("bob"), On: authz.Object{Type: "account", ID: "a1"},
			ExpiresAt: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		},
		{Holder: authz.Holder{Type: "group", ID: "g1"}, On: authz.Object{Type: "importer", ID: "i1"}},
	}}
	return holders, token, o.record(ctx, "RoleHolders", by, place, id, page)
}

// TestVersionsOfRoles checks the headers ETag and If-Match.
func TestVersionsOfRoles(t *testing.T) {
	w := serve(t)
	const path = "/v1/accounts/a1/roles/auditor"
	read := w.do(t, request{method: "GET", path: path, key: operateKey, actor: "alice"})
	tag := `"` + string(someRole.Version()) + `"`
	require.Equal(t, tag, read.header.Get("ETag"))
	list := w.do(t, request{method: "GET", path: "/v1/accounts/a1/roles", key: operateKey, actor: "alice"})
	require.Empty(t, list.header.Get("ETag"))
	for header, want := range map[string][]string{
		tag:           {string(someRole.Version())},
		`"a", ` + tag: {"a", string(someRole.Version())},
		`"a" , "b"`:   {"a", "b"},
		"*":           nil,
		`"a", *`:      nil,
		`""`:          {""},
	} {
		put := request{
			method: "PUT", path: path, key: operateKey, actor: "alice", body: `{"title":"T","grants":[]}`,
			header: http.Header{"If-Match": {header}},
		}
		answer := w.do(t, put)
		require.Equal(t, 200, answer.status, answer.body)
		require.Equal(t, tag, answer.header.Get("ETag"))
		require.Equal(t, want, w.operations.args[2].(operation.RoleContent).Match, header)
		put.method, put.body = "DELETE", ""
		require.Equal(t, 200, w.do(t, put).status)
		require.Equal(t, want, w.operations.args[3], header)
	}
	for _, header := range []string{"", "a", `W/"a"`, `"a`} {
		w.do(t, request{
			method: "DELETE", path: path, key: operateKey, actor: "alice", header: http.Header{"If-Match": {header}},
		}).wantProblem(t, 400, "invalid", "must have versions in quotation marks")
	}
}
