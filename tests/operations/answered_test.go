package operations_test

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

var errFailed = errors.New("failed")

// failing is an engine whose first calls succeed. left is how many more calls succeed. All later calls fail.
type failing struct {
	authz.Engine
	left atomic.Int64
}

func (f *failing) fails() bool {
	return f.left.Add(-1) < 0
}

func (f *failing) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	if f.fails() {
		return nil, "", errFailed
	}
	return f.Engine.CheckBulk(ctx, checks, at)
}

func (f *failing) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	if f.fails() {
		return func(yield func(authz.ReadItem, error) bool) { yield(authz.ReadItem{}, errFailed) }
	}
	return f.Engine.Read(ctx, filter, at, page)
}

func (f *failing) Write(context.Context, authz.Write) (authz.Token, error) { return "", errFailed }

// TestNoValueComesWithAnError performs every operation that returns a value. In each run, one of the operation's calls
// to the engine fails: one of the last calls, when most of the value is known, or one in the middle. The operation must
// return an empty value with its error.
func TestNoValueComesWithAnError(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	machine := operation.ServiceAccount{ID: "nightly", Place: authz.Object{Type: "account", ID: "team"}, Title: "Nightly"}
	crew := authz.Holder{Type: authz.TypeGroup, ID: "crew"}
	_, _, err := s.CreateGroup(t.Context(), by("ada"), operation.Group{ID: "crew", Subscription: "acme", Title: "Crew"})
	require.NoError(t, err)
	_, _, err = s.PutHolderRoles(t.Context(), by("ada"), machine.Place, crew, []string{"user"}, time.Time{})
	require.NoError(t, err)
	_, _, err = s.CreateServiceAccount(t.Context(), by("ada"), machine, []string{"user"})
	require.NoError(t, err)
	_, _, err = s.PutFeatures(t.Context(), by(""), "acme", []string{"custom_roles"})
	require.NoError(t, err)
	_, _, err = s.CreateCustomRole(t.Context(), by("ada"), operation.NewCustomRole{
		ID: "auditor", Scope: machine.Place, Title: "Auditor", Grants: []string{"importer.view"},
	})
	require.NoError(t, err)
	page := operation.Page{}
	arguments := map[string][]any{
		"AccountMembers": {by("ada"), authz.ID("team"), authz.TypeUser, "", page},
		"Contents": {by("ada"), operation.Collection{
			Place: authz.Object{Type: "account", ID: "team"}, Type: "importer", Permissions: []authz.Permission{"run"},
		}, page},
		"CopyImporter":     {by("ada"), authz.ID("i1"), authz.ID("i2")},
		"CreateAccount":    {by("ada"), operation.NewAccount{ID: "new", Subscription: "acme", RoleSet: "team"}},
		"CreateConnection": {by("uma"), operation.NewConnection{ID: "new", Account: "team", Connector: "postgres"}},
		"CreateImporter":   {by("uma"), operation.NewImporter{ID: "new", Account: "team", Source: "crm"}},
		"CreatePart": {
			by("otto"), operation.Part{Type: "flow", ID: "new", Parent: authz.Object{Type: "workspace", ID: "etl"}},
		},
		"CreateSubscription": {by(""), operation.NewSubscription{ID: "new", RoleSet: "multi_owner", Owner: "ada"}},
		"CreateWorkspace": {
			by("ada"), operation.NewWorkspace{ID: "new", Account: "operations", Access: operation.Access{Open: true}},
		},
		"GetAccount":            {by("ada"), authz.ID("team")},
		"GetAccountMember":      {by("ada"), authz.ID("team"), authz.ID("uma")},
		"GetConnection":         {by("uma"), authz.ID("crm")},
		"GetConnector":          {by("otto"), authz.ID("own")},
		"GetImporter":           {by("uma"), authz.ID("i1")},
		"GetPart":               {by("otto"), authz.Object{Type: "flow", ID: "f"}},
		"GetSubscriptionMember": {by("ada"), authz.ID("acme"), authz.ID("ada")},
		"GetWorkspace":          {by("ada"), authz.ID("closed")},
		"Subscriptions":         {by(""), page},
		"GetSubscription":       {by("ada"), authz.ID("acme")},
		"GroupConnection":       {by("ada"), authz.ID("warehouse"), authz.ID("g")},
		"HandOverAccountMember": {
			by("ada"), authz.ID("team"), authz.ID("uma"), operation.Handover{To: "ada", Private: "leave"},
		},
		"HandOverSubscriptionMember": {
			by("ada"), authz.ID("acme"), authz.ID("uma"), operation.Handover{To: "ada", Private: "leave"},
		},
		"Invitations": {by("ada"), authz.Object{Type: "account", ID: "team"}, page},
		"Invite": {
			by("ada"),
			operation.NewInvitation{To: authz.Object{Type: "account", ID: "team"}, Invitee: "nina", Roles: []string{"user"}},
		},
		"PatchAccountMembers": {by("ada"), authz.ID("team"), map[authz.ID][]string{"nina": {"user"}}, time.Time{}},
		"PutAccountMember":    {by("ada"), authz.ID("team"), authz.ID("nina"), []string{"user"}, time.Time{}},
		"PutConnector":        {by(""), authz.ID("new"), []string{"views"}},
		"PutFeatures":         {by(""), authz.ID("acme"), []string{}},
		"PutMemberAccounts": {
			by("ada"), authz.ID("acme"), authz.ID("nina"), map[authz.ID][]string{"team": {"user"}}, time.Time{},
		},
		"PutSubscriptionMember": {by("ada"), authz.ID("acme"), authz.ID("nina"), []string{"member"}},
		"ReportOffboarding":     {by("ada"), authz.ID("team"), authz.ID("uma")},
		"SetImporterEnds":       {by("uma"), authz.ID("i1"), operation.ImporterEnds{Source: new(authz.ID("warehouse"))}},
		"SetWorkspaceAccess":    {by("ada"), authz.ID("closed"), operation.Access{Open: true}},
		"ShareConnection":       {by("uma"), authz.ID("crm"), operation.Sharing{Visibility: "shared"}},
		"SubscriptionAccounts":  {by("ada"), authz.ID("acme"), page},
		"SubscriptionMembers":   {by("ada"), authz.ID("acme"), true, page},
		"SubscriptionPeople":    {by("ada"), authz.ID("acme"), page},
		"UngroupConnection":     {by("ada"), authz.ID("warehouse")},
		"UserAccounts":          {by("ada"), authz.ID("ada"), false, page},
		"AcceptInvitation":      {by("nina"), "unknown"},
		"AccountGroups":         {by("ada"), authz.ID("team"), page},
		"CreateGroup":           {by("ada"), operation.Group{ID: "new", Subscription: "acme", Title: "New"}},
		"GetGroup":              {by("ada"), authz.ID("crew")},
		"GroupMembers":          {by("ada"), authz.ID("crew"), page},
		"RenameGroup":           {by("ada"), authz.ID("crew"), authz.ID("New")},
		"SubscriptionGroups":    {by("ada"), authz.ID("acme"), page},
		"CreateServiceAccount": {
			by("ada"), operation.ServiceAccount{ID: "new", Place: machine.Place, Title: "New"}, []string{"user"},
		},
		"GetServiceAccount": {by("ada"), machine.ID},
		"ServiceAccounts":   {by("ada"), machine.Place, page},
		"GetHolderRoles":    {by("ada"), machine.Place, crew},
		"PutHolderRoles":    {by("ada"), machine.Place, crew, []string{"guest"}, time.Time{}},
		"CreateCustomRole": {
			by("ada"), operation.NewCustomRole{ID: "new", Scope: machine.Place, Title: "New", From: "auditor"},
		},
		"ReplaceCustomRole": {
			by("ada"), machine.Place, authz.ID("auditor"), operation.RoleContent{Title: "New", Grants: []string{"flow.run"}},
		},
		"GetRole":     {by("ada"), machine.Place, authz.ID("auditor")},
		"ListRoles":   {by("ada"), machine.Place, page},
		"RoleHolders": {by("ada"), machine.Place, authz.ID("user"), page},
		"Grants":      nil, // its result is not an answer to a caller
	}
	service := reflect.TypeFor[*operation.Service]()
	for method := range service.Methods() {
		if method.Type.NumOut() < 3 {
			continue
		}
		asked, known := arguments[method.Name]
		if !known {
			t.Errorf("%s is not performed here", method.Name)
		}
		if asked == nil {
			continue
		}
		failures := 0
		perform := func(calls int) *failing {
			on := &failing{Engine: engine}
			on.left.Store(int64(calls))
			in := []reflect.Value{reflect.ValueOf(operation.New(on)), reflect.ValueOf(t.Context())}
			for _, argument := range asked {
				in = append(in, reflect.ValueOf(argument))
			}
			out := method.Func.Call(in)
			if err, _ := out[2].Interface().(error); err != nil {
				failures++
				if !out[0].IsZero() || !out[1].IsZero() {
					t.Errorf("%s, failing after %d calls with %v, answers %v as well", method.Name, calls, err, out[0])
				}
			}
			return on
		}
		const many = 1000
		needed := many - int(perform(many).left.Load()) // the last of these calls is the write
		for _, calls := range []int{needed - 1, needed - 2, needed / 2} {
			perform(max(0, calls))
		}
		require.Positive(t, failures, method.Name)
	}
}
