package operations_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// offboarding is a removal of uma that needs many writes, with its actor and the relationships that must remain.
type offboarding struct {
	name  string
	leave func(ctx context.Context, s *operation.Service) error
	after func(r authz.Relationship) (kept bool, creator authz.ID)
	notes []string
}

var offboardings = []offboarding{
	{
		"account, disconnecting",
		func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.HandOverAccountMember(
				ctx, by("ada"), "team", "uma", operation.Handover{To: "eve", Private: "disconnect"},
			)
			return err
		},
		func(r authz.Relationship) (bool, authz.ID) {
			secret := authz.Object{Type: "connection", ID: "crm"}
			return r.Resource != secret && r.Subject.Object != secret && (r.Relation == "creator" || r.Subject.ID != "uma"), "eve"
		},
		[]string{"deletion:connection/crm#done@user:ada"},
	},
	{
		"subscription, leaving",
		func(ctx context.Context, s *operation.Service) error {
			_, _, err := s.HandOverSubscriptionMember(
				ctx, by("ada"), "acme", "uma", operation.Handover{To: "eve", Private: "leave"},
			)
			return err
		},
		func(r authz.Relationship) (bool, authz.ID) {
			if r.Resource.ID == "crm" {
				return true, "uma"
			}
			return r.Relation == "creator" || r.Subject.ID != "uma", "eve"
		},
		nil,
	},
	{
		"erasing",
		func(ctx context.Context, s *operation.Service) error {
			_, err := s.EraseUser(ctx, by(""), "uma")
			return err
		},
		func(r authz.Relationship) (bool, authz.ID) {
			secret := authz.Object{Type: "connection", ID: "crm"}
			return r.Resource != secret && r.Subject.Object != secret && r.Subject.ID != "uma", ""
		},
		nil,
	},
}

// TestInterruptedOffboarding interrupts long removals. It interrupts the first removal after every number of writes,
// and every other removal after every third number. The next start, or every second time the same call, finishes the
// removal. Afterwards exactly the expected relationships are stored.
func TestInterruptedOffboarding(t *testing.T) {
	engine := newEngine(t)
	company(t, operation.New(engine))
	createMany(t, engine)
	rows := stored(t, engine)
	for i, offboarding := range offboardings {
		step := 3
		if i == 0 {
			step = 1
		}
		t.Run(offboarding.name, func(t *testing.T) {
			want := offboarding.leaves(rows)
			for writes, finished := max(i, 1), false; !finished; writes += step {
				require.Less(t, writes, 50)
				empty(t, engine)
				load(t, engine, rows)
				finished = interruptedOffboarding(t, engine, offboarding, writes, want)
			}
		})
	}
}

// leaves returns the relationships that must be stored after uma's removal, given the relationships before it.
func (d offboarding) leaves(rows []authz.Relationship) []string {
	want := slices.Clone(d.notes)
	for _, r := range rows {
		kept, creator := d.after(r)
		if r.Relation == "creator" && r.Subject.ID == "uma" && creator != "" {
			r.Subject.ID = creator
		}
		if kept {
			want = append(want, r.String())
		}
	}
	return want
}

func interruptedOffboarding(
	t *testing.T, engine authz.Engine, offboarding offboarding, writes int, want []string,
) (finished bool) {
	s := operation.New(engine)
	err := offboarding.leave(t.Context(), operation.New(&crashing{engine, writes}))
	if finished = err == nil; !finished {
		require.ErrorIs(t, err, errCrash)
		_, _, err := s.PutAccountMember(t.Context(), by("ada"), "team", "uma", []string{"user"}, time.Time{})
		require.ErrorIs(t, err, authz.CodeConflict, "she is still being removed")
	}
	if writes%2 == 1 {
		require.NoError(t, operation.New(engine).Resume(t.Context()))
	} else {
		require.NoError(t, offboarding.leave(t.Context(), s))
	}
	requireStored(t, engine, want, "after %d writes", writes)
	require.NoError(t, offboarding.leave(t.Context(), s))
	requireStored(t, engine, want, "the same again, after %d writes", writes)
	return finished
}

// createMany lets uma create more objects than one write can reassign: each object needs three preconditions. It also
// makes eve a member.
func createMany(t *testing.T, engine authz.Engine) {
	t.Helper()
	rows := []string{"account:team#user@user:eve", "connection:crm#shared_with@user:eve"}
	for i := range authz.MaxUpdates/3 + 1 {
		rows = append(rows,
			fmt.Sprintf("connection:u%d#account@account:team", i), fmt.Sprintf("connection:u%d#creator@user:uma", i),
			fmt.Sprintf("connection:u%d#shared@account:team", i))
	}
	for i := range 5 {
		rows = append(rows,
			fmt.Sprintf("connection:e%d#account@account:team", i), fmt.Sprintf("connection:e%d#creator@user:eve", i),
			fmt.Sprintf("connection:e%d#shared_with@user:uma", i),
			fmt.Sprintf("importer:e%d#account@account:team", i), fmt.Sprintf("importer:e%d#creator@user:eve", i),
			fmt.Sprintf("importer:e%d#source@connection:crm", i))
	}
	for part := range slices.Chunk(rows, authz.MaxUpdates) {
		store(t.Context(), t, engine, part...)
	}
}

var storedTypes = func() []authz.Type {
	types := []authz.Type{
		"platform", "subscription", "account", "importer", "connection", "connector", "workspace", "deletion", "offboarding",
		"membership",
	}
	for _, simple := range authz.SimpleTypes {
		types = append(types, simple.Name)
	}
	return types
}()

// stored returns every stored relationship whose resource has a type of the product's schema.
func stored(t *testing.T, engine authz.Engine) []authz.Relationship {
	t.Helper()
	var found []authz.Relationship
	for _, typ := range storedTypes {
		for item, err := range engine.Read(t.Context(), authz.Filter{Type: typ}, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			found = append(found, item.Relationship)
		}
	}
	return found
}

// empty deletes every stored relationship whose resource has a type of the product's schema.
func empty(t *testing.T, engine authz.Engine) {
	t.Helper()
	for _, typ := range storedTypes {
		_, err := engine.DeleteAll(t.Context(), authz.Filter{Type: typ}, nil, nil)
		require.NoError(t, err)
	}
}

func requireStored(t *testing.T, engine authz.Engine, want []string, message string, args ...any) {
	t.Helper()
	differs := make(map[string]int)
	for _, r := range want {
		differs[r]--
	}
	for _, r := range stored(t, engine) {
		differs[r.String()]++
	}
	maps.DeleteFunc(differs, func(_ string, n int) bool { return n == 0 })
	require.Empty(t, differs, append([]any{message}, args...)...)
}
