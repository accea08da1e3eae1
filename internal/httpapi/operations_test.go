package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
)

func args(values ...any) []any { return values }

func part(typ authz.Type, id authz.ID, parent authz.Type, parentID authz.ID) operation.Part {
	return operation.Part{Type: typ, ID: id, Parent: authz.Object{Type: parent, ID: parentID}}
}

func (o *operations) wantCall(t *testing.T, name string, caller operation.Caller, args []any) {
	t.Helper()
	if o.name != name || o.caller != caller || !reflect.DeepEqual(o.args, args) {
		t.Errorf(
			"called %s by %+v with %+v, want %s by %+v with %+v", o.name, o.caller, o.args, name, caller, args,
		)
	}
}

// operationCase is a request, the call of Operations that the server must make for it, and the answer of the server.
type operationCase struct {
	method, path, body string
	provision          bool
	name               string
	args               []any
	status             int
	answer             string
}

// TestOperations sends a request for every operation of the contract. It asserts which call of Operations the server
// makes, and how the server answers the result of this call and of a replay. A preview of the request must make the
// same call.
func TestOperations(t *testing.T) {
	shared := `{"id":"c1","account":"acme","connector":"crm","visibility":"shared","users":["bob"],"group":"emea","token":"t1"}`
	done := `{"token":"t1"}`
	firstPage := operation.Page{}
	cursor := func(list, id, position string) string {
		return httpapi.SealCursor(operateKey, list, id, "alice", position)
	}
	tests := []operationCase{
		{"PUT", "/v1/platform/administrators/root", "", true, "AddPlatformAdministrator", args(authz.ID("root")), 200, done},
		{"DELETE", "/v1/platform/administrators/root", "", true, "RemovePlatformAdministrator", args(authz.ID("root")), 200, done},
		{"PUT", "/v1/connectors/crm", `{"capabilities":["views"]}`, true, "PutConnector", args(authz.ID("crm"), []string{"views"}), 200, `{"id":"crm","capabilities":["views"],"token":"t1"}`},
		{
			"POST", "/v1/subscriptions", `{"id":"s1","role_set":"multi_owner","owner":"alice"}`, true, "CreateSubscription",
			args(operation.NewSubscription{ID: "s1", RoleSet: "multi_owner", Owner: "alice"}), 201, `{"id":"s1","role_set":"multi_owner","features":[],"token":"t1"}`,
		},
		{
			"POST", "/v1/subscriptions", `{"id":"s1","role_set":"x","owner":"alice","features":["dashboards"]}`, true, "CreateSubscription",
			args(operation.NewSubscription{ID: "s1", RoleSet: "x", Owner: "alice", Features: []string{"dashboards"}}), 201, `{"id":"s1","role_set":"x","features":[],"token":"t1"}`,
		},
		{
			"PUT", "/v1/subscriptions/s1/features", `{"features":[]}`, true, "PutFeatures", args(authz.ID("s1"), []string{}),
			200, `{"id":"s1","role_set":"multi_owner","features":["user_permissions","dashboards","custom_roles"],"token":"t1"}`,
		},
		{"GET", "/v1/subscriptions/s1", "", false, "GetSubscription", args(authz.ID("s1")), 200, `{"id":"s1","role_set":"multi_owner","features":[],"token":"t1"}`},
		{"DELETE", "/v1/subscriptions/s1", "", false, "Delete", args(authz.Object{Type: "subscription", ID: "s1"}), 200, done},
		{
			"GET", "/v1/subscriptions/s1/accounts?limit=7&cursor=" + cursor("listSubscriptionAccounts", "s1", "abc"), "", false, "SubscriptionAccounts", args(authz.ID("s1"), operation.Page{Limit: 7, Cursor: "abc"}),
			200, `{"accounts":[{"id":"acme","subscription":"s1","role_set":"team","roles":["owner"]}],"next_cursor":"` + cursor("listSubscriptionAccounts", "s1", "next") + `","token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/members?by_account=true", "", false, "SubscriptionMembers", args(authz.ID("s1"), true, firstPage),
			200, `{"members":[{"user":"bob","roles":["member"],"accounts":{"acme":["editor"]}}],"next_cursor":"","token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/members", "", false, "SubscriptionMembers", args(authz.ID("s1"), false, firstPage),
			200, `{"members":[{"user":"bob","roles":["member"],"accounts":{"acme":["editor"]}}],"next_cursor":"","token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/people?limit=7&cursor=" + cursor("listSubscriptionPeople", "s1", "abc"), "", false, "SubscriptionPeople", args(authz.ID("s1"), operation.Page{Limit: 7, Cursor: "abc"}),
			200, `{"people":[{"user":"bob","roles":[],"accounts":{"acme":["editor"]}}],"next_cursor":"` + cursor("listSubscriptionPeople", "s1", "next") + `","token":"t1"}`,
		},
		{
			"PUT", "/v1/subscriptions/s1/members/bob", `{"roles":["it_admin"]}`, false, "PutSubscriptionMember",
			args(authz.ID("s1"), authz.ID("bob"), []string{"it_admin"}), 200, `{"user":"bob","roles":["it_admin"],"token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/members/user:bob", "", false, "GetSubscriptionMember",
			args(authz.ID("s1"), authz.ID("bob")), 200, `{"user":"bob","roles":["viewer"],"expires_at":"2030-01-01T00:00:00Z","token":"t1"}`,
		},
		{
			"GET", "/v1/accounts/acme/members/bob", "", false, "GetAccountMember", args(authz.ID("acme"), authz.ID("bob")),
			200, `{"user":"bob","roles":["viewer"],"expires_at":"2030-01-01T00:00:00Z","token":"t1"}`,
		},
		{
			"GET", "/v1/importers/i1", "", false, "GetImporter", args(authz.ID("i1")),
			200, `{"id":"i1","account":"acme","source":"c1","hidden_ends":["destination"],"token":"t1"}`,
		},
		{
			"GET", "/v1/connections/c1", "", false, "GetConnection", args(authz.ID("c1")),
			200, `{"id":"c1","visibility":"private","users":["bob"],"token":"t1"}`,
		},
		{
			"GET", "/v1/workspaces/w1", "", false, "GetWorkspace", args(authz.ID("w1")),
			200, `{"id":"w1","account":"acme","open":false,"users":["bob"],"token":"t1"}`,
		},
		{
			"GET", "/v1/connectors/crm", "", false, "GetConnector", args(authz.ID("crm")), 200,
			`{"id":"crm","account":"acme","capabilities":[],"token":"t1"}`,
		},
		{"DELETE", "/v1/subscriptions/s1/members/bob", "", false, "RemoveSubscriptionMember", args(authz.ID("s1"), authz.ID("bob")), 200, done},
		{"POST", "/v1/subscriptions/s1/transfer", `{"to":"bob"}`, false, "TransferSubscription", args(authz.ID("s1"), authz.ID("bob")), 200, done},
		{
			"PUT", "/v1/subscriptions/s1/members/bob/accounts", `{"accounts":{"a1":["editor"],"a2":[]}}`, false, "PutMemberAccounts",
			args(authz.ID("s1"), authz.ID("bob"), map[authz.ID][]string{"a1": {"editor"}, "a2": {}}, time.Time{}),
			200, `{"user":"bob","accounts":{"a1":["editor"],"a2":[]},"accounts_expire_at":{"a1":"2030-01-01T00:00:00Z"},"token":"t1"}`,
		},
		{"GET", "/v1/users/alice/accounts", "", false, "UserAccounts", args(authz.ID("alice"), false, firstPage), 200, `{"accounts":[],"next_cursor":"","token":"t1"}`},
		{
			"POST", "/v1/accounts", `{"id":"acme","subscription":"s1","role_set":"team"}`, false, "CreateAccount",
			args(operation.NewAccount{ID: "acme", Subscription: "s1", RoleSet: "team"}), 201, `{"id":"acme","subscription":"s1","role_set":"team","token":"t1"}`,
		},
		{"GET", "/v1/accounts/acme", "", false, "GetAccount", args(authz.ID("acme")), 200, `{"id":"acme","subscription":"s1","role_set":"team","token":"t1"}`},
		{"DELETE", "/v1/accounts/acme", "", false, "Delete", args(authz.Object{Type: "account", ID: "acme"}), 200, done},
		{
			"GET", "/v1/accounts/acme/members?holder_type=group", "", false, "AccountMembers",
			args(authz.ID("acme"), authz.TypeGroup, "", firstPage), 200,
			`{"members":[{"holder":"group:g1","roles":["viewer"]}],"next_cursor":"","token":"t1"}`,
		},
		{"GET", "/v1/accounts/acme/members?limit=1000&role=user", "", false, "AccountMembers", args(authz.ID("acme"), authz.TypeUser, "user", operation.Page{Limit: 1000}), 200, `{"members":[],"next_cursor":"","token":"t1"}`},
		{
			"PATCH", "/v1/accounts/acme/members", `{"members":{"bob":["viewer"],"eve":[]}}`, false, "PatchAccountMembers",
			args(authz.ID("acme"), map[authz.ID][]string{"bob": {"viewer"}, "eve": {}}, time.Time{}),
			200, `{"members":[{"user":"bob","roles":["viewer"]},{"user":"eve","roles":[]}],"token":"t1"}`,
		},
		{
			"PUT", "/v1/accounts/acme/members/bob", `{"roles":["guest"],"expires_at":"2030-01-31T17:00:00Z"}`, false, "PutAccountMember",
			args(authz.ID("acme"), authz.ID("bob"), []string{"guest"}, time.Date(2030, 1, 31, 17, 0, 0, 0, time.UTC)), 200, `{"user":"bob","roles":["guest"],"token":"t1"}`,
		},
		{
			"POST", "/v1/accounts/acme/invitations", `{"invitee":"bob","roles":["guest"],"expires_in":3600}`, false, "Invite",
			args(operation.NewInvitation{To: authz.Object{Type: "account", ID: "acme"}, Invitee: "bob", Roles: []string{"guest"}, ExpiresIn: new(time.Hour)}),
			201, `{"id":"secret","handle":"h1","account":"acme","inviter":"alice","invitee":"bob","roles":["guest"],"expires_at":"2030-01-01T00:00:00Z","token":"t1"}`,
		},
		{
			"POST", "/v1/subscriptions/s1/invitations", `{"roles":["guest"]}`, false, "Invite",
			args(operation.NewInvitation{To: authz.Object{Type: "subscription", ID: "s1"}, Roles: []string{"guest"}}),
			201, `{"id":"secret","handle":"h1","subscription":"s1","inviter":"alice","roles":["guest"],"expires_at":"2030-01-01T00:00:00Z","token":"t1"}`,
		},
		{
			"GET", "/v1/accounts/acme/invitations?limit=1", "", false, "Invitations", args(authz.Object{Type: "account", ID: "acme"}, operation.Page{Limit: 1}),
			200, `{"invitations":[{"handle":"h1","inviter":"alice","roles":["user"],"expires_at":"2030-01-01T00:00:00Z"}],"next_cursor":"` + cursor("listAccountInvitations", "acme", "c1") + `","token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/invitations", "", false, "Invitations", args(authz.Object{Type: "subscription", ID: "s1"}, firstPage),
			200, `{"invitations":[{"handle":"h1","inviter":"alice","roles":["user"],"expires_at":"2030-01-01T00:00:00Z"}],"next_cursor":"` + cursor("listSubscriptionInvitations", "s1", "c1") + `","token":"t1"}`,
		},
		{"DELETE", "/v1/accounts/acme/invitations/h1", "", false, "WithdrawInvitation", args(authz.Object{Type: "account", ID: "acme"}, authz.ID("h1")), 200, done},
		{"DELETE", "/v1/subscriptions/s1/invitations/h1", "", false, "WithdrawInvitation", args(authz.Object{Type: "subscription", ID: "s1"}, authz.ID("h1")), 200, done},
		{"POST", "/v1/invitations/secret/accept", "", false, "AcceptInvitation", args("secret"), 200, `{"subscription":"s1","user":"alice","roles":["it_admin"],"token":"t1"}`},
		{"POST", "/v1/invitations/secret/decline", "", false, "DeclineInvitation", args("secret"), 200, done},
		{"DELETE", "/v1/accounts/acme/members/bob", "", false, "RemoveAccountMember", args(authz.ID("acme"), authz.ID("bob")), 200, done},
		{
			"DELETE", "/v1/accounts/acme/members/bob?reassign_to=eve%20s&private_connections=leave", "", false, "HandOverAccountMember",
			args(authz.ID("acme"), authz.ID("bob"), operation.Handover{To: "eve s", Private: "leave"}), 200,
			`{"reassigned":{"importers":{"count":2,"ids":["i1"]},"connections":{"count":0,"ids":[]},"private_connections":{"moved":3,"disconnected":4}},"token":"t1"}`,
		},
		{
			"DELETE", "/v1/subscriptions/s1/members/bob?reassign_to=eve", "", false, "HandOverSubscriptionMember",
			args(authz.ID("s1"), authz.ID("bob"), operation.Handover{To: "eve"}), 200, done,
		},
		{
			"GET", "/v1/accounts/acme/members/bob/offboarding", "", false, "ReportOffboarding", args(authz.ID("acme"), authz.ID("bob")),
			200, `{"user":"bob","roles":[],"importers":{"count":2,"ids":["i1"]},"connections":{"count":0,"ids":[]},"private_connections":{"count":3,"used_by_others":1},"shares":{"connections":4,"workspaces":{"count":0,"ids":[]}},"invitations":{"sent":{"count":0,"ids":[]},"received":{"count":0,"ids":[]}},"token":"t1"}`,
		},
		{"DELETE", "/v1/users/bob", "", true, "EraseUser", args(authz.ID("bob")), 200, done},
		{
			"POST", "/v1/importers", `{"id":"i1","account":"acme","source":"c1"}`, false, "CreateImporter",
			args(operation.NewImporter{ID: "i1", Account: "acme", Source: "c1"}), 201, `{"id":"i1","account":"acme","source":"c1","token":"t1"}`,
		},
		{"PUT", "/v1/importers/i1/connections", `{"source":"c1","destination":null}`, false, "SetImporterEnds", args(authz.ID("i1"), `"c1"`, `""`), 200, `{"id":"i1","account":"acme","token":"t1"}`},
		{"PUT", "/v1/importers/i1/connections", `{}`, false, "SetImporterEnds", args(authz.ID("i1"), "unchanged", "unchanged"), 200, `{"id":"i1","account":"acme","token":"t1"}`},
		{"POST", "/v1/importers/i1/copy", `{"id":"i2"}`, false, "CopyImporter", args(authz.ID("i1"), authz.ID("i2")), 201, `{"id":"i2","account":"acme","source":"c1","left_out":["destination"],"token":"t1"}`},
		{"DELETE", "/v1/importers/i1", "", false, "Delete", args(authz.Object{Type: "importer", ID: "i1"}), 200, done},
		{
			"POST", "/v1/connections", `{"id":"c1","account":"acme","connector":"crm"}`, false, "CreateConnection",
			args(operation.NewConnection{ID: "c1", Account: "acme", Connector: "crm"}), 201, `{"id":"c1","account":"acme","connector":"crm","visibility":"private","users":[],"token":"t1"}`,
		},
		{
			"POST", "/v1/connections", `{"id":"c1","account":"acme","connector":"crm","visibility":"shared"}`, false, "CreateConnection",
			args(operation.NewConnection{ID: "c1", Account: "acme", Connector: "crm", Visibility: "shared"}), 201, `{"id":"c1","account":"acme","connector":"crm","visibility":"private","users":[],"token":"t1"}`,
		},
		{
			"PUT", "/v1/connections/c1/sharing", `{"visibility":"private","users":["bob"]}`, false, "ShareConnection",
			args(authz.ID("c1"), operation.Sharing{Visibility: "private", Users: []authz.ID{"bob"}}), 200, shared,
		},
		{"DELETE", "/v1/connections/c1", "", false, "Delete", args(authz.Object{Type: "connection", ID: "c1"}), 200, done},
		{"PUT", "/v1/connections/c1/group", `{"group":"emea"}`, false, "GroupConnection", args(authz.ID("c1"), authz.ID("emea")), 200, shared},
		{"DELETE", "/v1/connections/c1/group", "", false, "UngroupConnection", args(authz.ID("c1")), 200, shared},
		{
			"POST", "/v1/workspaces", `{"id":"w1","account":"acme","open":true}`, false, "CreateWorkspace",
			args(operation.NewWorkspace{ID: "w1", Account: "acme", Access: operation.Access{Open: true}}), 201, `{"id":"w1","account":"acme","open":true,"users":[],"token":"t1"}`,
		},
		{
			"PUT", "/v1/workspaces/w1/access", `{"open":false,"users":["bob"]}`, false, "SetWorkspaceAccess",
			args(authz.ID("w1"), operation.Access{Users: []authz.ID{"bob"}}), 200, `{"id":"w1","account":"acme","open":false,"users":["bob"],"token":"t1"}`,
		},
		{"DELETE", "/v1/workspaces/w1", "", false, "Delete", args(authz.Object{Type: "workspace", ID: "w1"}), 200, done},
	}
	for _, simple := range authz.SimpleTypesIn("workspace") {
		typ, plural := simple.Name, simple.Collection()
		tests = append(tests, []operationCase{
			{"POST", "/v1/" + plural, `{"id":"x","workspace":"w1"}`, false, "CreatePart", args(part(typ, "x", "workspace", "w1")), 201, `{"id":"x","workspace":"w1","token":"t1"}`},
			{
				"GET", "/v1/" + plural + "/x", "", false, "GetPart", args(authz.Object{Type: typ, ID: "x"}), 200,
				`{"id":"x","workspace":"place","token":"t1"}`,
			},
			{"DELETE", "/v1/" + plural + "/x", "", false, "Delete", args(authz.Object{Type: typ, ID: "x"}), 200, done},
		}...)
	}
	for _, simple := range append(authz.SimpleTypesIn("account"), authz.SimpleType{Name: "connector"}) {
		typ, plural := simple.Name, simple.Collection()
		tests = append(tests, []operationCase{
			{"POST", "/v1/" + plural, `{"id":"x","account":"acme"}`, false, "CreatePart", args(part(typ, "x", "account", "acme")), 201, `{"id":"x","account":"acme","token":"t1"}`},
			{"DELETE", "/v1/" + plural + "/x", "", false, "Delete", args(authz.Object{Type: typ, ID: "x"}), 200, done},
		}...)
		if typ == "connector" { // connectors have an answer of their own, because those of the catalogue have no account
			continue
		}
		tests = append(tests, []operationCase{
			{
				"GET", "/v1/" + plural + "/x", "", false, "GetPart", args(authz.Object{Type: typ, ID: "x"}), 200,
				`{"id":"x","account":"place","token":"t1"}`,
			},
		}...)
	}
	tests = append(tests, holderCases(cursor)...)
	previewed := new(operations)
	w := serve(t, func(c *httpapi.Config) {
		c.Previewer, c.Operate = effects{}, func(operation.Engine) httpapi.Operations { return previewed }
	})
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			r := request{method: tt.method, path: tt.path, body: tt.body, key: operateKey, actor: "alice", header: http.Header{"X-Request-Id": {"r1"}}}
			caller := operation.Caller{Actor: "alice", Key: "operate-key", RequestID: "r1"}
			if tt.provision {
				r.key, r.actor = provisionKey, ""
				caller.Actor, caller.Key = "", "provision-key"
			}
			w.do(t, r).want(t, tt.status, tt.answer)
			w.operations.wantCall(t, tt.name, caller, tt.args)
			if tt.method != http.MethodGet {
				of := fmt.Sprintf(`{"method":%q,"path":%q`, tt.method, tt.path)
				if tt.body != "" {
					of += `,"body":` + tt.body
				}
				w.do(t, request{
					method: "POST", path: "/v1/preview", body: of + "}", key: r.key, actor: r.actor, header: r.header,
				}).want(t, 200, `{"effects":[]}`)
				previewed.wantCall(t, tt.name, caller, tt.args)
				w.operations.isReplay = true
				w.do(t, r).want(t, tt.status, strings.TrimSuffix(tt.answer, "}")+`,"replayed":true}`)
				w.operations.isHidden = true
				w.do(t, r).want(t, tt.status, withoutHidden(t, tt.answer))
				w.operations.isReplay, w.operations.isHidden = false, false
			}
		})
	}
}

// withoutHidden returns the answer of a replay whose values are hidden: it has only the token and ids of the request.
func withoutHidden(t *testing.T, answer string) string {
	t.Helper()
	fields := make(map[string]any)
	if err := json.Unmarshal([]byte(answer), &fields); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(fields, func(field string, _ any) bool {
		isSecret := field == "id" && fields["inviter"] != nil || field == "group" && fields["id"] != nil
		return isSecret || !slices.Contains([]string{"id", "user", "group", "service_account", "inviter", "token"}, field)
	})
	fields["replayed"] = true
	hidden, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(hidden)
}

// TestPrefixOfPersonIsRemovedOnce checks that "user:user:bob" is malformed in every place of a request.
func TestPrefixOfPersonIsRemovedOnce(t *testing.T) {
	w := serve(t)
	cursor := httpapi.SealCursor(
		checkKey, "listAccountContents", "a", "", "x", gin.Param{Key: "collection", Value: "importers"},
	)
	for _, r := range []request{
		{method: "DELETE", path: "/v1/accounts/a/members/user:user:bob", key: operateKey, actor: "alice"},
		{method: "DELETE", path: "/v1/accounts/a/members/eve?reassign_to=user:user:bob", key: operateKey, actor: "alice"},
		{method: "DELETE", path: "/v1/accounts/a/members/eve", key: operateKey, actor: "user:user:bob"},
		{method: "GET", path: "/v1/accounts/a/importers?actor=user:user:bob", key: checkKey},
		{method: "GET", path: "/v1/accounts/a/importers?actor=user:user:bob&cursor=" + cursor, key: checkKey},
	} {
		w.do(t, r).wantProblem(t, 400, "invalid", `"user:bob" begins with "user:"`)
	}
}
