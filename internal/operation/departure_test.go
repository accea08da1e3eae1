package operation_test

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

// departure is a long removal of uma, by who may, with what it leaves of what she holds.
type departure struct {
	name  string
	leave func(ctx context.Context, s *operation.Service) error
	after func(r authz.Relationship) (kept bool, creator authz.ID)
	notes []string
}

var departures = []departure{
	{
		"account, disconnecting",
		func(ctx context.Context, s *operation.Service) error {
			_, err := s.HandOverAccountMember(ctx, by("ada"), "team", "uma", operation.Handover{To: "eve", Private: "disconnect"})
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
			_, err := s.HandOverSubscriptionMember(ctx, by("ada"), "acme", "uma", operation.Handover{To: "eve", Private: "leave"})
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

// TestInterruptedDeparture kills the first of them after every number of writes, and each other one after every third, and
// finishes it by the next start or, every other time, by the same call again: nothing is left over, and nothing is lost.
func TestInterruptedDeparture(t *testing.T) {
	for i, departure := range departures {
		step := 3
		if i == 0 {
			step = 1
		}
		t.Run(departure.name, func(t *testing.T) {
			t.Parallel()
			for writes, finished := i, false; !finished; writes += step {
				require.Less(t, writes, 50)
				finished = interruptedDeparture(t, departure, writes)
			}
		})
	}
}

func interruptedDeparture(t *testing.T, departure departure, writes int) (finished bool) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	crowded(t, engine)
	want := append([]string{}, departure.notes...)
	for _, r := range stored(t, engine) {
		kept, creator := departure.after(r)
		if r.Relation == "creator" && r.Subject.ID == "uma" && creator != "" {
			r.Subject.ID = creator
		}
		if kept {
			want = append(want, r.String())
		}
	}

	err := departure.leave(t.Context(), operation.New(&crashing{engine, writes}))
	if finished = err == nil; !finished {
		require.ErrorIs(t, err, errCrash)
	}
	if writes > 0 && !finished {
		_, _, err := s.PutAccountMember(t.Context(), by("ada"), "team", "uma", []string{"user"}, time.Time{})
		require.ErrorIs(t, err, authz.CodeConflict, "she is still being removed")
	}
	if writes%2 == 1 {
		require.NoError(t, operation.New(engine).Resume(t.Context()))
	} else {
		require.NoError(t, departure.leave(t.Context(), s))
	}
	requireStored(t, engine, want, "after %d writes", writes)
	require.NoError(t, departure.leave(t.Context(), s))
	requireStored(t, engine, want, "the same again, after %d writes", writes)
	return finished
}

// crowded has uma create more than one write can move, and be named in as much; eve is a member.
func crowded(t *testing.T, engine authz.Engine) {
	t.Helper()
	rows := []string{"account:team#user@user:eve", "connection:crm#shared_with@user:eve"}
	for i := range 520 {
		rows = append(rows, fmt.Sprintf("importer:u%d#account@account:team", i), fmt.Sprintf("importer:u%d#creator@user:uma", i))
	}
	for i := range 60 {
		rows = append(rows,
			fmt.Sprintf("connection:e%d#account@account:team", i), fmt.Sprintf("connection:e%d#creator@user:eve", i),
			fmt.Sprintf("connection:e%d#shared_with@user:uma", i))
	}
	for i := range 30 {
		rows = append(rows,
			fmt.Sprintf("importer:e%d#account@account:team", i), fmt.Sprintf("importer:e%d#creator@user:eve", i),
			fmt.Sprintf("importer:e%d#source@connection:crm", i))
	}
	for part := range slices.Chunk(rows, authz.MaxUpdates) {
		store(t.Context(), t, engine, part...)
	}
}

// stored returns every stored relationship of the product.
func stored(t *testing.T, engine authz.Engine) []authz.Relationship {
	t.Helper()
	var found []authz.Relationship
	for _, typ := range []authz.Type{
		"platform", "subscription", "account", "importer", "connection", "connector", "workspace", "flow", "schedule", "service",
		"integration", "export", "report", "deletion", "departure",
	} {
		for item, err := range engine.Read(t.Context(), authz.Filter{Type: typ}, authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			found = append(found, item.Relationship)
		}
	}
	return found
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
