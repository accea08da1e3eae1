package client_test

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
)

// ok returns a function that takes the results of a call, requires that there is no error, and returns the other
// result.
func ok[T any](t *testing.T) func(T, error) T {
	return func(result T, err error) T {
		t.Helper()
		require.NoError(t, err)
		return result
	}
}

// all returns the entries of a list. It requires that the list ends without an error.
func all[T any](t *testing.T, list iter.Seq2[T, error]) []T {
	t.Helper()
	var collected []T
	for entry, err := range list {
		require.NoError(t, err)
		collected = append(collected, entry)
	}
	return collected
}

// company creates a subscription and an account in it. Their ids contain the name of the test. roleSet is the role
// set of the subscription, and account that of the account. The actor olga owns both.
func company(t *testing.T, roleSet, account string) (subscription, acme string, olga *client.Actor) {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "/", "-")
	subscription, acme, owner := name+"-s", name+"-a", name+"-olga"
	_, err := shared.Client.CreateSubscription(t.Context(), client.NewSubscription{
		ID: subscription, RoleSet: roleSet, Owner: owner, Features: []string{"dashboards"},
	})
	require.NoError(t, err)
	olga = shared.Client.As(owner)
	created := ok[client.Account](t)(olga.CreateAccount(
		t.Context(), client.NewAccount{ID: acme, Subscription: subscription, RoleSet: account},
	))
	require.Equal(t, account, created.RoleSet)
	return subscription, acme, olga
}

func TestSubscription(t *testing.T) {
	ctx := t.Context()
	s, a, olga := company(t, "multi_owner", "team")
	got := ok[client.Subscription](t)(olga.GetSubscription(ctx, s))
	require.Equal(t, []string{"dashboards"}, got.Features)
	require.Empty(t, ok[client.Subscription](t)(shared.Client.PutFeatures(ctx, s)).Features)

	require.Equal(
		t, []string{"member"}, ok[client.ChangedMember](t)(olga.PutSubscriptionMember(ctx, s, "bob", "member")).Roles,
	)
	changed := ok[client.ChangedMember](t)(olga.PutMemberAccounts(ctx, s, "bob", client.RolesByID{a: {"user"}}))
	require.Equal(t, client.RolesByID{a: {"user"}}, client.RolesByID{a: changed.Accounts[a]})
	members := all(t, olga.SubscriptionMembers(ctx, s, true))
	require.Len(t, members, 2)
	require.Equal(t, []string{"user"}, members[1].Accounts[a], "%v", members)
	ok[client.ChangedMember](t)(olga.PutAccountMember(ctx, a, "carl", "guest"))
	require.Len(t, all(t, olga.SubscriptionMembers(ctx, s, true)), 2)
	require.Len(t, all(t, olga.SubscriptionPeople(ctx, s)), 3)
	require.Equal(t, []string{"member"}, ok[client.MemberDetails](t)(olga.GetSubscriptionMember(ctx, s, "bob")).Roles)
	require.Equal(t, []string{"guest"}, ok[client.MemberDetails](t)(olga.GetAccountMember(ctx, a, "carl")).Roles)
	listed := all(t, shared.Client.Subscriptions(ctx))
	require.True(t, slices.ContainsFunc(listed, func(l client.ListedSubscription) bool {
		return l.ID == s && l.RoleSet == "multi_owner"
	}))
	require.NoError(t, olga.RemoveSubscriptionMember(ctx, s, "bob"))
	require.Len(t, all(t, olga.SubscriptionMembers(ctx, s, false)), 1)

	accounts := all(t, olga.SubscriptionAccounts(ctx, s))
	require.Len(t, accounts, 1)
	require.Equal(t, a, accounts[0].ID)
	require.NoError(t, olga.DeleteSubscription(ctx, s))
	_, err := olga.GetSubscription(ctx, s)
	require.ErrorIs(t, err, client.NotFound)
}

func TestTransfer(t *testing.T) {
	s, _, olga := company(t, "single_owner", "team")
	require.NoError(t, olga.TransferSubscription(t.Context(), s, "bob"))
	ok[client.Subscription](t)(shared.Client.As("bob").GetSubscription(t.Context(), s))
}

