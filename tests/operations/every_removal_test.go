package operations_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// offer is an open invitation that a test stores.
type offer struct {
	inviter authz.ID
	to      authz.Object
	invitee authz.ID
	role    string
}

// closing is an operation that removes sam from an account, a subscription or the platform. Each operation runs with
// two new subscriptions. "one", under single_owner, belongs to sam and has the account "room". "two", under
// multi_owner, belongs to olga and has the account "hall".
type closing struct {
	name    string
	prepare []string // relationships of sam that are stored before the operation

	// perform removes sam. toOwn is the id of tess's invitation to become owner of subscription one.
	perform func(ctx context.Context, s *operation.Service, toOwn string) error

	ends  []offer // invitations that the first write closes
	stays []offer // invitations that stay open
}

var (
	one, room = authz.Object{Type: "subscription", ID: "one"}, authz.Object{Type: "account", ID: "room"}
	two, hall = authz.Object{Type: "subscription", ID: "two"}, authz.Object{Type: "account", ID: "hall"}

	samToOwn  = offer{"sam", one, "tess", "owner"}
	samToOne  = offer{"sam", one, "rita", "read_only"}
	samToRoom = offer{"sam", room, "rita", "user"}
	samToHall = offer{"sam", hall, "rita", "user"}
	samToTwo  = offer{"sam", two, "rita", "member"}
	toSam     = offer{"olga", hall, "sam", "owner"}
	toSamTwo  = offer{"olga", two, "sam", "owner"}
	others    = offer{"olga", hall, "nora", "user"}
	othersTwo = offer{"olga", two, "nora", "member"}
)

// closings are the removals that TestRemovalWithdrawsInvitations does not perform: removals of an administrator or an
// owner, erasing a person, and deletions of accounts and subscriptions.
var closings = []closing{
	{
		name: "an administrator of the platform is removed", prepare: []string{"platform:main#administrator@user:sam"},
		perform: func(ctx context.Context, s *operation.Service, _ string) error {
			_, err := s.RemovePlatformAdministrator(ctx, by(""), "sam")
			return err
		},
		ends: []offer{samToHall, samToOne, samToRoom, toSam, toSamTwo}, stays: []offer{others, othersTwo},
	},
	{
		name: "an owner transfers the subscription",
		perform: func(ctx context.Context, s *operation.Service, _ string) error {
			_, err := s.TransferSubscription(ctx, by("sam"), "one", "tess")
			return err
		},
		ends: []offer{samToOne, samToRoom}, stays: []offer{toSam, others},
	},
	{
		name: "an owner with a role on the account transfers the subscription", prepare: []string{"account:room#owner@user:sam"},
		perform: func(ctx context.Context, s *operation.Service, _ string) error {
			_, err := s.TransferSubscription(ctx, by("sam"), "one", "tess")
			return err
		},
		ends: []offer{samToOne}, stays: []offer{samToRoom, toSam, others},
	},
	{
		name: "an invitation to own the subscription is accepted",
		perform: func(ctx context.Context, s *operation.Service, toOwn string) error {
			_, _, err := s.AcceptInvitation(ctx, by("tess"), toOwn)
			return err
		},
		ends: []offer{samToOne, samToRoom}, stays: []offer{toSam, others},
	},
	{
		name: "the backend replaces the owner",
		perform: func(ctx context.Context, s *operation.Service, _ string) error {
			caller := by("")
			caller.Reason = "lost"
			_, err := s.TransferSubscription(ctx, caller, "one", "tess")
			return err
		},
		ends: []offer{samToOne, samToRoom}, stays: []offer{toSam, others},
	},
	{
		name: "a person is erased", prepare: []string{"subscription:two#owner@user:sam", "account:hall#owner@user:sam", "subscription:one#owner@user:tess"},
		perform: func(ctx context.Context, s *operation.Service, _ string) error {
			_, err := s.EraseUser(ctx, by(""), "sam")
			return err
		},
		ends: []offer{samToHall, samToTwo, samToOne, toSam}, stays: []offer{others, othersTwo},
	},
	{
		name: "an account is deleted",
		perform: func(ctx context.Context, s *operation.Service, _ string) error {
			_, err := s.Delete(ctx, by("sam"), room)
			return err
		},
		ends: []offer{samToRoom}, stays: []offer{samToOne, toSam, others},
	},
	{
		name: "a subscription is deleted",
		perform: func(ctx context.Context, s *operation.Service, _ string) error {
			_, err := s.Delete(ctx, by("sam"), one)
			return err
		},
		ends: []offer{samToOne, samToRoom}, stays: []offer{toSam, others},
	},
}

