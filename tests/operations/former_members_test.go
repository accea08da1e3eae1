package operations_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestRemovalEndsSharesWrittenMeanwhile shares a connection with sam, and admits him to a workspace, between the plan
// and the first write of each removal. After the removal, sam must have neither. In three cases, sam has before the
// removal no share, a share in this account, or a share in another account.
func TestRemovalEndsSharesWrittenMeanwhile(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	roles := []string{
		"subscription:acme#member@user:sam", "account:team#user@user:sam", "account:operations#operator@user:sam",
		"account:team#user@user:eve", "account:other#subscription@subscription:acme", "account:other#team@user:*",
		"account:other#user@user:sam",
	}
	named := map[string][]string{
		"nowhere": nil,
		"here":    {"connection:named#account@account:team", "connection:named#shared_with@user:sam"},
		"elsewhere": {
			"connection:far#account@account:other", "connection:far#shared_with@user:sam",
		},
	}
	for place, rows := range named {
		for _, removal := range removals {
			t.Run(removal.name+" named "+place, func(t *testing.T) {
				storeAll(t, engine, roles)
				storeAll(t, engine, rows)
				interfering := &meanwhile{engine, func() { nameSam(t, engine) }}
				require.NoError(t, removal.perform(t.Context(), operation.New(interfering)))
				for _, r := range namingObjects(t, engine) {
					stays := removal.keeps != nil && (removal.keeps(r) || r == "connection:far#shared_with@user:sam")
					require.True(t, stays, r)
				}
				_, err := operation.New(engine).EraseUser(t.Context(), by(""), "sam")
				require.NoError(t, err)
			})
		}
	}
}

// nameSam shares a connection of the account team with sam, and admits him to a workspace of the account operations.
func nameSam(t *testing.T, engine authz.Engine) {
	s := operation.New(engine)
	_, _, err := s.ShareConnection(
		t.Context(), by("uma"), "crm", operation.Sharing{Visibility: "private", Users: []authz.ID{"ada", "sam"}},
	)
	require.NoError(t, err)
	_, _, err = s.SetWorkspaceAccess(
		t.Context(), by("ada"), "closed", operation.Access{Users: []authz.ID{"otto", "sam"}},
	)
	require.NoError(t, err)
}

// TestRepeatedRemovalEndsShares shares a connection with sam during the write of his removal, and interrupts the
// removal after that write. Repeating the call must end the share, even if the repeated call is a replay.
func TestRepeatedRemovalEndsShares(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	for i, key := range []*operation.Idempotency{nil, {Key: "k", Request: "r"}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			storeAll(t, engine, []string{
				"account:team#user@user:sam", "connection:named#account@account:team", "connection:named#shared_with@user:sam",
			})
			remove := func(engine operation.Engine) error {
				caller := by("ada")
				caller.Idempotency = key
				_, err := operation.New(engine).RemoveAccountMember(t.Context(), caller, "team", "sam")
				return err
			}
			interfering := &meanwhile{&crashing{engine, 1}, func() {
				storeAll(t, engine, []string{"connection:crm#shared_with@user:sam"})
			}}
			require.ErrorIs(t, remove(interfering), errCrash)
			require.Equal(t, []string{"connection:crm#shared_with@user:sam"}, namingObjects(t, engine))
			require.NoError(t, remove(engine))
			require.Empty(t, namingObjects(t, engine))
		})
	}
}

// namingObjects returns the connections and workspaces that have sam as a subject.
func namingObjects(t *testing.T, engine authz.Engine) (found []string) {
	t.Helper()
	for _, filter := range []authz.Filter{
		{Type: "connection", Relation: "shared_with", SubjectType: "user", SubjectID: "sam"},
		{Type: "workspace", Relation: "member", SubjectType: "user", SubjectID: "sam"},
	} {
		for item, err := range engine.Read(t.Context(), filter, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			found = append(found, item.Relationship.String())
		}
	}
	return found
}

// TestExpiredRoleLeavesNoShare checks a share of sam, whose role on the account expired. The share must give no access
// again, even if sam gets a role elsewhere. No answer may show it. If a request sends back the list of people that an
// answer showed, the share is deleted.
func TestExpiredRoleLeavesNoShare(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	left := []string{"connection:crm#shared_with@user:sam", "workspace:closed#member@user:sam"}
	storeAll(t, engine, left)
	_, _, err := s.PutSubscriptionMember(ctx, by("ada"), "acme", "sam", []string{"owner"})
	require.NoError(t, err)
	_, err = s.AddPlatformAdministrator(ctx, by(""), "sam")
	require.NoError(t, err)
	requireNoUse(ctx, t, engine, "sam")
	storeAll(t, engine, []string{"account:team#guest@user:sam"})
	requireNoUse(ctx, t, engine, "sam")
	_, _, err = s.PutAccountMember(ctx, by("ada"), "team", "sam", []string{"user"}, time.Time{})
	require.NoError(t, err)
	_, err = s.RemoveAccountMember(ctx, by("ada"), "team", "sam")
	require.NoError(t, err)

	storeAll(t, engine, left)
	connection, _, err := s.GetConnection(ctx, by("uma"), "crm")
	require.NoError(t, err)
	require.Equal(t, []authz.ID{"ada"}, connection.Users)
	_, _, err = s.ShareConnection(ctx, by("uma"), "crm", operation.Sharing{Visibility: "private", Users: connection.Users})
	require.NoError(t, err)
	workspace, _, err := s.GetWorkspace(ctx, by("ada"), "closed")
	require.NoError(t, err)
	require.Equal(t, []authz.ID{"otto"}, workspace.Users)
	_, _, err = s.SetWorkspaceAccess(ctx, by("ada"), "closed", operation.Access{Users: workspace.Users})
	require.NoError(t, err)
	require.Empty(t, namingObjects(t, engine))
}

func requireNoUse(ctx context.Context, t *testing.T, engine authz.Engine, who authz.ID) {
	t.Helper()
	for _, permission := range []authz.Permission{"view", "use"} {
		results, _, err := engine.CheckBulk(ctx, []authz.Check{{
			Subject:    authz.Subject{Object: authz.Object{Type: "user", ID: who}},
			Permission: permission, Resource: authz.Object{Type: "connection", ID: "crm"},
		}}, authz.Fully())
		require.NoError(t, err)
		require.False(t, results[0].Decision.Allowed(), "%s may %s", who, permission)
	}
}