func TestReplacingLostOwners(t *testing.T) {
	ctx := t.Context()
	one, team, _ := company(t, "single_owner", "team")
	require.NoError(t, shared.Client.ReplaceSubscriptionOwner(ctx, one, "bob", "the owner left"))
	ok[client.Subscription](t)(shared.Client.As("bob").GetSubscription(ctx, one))
	require.ErrorIs(t, shared.Client.ReplaceSubscriptionOwner(ctx, one, "eve", ""), client.Invalid)
	require.Equal(
		t, []string{"owner"},
		ok[client.ChangedMember](t)(shared.Client.AddAccountOwner(ctx, team, "eve", "the owner left")).Roles,
	)
	_, err := shared.Client.AddSubscriptionOwner(ctx, one, "eve", "the owner left")
	require.ErrorIs(t, err, client.Conflict)
	_, err = shared.Client.AddAccountAdministrator(ctx, team, "gus", "the owner left")
	require.ErrorIs(t, err, client.Invalid)
}

func TestAddingOwners(t *testing.T) {
	ctx := t.Context()
	many, operations, _ := company(t, "multi_owner", "operations")
	require.Equal(
		t, []string{"owner"},
		ok[client.ChangedMember](t)(shared.Client.AddSubscriptionOwner(ctx, many, "bob", "the owner left")).Roles,
	)
	require.Equal(t, []string{"administrator"},
		ok[client.ChangedMember](t)(
			shared.Client.AddAccountAdministrator(ctx, operations, "eve", "the administrator left"),
		).Roles)
}

func TestAccount(t *testing.T) {
	ctx := t.Context()
	_, a, olga := company(t, "multi_owner", "team")
	require.Equal(t, a, ok[client.Account](t)(olga.GetAccount(ctx, a)).ID)
	require.Equal(t, []string{"guest"}, ok[client.ChangedMember](t)(olga.PutAccountMember(ctx, a, "gus", "guest")).Roles)
	require.Len(
		t, ok[[]client.Member](t)(olga.PatchAccountMembers(ctx, a, client.RolesByID{"bob": {"user"}, "gus": nil})), 2,
	)
	require.Len(t, all(t, olga.AccountMembers(ctx, a)), 2)
	require.NoError(t, olga.RemoveAccountMember(ctx, a, "bob"))
	require.Len(t, all(t, olga.AccountMembers(ctx, a)), 1)

	mine := all(t, olga.Accounts(ctx))
	require.Equal(t, []string{"owner"}, mine[0].Roles)
	require.Equal(t, mine, all(t, shared.Client.UserAccounts(ctx, t.Name()+"-olga")))
	require.NoError(t, olga.DeleteAccount(ctx, a))
	require.Empty(t, all(t, olga.Accounts(ctx)))
}