// TestEveryRemovalWithdrawsInvitations performs each removal of closings. After the first write, nobody may accept an
// invitation that sam received or sent to the account or subscription of the removal, even if sam may invite again.
// Invitations to other accounts and subscriptions stay open.
func TestEveryRemovalWithdrawsInvitations(t *testing.T) {
	engine := newEngine(t)
	ctx := t.Context()
	for _, closing := range closings {
		t.Run(closing.name, func(t *testing.T) {
			s := operation.New(engine)
			makeScene(t, engine, s, closing.prepare)
			ids := make(map[offer]string)
			for _, o := range slices.Concat(closing.ends, closing.stays, []offer{samToOwn}) {
				in := operation.NewInvitation{To: o.to, Invitee: o.invitee, Roles: []string{o.role}}
				invitation, _, err := s.Invite(ctx, by(o.inviter), in)
				require.NoError(t, err, "%v", o)
				ids[o] = invitation.ID
			}
			requireEnded := func() {
				t.Helper()
				for _, o := range closing.ends {
					_, _, err := s.AcceptInvitation(ctx, by(o.invitee), ids[o])
					require.ErrorIs(t, err, authz.CodeNotFound, "%v", o)
				}
			}
			if err := closing.perform(ctx, operation.New(&crashing{engine, 1}), ids[samToOwn]); !errors.Is(err, errCrash) {
				require.NoError(t, err)
			}
			// sam may invite again, but the withdrawn invitations must stay closed.
			store(ctx, t, engine, "platform:main#administrator@user:sam")
			requireEnded()
			require.NoError(t, s.Resume(ctx))
			requireEnded()
			for _, o := range closing.stays {
				_, _, err := s.AcceptInvitation(ctx, by(o.invitee), ids[o])
				require.NoError(t, err, "%v", o)
			}
		})
	}
}

// TestRemovedAdministratorHadManyInvitations removes an administrator of the platform who made more invitations than
// one write deletes. The first write closes all of them, and the person's roles on accounts stay.
func TestRemovedAdministratorHadManyInvitations(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	ctx := t.Context()
	for _, again := range []bool{true, false} {
		makeScene(t, engine, s, []string{"platform:main#administrator@user:sam", "account:hall#guest@user:sam"})
		ids := inviteMany(t, engine, "many", hall, "sam", "user", 260)
		remove := func(engine authz.Engine) error {
			_, err := operation.New(engine).RemovePlatformAdministrator(ctx, by(""), "sam")
			return err
		}
		require.ErrorIs(t, remove(&crashing{engine, 1}), errCrash)
		store(ctx, t, engine, "platform:main#administrator@user:sam")
		for _, i := range []int{0, 128, 259} {
			_, _, err := s.AcceptInvitation(ctx, by(authz.ID(fmt.Sprint("guest", i))), ids[i])
			require.ErrorIs(t, err, authz.CodeNotFound)
		}
		_, err := engine.DeleteAll(ctx, authz.Filter{Type: "platform", Relation: "administrator"}, nil, nil)
		require.NoError(t, err)
		if again {
			require.NoError(t, remove(engine))
		} else {
			require.NoError(t, s.Resume(ctx))
		}
		require.Empty(t, departing(t, engine))
		require.Empty(t, invited(t, engine))
		require.ElementsMatch(t, []string{"subscription:one#owner@user:sam", "account:hall#guest@user:sam"}, naming(t, engine, "sam"))
	}
}

// TestInvitationsOfDemotedInviter checks invitations whose inviter stays in the account, but may no longer invite.
// Accepting them is forbidden. The invitations stay open, and can be accepted if the inviter gets the permission
// again.
func TestInvitationsOfDemotedInviter(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	ctx := t.Context()
	makeScene(t, engine, s, []string{"account:hall#owner@user:sam"})
	invitation, _, err := s.Invite(ctx, by("sam"), operation.NewInvitation{To: hall, Invitee: "rita", Roles: []string{"user"}})
	require.NoError(t, err)
	for _, role := range []string{"guest", "owner"} {
		_, _, err = s.PutAccountMember(ctx, by("olga"), "hall", "sam", []string{role}, time.Time{})
		require.NoError(t, err)
		_, _, err = s.AcceptInvitation(ctx, by("rita"), invitation.ID)
		if role == "guest" {
			require.ErrorIs(t, err, authz.CodeForbidden)
		}
	}
	require.NoError(t, err)
}

