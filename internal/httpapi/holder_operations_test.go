package httpapi_test

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
)

// holderCases are the operations of service accounts, custom roles and groups.
func holderCases(cursor func(list, id, position string) string) []operationCase {
	done, firstPage := `{"token":"t1"}`, operation.Page{}
	serviceAccountRoles := `{"service_account":"sa1","roles":["viewer"],"expires_at":"2030-01-01T00:00:00Z","token":"t1"}`
	nightly, crew := authz.Holder{Type: "service_account", ID: "sa1"}, authz.Holder{Type: "group", ID: "g1"}
	onAccount, onSubscription := authz.Object{Type: "account", ID: "a1"}, authz.Object{Type: "subscription", ID: "s1"}
	groupRoles := `{"group":"g1","roles":["viewer"],"expires_at":"2030-01-01T00:00:00Z","token":"t1"}`
	group := `{"id":"g1","subscription":"s1","title":"Data team","token":"t1"}`
	auditorVersion := string(someRole.Version())
	auditor := `{"id":"auditor","title":"Auditor","description":"Reads","scope":"subscription:s1","builtin":false,"grants":["importer.view","importer.run"],"version":"` + auditorVersion + `","token":"t1"}`
	return []operationCase{
		{
			"POST", "/v1/accounts/a1/service-accounts", `{"id":"sa1","title":"Robot","roles":["user"]}`, false,
			"CreateServiceAccount",
			args(operation.ServiceAccount{
				ID: "sa1", Place: authz.Object{Type: "account", ID: "a1"}, Title: "Robot",
			}, []string{"user"}), 201,
			`{"id":"sa1","account":"a1","title":"Robot","roles":["user"],"token":"t1"}`,
		},
		{
			"POST", "/v1/subscriptions/s1/service-accounts", `{"id":"sa1","title":"Robot"}`, false, "CreateServiceAccount",
			args(operation.ServiceAccount{
				ID: "sa1", Place: authz.Object{Type: "subscription", ID: "s1"}, Title: "Robot",
			}, []string(nil)), 201,
			`{"id":"sa1","subscription":"s1","title":"Robot","token":"t1"}`,
		},
		{
			"GET", "/v1/accounts/a1/service-accounts?limit=7&cursor=" + cursor("listAccountServiceAccounts", "a1", "abc"), "",
			false, "ServiceAccounts",
			args(authz.Object{Type: "account", ID: "a1"}, operation.Page{Limit: 7, Cursor: "abc"}), 200,
			`{"service_accounts":[{"id":"sa1","title":"Robot"}],"next_cursor":"` +
				cursor("listAccountServiceAccounts", "a1", "next") + `","token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/service-accounts", "", false, "ServiceAccounts",
			args(authz.Object{Type: "subscription", ID: "s1"}, firstPage), 200,
			`{"service_accounts":[{"id":"sa1","title":"Robot"}],"next_cursor":"` +
				cursor("listSubscriptionServiceAccounts", "s1", "next") + `","token":"t1"}`,
		},
		{
			"GET", "/v1/service-accounts/sa1", "", false, "GetServiceAccount", args(authz.ID("sa1")), 200,
			`{"id":"sa1","account":"a1","title":"Robot","roles":["user"],"expires_at":"2030-01-01T12:00:00Z","token":"t1"}`,
		},
		{
			"DELETE", "/v1/service-accounts/sa1", "", false, "Delete",
			args(authz.Object{Type: "service_account", ID: "sa1"}), 200, done,
		},
		{
			"GET", "/v1/accounts/a1/service-accounts/sa1/roles", "", false, "GetHolderRoles",
			args(onAccount, nightly), 200, serviceAccountRoles,
		},
		{
			"PUT", "/v1/accounts/a1/service-accounts/sa1/roles", `{"roles":["user"],"expires_at":"2030-01-01T12:00:00Z"}`, false, "PutHolderRoles",
			args(onAccount, nightly, []string{"user"}, time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)), 200, serviceAccountRoles,
		},
		{
			"DELETE", "/v1/accounts/a1/service-accounts/sa1/roles", "", false, "RemoveHolderRoles",
			args(onAccount, nightly), 200, done,
		},
		{
			"PUT", "/v1/subscriptions/s1/service-accounts/sa1/roles", `{"roles":["it_admin"]}`, false, "PutHolderRoles",
			args(onSubscription, nightly, []string{"it_admin"}, time.Time{}), 200, serviceAccountRoles,
		},
		{
			"DELETE", "/v1/subscriptions/s1/service-accounts/sa1/roles", "", false, "RemoveHolderRoles",
			args(onSubscription, nightly), 200, done,
		},
		{
			"POST", "/v1/accounts/a1/roles", `{"id":"auditor","title":"Auditor","grants":["importer.run"],"from":"guest"}`, false,
			"CreateCustomRole", args(operation.NewCustomRole{
				ID: "auditor", Scope: onAccount, Title: "Auditor", Grants: []string{"importer.run"}, From: "guest",
			}), 201, auditor,
		},
		{
			"POST", "/v1/subscriptions/s1/roles", `{"id":"auditor","title":"Auditor","description":"Reads"}`, false,
			"CreateCustomRole", args(operation.NewCustomRole{
				ID: "auditor", Scope: onSubscription, Title: "Auditor", Description: "Reads",
			}), 201, auditor,
		},
		{
			"PUT", "/v1/accounts/a1/roles/auditor", `{"title":"Auditor","grants":[]}`, false, "ReplaceCustomRole",
			args(onAccount, authz.ID("auditor"), operation.RoleContent{Title: "Auditor", Grants: []string{}}), 200, auditor,
		},
		{
			"PUT", "/v1/subscriptions/s1/roles/auditor", `{"title":"Auditor","grants":["importer.run"]}`, false, "ReplaceCustomRole",
			args(onSubscription, authz.ID("auditor"), operation.RoleContent{Title: "Auditor", Grants: []string{"importer.run"}}), 200, auditor,
		},
		{
			"DELETE", "/v1/accounts/a1/roles/auditor?cascade=true", "", false, "DeleteCustomRole",
			args(onAccount, authz.ID("auditor"), true, []string(nil)), 200, done,
		},
		{
			"DELETE", "/v1/subscriptions/s1/roles/auditor", "", false, "DeleteCustomRole",
			args(onSubscription, authz.ID("auditor"), false, []string(nil)), 200, done,
		},
		{"GET", "/v1/accounts/a1/roles/auditor", "", false, "GetRole", args(onAccount, authz.ID("auditor")), 200, auditor},
		{"GET", "/v1/subscriptions/s1/roles/auditor", "", false, "GetRole", args(onSubscription, authz.ID("auditor")), 200, auditor},
		{
			"GET", "/v1/accounts/a1/roles", "", false, "ListRoles", args(onAccount, firstPage), 200,
			`{"roles":[{"id":"owner","title":"Owner","scope":"account:a1","builtin":true,"required":true,"grants":["account.view"]},{"id":"auditor","title":"Auditor","description":"Reads","builtin":false,"grants":["importer.view","importer.run"],"version":"` + auditorVersion + `"}],"next_cursor":"` + cursor("listAccountRoles", "a1", "next") + `","token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/roles?limit=7", "", false, "ListRoles", args(onSubscription, operation.Page{Limit: 7}), 200,
			`{"roles":[{"id":"owner","title":"Owner","scope":"account:a1","builtin":true,"required":true,"grants":["account.view"]},{"id":"auditor","title":"Auditor","description":"Reads","builtin":false,"grants":["importer.view","importer.run"],"version":"` + auditorVersion + `"}],"next_cursor":"` + cursor("listSubscriptionRoles", "s1", "next") + `","token":"t1"}`,
		},
		{
			"GET", "/v1/accounts/a1/roles/auditor/holders", "", false, "RoleHolders", args(onAccount, authz.ID("auditor"), firstPage), 200,
			`{"holders":[{"holder":"user:bob","on":"account:a1","expires_at":"2030-01-01T00:00:00Z"},{"holder":"group:g1","on":"importer:i1"}],"next_cursor":"` + httpapi.SealCursor(operateKey, "listAccountRoleHolders", "a1", "alice", "next", gin.Param{Key: "role", Value: "auditor"}) + `","token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/roles/auditor/holders", "", false, "RoleHolders", args(onSubscription, authz.ID("auditor"), firstPage), 200,
			`{"holders":[{"holder":"user:bob","on":"account:a1","expires_at":"2030-01-01T00:00:00Z"},{"holder":"group:g1","on":"importer:i1"}],"next_cursor":"` + httpapi.SealCursor(operateKey, "listSubscriptionRoleHolders", "s1", "alice", "next", gin.Param{Key: "role", Value: "auditor"}) + `","token":"t1"}`,
		},
		{
			"POST", "/v1/subscriptions/s1/groups", `{"id":"g1","title":"Data team"}`, false, "CreateGroup",
			args(operation.Group{ID: "g1", Subscription: "s1", Title: "Data team"}), 201, group,
		},
		{
			"GET", "/v1/subscriptions/s1/groups?limit=7&cursor=" + cursor("listGroups", "s1", "abc"), "", false, "SubscriptionGroups",
			args(authz.ID("s1"), operation.Page{Limit: 7, Cursor: "abc"}), 200,
			`{"groups":[{"id":"g1","title":"Data team"}],"next_cursor":"` + cursor("listGroups", "s1", "next") + `","token":"t1"}`,
		},
		{
			"GET", "/v1/accounts/acme/groups", "", false, "AccountGroups", args(authz.ID("acme"), firstPage), 200,
			`{"groups":[{"group":"g1","roles":["viewer"],"expires_at":"2030-01-01T00:00:00Z"}],"next_cursor":"` + cursor("listAccountGroups", "acme", "next") + `","token":"t1"}`,
		},
		{
			"GET", "/v1/accounts/a1/groups/g1", "", false, "GetHolderRoles",
			args(onAccount, crew), 200, groupRoles,
		},
		{
			"PUT", "/v1/accounts/a1/groups/g1", `{"roles":["viewer"]}`, false, "PutHolderRoles",
			args(onAccount, crew, []string{"viewer"}, time.Time{}), 200, groupRoles,
		},
		{
			"DELETE", "/v1/accounts/a1/groups/g1", "", false, "RemoveHolderRoles",
			args(onAccount, crew), 200, done,
		},
		{
			"GET", "/v1/subscriptions/s1/groups/g1/roles", "", false, "GetHolderRoles",
			args(onSubscription, crew), 200, groupRoles,
		},
		{
			"PUT", "/v1/subscriptions/s1/groups/g1/roles", `{"roles":["it_admin"]}`, false, "PutHolderRoles",
			args(onSubscription, crew, []string{"it_admin"}, time.Time{}), 200, groupRoles,
		},
		{
			"DELETE", "/v1/subscriptions/s1/groups/g1/roles", "", false, "RemoveHolderRoles",
			args(onSubscription, crew), 200, done,
		},
		{
			"DELETE", "/v1/accounts/acme/members/bob?groups=leave", "", false, "RemoveAccountMemberAndGroups",
			args(authz.ID("acme"), authz.ID("bob")), 200, done,
		},
		{"GET", "/v1/groups/g1", "", false, "GetGroup", args(authz.ID("g1")), 200, group},
		{"PUT", "/v1/groups/g1", `{"title":"New"}`, false, "RenameGroup", args(authz.ID("g1"), authz.ID("New")), 200, group},
		{"DELETE", "/v1/groups/g1", "", false, "Delete", args(authz.Object{Type: "group", ID: "g1"}), 200, done},
		{
			"GET", "/v1/groups/g1/members", "", false, "GroupMembers", args(authz.ID("g1"), firstPage), 200,
			`{"members":[{"user":"bob"}],"next_cursor":"` + cursor("listGroupMembers", "g1", "next") + `","token":"t1"}`,
		},
		{
			"PATCH", "/v1/groups/g1/members", `{"add":["bob","user:carol"],"remove":["dave"]}`, false, "ChangeGroupMembers",
			args(authz.ID("g1"), []authz.ID{"bob", "carol"}, []authz.ID{"dave"}), 200, done,
		},
		{"PUT", "/v1/groups/g1/members/user:bob", "", false, "AddGroupMember", args(authz.ID("g1"), authz.ID("bob")), 200, done},
		{"DELETE", "/v1/groups/g1/members/bob", "", false, "RemoveGroupMember", args(authz.ID("g1"), authz.ID("bob")), 200, done},
	}
}
