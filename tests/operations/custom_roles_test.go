package operations_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// withAuditor returns an engine with the company, the feature custom_roles, and two custom roles: auditor of the
// subscription acme, which grants account.view_usage and account.create_importer, and reader of its account team.
func withAuditor(t *testing.T) authz.Engine {
	t.Helper()
	engine := newEngine(t)
	company(t, operation.New(engine))
	store(t.Context(), t, engine, "subscription:acme#custom_roles@user:*",
		"custom_role:acme/auditor#scope@subscription:acme", "custom_role:acme/reader#scope@account:team")
	for _, role := range []string{"custom_role:acme/auditor", "custom_role:acme/reader"} {
		store(t.Context(), t, engine, role+"#version@custom_role_version:v1")
		for _, flag := range []string{"active", "account_view_usage", "account_create_importer"} {
			store(t.Context(), t, engine, role+"#"+flag+"@user:*", role+"#"+flag+"@service_account:*")
		}
	}
	return engine
}

var onTeam, onAcme = authz.Object{Type: "account", ID: "team"}, authz.Object{Type: "subscription", ID: "acme"}

// auditorRow returns the relationship that stores a holder of the role auditor on a place.
func auditorRow(place authz.Object, holder string) string {
	role := authz.CustomRoleObject("acme", "auditor")
	return authz.RoleBindingObject(role, place).String() + "#holder@" + holder
}

// rowsOf returns the stored relationships whose subject is the holder, apart from records of removals.
func rowsOf(t *testing.T, engine authz.Engine, at authz.Consistency, holder authz.Holder) (found []string) {
	t.Helper()
	filter := authz.Filter{SubjectType: holder.Type, SubjectID: holder.ID}
	for item, err := range engine.Read(t.Context(), filter, at, authz.Page{}) {
		require.NoError(t, err)
		if item.Relationship.Resource.Type != "deletion" {
			found = append(found, item.Relationship.String())
		}
	}
	return found
}

func requireMay(
	t *testing.T, engine authz.Engine, want bool, subject authz.Subject, permission authz.Permission, on authz.Object,
) {
	t.Helper()
	results, _, err := engine.CheckBulk(
		t.Context(), []authz.Check{{Subject: subject, Permission: permission, Resource: on}}, authz.Fully(),
	)
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.Equal(t, want, results[0].Decision.Allowed(), "%s %s %s", subject, permission, on)
}

// TestHolderOfCustomRoleHasItsPermissions gives a custom role to a person, to a group and to a service account, on an
// account and on its subscription, and takes it again.
func TestHolderOfCustomRoleHasItsPermissions(t *testing.T) {
	engine := withAuditor(t)
	s := operation.New(engine)
	ctx := t.Context()
	_, _, err := s.CreateGroup(ctx, by("ada"), operation.Group{ID: "crew", Subscription: "acme", Title: "Crew"})
	require.NoError(t, err)
	_, err = s.AddGroupMember(ctx, by("ada"), "crew", "carl")
	require.NoError(t, err)
	_, _, err = s.CreateServiceAccount(ctx, by("ada"), operation.ServiceAccount{ID: "robot", Place: onAcme, Title: "Robot"}, nil)
	require.NoError(t, err)
	put := func(place authz.Object, holder authz.Holder, roles []string) error {
		switch {
		case !holder.IsPerson():
			_, _, err := s.PutHolderRoles(ctx, by("ada"), place, holder, roles, time.Time{})
			return err
		case place == onTeam:
			_, _, err := s.PutAccountMember(ctx, by("ada"), "team", holder.ID, roles, time.Time{})
			return err
		}
		_, _, err := s.PutSubscriptionMember(ctx, by("ada"), "acme", holder.ID, roles)
		return err
	}
	remove := func(place authz.Object, holder authz.Holder) (err error) {
		switch {
		case !holder.IsPerson():
			_, err = s.RemoveHolderRoles(ctx, by("ada"), place, holder)
		case place == onTeam:
			_, err = s.RemoveAccountMember(ctx, by("ada"), "team", holder.ID)
		default:
			_, err = s.RemoveSubscriptionMember(ctx, by("ada"), "acme", holder.ID)
		}
		return err
	}
	for holder, subject := range map[authz.Holder]authz.Subject{
		authz.Person("nina"):                          authz.Person("nina").Subject(),
		{Type: authz.TypeGroup, ID: "crew"}:           authz.Person("carl").Subject(),
		{Type: authz.TypeServiceAccount, ID: "robot"}: authz.Actor("service_account:robot").Subject(),
	} {
		for _, place := range []authz.Object{onTeam, onAcme} {
			otherAccount := authz.Object{Type: "account", ID: "operations"}
			require.NoError(t, put(place, holder, []string{"auditor"}), holder)
			requireMay(t, engine, true, subject, "view_usage", onTeam)
			requireMay(t, engine, true, subject, "view", onTeam)
			requireMay(t, engine, false, subject, "view_billing", onTeam)
			requireMay(t, engine, place == onAcme, subject, "view_usage", otherAccount)
			actor := authz.ActorOf(subject.Object)
			id := authz.ID(fmt.Sprint("by-", holder.ID, place.Type))
			_, _, err := s.CreateImporter(ctx, by(actor), operation.NewImporter{ID: id, Account: "team"})
			require.NoError(t, err)
			require.NoError(t, remove(place, holder), holder)
			requireMay(t, engine, false, subject, "view_usage", onTeam)
			requireMay(t, engine, false, subject, "view", onTeam)
			_, _, err = s.CreateImporter(ctx, by(actor), operation.NewImporter{ID: "late", Account: "team"})
			require.ErrorIs(t, err, authz.CodeNotFound)
		}
	}
}

