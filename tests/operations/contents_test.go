package operations_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// counting is an engine that counts its calls.
type counting struct {
	authz.Engine

	mu    sync.Mutex
	calls map[string]int
}

func (c *counting) count(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[method]++
}

// reset returns the number of calls since the last reset.
func (c *counting) reset() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := 0
	for n := range maps.Values(c.calls) {
		sum += n
	}
	c.calls = make(map[string]int)
	return sum
}

func (c *counting) Check(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (authz.Decision, authz.Token, error) {
	c.count("Check")
	return c.Engine.Check(ctx, check, at)
}

func (c *counting) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	c.count("CheckBulk")
	return c.Engine.CheckBulk(ctx, checks, at)
}

func (c *counting) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	c.count("Read")
	return c.Engine.Read(ctx, filter, at, page)
}

func (c *counting) LookupResources(
	ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.FoundResource, error] {
	c.count("LookupResources")
	return c.Engine.LookupResources(ctx, query, at, page)
}

func newCounting(t *testing.T) *counting {
	return &counting{Engine: newEngine(t), calls: make(map[string]int)}
}

func load(t *testing.T, engine authz.Engine, rows []authz.Relationship) {
	t.Helper()
	for part := range slices.Chunk(rows, authz.MaxUpdates) {
		var write authz.Write
		for _, r := range part {
			write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: r})
		}
		_, err := engine.Write(t.Context(), write)
		require.NoError(t, err)
	}
}

func row(resource authz.Object, relation authz.Relation, subject authz.Subject) authz.Relationship {
	return authz.Relationship{Resource: resource, Relation: relation, Subject: subject}
}

func object(typ authz.Type, id string) authz.Object { return authz.Object{Type: typ, ID: authz.ID(id)} }

func someone(id string) authz.Subject { return authz.Subject{Object: object("user", id)} }

// undecided is an engine that cannot decide some checks.
type undecided struct {
	authz.Engine

	questions map[string]error // errors by permission and resource
}

func (u *undecided) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	results, token, err := u.Engine.CheckBulk(ctx, checks, at)
	for i := range results {
		if failure := u.questions[fmt.Sprint(checks[i].Permission, " ", checks[i].Resource)]; failure != nil {
			results[i] = authz.CheckResult{Err: failure}
		}
	}
	return results, token, err
}

// TestContentsWithUndecidedPermissions checks a list page with permissions that cannot be decided. The page names such
// a permission and continues. It hides an object whose visibility is undecided. If SpiceDB fails, the page fails too.
func TestContentsWithUndecidedPermissions(t *testing.T) {
	engine := &undecided{Engine: newEngine(t)}
	s := operation.New(engine)
	company(t, s)
	wrong := authz.Errorf(authz.CodeInvalid, "a condition fails")
	list := func() ([]operation.VisibleObject, error) {
		of := operation.Collection{
			Place: object("account", "team"), Type: "connection", Permissions: []authz.Permission{"use", "share"},
		}
		objects, _, err := s.Contents(t.Context(), by("uma"), of, operation.Page{})
		return objects.Objects, err
	}
	engine.questions = map[string]error{"use connection:crm": wrong}
	found, err := list()
	require.NoError(t, err)
	require.Equal(t, []operation.VisibleObject{
		{ID: "crm", Permissions: []authz.Permission{"share"}, Errors: map[authz.Permission]error{"use": wrong}},
		{ID: "warehouse", Permissions: []authz.Permission{"use", "share"}},
	}, found)

	engine.questions = map[string]error{"view connection:crm": wrong}
	found, err = list()
	require.NoError(t, err)
	require.Equal(t, []operation.VisibleObject{{ID: "warehouse", Permissions: []authz.Permission{"use", "share"}}}, found)

	engine.questions = map[string]error{"use connection:crm": authz.Errorf(authz.CodeUnavailable, "SpiceDB is away")}
	_, err = list()
	require.ErrorIs(t, err, authz.CodeUnavailable)
}

