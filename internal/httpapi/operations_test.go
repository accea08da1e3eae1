package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// operations records how it is called, and answers with its error or with what the call asked for.
type operations struct {
	mu     sync.Mutex
	name   string
	caller operation.Caller
	args   []any

	err  error
	hook func(context.Context) error
}

const token authz.Token = "t1"

func (o *operations) record(ctx context.Context, name string, by operation.Caller, args ...any) error {
	o.mu.Lock()
	o.name, o.caller, o.args = name, by, args
	o.mu.Unlock()
	if o.hook != nil {
		return o.hook(ctx)
	}
	return o.err
}

func (o *operations) AddPlatformAdministrator(ctx context.Context, by operation.Caller, user authz.ID) (authz.Token, error) {
	return token, o.record(ctx, "AddPlatformAdministrator", by, user)
}

func (o *operations) RemovePlatformAdministrator(ctx context.Context, by operation.Caller, user authz.ID) (authz.Token, error) {
	return token, o.record(ctx, "RemovePlatformAdministrator", by, user)
}

func (o *operations) PutConnector(ctx context.Context, by operation.Caller, id authz.ID, offers []string) (operation.Connector, authz.Token, error) {
	return operation.Connector{ID: id, Offers: offers}, token, o.record(ctx, "PutConnector", by, id, offers)
}

func (o *operations) Delete(ctx context.Context, by operation.Caller, object authz.Object) (authz.Token, error) {
	return token, o.record(ctx, "Delete", by, object)
}

func (o *operations) CreateSubscription(ctx context.Context, by operation.Caller, in operation.NewSubscription) (operation.Subscription, authz.Token, error) {
	return operation.Subscription{ID: in.ID, RoleSet: authz.RoleSetName(in.RoleSet)}, token, o.record(ctx, "CreateSubscription", by, in)
}

func (o *operations) PutFeatures(ctx context.Context, by operation.Caller, id authz.ID, features []string) (operation.Subscription, authz.Token, error) {
	return operation.Subscription{ID: id, RoleSet: "multi_owner", Features: authz.Features}, token, o.record(ctx, "PutFeatures", by, id, features)
}

func (o *operations) GetSubscription(ctx context.Context, by operation.Caller, id authz.ID) (operation.Subscription, authz.Token, error) {
	return operation.Subscription{ID: id, RoleSet: "multi_owner"}, token, o.record(ctx, "GetSubscription", by, id)
}

var someAccounts = operation.Accounts{
	Accounts:   []operation.Account{{ID: "acme", Subscription: "s1", RoleSet: "team", Roles: operation.Roles{"owner"}}},
	NextCursor: "next",
}

func (o *operations) SubscriptionAccounts(ctx context.Context, by operation.Caller, id authz.ID, page operation.Page) (operation.Accounts, authz.Token, error) {
	return someAccounts, token, o.record(ctx, "SubscriptionAccounts", by, id, page)
}

func (o *operations) UserAccounts(ctx context.Context, by operation.Caller, user authz.ID, inspect bool, page operation.Page) (operation.Accounts, authz.Token, error) {
	return operation.Accounts{}, token, o.record(ctx, "UserAccounts", by, user, inspect, page)
}

func (o *operations) TransferSubscription(ctx context.Context, by operation.Caller, id, to authz.ID) (authz.Token, error) {
	return token, o.record(ctx, "TransferSubscription", by, id, to)
}

func (o *operations) SubscriptionMembers(ctx context.Context, by operation.Caller, id authz.ID, byAccount bool, page operation.Page) (operation.Members, authz.Token, error) {
	return operation.Members{Members: []operation.Member{{
		User: "bob", Roles: operation.Roles{"member"}, Accounts: map[authz.ID]operation.Roles{"acme": {"editor"}},
	}}}, token, o.record(ctx, "SubscriptionMembers", by, id, byAccount, page)
}