// TestEveryOperationIsClassified checks that each operation either removes nobody, or is in one of the tables of
// removals.
func TestEveryOperationIsClassified(t *testing.T) {
	removes := []string{
		// TestRemovalWithdrawsInvitations checks these.
		"RemoveAccountMember", "PatchAccountMembers", "PutMemberAccounts", "HandOverAccountMember", "RemoveSubscriptionMember",
		"HandOverSubscriptionMember", "RemoveAccountMemberAndGroups",
		// The table closings has these operations.
		"RemovePlatformAdministrator", "TransferSubscription", "AcceptInvitation", "EraseUser", "Delete",
		// TestEveryEndOfAccess checks these, and most of the others.
		"ChangeGroupMembers", "RemoveGroupMember", "PutHolderRoles", "RemoveHolderRoles",
	}
	others := []string{
		"AccountMembers", "AddPlatformAdministrator", "Contents", "CopyImporter", "CreateAccount", "CreateConnection", "CreateImporter",
		"CreatePart", "CreateSubscription", "CreateWorkspace", "DeclineInvitation", "GetAccount",
		"GetAccountMember", "GetConnection", "GetConnector", "GetImporter", "GetPart", "GetSubscription",
		"GetSubscriptionMember", "GetWorkspace", "Grants", "Subscriptions",
		"GroupConnection", "Invitations", "Invite", "PutAccountMember", "PutConnector", "PutFeatures", "PutSubscriptionMember",
		"ReportOffboarding", "Resume", "SetImporterEnds", "SetWorkspaceAccess", "ShareConnection", "SubscriptionAccounts",
		"SubscriptionMembers", "SubscriptionPeople", "UngroupConnection", "UserAccounts", "WithdrawInvitation",
		"AccountGroups", "AddGroupMember", "CreateGroup", "GetGroup", "GroupMembers", "RemainingGroups", "RenameGroup",
		"SubscriptionGroups", "CreateServiceAccount", "GetHolderRoles", "GetServiceAccount", "ServiceAccounts",
		// The deletion of a custom role withdraws no invitations, and neither does a change of its permissions.
		"CreateCustomRole", "DeleteCustomRole", "GetRole", "ListRoles", "ReplaceCustomRole", "RoleHolders",
		// These two change only relationships of types that are not the product's.
		"WriteRelationships", "DeleteRelationships",
	}
	var found []string
	for i, service := 0, reflect.TypeFor[*operation.Service](); i < service.NumMethod(); i++ {
		found = append(found, service.Method(i).Name)
	}
	require.ElementsMatch(t, append(removes, others...), found)
}

// makeScene deletes all stored relationships. Then it creates the subscriptions and accounts that closing describes,
// and stores the relationships more.
func makeScene(t *testing.T, engine authz.Engine, s *operation.Service, more []string) {
	t.Helper()
	ctx := t.Context()
	for _, typ := range []authz.Type{
		"platform", "subscription", "account", "invitation", "invitee", "membership", "deletion", "offboarding", "removed_user",
	} {
		_, err := engine.DeleteAll(ctx, authz.Filter{Type: typ}, nil, nil)
		require.NoError(t, err)
	}
	for _, in := range []operation.NewSubscription{
		{ID: "one", RoleSet: "single_owner", Owner: "sam"}, {ID: "two", RoleSet: "multi_owner", Owner: "olga"},
	} {
		_, _, err := s.CreateSubscription(ctx, by(""), in)
		require.NoError(t, err)
	}
	for owner, in := range map[authz.ID]operation.NewAccount{
		"sam": {ID: "room", Subscription: "one", RoleSet: "team"}, "olga": {ID: "hall", Subscription: "two", RoleSet: "team"},
	} {
		_, _, err := s.CreateAccount(ctx, by(owner), in)
		require.NoError(t, err)
	}
	storeAll(t, engine, more)
}
