package httpapi_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// operations is a fake that records its call, and returns its error or the values of the request.
type operations struct {
	mu     sync.Mutex
	name   string
	caller operation.Caller
	args   []any

	err                error
	isReplay, isHidden bool
	hook               func(context.Context) error
}

const token authz.Token = "t1"

func (o *operations) done() operation.Done {
	return operation.Done{Token: token, IsReplay: o.isReplay, IsHidden: o.isHidden}
}

func (o *operations) record(ctx context.Context, name string, by operation.Caller, args ...any) error {
	o.mu.Lock()
	o.name, o.caller, o.args = name, by, args
	o.mu.Unlock()
	if o.hook != nil {
		return o.hook(ctx)
	}
	return o.err
}

func (o *operations) AddPlatformAdministrator(
	ctx context.Context, by operation.Caller, user authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "AddPlatformAdministrator", by, user)
}

func (o *operations) RemovePlatformAdministrator(
	ctx context.Context, by operation.Caller, user authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "RemovePlatformAdministrator", by, user)
}

func (o *operations) PutConnector(
	ctx context.Context, by operation.Caller, id authz.ID, capabilities []string,
) (operation.Connector, operation.Done, error) {
	return operation.Connector{ID: id, Capabilities: capabilities}, o.done(),
		o.record(ctx, "PutConnector", by, id, capabilities)
}

func (o *operations) Delete(ctx context.Context, by operation.Caller, object authz.Object) (operation.Done, error) {
	return o.done(), o.record(ctx, "Delete", by, object)
}

func (o *operations) CreateSubscription(
	ctx context.Context, by operation.Caller, in operation.NewSubscription,
) (operation.Subscription, operation.Done, error) {
	return operation.Subscription{ID: in.ID, RoleSet: authz.RoleSetName(in.RoleSet)}, o.done(), o.record(
		ctx, "CreateSubscription", by, in,
	)
}

func (o *operations) PutFeatures(
	ctx context.Context, by operation.Caller, id authz.ID, features []string,
) (operation.Subscription, operation.Done, error) {
	return operation.Subscription{ID: id, RoleSet: "multi_owner", Features: authz.Features}, o.done(), o.record(
		ctx, "PutFeatures", by, id, features,
	)
}

func (o *operations) GetSubscription(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.Subscription, authz.Token, error) {
	return operation.Subscription{ID: id, RoleSet: "multi_owner"}, token, o.record(ctx, "GetSubscription", by, id)
}

var someAccounts = operation.Accounts{
	Accounts:   []operation.Account{{ID: "acme", Subscription: "s1", RoleSet: "team", Roles: operation.Roles{"owner"}}},
	NextCursor: "next",
}

func (o *operations) SubscriptionAccounts(
	ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
) (operation.Accounts, authz.Token, error) {
	return someAccounts, token, o.record(ctx, "SubscriptionAccounts", by, id, page)
}

func (o *operations) UserAccounts(
	ctx context.Context, by operation.Caller, user authz.ID, inspect bool, page operation.Page,
) (operation.Accounts, authz.Token, error) {
	return operation.Accounts{}, token, o.record(ctx, "UserAccounts", by, user, inspect, page)
}

func (o *operations) TransferSubscription(
	ctx context.Context, by operation.Caller, id, to authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "TransferSubscription", by, id, to)
}

func (o *operations) SubscriptionMembers(
	ctx context.Context, by operation.Caller, id authz.ID, byAccount bool, page operation.Page,
) (operation.Members, authz.Token, error) {
	return operation.Members{Members: []operation.Member{{
		User: "bob", Roles: operation.Roles{"member"}, Accounts: map[authz.ID]operation.Roles{"acme": {"editor"}},
	}}}, token, o.record(ctx, "SubscriptionMembers", by, id, byAccount, page)
}

func (o *operations) SubscriptionPeople(
	ctx context.Context, by operation.Caller, id authz.ID, page operation.Page,
) (operation.Members, authz.Token, error) {
	return operation.Members{
			Members:    []operation.Member{{User: "bob", Accounts: map[authz.ID]operation.Roles{"acme": {"editor"}}}},
			NextCursor: "next",
		},
		token, o.record(ctx, "SubscriptionPeople", by, id, page)
}

func (o *operations) PutSubscriptionMember(
	ctx context.Context, by operation.Caller, id, user authz.ID, roles []string,
) (operation.Member, operation.Done, error) {
	return operation.Member{User: user, Roles: operation.Roles{"it_admin"}}, o.done(), o.record(
		ctx, "PutSubscriptionMember", by, id, user, roles,
	)
}

func (o *operations) RemoveSubscriptionMember(
	ctx context.Context, by operation.Caller, id, user authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "RemoveSubscriptionMember", by, id, user)
}