func (o *operations) SubscriptionPeople(ctx context.Context, by operation.Caller, id authz.ID, page operation.Page) (operation.Members, authz.Token, error) {
	return operation.Members{Members: []operation.Member{{User: "bob", Accounts: map[authz.ID]operation.Roles{"acme": {"editor"}}}}, NextCursor: "next"},
		token, o.record(ctx, "SubscriptionPeople", by, id, page)
}

func (o *operations) PutSubscriptionMember(ctx context.Context, by operation.Caller, id, user authz.ID, roles []string) (operation.Member, authz.Token, error) {
	return operation.Member{User: user, Roles: operation.Roles{"it_admin"}}, token, o.record(ctx, "PutSubscriptionMember", by, id, user, roles)
}

func (o *operations) RemoveSubscriptionMember(ctx context.Context, by operation.Caller, id, user authz.ID) (authz.Token, error) {
	return token, o.record(ctx, "RemoveSubscriptionMember", by, id, user)
}

func (o *operations) PutMemberAccounts(ctx context.Context, by operation.Caller, id, user authz.ID, accounts map[authz.ID][]string, until time.Time) (operation.Member, authz.Token, error) {
	member := operation.Member{User: user, Accounts: map[authz.ID]operation.Roles{"a1": {"editor"}, "a2": nil}}
	member.AccountsExpireAt = map[authz.ID]time.Time{"a1": time.Unix(1893456000, 0)}
	return member, token, o.record(ctx, "PutMemberAccounts", by, id, user, accounts, until)
}

func (o *operations) CreateAccount(ctx context.Context, by operation.Caller, in operation.NewAccount) (operation.Account, authz.Token, error) {
	return operation.Account{ID: in.ID, Subscription: in.Subscription, RoleSet: authz.RoleSetName(in.RoleSet)}, token, o.record(ctx, "CreateAccount", by, in)
}

func (o *operations) GetAccount(ctx context.Context, by operation.Caller, id authz.ID) (operation.Account, authz.Token, error) {
	return operation.Account{ID: id, Subscription: "s1", RoleSet: "team"}, token, o.record(ctx, "GetAccount", by, id)
}

func (o *operations) AccountMembers(ctx context.Context, by operation.Caller, id authz.ID, page operation.Page) (operation.Members, authz.Token, error) {
	return operation.Members{}, token, o.record(ctx, "AccountMembers", by, id, page)
}

func (o *operations) PutAccountMember(ctx context.Context, by operation.Caller, id, user authz.ID, roles []string, until time.Time) (operation.Member, authz.Token, error) {
	return operation.Member{User: user, Roles: operation.Roles{"guest"}}, token, o.record(ctx, "PutAccountMember", by, id, user, roles, until)
}

func (o *operations) RemoveAccountMember(ctx context.Context, by operation.Caller, id, user authz.ID) (authz.Token, error) {
	return token, o.record(ctx, "RemoveAccountMember", by, id, user)
}

func (o *operations) HandOverAccountMember(ctx context.Context, by operation.Caller, id, user authz.ID, to operation.Handover) (*operation.Reassigned, authz.Token, error) {
	reassigned := operation.Reassigned{Importers: operation.Named{Count: 2, IDs: []authz.ID{"i1"}}, PrivateMoved: 3, PrivateDisconnected: 4}
	return &reassigned, token, o.record(ctx, "HandOverAccountMember", by, id, user, to)
}

func (o *operations) HandOverSubscriptionMember(ctx context.Context, by operation.Caller, id, user authz.ID, to operation.Handover) (*operation.Reassigned, authz.Token, error) {
	return nil, token, o.record(ctx, "HandOverSubscriptionMember", by, id, user, to)
}

func (o *operations) ReportOffboarding(ctx context.Context, by operation.Caller, id, user authz.ID) (operation.Offboarding, authz.Token, error) {
	report := operation.Offboarding{User: user, Importers: operation.Named{Count: 2, IDs: []authz.ID{"i1"}}, Private: 3, PrivateInUse: 1, Shares: 4}
	return report, token, o.record(ctx, "ReportOffboarding", by, id, user)
}