// TestContents lists everything that the function company stores, for people who may view all of it, a part of it, or
// nothing.
func TestContents(t *testing.T) {
	s := operation.New(newEngine(t))
	company(t, s)
	list := func(
		who authz.ID, place authz.Object, collection string, permissions ...authz.Permission,
	) []operation.VisibleObject {
		t.Helper()
		of := operation.Collection{
			Place: place, Type: operation.Collections(place.Type)[collection], Permissions: permissions,
		}
		require.NotEmpty(t, of.Type, collection)
		objects, token, err := s.Contents(t.Context(), by(who), of, operation.Page{})
		require.NoError(t, err)
		require.NotEmpty(t, token)
		require.Empty(t, objects.NextCursor)
		return objects.Objects
	}
	type visible = operation.VisibleObject
	team, operations, analytics := object("account", "team"), object("account", "operations"), object("account", "analytics")
	for _, tt := range []struct {
		who         authz.ID
		place       authz.Object
		collection  string
		permissions []authz.Permission
		want        []visible
	}{
		{"uma", team, "importers", []authz.Permission{"view", "delete"}, []visible{{ID: "i1", Permissions: []authz.Permission{"view", "delete"}}}},
		{"uma", team, "connections", []authz.Permission{"use", "share"}, []visible{
			{ID: "crm", Permissions: []authz.Permission{"use", "share"}}, {ID: "warehouse", Permissions: []authz.Permission{"use", "share"}},
		}},
		{"ada", team, "connections", []authz.Permission{"use", "share"}, []visible{
			{ID: "crm", Permissions: []authz.Permission{"use"}}, {ID: "warehouse", Permissions: []authz.Permission{"use"}},
		}},
		{"otto", operations, "workspaces", []authz.Permission{"view", "create_flow"}, []visible{
			{ID: "closed", Permissions: []authz.Permission{"view", "create_flow"}}, {ID: "etl", Permissions: []authz.Permission{"view", "create_flow"}},
		}},
		{"ada", operations, "integrations", []authz.Permission{"view", "edit"}, []visible{{ID: "n", Permissions: []authz.Permission{"view", "edit"}}}},
		{"ada", operations, "connectors", []authz.Permission{"view", "edit"}, []visible{{ID: "own", Permissions: []authz.Permission{"view"}}}},
		{"ada", operations, "importers", []authz.Permission{"view"}, nil},
		{"ada", analytics, "exports", []authz.Permission{"view"}, []visible{{ID: "e", Permissions: []authz.Permission{"view"}}}},
		{"ada", analytics, "reports", []authz.Permission{"view"}, []visible{{ID: "r", Permissions: []authz.Permission{"view"}}}},
		{"otto", object("workspace", "etl"), "flows", []authz.Permission{"run", "edit"}, []visible{{ID: "f", Permissions: []authz.Permission{"run", "edit"}}}},
		{"otto", object("workspace", "closed"), "schedules", []authz.Permission{"run"}, []visible{{ID: "s", Permissions: []authz.Permission{"run"}}}},
		{"ada", object("workspace", "closed"), "services", []authz.Permission{"manage"}, []visible{{ID: "v"}}},
	} {
		require.Equal(t, tt.want, list(tt.who, tt.place, tt.collection, tt.permissions...), "%s %s", tt.who, tt.collection)
	}
	for who, place := range map[authz.ID]authz.Object{
		"rex": team, "uma": operations, "otto": analytics, "nobody": team, "ada": object("account", "missing"),
	} {
		_, _, err := s.Contents(t.Context(), by(who), operation.Collection{Place: place, Type: "importer"}, operation.Page{})
		require.ErrorIs(t, err, authz.CodeNotFound, "%s %s", who, place)
	}
}