func (o *operations) PutMemberAccounts(
	ctx context.Context, by operation.Caller, id, user authz.ID, accounts map[authz.ID][]string, until time.Time,
) (operation.Member, operation.Done, error) {
	member := operation.Member{User: user, Accounts: map[authz.ID]operation.Roles{"a1": {"editor"}, "a2": nil}}
	member.AccountsExpireAt = map[authz.ID]time.Time{"a1": time.Unix(1893456000, 0)}
	return member, o.done(), o.record(ctx, "PutMemberAccounts", by, id, user, accounts, until)
}

func (o *operations) CreateAccount(
	ctx context.Context, by operation.Caller, in operation.NewAccount,
) (operation.Account, operation.Done, error) {
	return operation.Account{
		ID: in.ID, Subscription: in.Subscription, RoleSet: authz.RoleSetName(in.RoleSet),
	}, o.done(), o.record(ctx, "CreateAccount", by, in)
}

func (o *operations) GetAccount(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.Account, authz.Token, error) {
	return operation.Account{ID: id, Subscription: "s1", RoleSet: "team"}, token, o.record(ctx, "GetAccount", by, id)
}

func (o *operations) AccountMembers(
	ctx context.Context, by operation.Caller, id authz.ID, holders authz.Type, role string, page operation.Page,
) (operation.Members, authz.Token, error) {
	var members operation.Members
	if holders != authz.TypeUser {
		group := operation.Member{Holder: authz.Holder{Type: holders, ID: "g1"}, Roles: operation.Roles{"viewer"}}
		members.Members = append(members.Members, group)
	}
	return members, token, o.record(ctx, "AccountMembers", by, id, holders, role, page)
}

func (o *operations) PutAccountMember(
	ctx context.Context, by operation.Caller, id, user authz.ID, roles []string, until time.Time,
) (operation.Member, operation.Done, error) {
	return operation.Member{User: user, Roles: operation.Roles{"guest"}}, o.done(), o.record(
		ctx, "PutAccountMember", by, id, user, roles, until,
	)
}

func (o *operations) RemoveAccountMember(
	ctx context.Context, by operation.Caller, id, user authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "RemoveAccountMember", by, id, user)
}

func (o *operations) HandOverAccountMember(
	ctx context.Context, by operation.Caller, id, user authz.ID, to operation.Handover,
) (*operation.Reassigned, operation.Done, error) {
	reassigned := operation.Reassigned{
		Importers: operation.Named{Count: 2, IDs: []authz.ID{"i1"}}, PrivateMoved: 3, PrivateDisconnected: 4,
	}
	return &reassigned, o.done(), o.record(ctx, "HandOverAccountMember", by, id, user, to)
}

func (o *operations) HandOverSubscriptionMember(
	ctx context.Context, by operation.Caller, id, user authz.ID, to operation.Handover,
) (*operation.Reassigned, operation.Done, error) {
	return nil, o.done(), o.record(ctx, "HandOverSubscriptionMember", by, id, user, to)
}

func (o *operations) ReportOffboarding(
	ctx context.Context, by operation.Caller, id, user authz.ID,
) (operation.OffboardingReport, authz.Token, error) {
	report := operation.OffboardingReport{
		User: user, Importers: operation.Named{Count: 2, IDs: []authz.ID{"i1"}}, Private: 3, PrivateInUse: 1, Shares: 4,
	}
	return report, token, o.record(ctx, "ReportOffboarding", by, id, user)
}

func (o *operations) EraseUser(ctx context.Context, by operation.Caller, user authz.ID) (operation.Done, error) {
	return o.done(), o.record(ctx, "EraseUser", by, user)
}

func (o *operations) Contents(
	ctx context.Context, by operation.Caller, of operation.Collection, page operation.Page,
) (operation.Objects, authz.Token, error) {
	objects := []operation.VisibleObject{{ID: "i1", Permissions: []authz.Permission{"view", "edit"}}, {ID: "i2"}}
	return operation.Objects{Objects: objects, NextCursor: "c1"}, token, o.record(ctx, "Contents", by, of, page)
}

func (o *operations) PatchAccountMembers(
	ctx context.Context, by operation.Caller, id authz.ID, members map[authz.ID][]string, until time.Time,
) ([]operation.Member, operation.Done, error) {
	return []operation.Member{{User: "bob", Roles: operation.Roles{"viewer"}}, {User: "eve"}}, o.done(), o.record(
		ctx, "PatchAccountMembers", by, id, members, until,
	)
}

func (o *operations) Invite(
	ctx context.Context, by operation.Caller, in operation.NewInvitation,
) (operation.Invitation, operation.Done, error) {
	invitation := operation.Invitation{
		ID: "secret", Handle: "h1", To: in.To, Inviter: by.Actor, Invitee: in.Invitee, Roles: operation.Roles{"guest"},
		ExpiresAt: time.Unix(1893456000, 0),
	}
	return invitation, o.done(), o.record(ctx, "Invite", by, in)
}