// TestPersonIsTheSameInBothForms writes the id of a person as user:bob, in every call that accepts a person. The
// result must be the same as for the id bob.
func TestPersonIsTheSameInBothForms(t *testing.T) {
	ctx := t.Context()
	s, a, olga := company(t, "multi_owner", "team")
	typed := shared.Client.As("user:" + t.Name() + "-olga")
	bob, eve, pat := t.Name()+"-bob", t.Name()+"-eve", t.Name()+"-pat"
	require.Equal(t, bob, ok[client.ChangedMember](t)(typed.PutSubscriptionMember(ctx, s, "user:"+bob, "member")).User)
	require.Equal(
		t, bob,
		ok[client.ChangedMember](t)(typed.PutMemberAccounts(ctx, s, "user:"+bob, client.RolesByID{a: {"guest"}})).User,
	)
	require.Equal(t, bob, ok[client.ChangedMember](t)(typed.PutAccountMember(ctx, a, "user:"+bob, "user")).User)
	until := time.Now().Add(time.Hour)
	require.Equal(
		t, eve, ok[client.ChangedMember](t)(typed.PutAccountMemberUntil(ctx, a, "user:"+eve, until, "user")).User,
	)
	changed := ok[[]client.Member](t)(typed.PatchAccountMembers(ctx, a, client.RolesByID{"user:" + eve: {"user"}}))
	require.Equal(t, eve, changed[0].User)
	invited := ok[client.Invitation](t)(
		typed.InviteToAccount(ctx, a, client.NewInvitation{Invitee: "user:" + pat, Roles: []string{"user"}}),
	)
	require.Equal(t, pat, invited.Invitee)

	_, err := shared.Client.PutConnector(ctx, "mysql")
	require.NoError(t, err)
	connection := "connection:" + t.Name()
	ok[client.Connection](t)(shared.Client.As("user:"+bob).CreateConnection(
		ctx, client.NewConnection{ID: t.Name(), Account: a, Connector: "mysql"},
	))
	sharing := client.Sharing{Visibility: client.Private, Users: []string{"user:" + eve}}
	require.Equal(
		t, []string{eve}, ok[client.Connection](t)(shared.Client.As(bob).ShareConnection(ctx, t.Name(), sharing)).Users,
	)
	for _, who := range []string{eve, "user:" + eve} {
		require.True(t, ok[bool](t)(shared.Client.Can(ctx, who, "view", connection)))
		require.Equal(
			t, map[string]bool{connection: true}, ok[map[string]bool](t)(shared.Client.CanEach(ctx, who, "view", connection)),
		)
		require.True(t, ok[bool](t)(shared.Client.CanAll(ctx, who, "view", connection)))
		require.True(t, ok[map[string]bool](t)(shared.Client.Permissions(ctx, who, connection))["view"])
		require.Equal(t, []string{t.Name()}, all(t, shared.Client.Resources(ctx, who, "view", "connection")))
		require.Len(t, all(t, shared.Client.UserAccounts(ctx, who)), 1)
		require.Len(t, all(t, shared.Client.As(who).Accounts(ctx)), 1)
	}

	require.Equal(t, 1, ok[client.Offboarding](t)(typed.Offboarding(ctx, a, "user:"+bob)).PrivateConnections.Count)
	ok[client.Reassigned](t)(
		typed.HandOverAccountMember(ctx, a, "user:"+bob, client.Handover{To: "user:" + eve, Private: client.Leave}),
	)
	ok[client.Reassigned](t)(
		typed.HandOverSubscriptionMember(ctx, s, "user:"+bob, client.Handover{To: "user:" + eve, Private: client.Leave}),
	)
	require.NoError(t, typed.RemoveAccountMember(ctx, a, "user:"+eve))
	require.NoError(t, typed.RemoveSubscriptionMember(ctx, s, "user:"+eve))
	require.Len(t, all(t, olga.AccountMembers(ctx, a)), 1)
	require.Len(t, all(t, olga.SubscriptionMembers(ctx, s, false)), 1)
	require.NoError(t, shared.Client.AddPlatformAdministrator(ctx, "user:"+pat))
	require.NoError(t, shared.Client.RemovePlatformAdministrator(ctx, "user:"+pat))
	require.NoError(t, shared.Client.EraseUser(ctx, "user:"+bob))

	single := t.Name() + "-single"
	_, err = shared.Client.CreateSubscription(
		ctx, client.NewSubscription{ID: single, RoleSet: "single_owner", Owner: "user:" + bob},
	)
	require.NoError(t, err)
	require.NoError(t, shared.Client.As(bob).TransferSubscription(ctx, single, "user:"+eve))
	ok[client.Subscription](t)(shared.Client.As(eve).GetSubscription(ctx, single))
}

func TestLeaving(t *testing.T) {
	ctx := t.Context()
	_, a, olga := company(t, "multi_owner", "team")
	bob := t.Name() + "-bob"
	for _, who := range []string{bob, "eve"} {
		ok[client.ChangedMember](t)(olga.PutAccountMember(ctx, a, who, "user"))
	}
	_, err := shared.Client.PutConnector(ctx, "mysql")
	require.NoError(t, err)
	ok[client.Connection](t)(shared.Client.As(bob).CreateConnection(
		ctx, client.NewConnection{ID: t.Name() + "-c", Account: a, Connector: "mysql"},
	))
	ok[client.Importer](t)(shared.Client.As(bob).CreateImporter(ctx, client.NewImporter{ID: t.Name() + "-i", Account: a}))

	report := ok[client.Offboarding](t)(olga.Offboarding(ctx, a, bob))
	require.Equal(t, []string{t.Name() + "-i"}, report.Importers.IDs)
	require.Equal(t, 1, report.PrivateConnections.Count)
	_, err = olga.HandOverAccountMember(ctx, a, bob, client.Handover{To: "eve"})
	require.ErrorIs(t, err, client.Conflict)
	moved := ok[client.Reassigned](t)(
		olga.HandOverAccountMember(ctx, a, bob, client.Handover{To: "eve", Private: client.Leave}),
	)
	require.Equal(t, []string{t.Name() + "-i"}, moved.Importers.IDs)
	require.True(t, ok[bool](t)(shared.Client.Can(ctx, "eve", "delete", "importer:"+t.Name()+"-i")))

	require.NoError(t, shared.Client.EraseUser(ctx, bob))
	var refusal *client.Error
	require.ErrorAs(t, shared.Client.EraseUser(ctx, t.Name()+"-olga"), &refusal)
	require.Equal(t, []string{a}, refusal.Accounts)
	require.Len(t, refusal.Subscriptions, 1)
}

