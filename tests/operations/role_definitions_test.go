package operations_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/testsize"
)

var (
	acme = authz.Object{Type: "subscription", ID: "acme"}
	team = authz.Object{Type: "account", ID: "team"}
)

// withCustomRoles creates the company, and turns the feature custom_roles on.
func withCustomRoles(t *testing.T, engine authz.Engine) *operation.Service {
	t.Helper()
	s := operation.New(engine)
	company(t, s)
	_, _, err := s.PutFeatures(t.Context(), by(""), "acme", []string{"custom_roles"})
	require.NoError(t, err)
	return s
}

// give stores that a holder has a custom role on a place.
func give(t *testing.T, engine authz.Engine, role, place authz.Object, holder authz.Subject) {
	t.Helper()
	_, err := engine.Write(t.Context(), giving(role, place, holder))
	require.NoError(t, err)
}

// giving returns the write that gives a custom role. It requires as a precondition that the role is not being deleted.
func giving(role, place authz.Object, holder authz.Subject) authz.Write {
	binding := authz.RoleBindingObject(role, place)
	var updates []authz.Update
	for _, r := range []authz.Relationship{
		{Resource: binding, Relation: "role", Subject: authz.Subject{Object: role}},
		{Resource: binding, Relation: "place", Subject: authz.Subject{Object: place}},
		{Resource: binding, Relation: "holder", Subject: holder},
		{Resource: place, Relation: "role_binding", Subject: authz.Subject{Object: binding}},
	} {
		updates = append(updates, authz.Update{Action: authz.Touch, Relationship: r})
	}
	active := authz.Filter{Type: role.Type, ID: role.ID, Relation: "active"}
	return authz.Write{Updates: updates, Preconditions: []authz.Precondition{{Filter: active}}}
}

// roleObjects are the objects of the company on which TestRoleGrantsExactlyItsPermissions asks. A private connection
// and the contents of a restricted workspace stay closed.
var roleObjects = map[authz.Object]bool{
	{Type: "subscription", ID: "acme"}: true, {Type: "account", ID: "team"}: true, {Type: "account", ID: "operations"}: true,
	{Type: "account", ID: "analytics"}: true, {Type: "importer", ID: "i1"}: true, {Type: "connection", ID: "warehouse"}: true,
	{Type: "connector", ID: "own"}: true, {Type: "workspace", ID: "etl"}: true, {Type: "flow", ID: "f"}: true,
	{Type: "integration", ID: "n"}: true, {Type: "report", ID: "r"}: true, {Type: "export", ID: "e"}: true,
	{Type: "connection", ID: "crm"}: false, {Type: "workspace", ID: "closed"}: false, {Type: "schedule", ID: "s"}: false,
	{Type: "service", ID: "v"}: false,
}

// lackedCapability are the permissions that need a capability which the connector postgres lacks.
var lackedCapability = []authz.Permission{
	"change_locked_period_export", "change_reporting_currency", "change_forecast_budget", "change_postgres_database",
}