func (o *operations) EraseUser(ctx context.Context, by operation.Caller, user authz.ID) (authz.Token, error) {
	return token, o.record(ctx, "EraseUser", by, user)
}

func (o *operations) Contents(ctx context.Context, by operation.Caller, of operation.Collection, page operation.Page) (operation.Objects, authz.Token, error) {
	objects := []operation.VisibleObject{{ID: "i1", Permissions: []authz.Permission{"view", "edit"}}, {ID: "i2"}}
	return operation.Objects{Objects: objects, NextCursor: "c1"}, token, o.record(ctx, "Contents", by, of, page)
}

func (o *operations) PatchAccountMembers(ctx context.Context, by operation.Caller, id authz.ID, members map[authz.ID][]string, until time.Time) ([]operation.Member, authz.Token, error) {
	return []operation.Member{{User: "bob", Roles: operation.Roles{"viewer"}}, {User: "eve"}}, token, o.record(ctx, "PatchAccountMembers", by, id, members, until)
}

func (o *operations) Invite(ctx context.Context, by operation.Caller, in operation.NewInvitation) (operation.Invitation, authz.Token, error) {
	invitation := operation.Invitation{ID: "secret", Handle: "h1", To: in.To, Inviter: by.Actor, Invitee: in.Invitee, Roles: operation.Roles{"guest"}, ExpiresAt: time.Unix(1893456000, 0)}
	return invitation, token, o.record(ctx, "Invite", by, in)
}

func (o *operations) Invitations(ctx context.Context, by operation.Caller, to authz.Object, page operation.Page) (operation.Invitations, authz.Token, error) {
	open := []operation.Invitation{{ID: "secret", Handle: "h1", To: to, Inviter: "alice", Roles: operation.Roles{"user"}, ExpiresAt: time.Unix(1893456000, 0)}}
	return operation.Invitations{Invitations: open, NextCursor: "c1"}, token, o.record(ctx, "Invitations", by, to, page)
}

func (o *operations) WithdrawInvitation(ctx context.Context, by operation.Caller, to authz.Object, handle authz.ID) (authz.Token, error) {
	return token, o.record(ctx, "WithdrawInvitation", by, to, handle)
}

func (o *operations) AcceptInvitation(ctx context.Context, by operation.Caller, id string) (operation.AcceptedInvitation, authz.Token, error) {
	return operation.AcceptedInvitation{To: authz.Object{Type: "subscription", ID: "s1"}, Roles: operation.Roles{"it_admin"}}, token, o.record(ctx, "AcceptInvitation", by, id)
}

func (o *operations) DeclineInvitation(ctx context.Context, by operation.Caller, id string) (authz.Token, error) {
	return token, o.record(ctx, "DeclineInvitation", by, id)
}

func (o *operations) CreateImporter(ctx context.Context, by operation.Caller, in operation.NewImporter) (operation.Importer, authz.Token, error) {
	return operation.Importer{ID: in.ID, Account: in.Account, Source: in.Source}, token, o.record(ctx, "CreateImporter", by, in)
}

func (o *operations) SetImporterEnds(ctx context.Context, by operation.Caller, id authz.ID, in operation.ImporterEnds) (operation.Importer, authz.Token, error) {
	show := func(end *authz.ID) string {
		if end == nil {
			return "unchanged"
		}
		return fmt.Sprintf("%q", *end)
	}
	return operation.Importer{ID: id, Account: "acme"}, token, o.record(ctx, "SetImporterEnds", by, id, show(in.Source), show(in.Destination))
}

func (o *operations) CopyImporter(ctx context.Context, by operation.Caller, id, copied authz.ID) (operation.Importer, authz.Token, error) {
	return operation.Importer{ID: copied, Account: "acme", Source: "c1", LeftOut: []string{"destination"}}, token, o.record(ctx, "CopyImporter", by, id, copied)
}