func TestConnectionsAndImporters(t *testing.T) {
	ctx := t.Context()
	_, a, olga := company(t, "single_owner", "team")
	_, err := shared.Client.PutConnector(ctx, "mysql", "views")
	require.NoError(t, err)
	for _, id := range []string{"one", "two"} {
		made := ok[client.Connection](t)(olga.CreateConnection(
			ctx, client.NewConnection{ID: a + id, Account: a, Connector: "mysql"},
		))
		require.Equal(t, client.Shared, made.Visibility)
	}
	require.Equal(t, "pair", ok[client.Connection](t)(olga.GroupConnection(ctx, a+"one", "pair")).Group)
	require.Empty(t, ok[client.Connection](t)(olga.UngroupConnection(ctx, a+"one")).Group)
	ok[client.Connection](t)(olga.ShareConnection(ctx, a+"one", client.Sharing{Visibility: client.Shared}))

	made := ok[client.Importer](t)(olga.CreateImporter(
		ctx, client.NewImporter{ID: a + "i", Account: a, Source: a + "one"},
	))
	require.Equal(t, a+"one", made.Source)
	changed := ok[client.Importer](t)(olga.SetImporterConnections(ctx, a+"i", client.Detach(), client.Connect(a+"two")))
	require.Equal(t, []string{"", a + "two"}, []string{changed.Source, changed.Destination})
	changed = ok[client.Importer](t)(olga.SetImporterConnections(ctx, a+"i", client.Connect(a+"one"), client.End{}))
	require.Equal(t, []string{a + "one", a + "two"}, []string{changed.Source, changed.Destination})
	require.Empty(t, ok[client.CopiedImporter](t)(olga.CopyImporter(ctx, a+"i", a+"copy")).LeftOut)
	read := ok[client.Importer](t)(olga.GetImporter(ctx, a+"copy"))
	require.Equal(t, []string{a, a + "one", a + "two"}, []string{read.Account, read.Source, read.Destination})
	require.Equal(t, client.Shared, ok[client.Connection](t)(olga.GetConnection(ctx, a+"one")).Visibility)
	require.Contains(t, ok[client.Connector](t)(olga.GetConnector(ctx, "mysql")).Capabilities, "views")

	stored := all(t, shared.Client.Relationships(ctx, "importer:"+a+"copy", "source"))
	require.Equal(
		t,
		[]client.Relationship{{
			Resource: client.Object("importer:" + a + "copy"), Relation: "source",
			Subject: client.Object("connection:" + a + "one"),
		}},
		stored,
	)
	require.Greater(t, len(all(t, shared.Client.Relationships(ctx, "importer:"+a+"copy", ""))), 1)
	team := all(t, shared.Client.Relationships(ctx, "account:"+a, "team"))
	require.Equal(
		t,
		[]client.Relationship{{
			Resource: client.Object("account:" + a), Relation: "team",
			Subject: client.Reference{Type: "service_account"}, Everybody: true,
		}, {
			Resource: client.Object("account:" + a), Relation: "team", Subject: client.User(""), Everybody: true,
		}},
		team,
	)

	require.NoError(t, olga.DeleteImporter(ctx, a+"copy"))
	require.NoError(t, olga.DeleteConnection(ctx, a+"two"))
	require.Empty(t, all(t, shared.Client.Relationships(ctx, "importer:"+a+"i", "destination")))
}