// TestRoleGrantsExactlyItsPermissions creates roles with random permissions, gives them to a person, a group and a
// service account, and edits them. The holders must have exactly the permissions of the role.
func TestRoleGrantsExactlyItsPermissions(t *testing.T) {
	engine := newEngine(t)
	s := withCustomRoles(t, engine)
	_, _, err := s.CreateGroup(t.Context(), by("ada"), operation.Group{ID: "crew", Subscription: "acme", Title: "Crew"})
	require.NoError(t, err)
	_, err = s.AddGroupMember(t.Context(), by("ada"), "crew", "cem")
	require.NoError(t, err)
	_, _, err = s.CreateServiceAccount(
		t.Context(), by("ada"), operation.ServiceAccount{ID: "nightly", Place: acme, Title: "Nightly"}, nil,
	)
	require.NoError(t, err)
	holders := map[authz.Subject]authz.Object{ // the subject of the checks
		authz.Person("pia").Subject():                                  {Type: "user", ID: "pia"},
		authz.Holder{Type: "group", ID: "crew"}.Subject():              {Type: "user", ID: "cem"},
		authz.Holder{Type: "service_account", ID: "nightly"}.Subject(): {Type: "service_account", ID: "nightly"},
	}
	random := rand.New(rand.NewPCG(1, 14))
	for round := range testsize.Of(3, 50) {
		id := authz.ID(fmt.Sprint("r", round))
		grants := someGrants(random)
		created, _, err := s.CreateCustomRole(t.Context(), by("ada"), operation.NewCustomRole{
			ID: id, Scope: acme, Title: "Random", Grants: grants,
		})
		require.NoError(t, err)
		for holder := range holders {
			give(t, engine, created.Object, acme, holder)
		}
		requireExactly(t, engine, holders, grants)
		grants = someGrants(random)
		_, _, err = s.ReplaceCustomRole(
			t.Context(), by("ada"), acme, id, operation.RoleContent{Title: "Random", Grants: grants},
		)
		require.NoError(t, err)
		requireExactly(t, engine, holders, grants)
		_, err = s.DeleteCustomRole(t.Context(), by("ada"), acme, id, true, nil)
		require.NoError(t, err)
		requireExactly(t, engine, holders, nil)
		require.Empty(t, storedOfType(t, engine, "custom_role"))
		require.Empty(t, storedOfType(t, engine, "role_binding"))
	}
}

// someGrants returns about half of the grantable permissions.
func someGrants(random *rand.Rand) (names []string) {
	for _, grant := range authz.Grantable {
		if random.IntN(2) == 0 {
			names = append(names, grant.String())
		}
	}
	return names
}

// requireExactly checks each grantable permission of each holder on each object. names are the permissions that the
// holders have through a role; nil if they hold none.
func requireExactly(t *testing.T, engine authz.Engine, holders map[authz.Subject]authz.Object, names []string) {
	t.Helper()
	var checks []authz.Check
	var want []bool
	for _, subject := range holders {
		for object, isOpen := range roleObjects {
			for _, grant := range authz.Grantable {
				if grant.Type != object.Type {
					continue
				}
				checks = append(checks, authz.Check{
					Subject: authz.Subject{Object: subject}, Permission: grant.Permission, Resource: object,
				})
				has := isOpen && slices.Contains(names, grant.String()) || names != nil && grant.String() == "account.view"
				isLacked := object.Type == "connection" && slices.Contains(lackedCapability, grant.Permission)
				want = append(want, has && !isLacked)
			}
		}
	}
	results, _, err := engine.CheckBulk(t.Context(), checks, authz.Fully())
	require.NoError(t, err)
	for i, result := range results {
		require.NoError(t, result.Err)
		require.Equal(t, want[i], result.Decision.Allowed(), "%+v with %v", checks[i], names)
	}
}

// storedOfType returns all relationships whose resource has a type.
func storedOfType(t *testing.T, engine authz.Engine, typ authz.Type) (found []authz.Relationship) {
	t.Helper()
	for item, err := range engine.Read(t.Context(), authz.Filter{Type: typ}, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		found = append(found, item.Relationship)
	}
	return found
}

// TestLimitOfRolesHoldsInRaces creates several roles at the same time on an account that can have one more.
func TestLimitOfRolesHoldsInRaces(t *testing.T) {
	engine := newEngine(t)
	s := withCustomRoles(t, engine)
	create := func(ctx context.Context, id authz.ID) error {
		_, _, err := s.CreateCustomRole(ctx, by("ada"), operation.NewCustomRole{ID: id, Scope: team, Title: "T"})
		return err
	}
	for i := range 49 {
		require.NoError(t, create(t.Context(), authz.ID(fmt.Sprint("r", i))))
	}
	for round := range testsize.Of(20, 200) {
		group, ctx := errgroup.WithContext(t.Context())
		var created atomic.Value
		for i := range 3 {
			group.Go(func() error {
				id := authz.ID(fmt.Sprintf("race%d-%d", round, i))
				err := create(ctx, id)
				if err == nil && created.Swap(id) != nil {
					return errors.New("two roles were created")
				}
				if errors.Is(err, authz.CodeConflict) {
					return nil
				}
				return err
			})
		}
		require.NoError(t, group.Wait())
		slots := make(map[authz.ID]bool)
		for _, r := range storedOfType(t, engine, "custom_role") {
			if r.Relation == "slot" {
				slots[r.Subject.ID] = true
			}
		}
		require.Len(t, slots, 50)
		_, err := s.DeleteCustomRole(t.Context(), by("ada"), team, created.Load().(authz.ID), false, nil)
		require.NoError(t, err)
	}
}

