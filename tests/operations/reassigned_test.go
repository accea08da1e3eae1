package operations_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// TestReassigningRemovalReportsReassignedObjects removes people who created more objects than one write can reassign.
// The report counts all reassigned objects, and names those that the actor may view after the removal. A replayed
// answer has no report.
func TestReassigningRemovalReportsReassignedObjects(t *testing.T) {
	engine := newEngine(t)
	s := operation.New(engine)
	company(t, s)
	ctx := t.Context()
	const many = authz.MaxUpdates
	team := authz.Object{Type: "account", ID: "team"}
	create := func(who authz.ID) {
		t.Helper()
		_, _, err := s.PutAccountMember(ctx, by("ada"), "team", who, []string{"owner"}, time.Time{})
		require.NoError(t, err)
		var rows []authz.Update
		add := func(typ authz.Type, id string, relation authz.Relation, subject authz.Subject) {
			rows = append(rows, authz.Update{Action: authz.Touch, Relationship: authz.Relationship{
				Resource: authz.Object{Type: typ, ID: authz.ID(id)}, Relation: relation, Subject: subject,
			}})
		}
		self := authz.Subject{Object: authz.Object{Type: "user", ID: who}}
		for i := range many {
			id := fmt.Sprintf("%s-%04d", who, i)
			add("importer", id, "account", authz.Subject{Object: team})
			add("importer", id, "creator", self)
			if i < 3 {
				add("connection", id, "account", authz.Subject{Object: team})
				add("connection", id, "creator", self)
			}
			if i == 0 {
				add("connection", id, "shared", authz.Subject{Object: team})
			}
		}
		for len(rows) > 0 {
			n := min(len(rows), authz.MaxUpdates)
			_, err := engine.Write(ctx, authz.Write{Updates: rows[:n]})
			require.NoError(t, err)
			rows = rows[n:]
		}
	}

	create("otis")
	once := operation.Idempotency{Key: "k", Request: "r", Secret: []byte("s")}
	caller := by("ada")
	caller.Idempotency = &once
	report, _, err := s.HandOverAccountMember(
		ctx, caller, "team", "otis", operation.Handover{To: "uma", Private: "disconnect"},
	)
	require.NoError(t, err)
	require.Equal(t, many, report.Importers.Count)
	require.Len(t, report.Importers.IDs, min(many, operation.MaxLimit))
	require.Equal(t, operation.Named{Count: 1, IDs: []authz.ID{"otis-0000"}}, report.Connections)
	require.Equal(t, 2, report.PrivateDisconnected)
	require.Zero(t, report.PrivateMoved)

	report, done, err := s.HandOverAccountMember(
		ctx, caller, "team", "otis", operation.Handover{To: "uma", Private: "disconnect"},
	)
	require.NoError(t, err)
	require.True(t, done.IsReplay)
	require.Nil(t, report)

	// Olaf removes himself. Afterwards he may view nothing, so the report names no objects.
	create("olaf")
	report, _, err = s.HandOverAccountMember(ctx, by("olaf"), "team", "olaf", operation.Handover{To: "uma"})
	require.NoError(t, err)
	require.Equal(t, &operation.Reassigned{
		Importers:   operation.Named{Count: many, IDs: []authz.ID{}},
		Connections: operation.Named{Count: 1, IDs: []authz.ID{}}, PrivateMoved: 2,
	}, report)
}
