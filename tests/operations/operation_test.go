package operations_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/freshness"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/schema"
)

// newEngine starts an embedded SpiceDB with the product's schema.
func newEngine(t *testing.T) authz.Engine {
	t.Helper()
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	text, err := schema.Flatten()
	require.NoError(t, err)
	require.NoError(t, engine.ApplySchema(t.Context(), text))
	return freshness.ReadYourWrites(engine)
}

func by[A ~string](actor A) operation.Caller {
	return operation.Caller{Actor: authz.Actor(actor), Key: "test"}
}

// company creates a subscription with one account of every role set, and an object of every type in these accounts.
func company(t *testing.T, s *operation.Service) {
	t.Helper()
	ctx := t.Context()
	must := func(_ any, _ operation.Done, err error) {
		t.Helper()
		require.NoError(t, err)
	}
	must(s.PutConnector(ctx, by(""), "postgres", []string{"views"}))
	must(s.CreateSubscription(ctx, by(""), operation.NewSubscription{ID: "acme", RoleSet: "multi_owner", Owner: "ada", Features: []string{"dashboards"}}))
	for _, set := range []string{"team", "operations", "analytics"} {
		must(s.CreateAccount(ctx, by("ada"), operation.NewAccount{ID: authz.ID(set), Subscription: "acme", RoleSet: set}))
	}
	must(s.PutAccountMember(ctx, by("ada"), "team", "uma", []string{"user"}, time.Time{}))
	must(s.PutAccountMember(ctx, by("ada"), "operations", "otto", []string{"operator", "flow_author", "connector_author", "integration_author"}, time.Time{}))
	must(s.PutAccountMember(ctx, by("ada"), "analytics", "rex", []string{"report_user"}, time.Time{}))
	must(s.CreateConnection(ctx, by("uma"), operation.NewConnection{ID: "crm", Account: "team", Connector: "postgres"}))
	must(s.ShareConnection(ctx, by("uma"), "crm", operation.Sharing{Visibility: "private", Users: []authz.ID{"ada"}}))
	must(s.CreateConnection(ctx, by("uma"), operation.NewConnection{ID: "warehouse", Account: "team", Connector: "postgres", Visibility: "shared"}))
	must(s.CreateImporter(ctx, by("uma"), operation.NewImporter{ID: "i1", Account: "team", Source: "crm", Destination: "warehouse"}))
	must(s.CreateWorkspace(ctx, by("ada"), operation.NewWorkspace{ID: "etl", Account: "operations", Access: operation.Access{Open: true}}))
	must(s.CreateWorkspace(ctx, by("ada"), operation.NewWorkspace{ID: "closed", Account: "operations", Access: operation.Access{Users: []authz.ID{"otto"}}}))
	for _, part := range []operation.Part{
		{Type: "flow", ID: "f", Parent: authz.Object{Type: "workspace", ID: "etl"}},
		{Type: "schedule", ID: "s", Parent: authz.Object{Type: "workspace", ID: "closed"}},
		{Type: "service", ID: "v", Parent: authz.Object{Type: "workspace", ID: "closed"}},
		{Type: "connector", ID: "own", Parent: authz.Object{Type: "account", ID: "operations"}},
		{Type: "integration", ID: "n", Parent: authz.Object{Type: "account", ID: "operations"}},
	} {
		must(s.CreatePart(ctx, by("otto"), part))
	}
	for _, part := range []operation.Part{
		{Type: "report", ID: "r", Parent: authz.Object{Type: "account", ID: "analytics"}},
		{Type: "export", ID: "e", Parent: authz.Object{Type: "account", ID: "analytics"}},
	} {
		must(s.CreatePart(ctx, by("ada"), part))
	}
}

// left returns every stored relationship that the deletion of a subscription must delete, and all records of deletions.
func left(t *testing.T, engine authz.Engine) []string {
	t.Helper()
	var found []string
	types := []authz.Type{
		"subscription", "account", "importer", "connection", "connection_group", "workspace", "deletion",
	}
	for _, simple := range authz.SimpleTypes {
		types = append(types, simple.Name)
	}
	for _, typ := range types {
		for item, err := range engine.Read(t.Context(), authz.Filter{Type: typ}, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			found = append(found, item.Relationship.String())
		}
	}
	for item, err := range engine.Read(t.Context(), authz.Filter{Type: "connector", Relation: "account"}, authz.Fully(), authz.Page{}) {
		require.NoError(t, err)
		found = append(found, item.Relationship.String())
	}
	return found
}

var errCrash = errors.New("crashed")

// crashing is an engine that fails after a number of writes, like a killed process.
type crashing struct {
	authz.Engine
	writes int
}

func (c *crashing) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	if c.writes == 0 {
		return "", errCrash
	}
	token, err := c.Engine.Write(ctx, write)
	c.count(err)
	return token, err
}