// TestEditsOfARoleRace edits a role twice at the same time. With the version that both have read, only one of the edits
// succeeds. Without a version, both do, and the role has exactly the content of one of them.
func TestEditsOfARoleRace(t *testing.T) {
	engine := newEngine(t)
	s := withCustomRoles(t, engine)
	role, _, err := s.CreateCustomRole(t.Context(), by("ada"), operation.NewCustomRole{ID: "r", Scope: team, Title: "T"})
	require.NoError(t, err)
	for round := range testsize.Of(20, 200) {
		withVersion := round%2 == 0
		var edited, refused atomic.Int32
		contents := []operation.RoleContent{
			{Title: "A", Description: authz.ID(fmt.Sprint("a", round)), Grants: []string{"importer.view", "account.edit"}},
			{Title: "B", Description: authz.ID(fmt.Sprint("b", round)), Grants: []string{"importer.view", "flow.run"}},
		}
		group, ctx := errgroup.WithContext(t.Context())
		for _, content := range contents {
			if withVersion {
				content.Match = []string{string(role.Version())}
			}
			group.Go(func() error {
				_, _, err := s.ReplaceCustomRole(ctx, by("ada"), team, "r", content)
				switch {
				case errors.Is(err, authz.CodePreconditionFailed) && withVersion:
					refused.Add(1)
				case err != nil:
					return err
				default:
					edited.Add(1)
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		if withVersion {
			require.Equal(t, []int32{1, 1}, []int32{edited.Load(), refused.Load()})
		}
		role, _, err = s.GetRole(t.Context(), by("ada"), team, "r")
		require.NoError(t, err)
		content := contents[0]
		if role.Title == "B" {
			content = contents[1]
		}
		require.Equal(t, content.Description, role.Description)
		var grants []string
		for _, grant := range role.Grants {
			grants = append(grants, grant.String())
		}
		require.ElementsMatch(t, content.Grants, grants)
		versions := slices.DeleteFunc(storedOfType(t, engine, "custom_role"), func(r authz.Relationship) bool {
			return r.Relation != "version"
		})
		require.Len(t, versions, 1)
		require.Equal(t, role.Version(), versions[0].Subject.ID)
	}
}

// TestDeletionOfARoleRacesWithGiving gives a role while it is being deleted. Afterwards, either the role and the
// binding exist, or neither of them does.
func TestDeletionOfARoleRacesWithGiving(t *testing.T) {
	engine := newEngine(t)
	s := withCustomRoles(t, engine)
	for round := range testsize.Of(20, 200) {
		role, _, err := s.CreateCustomRole(t.Context(), by("ada"), operation.NewCustomRole{
			ID: authz.ID(fmt.Sprint("r", round)), Scope: team, Title: "T",
		})
		require.NoError(t, err)
		if round%3 == 0 { // a binding without holders
			give(t, engine, role.Object, team, authz.Person("gone").Subject())
			_, err := engine.Write(t.Context(), authz.Write{Updates: []authz.Update{{
				Action: authz.Delete, Relationship: authz.Relationship{
					Resource: authz.RoleBindingObject(role.Object, team), Relation: "holder", Subject: authz.Person("gone").Subject(),
				},
			}}})
			require.NoError(t, err)
		}
		group, ctx := errgroup.WithContext(t.Context())
		cascade, isHeld := round%2 == 0, false
		group.Go(func() error {
			_, err := s.DeleteCustomRole(ctx, by("ada"), team, role.ID, cascade, nil)
			if isHeld = errors.Is(err, authz.CodeConflict) && !cascade; isHeld {
				return nil
			}
			return err
		})
		group.Go(func() error {
			_, err := engine.Write(ctx, giving(role.Object, team, authz.Person("pia").Subject()))
			if errors.Is(err, authz.ErrPrecondition) {
				return nil
			}
			return err
		})
		require.NoError(t, group.Wait())
		roles, bindings := storedOfType(t, engine, "custom_role"), storedOfType(t, engine, "role_binding")
		require.Equal(t, isHeld, len(roles) > 0)
		require.Equal(t, isHeld, len(bindings) > 0, bindings)
		_, err = s.DeleteCustomRole(t.Context(), by("ada"), team, role.ID, true, nil)
		require.NoError(t, err)
	}
}

// TestHoldersOfARole lists the holders of a role on an account, on objects in it, and on the subscription.
func TestHoldersOfARole(t *testing.T) {
	engine := newEngine(t)
	s := withCustomRoles(t, engine)
	role, _, err := s.CreateCustomRole(t.Context(), by("ada"), operation.NewCustomRole{ID: "r", Scope: acme, Title: "T"})
	require.NoError(t, err)
	places := []authz.Object{
		acme, team, {Type: "account", ID: "operations"}, {Type: "importer", ID: "i1"}, {Type: "workspace", ID: "etl"},
	}
	for _, place := range places {
		for i := range 3 {
			give(t, engine, role.Object, place, authz.Person(authz.ID(fmt.Sprint("p", i))).Subject())
		}
	}
	give(t, engine, role.Object, team, authz.Holder{Type: "group", ID: "crew"}.Subject())
	list := func(actor authz.ID, place authz.Object, limit int) []string {
		found := []string{}
		for page := (operation.Page{Limit: limit}); ; {
			holders, _, err := s.RoleHolders(t.Context(), by(actor), place, "r", page)
			require.NoError(t, err)
			require.LessOrEqual(t, len(holders.Holders), limit)
			for _, h := range holders.Holders {
				found = append(found, h.Holder.String()+" "+h.On.String())
			}
			if page.Cursor = holders.NextCursor; page.Cursor == "" {
				return found
			}
		}
	}
	all := list("ada", acme, 1000)
	require.Len(t, all, 16)
	require.Contains(t, all, "group:crew account:team")
	for _, limit := range []int{1, 2, 3, 4, 7, 16} {
		require.Equal(t, all, list("ada", acme, limit), limit)
	}
	require.ElementsMatch(t, []string{
		"user:p0 account:team", "user:p1 account:team", "user:p2 account:team", "group:crew account:team",
		"user:p0 importer:i1", "user:p1 importer:i1", "user:p2 importer:i1",
	}, list("uma", team, 3))
	_, _, err = s.RoleHolders(t.Context(), by("rex"), authz.Object{Type: "account", ID: "analytics"}, "r", operation.Page{})
	require.ErrorIs(t, err, authz.CodeNotFound)
	builtIn, _, err := s.RoleHolders(t.Context(), by("uma"), team, "user", operation.Page{})
	require.NoError(t, err)
	require.Equal(t, []operation.RoleHolder{{Holder: authz.Person("uma"), On: team, ExpiresAt: time.Time{}}}, builtIn.Holders)

	_, err = s.DeleteCustomRole(t.Context(), by("ada"), acme, "r", false, nil)
	var held *authz.Error
	require.ErrorAs(t, err, &held)
	require.Equal(t, authz.CodeConflict, held.Code)
	require.Len(t, held.Holders, 10)
	require.Equal(t, map[authz.Type]int{"user": 15, "group": 1}, held.HolderCounts)
}