func (o *operations) Invitations(
	ctx context.Context, by operation.Caller, to authz.Object, page operation.Page,
) (operation.Invitations, authz.Token, error) {
	open := []operation.Invitation{{
		ID: "secret", Handle: "h1", To: to, Inviter: "alice", Roles: operation.Roles{"user"},
		ExpiresAt: time.Unix(1893456000, 0),
	}}
	return operation.Invitations{Invitations: open, NextCursor: "c1"}, token, o.record(ctx, "Invitations", by, to, page)
}

func (o *operations) WithdrawInvitation(
	ctx context.Context, by operation.Caller, to authz.Object, handle authz.ID,
) (operation.Done, error) {
	return o.done(), o.record(ctx, "WithdrawInvitation", by, to, handle)
}

func (o *operations) AcceptInvitation(
	ctx context.Context, by operation.Caller, id string,
) (operation.AcceptedInvitation, operation.Done, error) {
	return operation.AcceptedInvitation{
		To: authz.Object{Type: "subscription", ID: "s1"}, Roles: operation.Roles{"it_admin"},
	}, o.done(), o.record(ctx, "AcceptInvitation", by, id)
}

func (o *operations) DeclineInvitation(ctx context.Context, by operation.Caller, id string) (operation.Done, error) {
	return o.done(), o.record(ctx, "DeclineInvitation", by, id)
}

func (o *operations) CreateImporter(
	ctx context.Context, by operation.Caller, in operation.NewImporter,
) (operation.Importer, operation.Done, error) {
	return operation.Importer{ID: in.ID, Account: in.Account, Source: in.Source}, o.done(), o.record(
		ctx, "CreateImporter", by, in,
	)
}

func (o *operations) SetImporterEnds(
	ctx context.Context, by operation.Caller, id authz.ID, in operation.ImporterEnds,
) (operation.Importer, operation.Done, error) {
	show := func(end *authz.ID) string {
		if end == nil {
			return "unchanged"
		}
		return fmt.Sprintf("%q", *end)
	}
	return operation.Importer{ID: id, Account: "acme"}, o.done(), o.record(
		ctx, "SetImporterEnds", by, id, show(in.Source), show(in.Destination),
	)
}

func (o *operations) CopyImporter(
	ctx context.Context, by operation.Caller, id, copied authz.ID,
) (operation.Importer, operation.Done, error) {
	return operation.Importer{
		ID: copied, Account: "acme", Source: "c1", LeftOut: []string{"destination"},
	}, o.done(), o.record(ctx, "CopyImporter", by, id, copied)
}

func (o *operations) CreateConnection(
	ctx context.Context, by operation.Caller, in operation.NewConnection,
) (operation.Connection, operation.Done, error) {
	return operation.Connection{
		ID: in.ID, Account: in.Account, Connector: in.Connector, Visibility: operation.Private,
	}, o.done(), o.record(ctx, "CreateConnection", by, in)
}

var someConnection = operation.Connection{
	ID: "c1", Account: "acme", Connector: "crm", Visibility: operation.Shared, Group: "emea", Users: []authz.ID{"bob"},
}

func (o *operations) ShareConnection(
	ctx context.Context, by operation.Caller, id authz.ID, in operation.Sharing,
) (operation.Connection, operation.Done, error) {
	return someConnection, o.done(), o.record(ctx, "ShareConnection", by, id, in)
}

func (o *operations) GroupConnection(
	ctx context.Context, by operation.Caller, id, group authz.ID,
) (operation.Connection, operation.Done, error) {
	return someConnection, o.done(), o.record(ctx, "GroupConnection", by, id, group)
}

func (o *operations) UngroupConnection(
	ctx context.Context, by operation.Caller, id authz.ID,
) (operation.Connection, operation.Done, error) {
	return someConnection, o.done(), o.record(ctx, "UngroupConnection", by, id)
}

func (o *operations) CreateWorkspace(
	ctx context.Context, by operation.Caller, in operation.NewWorkspace,
) (operation.Workspace, operation.Done, error) {
	return operation.Workspace{ID: in.ID, Account: in.Account, Open: in.Access.Open}, o.done(), o.record(
		ctx, "CreateWorkspace", by, in,
	)
}

func (o *operations) SetWorkspaceAccess(
	ctx context.Context, by operation.Caller, id authz.ID, access operation.Access,
) (operation.Workspace, operation.Done, error) {
	return operation.Workspace{ID: id, Account: "acme", Open: access.Open, Users: access.Users}, o.done(), o.record(
		ctx, "SetWorkspaceAccess", by, id, access,
	)
}

func (o *operations) CreatePart(
	ctx context.Context, by operation.Caller, part operation.Part,
) (operation.Part, operation.Done, error) {
	return part, o.done(), o.record(ctx, "CreatePart", by, part)
}