// TestOperationRequiresPathOfCustomRole deletes one relationship of the path between the plan and the write of an
// operation that the actor may perform through a custom role. The operation must write nothing.
func TestOperationRequiresPathOfCustomRole(t *testing.T) {
	binding := authz.RoleBindingObject(authz.CustomRoleObject("acme", "auditor"), onTeam).String()
	for _, deleted := range []string{
		auditorRow(onTeam, "user:nina"), binding + "#role@custom_role:acme/auditor", "account:team#role_binding@" + binding,
		"custom_role:acme/auditor#active@user:*", "custom_role:acme/auditor#version@custom_role_version:v1",
	} {
		t.Run(deleted, func(t *testing.T) {
			engine := withAuditor(t)
			_, _, err := operation.New(engine).PutAccountMember(
				t.Context(), by("ada"), "team", "nina", []string{"auditor"}, time.Time{},
			)
			require.NoError(t, err)
			without := []string{deleted}
			if deleted == "custom_role:acme/auditor#version@custom_role_version:v1" { // an edit
				without = append(without, "custom_role:acme/auditor#account_create_importer@user:*")
			}
			interfering := &meanwhile{engine, func() { unstore(t.Context(), t, engine, without...) }}
			_, _, err = operation.New(interfering).CreateImporter(
				t.Context(), by("nina"), operation.NewImporter{ID: "new", Account: "team"},
			)
			require.Error(t, err)
			require.Contains(t, []authz.Code{authz.CodeNotFound, authz.CodeForbidden}, authz.CodeOf(err), err)
			_, _, err = operation.New(engine).GetImporter(t.Context(), by("ada"), "new")
			require.ErrorIs(t, err, authz.CodeNotFound)
		})
	}
}

// TestRemovalRacesWithCustomRole removes a person while somebody gives the person custom roles. In the state that the
// removal answers, the person holds no role.
func TestRemovalRacesWithCustomRole(t *testing.T) {
	engine := withAuditor(t)
	s := operation.New(engine)
	for i := range testsize.Of(20, 200) {
		who := authz.ID(fmt.Sprint("w", i))
		give := func(ctx context.Context, roles ...string) error {
			_, _, err := s.PutAccountMember(ctx, by("ada"), "team", who, roles, time.Time{})
			if errors.Is(err, authz.CodeConflict) {
				return nil
			}
			return err
		}
		require.NoError(t, give(t.Context(), "user"))
		group, ctx := errgroup.WithContext(t.Context())
		group.Go(func() error { return give(ctx, "user", "auditor") })
		group.Go(func() error { return give(ctx, "reader") })
		var removed operation.Done
		group.Go(func() (err error) {
			removed, err = s.RemoveAccountMember(ctx, by("ada"), "team", who)
			return err
		})
		require.NoError(t, group.Wait())
		require.Empty(t, rowsOf(t, engine, authz.AtSnapshot(removed.Token), authz.Person(who)))
	}
}

// TestConcurrentCustomRoles gives two sets of roles to one person at the same time. The person must then hold
// exactly one of them.
func TestConcurrentCustomRoles(t *testing.T) {
	engine := withAuditor(t)
	s := operation.New(engine)
	for i := range testsize.Of(20, 200) {
		who := authz.ID(fmt.Sprint("w", i))
		// Neither role is bound to the account, so each request binds one of them for the first time.
		unbind(t, engine)
		group, ctx := errgroup.WithContext(t.Context())
		for _, roles := range [][]string{{"user", "auditor"}, {"reader"}} {
			group.Go(func() error {
				_, _, err := s.PutAccountMember(ctx, by("ada"), "team", who, roles, time.Time{})
				return err
			})
		}
		require.NoError(t, group.Wait())
		member, _, err := s.GetAccountMember(t.Context(), by("ada"), "team", who)
		require.NoError(t, err)
		require.Contains(t, []operation.Roles{{"user", "auditor"}, {"reader"}}, member.Roles)
	}
}

// unbind deletes all role bindings of the account team, with their holders.
func unbind(t *testing.T, engine authz.Engine) {
	t.Helper()
	for _, filter := range []authz.Filter{
		{Type: authz.TypeRoleBinding},
		{Type: onTeam.Type, ID: onTeam.ID, SubjectType: authz.TypeRoleBinding},
	} {
		_, err := engine.DeleteAll(t.Context(), filter, nil, nil)
		require.NoError(t, err)
	}
}