// TestContentsPages reads the importers of a large account page by page while others write. A guest may view few of
// them.
func TestContentsPages(t *testing.T) {
	engine := newCounting(t)
	s := operation.New(engine, operation.WithMaxScanned(operation.MaxLimit))
	company(t, s)
	const n = operation.MaxLimit + 500
	team := object("account", "team")
	var rows []authz.Relationship
	var all, guests []authz.ID
	for i := range n {
		importer := object("importer", fmt.Sprintf("p%05d", i))
		all = append(all, importer.ID)
		rows = append(rows, row(importer, "account", authz.Subject{Object: team}))
		if i%500 == 7 {
			rows = append(rows, row(importer, "creator", someone("gus")))
			guests = append(guests, importer.ID)
		}
	}
	rows = append(rows, row(object("importer", "p01400"), "creator", someone("gil")))
	load(t, engine, append(rows, row(team, "guest", someone("gus")), row(team, "guest", someone("gil"))))
	of := operation.Collection{Place: team, Type: "importer", Permissions: []authz.Permission{"view", "run", "edit", "copy", "delete"}}
	walk := func(who authz.ID, limit, maxCalls int, between func(page int)) (ids []authz.ID, pages int) {
		t.Helper()
		page := operation.Page{Limit: limit}
		for ; pages == 0 || page.Cursor != ""; pages++ {
			engine.reset()
			objects, _, err := s.Contents(t.Context(), by(who), of, page)
			require.NoError(t, err)
			require.LessOrEqual(t, engine.reset(), maxCalls)
			require.LessOrEqual(t, len(objects.Objects), limit)
			for _, o := range objects.Objects {
				require.Contains(t, o.Permissions, authz.Permission("edit"))
				ids = append(ids, o.ID)
			}
			page.Cursor = objects.NextCursor
			between(pages)
		}
		return ids, pages
	}
	// If the person may view every object on a page, the page takes four calls, however long it is.
	seen, pages := walk("uma", 500, 4, func(page int) {
		_, _, err := s.CreateImporter(t.Context(), by("uma"), operation.NewImporter{ID: authz.ID(fmt.Sprintf("p%05d-late", page*1000)), Account: "team"})
		require.NoError(t, err)
	})
	require.Equal(t, 4, pages)
	// i1 is the importer that the function company creates. The list leaves out importers that are created between its
	// pages.
	require.Equal(t, append([]authz.ID{"i1"}, all...), seen)

	seen, pages = walk("gus", 2, 5, func(int) {})
	require.Equal(t, guests, seen)
	require.Equal(t, 2, pages)

	// A page checks a limited number of objects. An empty page can have a next page.
	seen, pages = walk("gil", 2, 5, func(int) {})
	require.Equal(t, []authz.ID{"p01400"}, seen)
	require.Equal(t, 2, pages)

	// A cursor is valid only for its list and person. A person without access to the account gets no further page.
	first, _, err := s.Contents(t.Context(), by("uma"), of, operation.Page{Limit: 2})
	require.NoError(t, err)
	require.Len(t, first.Objects, 2)
	other := of
	other.Type = "connection"
	_, _, err = s.Contents(t.Context(), by("uma"), other, operation.Page{Cursor: first.NextCursor})
	require.ErrorIs(t, err, authz.CodeInvalid)
	_, _, err = s.Contents(t.Context(), by("ada"), of, operation.Page{Cursor: first.NextCursor})
	require.ErrorIs(t, err, authz.CodeInvalid)

	// The list leaves out a deleted object, even if a new object in another account has its id.
	_, err = s.Delete(t.Context(), by("ada"), object("importer", "p00001"))
	require.NoError(t, err)
	_, _, err = s.CreateAccount(t.Context(), by("ada"), operation.NewAccount{ID: "second", Subscription: "acme", RoleSet: "team"})
	require.NoError(t, err)
	_, _, err = s.PutAccountMember(t.Context(), by("ada"), "second", "uma", []string{"user"}, time.Time{})
	require.NoError(t, err)
	_, _, err = s.CreateImporter(t.Context(), by("uma"), operation.NewImporter{ID: "p00001", Account: "second"})
	require.NoError(t, err)
	next, _, err := s.Contents(t.Context(), by("uma"), of, operation.Page{Limit: 2, Cursor: first.NextCursor})
	require.NoError(t, err)
	require.Equal(t, []authz.ID{"p00000-late", "p00002"}, []authz.ID{next.Objects[0].ID, next.Objects[1].ID})

	_, err = s.RemoveAccountMember(t.Context(), by("ada"), "team", "uma")
	require.NoError(t, err)
	_, _, err = s.Contents(t.Context(), by("uma"), of, operation.Page{Cursor: first.NextCursor})
	require.ErrorIs(t, err, authz.CodeNotFound)
}

// TestSubscriptionPeople reads the people of a subscription page by page. The subscription has 40 accounts with 30
// members each.
func TestSubscriptionPeople(t *testing.T) {
	engine := newCounting(t)
	s := operation.New(engine)
	company(t, s)
	const accounts, members = 40, 30
	var rows []authz.Relationship
	want := make(map[authz.ID]map[authz.ID]operation.Roles)
	for a := range accounts {
		account := object("account", fmt.Sprintf("a%03d", a))
		rows = append(rows, row(account, "subscription", authz.Subject{Object: object("subscription", "acme")}), row(account, "team", authz.Everybody("user")))
		for m := range members {
			who := fmt.Sprintf("m%05d", (a*members+m)*7%250) // some people belong to several accounts
			role := authz.Role([]string{"user", "guest", "owner"}[m%3])
			rows = append(rows, row(account, authz.Relation(role), someone(who)))
			if want[authz.ID(who)] == nil {
				want[authz.ID(who)] = make(map[authz.ID]operation.Roles)
			}
			want[authz.ID(who)][account.ID] = operation.Roles{role}
		}
	}
	load(t, engine, rows)
	got := make(map[authz.ID]map[authz.ID]operation.Roles)
	var ids []authz.ID
	page := operation.Page{Limit: 100}
	for n := 0; n == 0 || page.Cursor != ""; n++ {
		engine.reset()
		part, token, err := s.SubscriptionPeople(t.Context(), by("ada"), "acme", page)
		require.NoError(t, err)
		require.NotEmpty(t, token)
		require.LessOrEqual(t, engine.reset(), accounts+15)
		for _, m := range part.Members {
			ids = append(ids, m.User)
			got[m.User] = m.Accounts
		}
		page.Cursor = part.NextCursor
	}
	require.True(t, slices.IsSorted(ids))
	require.Len(t, ids, len(got), "everybody comes once")
	for _, outside := range []authz.ID{"ada", "uma", "otto", "rex"} { // people whom the function company adds
		require.Contains(t, got, outside)
		delete(got, outside)
	}
	require.Equal(t, want, got)
}