func (o *operations) CreateConnection(ctx context.Context, by operation.Caller, in operation.NewConnection) (operation.Connection, authz.Token, error) {
	return operation.Connection{ID: in.ID, Account: in.Account, Connector: in.Connector, Visibility: operation.Private}, token, o.record(ctx, "CreateConnection", by, in)
}

var someConnection = operation.Connection{ID: "c1", Account: "acme", Connector: "crm", Visibility: operation.Shared, Group: "emea", Users: []authz.ID{"bob"}}

func (o *operations) ShareConnection(ctx context.Context, by operation.Caller, id authz.ID, in operation.Sharing) (operation.Connection, authz.Token, error) {
	return someConnection, token, o.record(ctx, "ShareConnection", by, id, in)
}

func (o *operations) GroupConnection(ctx context.Context, by operation.Caller, id, group authz.ID) (operation.Connection, authz.Token, error) {
	return someConnection, token, o.record(ctx, "GroupConnection", by, id, group)
}

func (o *operations) UngroupConnection(ctx context.Context, by operation.Caller, id authz.ID) (operation.Connection, authz.Token, error) {
	return someConnection, token, o.record(ctx, "UngroupConnection", by, id)
}

func (o *operations) CreateWorkspace(ctx context.Context, by operation.Caller, in operation.NewWorkspace) (operation.Workspace, authz.Token, error) {
	return operation.Workspace{ID: in.ID, Account: in.Account, Open: in.Access.Open}, token, o.record(ctx, "CreateWorkspace", by, in)
}

func (o *operations) SetWorkspaceAccess(ctx context.Context, by operation.Caller, id authz.ID, access operation.Access) (operation.Workspace, authz.Token, error) {
	return operation.Workspace{ID: id, Account: "acme", Open: access.Open, Users: access.Users}, token, o.record(ctx, "SetWorkspaceAccess", by, id, access)
}

func (o *operations) CreatePart(ctx context.Context, by operation.Caller, part operation.Part) (operation.Part, authz.Token, error) {
	return part, token, o.record(ctx, "CreatePart", by, part)
}

func args(values ...any) []any { return values }

func part(typ authz.Type, id authz.ID, parent authz.Type, parentID authz.ID) operation.Part {
	return operation.Part{Type: typ, ID: id, Parent: authz.Object{Type: parent, ID: parentID}}
}

