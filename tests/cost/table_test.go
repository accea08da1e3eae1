package cost_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// expensive returns the most expensive requests to every endpoint of the contract, by the operation id of the
// endpoint. A request without a path uses the path in the contract, with the account a, the person p1, and so on. If
// all requests to an endpoint cost the same, the table has one simple request.
func expensive() map[string][]request {
	long := strings.Repeat("w", 64) // the longest name that is allowed, which is similar to no other name
	text := strings.Repeat("x", 40<<10)
	past := time.Now().UTC().Format(time.RFC3339Nano)
	check := func(i int, permission string) map[string]any {
		return map[string]any{
			"subject": fmt.Sprint("user:p", i%people), "permission": permission, "resource": fmt.Sprint("importer:i", i%things),
		}
	}
	checks := func(permission string) []byte {
		all := make([]any, 1000)
		for i := range all {
			all[i] = check(i, permission)
		}
		return asJSON(map[string]any{"checks": all, "consistency": "fully_consistent"})
	}
	keys := func(n int) map[string]any {
		all := make(map[string]any, n)
		for i := range n {
			all[fmt.Sprint("key", i)] = i
		}
		return all
	}
	evaluations := func(defaults map[string]any, item func(i int) any) []byte {
		all := make([]any, 1000)
		for i := range all {
			all[i] = item(i)
		}
		defaults["evaluations"] = all
		return asJSON(defaults)
	}
	entity := func(typ, id string) map[string]any { return map[string]any{"type": typ, "id": id} }
	with := func(of map[string]any, properties map[string]any) map[string]any {
		of["properties"] = properties
		return of
	}
	one := func(body any) []request { return []request{{actor: "olga", body: asJSON(body)}} }
	plain := func(actor string) []request { return []request{{actor: actor}} }
	list := func(path string) []request { return []request{{actor: "olga", path: path}} }
	created := func(extra ...any) map[string]any {
		body := map[string]any{"id": "new"}
		for i := 0; i < len(extra); i += 2 {
			body[extra[i].(string)] = extra[i+1]
		}
		return body
	}
	newRole := func(path, from string) []request {
		return []request{{path: path, actor: "olga", body: asJSON(created("title", "New", "from", from))}}
	}
	content := map[string]any{"title": "New", "grants": []string{"importer.view", "importer.run", "account.view"}}
	open := func() []request { return []request{{}} }

	requests := map[string][]request{
		"check": {
			{name: "with a context of many keys", body: asJSON(
				map[string]any{"subject": "user:p1", "permission": "view", "resource": "importer:i1", "context": keys(60_000)},
			)},
			{name: "with a context of small numbers", body: []byte(
				`{"subject":"user:p1","permission":"view","resource":"importer:i1","context":{"a":[` + strings.Repeat(
					"1e-300,", 149_000,
				) + `5e-324]}}`,
			)},
			{name: "of an unknown name", body: asJSON(check(1, long))},
			{name: "of an unknown type", body: asJSON(
				map[string]any{"subject": "user:p1", "permission": "view", "resource": strings.Repeat("w", 128) + ":x"},
			)},
		},
		"checkBulk": {
			{name: "of a thousand", body: checks("edit")},
			{name: "of unknown names", body: checks(long)},
			{name: "of malformed names", body: checks(strings.Repeat("W", 64))},
			{
				name: "of unknown types",
				body: []byte(strings.ReplaceAll(string(checks("edit")), "importer:", strings.Repeat("w", 64)+":")),
			},
		},
		"decidePermissions":   one(map[string]any{"subject": "user:p1", "resource": "account:a"}),
		"describePermissions": plain(""),
		"lookupResources": {
			{name: "of importers", body: asJSON(
				map[string]any{"subject": "user:p1", "permission": "view", "resource_type": "importer", "limit": 1000},
			)},
			{name: "with a context of many keys", body: asJSON(
				map[string]any{"subject": "user:p1", "permission": "view", "resource_type": "importer", "context": keys(60_000)},
			)},
		},
		"lookupSubjects":        one(map[string]any{"resource": "importer:i1", "permission": "view", "subject_type": "user"}),
		"listAccountContents":   list(escaped("/v1/accounts/a/importers", "actor", "p1", "limit", "1000")),
		"listWorkspaceContents": list(escaped("/v1/workspaces/w/flows", "actor", "p1", "limit", "1000")),
		"explain": {
			{name: "why somebody may", body: asJSON(check(1, "view"))},
			{
				name: "why somebody may not",
				body: asJSON(map[string]any{"subject": "user:nobody", "permission": "edit", "resource": "importer:i1"}),
			},
			{
				name: "why a member may not",
				body: asJSON(map[string]any{"subject": "user:p299", "permission": "use", "resource": "connection:c1"}),
			},
		},
		"listRoleSets":      plain(""),
		"listRelationships": {{path: escaped("/v1/relationships", "resource", "account:a", "limit", "1000")}},
		"writeRelationships": {
			{name: "as many as may be", body: asJSON(updates("create", "dashboard:new#editor@user:u%d"))},
			{name: "that exist already", body: asJSON(updates("create", "dashboard:d#editor@user:p%d"))},
			{name: "of as many objects", body: asJSON(updates("touch", "folder:f%d#viewer@user:p1"))},
			{name: "of unknown types", body: asJSON(updates("touch", long+long+":f%d#viewer@user:p1"))},
			{name: "of unknown relations", body: asJSON(updates("touch", "folder:f%d#"+long+"@user:p1"))},
			{name: "with preconditions", body: asJSON(map[string]any{
				"updates":       []any{map[string]any{"operation": "touch", "relationship": "folder:f#viewer@user:p1"}},
				"preconditions": absent("dashboard:d", 990),
			})},
		},
		"deleteRelationships": {
			{name: "of nothing", path: "/v1/relationships?resource=folder:none"},
			{name: "of very many", path: "/v1/relationships?resource=dashboard:large"},
		},
		"listAudit": {
			{name: "of everything", path: escaped("/v1/audit", "limit", "1000")},
			{name: "of a person", path: escaped("/v1/audit", "limit", "1000", "account", "a"), actor: "olga"},
			{name: "of what never was", path: escaped("/v1/audit", "limit", "1000", "object", "importer:none")},
		},
		"streamAudit": {{path: "/v1/events"}},
		"accessThen":  {{path: escaped("/v1/access", "resource", "importer:i1", "permission", "view", "at", past)}},
		"preview": {
			{
				name: "of a deletion", actor: "olga",
				body: asJSON(map[string]any{"method": "DELETE", "path": "/v1/subscriptions/s"}),
			},
			{
				name: "of the largest deletion", actor: "olga",
				body: asJSON(map[string]any{"method": "DELETE", "path": "/v1/accounts/previewed"}),
			},
			{name: "of one role among many", actor: "olga", body: asJSON(map[string]any{
				"method": "PUT", "path": "/v1/accounts/previewed/members/v1", "body": map[string]any{"roles": []string{"guest"}},
			})},
		},
		"addPlatformAdministrator":    plain(""),
		"removePlatformAdministrator": plain(""),
		"putConnector": {
			{path: "/v1/connectors/crm", body: asJSON(map[string]any{"capabilities": []string{"views", "financial_settings"}})},
		},
		"deleteConnector":    {{path: "/v1/connectors/none", actor: "olga"}},
		"createConnector":    one(created("account", "a")),
		"createSubscription": one(created("role_set", "multi_owner", "owner", "olga")),
		"putFeatures": {{
			path: "/v1/subscriptions/s/features",
			body: asJSON(map[string]any{"features": []string{"user_permissions", "dashboards"}}),
		}},
		"getSubscription":          list("/v1/subscriptions/s"),
		"deleteSubscription":       list("/v1/subscriptions/s"),
		"listSubscriptionAccounts": list("/v1/subscriptions/s/accounts?limit=1000"),
		"listSubscriptionPeople":   list("/v1/subscriptions/s/people?limit=1000"),
		"listSubscriptionMembers":  list("/v1/subscriptions/s/members?limit=1000&by_account=true"),
		"putSubscriptionMember": {
			{path: "/v1/subscriptions/s/members/p1", actor: "olga", body: asJSON(map[string]any{"roles": []string{"it_admin"}})},
		},
		"removeSubscriptionMember": list("/v1/subscriptions/s/members/p298"),
		"putMemberAccounts": {{
			path: "/v1/subscriptions/s/members/p1/accounts", actor: "olga",
			body: asJSON(map[string]any{"accounts": roles("a", 1000, "editor")}),
		}},
		"transferSubscription": {
			{path: "/v1/subscriptions/s/transfer", actor: "olga", body: asJSON(map[string]any{"to": "p1"})},
		},
		"eraseUser":             {{path: "/v1/users/p299"}},
		"listUserAccounts":      {{path: "/v1/users/olga/accounts?limit=1000", actor: "olga"}},
		"createAccount":         one(created("subscription", "s", "role_set", "operations")),
		"getAccount":            plain("olga"),
		"listSubscriptions":     {{path: "/v1/subscriptions?limit=1000"}},
		"getAccountMember":      list("/v1/accounts/a/members/p1"),
		"getSubscriptionMember": list("/v1/subscriptions/s/members/olga"),
		"getImporter":           list("/v1/importers/i1"),
		"getConnection":         list("/v1/connections/c1"),
		"getWorkspace":          list("/v1/workspaces/w"),
		"getConnector":          list("/v1/connectors/crm"),
		"deleteAccount":         plain("olga"),
		"listAccountMembers":    list("/v1/accounts/a/members?limit=1000"),
		"patchAccountMembers": {
			{name: "with too many", actor: "olga", body: asJSON(map[string]any{"members": roles("n", 1000, "guest")})},
			{name: "with more than may be", actor: "olga", body: asJSON(map[string]any{"members": roles("n", 20_000, "guest")})},
		},
		"putAccountMember":    one(map[string]any{"roles": []string{"guest"}}),
		"removeAccountMember": list("/v1/accounts/a/members/p2"),
		"reportOffboarding":   plain("olga"),
		"inviteToSubscription": {{
			path: "/v1/subscriptions/s/invitations", actor: "olga", body: asJSON(map[string]any{"roles": []string{"it_admin"}}),
		}},
		"listSubscriptionInvitations":    list("/v1/subscriptions/s/invitations?limit=1000"),
		"withdrawSubscriptionInvitation": list("/v1/subscriptions/s/invitations/none"),
		"inviteToAccount":                one(map[string]any{"roles": []string{"guest"}}),
		"listAccountInvitations":         list("/v1/accounts/a/invitations?limit=1000"),
		"withdrawAccountInvitation":      list("/v1/accounts/a/invitations/none"),
		"acceptInvitation":               list("/v1/invitations/" + strings.Repeat("x", 200) + "/accept"),
		"declineInvitation":              list("/v1/invitations/" + strings.Repeat("x", 200) + "/decline"),
		"createImporter":                 one(created("account", "a", "source", "c1", "destination", "c2")),
		"setImporterConnections": {{
			path: "/v1/importers/i1/connections", actor: "olga",
			body: asJSON(map[string]any{"source": "c1", "destination": "c2"}),
		}},
		"copyImporter": {
			{path: "/v1/importers/i1/copy", actor: "olga", body: asJSON(created("id", "copied"))},
		},
		"deleteImporter":   list("/v1/importers/i2"),
		"createConnection": one(created("account", "a", "connector", "crm")),
		"shareConnection": {
			{
				name: "with as many as may be", path: "/v1/connections/c1/sharing", actor: "olga",
				body: asJSON(map[string]any{"visibility": "private", "users": names("p", people)}),
			},
			{
				name: "with strangers", path: "/v1/connections/c1/sharing", actor: "olga",
				body: asJSON(map[string]any{"visibility": "private", "users": names("z", 1000)}),
			},
		},
		"deleteConnection":  list("/v1/connections/c3"),
		"groupConnection":   {{path: "/v1/connections/c1/group", actor: "olga", body: asJSON(map[string]any{"group": "g"})}},
		"ungroupConnection": list("/v1/connections/c1/group"),
		"createWorkspace":   one(created("account", "o", "open", true)),
		"setWorkspaceAccess": {{
			path: "/v1/workspaces/w/access", actor: "olga",
			body: asJSON(map[string]any{"open": false, "users": names("p", people)}),
		}},
		"deleteWorkspace": list("/v1/workspaces/w"),
		"createGroup": {
			{path: "/v1/subscriptions/s/groups", actor: "olga", body: asJSON(map[string]any{"id": "new", "title": "New"})},
		},
		"createAccountRole":      newRole("/v1/accounts/a/roles", "user"),
		"createSubscriptionRole": newRole("/v1/subscriptions/s/roles", "owner"),
		"putAccountRole":         {{path: "/v1/accounts/a/roles/a-1", actor: "olga", body: asJSON(content)}},
		"putSubscriptionRole":    {{path: "/v1/subscriptions/s/roles/s-1", actor: "olga", body: asJSON(content)}},
		"deleteAccountRole":      list("/v1/accounts/a/roles/a-2"),
		"deleteSubscriptionRole": list("/v1/subscriptions/s/roles/s-2?cascade=true"),
		"listAccountRoles":       list("/v1/accounts/a/roles?limit=1000"),
		"listSubscriptionRoles":  list("/v1/subscriptions/s/roles?limit=1000"),
		"getAccountRole":         list("/v1/accounts/a/roles/a-1"),
		"getSubscriptionRole":    list("/v1/subscriptions/s/roles/s-1"),

		"listAccountRoleHolders":      list("/v1/accounts/a/roles/user/holders?limit=1000"),
		"listSubscriptionRoleHolders": list("/v1/subscriptions/s/roles/s-1/holders?limit=1000"),

		"listAccountGroups": list("/v1/accounts/a/groups?limit=1000"),
		"getAccountGroup":   list("/v1/accounts/a/groups/crew"),
		"putAccountGroup": {
			{path: "/v1/accounts/a/groups/crew", actor: "olga", body: asJSON(map[string]any{"roles": []string{"guest"}})},
		},
		"removeAccountGroup": list("/v1/accounts/a/groups/crew"),
		"putSubscriptionGroupRoles": {{
			path: "/v1/subscriptions/s/groups/crew/roles", actor: "olga", body: asJSON(map[string]any{"roles": []string{"it_admin"}}),
		}},
		"getSubscriptionGroupRoles":    list("/v1/subscriptions/s/groups/crew/roles"),
		"removeSubscriptionGroupRoles": list("/v1/subscriptions/s/groups/crew/roles"),
		"listGroups":                   list("/v1/subscriptions/s/groups?limit=1000"),
		"getGroup":                     list("/v1/groups/crew"),
		"putGroup":                     {{path: "/v1/groups/crew", actor: "olga", body: asJSON(map[string]any{"title": "New"})}},
		"listGroupMembers":             list("/v1/groups/crew/members?limit=1000"),
		"patchGroupMembers": {
			{
				name: "with very many", path: "/v1/groups/crew/members", actor: "olga",
				body: asJSON(map[string]any{"add": names("z", 5000)}),
			},
		},
		"addGroupMember":    list("/v1/groups/crew/members/p1"),
		"removeGroupMember": list("/v1/groups/crew/members/p2"),
		"deleteGroup":       list("/v1/groups/crew"),
		"createAccountServiceAccount": {{
			path: "/v1/accounts/a/service-accounts", actor: "olga",
			body: asJSON(map[string]any{"id": "new", "title": "New", "roles": []string{"user"}}),
		}},
		"createSubscriptionServiceAccount": {{
			path: "/v1/subscriptions/s/service-accounts", actor: "olga",
			body: asJSON(map[string]any{"id": "new2", "title": "New"}),
		}},
		"listAccountServiceAccounts":      list("/v1/accounts/a/service-accounts?limit=1000"),
		"listSubscriptionServiceAccounts": list("/v1/subscriptions/s/service-accounts?limit=1000"),
		"getServiceAccount":               list("/v1/service-accounts/a-1"),
		"getAccountServiceAccountRoles":   list("/v1/accounts/a/service-accounts/a-1/roles"),
		"putAccountServiceAccountRoles": {{
			path: "/v1/accounts/a/service-accounts/a-1/roles", actor: "olga",
			body: asJSON(map[string]any{"roles": []string{"user"}}),
		}},
		"removeAccountServiceAccountRoles": list("/v1/accounts/a/service-accounts/a-1/roles"),
		"putSubscriptionServiceAccountRoles": {{
			path: "/v1/subscriptions/s/service-accounts/s-1/roles", actor: "olga",
			body: asJSON(map[string]any{"roles": []string{"it_admin"}}),
		}},
		"removeSubscriptionServiceAccountRoles": list("/v1/subscriptions/s/service-accounts/s-1/roles"),
		"deleteServiceAccount":                  list("/v1/service-accounts/a-1"),
		"evaluate": {
			{name: "with a context of many keys", body: asJSON(map[string]any{
				"subject": entity("user", "p1"), "action": map[string]any{"name": "view"}, "resource": entity("importer", "i1"),
				"context": keys(60_000),
			})},
			{name: "of a long name", body: asJSON(map[string]any{
				"subject": entity("user", "p1"), "action": map[string]any{"name": strings.Repeat("w", 1<<19)},
				"resource": entity("importer", "i1"),
			})},
		},
		"evaluateAll": {
			{name: "of a thousand", body: evaluations(map[string]any{
				"action": map[string]any{"name": "view"}, "resource": entity("importer", "i1"),
			}, func(i int) any {
				return map[string]any{"subject": entity("user", fmt.Sprint("p", i))}
			})},
			{name: "with a default of 40 kB", body: evaluations(map[string]any{
				"subject": with(entity("user", "p1"), map[string]any{"x": text}), "action": map[string]any{"name": text},
				"resource": entity("importer", "i1"),
			}, func(int) any { return map[string]any{} })},
			{name: "with a default type of 40 kB", body: evaluations(map[string]any{
				"subject": entity(text, "p1"), "action": map[string]any{"name": "view"}, "resource": entity("importer", "i1"),
			}, func(int) any { return map[string]any{} })},
			{name: "with a default of many keys", body: evaluations(map[string]any{
				"subject": entity("user", "p1"), "action": map[string]any{"name": "view"}, "resource": entity("importer", "i1"),
				"context": keys(50_000),
			}, func(int) any { return map[string]any{} })},
			{name: "of unknown names", body: evaluations(map[string]any{
				"subject": entity("user", "p1"), "action": map[string]any{"name": long}, "resource": entity("importer", "i1"),
			}, func(int) any { return map[string]any{} })},
		},
		"searchSubjects": one(map[string]any{
			"subject": map[string]any{"type": "user"}, "action": map[string]any{"name": "view"},
			"resource": entity("importer", "i1"), "page": map[string]any{"limit": 1000}, "context": keys(50_000),
		}),
		"searchResources": one(map[string]any{
			"subject": entity("user", "p1"), "action": map[string]any{"name": "view"},
			"resource": map[string]any{"type": "importer"}, "page": map[string]any{"limit": 1000}, "context": keys(50_000),
		}),
		"searchActions": one(
			map[string]any{"subject": entity("user", "p1"), "resource": entity("account", "a"), "context": keys(50_000)},
		),
		"getAuthZENConfiguration": open(),
		"getHealth":               open(),
		"getReady":                open(),
		"getContract":             open(),
		"getRoot":                 open(),
		"getDocs":                 open(),
		"getDocsStart":            open(),
		"getDocsScript":           open(),
		"getDocsStyle":            open(),
		"getMetrics":              open(),
	}
	for _, typ := range authz.SimpleTypes {
		name := strings.ToUpper(string(typ.Name[:1])) + string(typ.Name[1:])
		place := map[authz.Type]string{"account": "a", "workspace": "w"}[typ.Place]
		requests["create"+name] = one(created(string(typ.Place), place))
		requests["get"+name] = list("/v1/" + typ.Collection() + "/none")
		requests["delete"+name] = list("/v1/" + typ.Collection() + "/none")
	}
	return requests
}