func (c *crashing) DeleteAll(
	ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
) (authz.Token, error) {
	if c.writes == 0 {
		return "", errCrash
	}
	token, err := c.Engine.DeleteAll(ctx, filter, preconditions, metadata)
	c.count(err)
	return token, err
}

// count ignores writes that were rejected, or that timed out and are retried.
func (c *crashing) count(err error) {
	if err == nil {
		c.writes--
	}
}

// TestInterruptedDeletion interrupts the deletion of a subscription after every number of writes. The next start of the
// server, the same call, or the same call with the same idempotency key finishes it. Every third time, an account has
// more guests than one write can remove.
func TestInterruptedDeletion(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	rows := stored(t, engine)
	views := everyView(append(rows, guest(0)))
	require.NotEmpty(t, seen(t, engine, views))
	crowd := make([]authz.Relationship, authz.MaxUpdates)
	for i := range crowd {
		crowd[i] = guest(i)
	}
	for i, again := range []string{"start", "call", "key"} {
		t.Run(again, func(t *testing.T) {
			for writes, finished := 0, false; !finished; writes++ {
				require.Less(t, writes, 50)
				load(t, engine, rows)
				if writes%3 == i {
					load(t, engine, crowd)
				}
				finished = interruptedDeletion(t, engine, again, writes, views)
			}
		})
	}
}

func guest(i int) authz.Relationship {
	return row(object("account", "team"), "guest", someone(fmt.Sprintf("guest%d", i)))
}

func interruptedDeletion(
	t *testing.T, engine authz.Engine, again string, writes int, views []authz.Check,
) (finished bool) {
	subscription := authz.Object{Type: "subscription", ID: "acme"}
	s := operation.New(engine)
	caller := func() operation.Caller {
		ada := by("ada")
		if again == "key" {
			ada.Idempotency = &operation.Idempotency{Key: fmt.Sprint(t.Name(), writes), Request: "delete"}
		}
		return ada
	}
	_, err := operation.New(&crashing{engine, writes}).Delete(t.Context(), caller(), subscription)
	if finished = err == nil; !finished {
		require.ErrorIs(t, err, errCrash)
	}
	if writes > 0 && !finished {
		require.NoError(t, unable(t, s), "the id is taken until the deletion is finished")
		require.Empty(t, seen(t, engine, views), "the cut ended all access, though the roles are still stored")
	}
	if again == "start" && writes > 0 {
		require.NoError(t, operation.New(engine).Resume(t.Context()))
	} else {
		done, err := s.Delete(t.Context(), caller(), subscription)
		require.NoError(t, err)
		require.Equal(t, again == "key" && writes > 0, done.IsReplay)
	}
	require.Equal(t, []string{"deletion:subscription/acme#done@user:ada"}, left(t, engine), "after %d writes", writes)
	if finished && again == "key" {
		company(t, s)
		_, err := s.Delete(t.Context(), caller(), subscription)
		require.NoError(t, err)
		_, _, err = s.GetSubscription(t.Context(), by("ada"), "acme")
		require.NoError(t, err, "what took the id since is another subscription")
	}
	return finished
}

// everyView returns checks of the permission view: of every person in the relationships, on every object in them.
func everyView(rows []authz.Relationship) []authz.Check {
	viewable := []authz.Type{"subscription", "account", "importer", "connection", "workspace"}
	people, objects := make(map[authz.Subject]bool), make(map[authz.Object]bool)
	for _, r := range rows {
		if r.Subject.Type == "user" && !r.Subject.Wildcard {
			people[r.Subject] = true
		}
		if slices.Contains(viewable, r.Resource.Type) {
			objects[r.Resource] = true
		}
	}
	var checks []authz.Check
	for who := range people {
		for what := range objects {
			checks = append(checks, authz.Check{Subject: who, Permission: "view", Resource: what})
		}
	}
	return checks
}

// seen returns the checks that SpiceDB does not deny, as texts.
func seen(t *testing.T, engine authz.Engine, views []authz.Check) (found []string) {
	t.Helper()
	results, _, err := engine.CheckBulk(t.Context(), views, authz.Fully())
	require.NoError(t, err)
	for i, result := range results {
		require.NoError(t, result.Err)
		if result.Decision.State != authz.Denied {
			found = append(found, fmt.Sprintf("%s may view %s", views[i].Subject, views[i].Resource))
		}
	}
	return found
}

// unable returns an error if the subscription can be created again, which would mean that its deletion has freed the id
// too early.
func unable(t *testing.T, s *operation.Service) error {
	_, _, err := s.CreateSubscription(t.Context(), by(""), operation.NewSubscription{ID: "acme", RoleSet: "multi_owner", Owner: "eve"})
	if !errors.Is(err, authz.CodeConflict) {
		return fmt.Errorf("the subscription could be created: %w", err)
	}
	return nil
}