// TestOperations holds, for every operation of the contract, what its request becomes and how its result is answered.
func TestOperations(t *testing.T) {
	shared := `{"id":"c1","account":"acme","connector":"crm","visibility":"shared","users":["bob"],"group":"emea","token":"t1"}`
	done := `{"token":"t1"}`
	firstPage := operation.Page{}
	tests := []struct {
		method, path, body string
		provision          bool
		name               string
		args               []any
		status             int
		answer             string
	}{
		{"PUT", "/v1/platform/administrators/root", "", true, "AddPlatformAdministrator", args(authz.ID("root")), 200, done},
		{"DELETE", "/v1/platform/administrators/root", "", true, "RemovePlatformAdministrator", args(authz.ID("root")), 200, done},
		{"PUT", "/v1/connectors/crm", `{"offers":["views"]}`, true, "PutConnector", args(authz.ID("crm"), []string{"views"}), 200, `{"id":"crm","offers":["views"],"token":"t1"}`},
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
			200, `{"id":"s1","role_set":"multi_owner","features":["user_permissions","dashboards"],"token":"t1"}`,
		},
		{"GET", "/v1/subscriptions/s1", "", false, "GetSubscription", args(authz.ID("s1")), 200, `{"id":"s1","role_set":"multi_owner","features":[],"token":"t1"}`},
		{"DELETE", "/v1/subscriptions/s1", "", false, "Delete", args(authz.Object{Type: "subscription", ID: "s1"}), 200, done},
		{
			"GET", "/v1/subscriptions/s1/accounts?limit=7&cursor=abc", "", false, "SubscriptionAccounts", args(authz.ID("s1"), operation.Page{Limit: 7, Cursor: "abc"}),
			200, `{"accounts":[{"id":"acme","subscription":"s1","role_set":"team","roles":["owner"]}],"next_cursor":"next","token":"t1"}`,
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
			"GET", "/v1/subscriptions/s1/people?limit=7&cursor=abc", "", false, "SubscriptionPeople", args(authz.ID("s1"), operation.Page{Limit: 7, Cursor: "abc"}),
			200, `{"people":[{"user":"bob","roles":[],"accounts":{"acme":["editor"]}}],"next_cursor":"next","token":"t1"}`,
		},
		{
			"PUT", "/v1/subscriptions/s1/members/bob", `{"roles":["it_admin"]}`, false, "PutSubscriptionMember",
			args(authz.ID("s1"), authz.ID("bob"), []string{"it_admin"}), 200, `{"user":"bob","roles":["it_admin"],"token":"t1"}`,
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
		{"GET", "/v1/accounts/acme/members?limit=1000", "", false, "AccountMembers", args(authz.ID("acme"), operation.Page{Limit: 1000}), 200, `{"members":[],"next_cursor":"","token":"t1"}`},
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
			200, `{"invitations":[{"handle":"h1","inviter":"alice","roles":["user"],"expires_at":"2030-01-01T00:00:00Z"}],"next_cursor":"c1","token":"t1"}`,
		},
		{
			"GET", "/v1/subscriptions/s1/invitations", "", false, "Invitations", args(authz.Object{Type: "subscription", ID: "s1"}, firstPage),
			200, `{"invitations":[{"handle":"h1","inviter":"alice","roles":["user"],"expires_at":"2030-01-01T00:00:00Z"}],"next_cursor":"c1","token":"t1"}`,
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
	for typ, plural := range map[authz.Type]string{"flow": "flows", "schedule": "schedules", "service": "services"} {
		tests = append(tests, []struct {
			method, path, body string
			provision          bool
			name               string
			args               []any
			status             int
			answer             string
		}{
			{"POST", "/v1/" + plural, `{"id":"x","workspace":"w1"}`, false, "CreatePart", args(part(typ, "x", "workspace", "w1")), 201, `{"id":"x","workspace":"w1","token":"t1"}`},
			{"DELETE", "/v1/" + plural + "/x", "", false, "Delete", args(authz.Object{Type: typ, ID: "x"}), 200, done},
		}...)
	}
	for typ, plural := range map[authz.Type]string{"integration": "integrations", "export": "exports", "report": "reports", "connector": "connectors"} {
		tests = append(tests, []struct {
			method, path, body string
			provision          bool
			name               string
			args               []any
			status             int
			answer             string
		}{
			{"POST", "/v1/" + plural, `{"id":"x","account":"acme"}`, false, "CreatePart", args(part(typ, "x", "account", "acme")), 201, `{"id":"x","account":"acme","token":"t1"}`},
			{"DELETE", "/v1/" + plural + "/x", "", false, "Delete", args(authz.Object{Type: typ, ID: "x"}), 200, done},
		}...)
	}
	w := serve(t)
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			r := request{method: tt.method, path: tt.path, body: tt.body, key: operateKey, actor: "alice", header: http.Header{"X-Request-Id": {"r1"}}}
			caller := operation.Caller{Actor: "alice", Key: "operate-key", RequestID: "r1"}
			if tt.provision {
				r.key, r.actor = provisionKey, ""
				caller.Actor, caller.Key = "", "provision-key"
			}
			w.do(t, r).want(t, tt.status, tt.answer)
			if w.operations.name != tt.name || w.operations.caller != caller || !reflect.DeepEqual(w.operations.args, tt.args) {
				t.Errorf("called %s by %+v with %+v, want %s by %+v with %+v", w.operations.name, w.operations.caller, w.operations.args, tt.name, caller, tt.args)
			}
		})
	}
}