func TestWorkspacesAndParts(t *testing.T) {
	ctx := t.Context()
	_, a, olga := company(t, "multi_owner", "operations")
	w := a + "-w"
	require.True(
		t, ok[client.Workspace](t)(olga.CreateWorkspace(ctx, client.NewWorkspace{ID: w, Account: a, Open: true})).Open,
	)
	ok[client.ChangedMember](t)(olga.PutAccountMember(
		ctx, a, "ann", "operator", "flow_author", "integration_author", "connector_author",
	))
	require.Equal(
		t, []string{"ann"},
		ok[client.Workspace](t)(olga.SetWorkspaceAccess(ctx, w, client.Access{Users: []string{"ann"}})).Users,
	)
	ann := shared.Client.As("ann")

	flow := client.NewWorkspacePart{ID: a + "-f", Workspace: w}
	ok[client.WorkspacePart](t)(ann.CreateFlow(ctx, flow))
	ok[client.WorkspacePart](t)(ann.CreateSchedule(ctx, flow))
	ok[client.WorkspacePart](t)(ann.CreateService(ctx, flow))
	require.Equal(t, w, ok[client.WorkspacePart](t)(ann.GetFlow(ctx, flow.ID)).Workspace)
	require.Equal(t, w, ok[client.WorkspacePart](t)(ann.GetSchedule(ctx, flow.ID)).Workspace)
	require.Equal(t, w, ok[client.WorkspacePart](t)(ann.GetService(ctx, flow.ID)).Workspace)
	require.Equal(t, []string{"ann"}, ok[client.Workspace](t)(ann.GetWorkspace(ctx, w)).Users)
	require.NoError(
		t, errors.Join(ann.DeleteFlow(ctx, flow.ID), ann.DeleteSchedule(ctx, flow.ID), ann.DeleteService(ctx, flow.ID)),
	)

	part := client.NewPart{ID: a + "-p", Account: a}
	ok[client.Part](t)(ann.CreateIntegration(ctx, part))
	ok[client.Part](t)(ann.CreateConnector(ctx, part))
	require.Equal(t, a, ok[client.Part](t)(ann.GetIntegration(ctx, part.ID)).Account)
	require.Equal(t, a, ok[client.Connector](t)(ann.GetConnector(ctx, part.ID)).Account)
	require.NoError(t, errors.Join(ann.DeleteIntegration(ctx, part.ID), ann.DeleteConnector(ctx, part.ID)))
	require.NoError(t, olga.DeleteWorkspace(ctx, w))
}

func TestReportsAndExports(t *testing.T) {
	ctx := t.Context()
	_, a, olga := company(t, "multi_owner", "analytics")
	part := client.NewPart{ID: a + "-p", Account: a}
	ok[client.Part](t)(olga.CreateReport(ctx, part))
	ok[client.Part](t)(olga.CreateExport(ctx, part))
	require.Equal(t, a, ok[client.Part](t)(olga.GetReport(ctx, part.ID)).Account)
	require.Equal(t, a, ok[client.Part](t)(olga.GetExport(ctx, part.ID)).Account)
	may := ok[map[string]bool](t)(shared.Client.Permissions(ctx, t.Name()+"-olga", "report:"+part.ID))
	require.True(t, may["view"], may)
	require.NoError(t, errors.Join(olga.DeleteReport(ctx, part.ID), olga.DeleteExport(ctx, part.ID)))
}

func TestPlatform(t *testing.T) {
	ctx := t.Context()
	require.NoError(t, shared.Client.AddPlatformAdministrator(ctx, "pat"))
	require.True(t, ok[bool](t)(shared.Client.Can(ctx, "pat", "administer", "platform:main")))
	require.NoError(t, shared.Client.RemovePlatformAdministrator(ctx, "pat"))
	require.False(t, ok[bool](t)(shared.Client.Can(ctx, "pat", "administer", "platform:main")))
	require.Len(t, ok[[]client.RoleSet](t)(shared.Client.RoleSets(ctx)), 6)
	require.NotEmpty(t, ok[[]client.ResourceType](t)(shared.Client.Types(ctx)))
}

// TestAnyID checks that the client accepts any id in paths, headers, bodies, and references such as account:north.
func TestAnyID(t *testing.T) {
	ctx := t.Context()
	s, _, olga := company(t, "multi_owner", "team")
	for _, id := range []string{
		".", "..", "...", "a/../b", "north/east", "room#1", "x:y", "100%", "a+b c", "ä@例.de", "*", "?q=1",
	} {
		t.Run(id, func(t *testing.T) {
			ok[client.Account](t)(olga.CreateAccount(ctx, client.NewAccount{ID: id, Subscription: s, RoleSet: "team"}))
			require.Equal(t, id, ok[client.Account](t)(olga.GetAccount(ctx, id)).ID)
			require.Equal(t, id, ok[client.ChangedMember](t)(olga.PutAccountMember(ctx, id, id, "user")).User)
			require.True(t, ok[bool](t)(shared.Client.Can(ctx, id, "view", "account:"+id)))
			require.Equal(t, id, all(t, shared.Client.As(id).Accounts(ctx))[0].ID)
			stored := all(t, shared.Client.Relationships(ctx, "account:"+id, "user"))[0]
			require.Equal(t, client.User(id), stored.Subject)
			require.False(t, stored.Everybody)
			require.NoError(t, olga.RemoveAccountMember(ctx, id, id))
			require.False(t, ok[bool](t)(shared.Client.Can(ctx, id, "view", "account:"+id)))
			require.NoError(t, olga.DeleteAccount(ctx, id))
		})
	}
	allowed, err := shared.Client.Can(ctx, "\xff", "view", "account:x")
	require.False(t, allowed)
	require.ErrorIs(t, err, client.Invalid)
}
