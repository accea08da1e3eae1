package operation_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

var dashboard = authz.Object{Type: "dashboard", ID: "d"}

func editorOf(object authz.Object, who authz.ID) authz.Relationship {
	return authz.Relationship{
		Resource: object, Relation: "editor", Subject: authz.Subject{Object: authz.Object{Type: "user", ID: who}},
	}
}

func isStored(r authz.Relationship) authz.Precondition {
	return authz.Precondition{Filter: authz.Exactly(r)}
}

func isAbsent(r authz.Relationship) authz.Precondition {
	return authz.Precondition{Filter: authz.Exactly(r), Absent: true}
}

// writing writes the updates of editors of the dashboard.
func writing(updates []authz.Update, preconditions ...authz.Precondition) func(
	context.Context, *operation.Service,
) error {
	return func(ctx context.Context, s *operation.Service) error {
		_, err := s.WriteRelationships(
			ctx, by("peter"), operation.RelationshipWrite{Updates: updates, Preconditions: preconditions},
		)
		return err
	}
}

func updating(action authz.Action, who authz.ID) authz.Update {
	return authz.Update{Action: action, Relationship: editorOf(dashboard, who)}
}

func ending(at time.Time) authz.Update {
	update := updating(authz.Touch, "bob")
	update.Relationship.ExpiresAt = at
	return update
}

func TestRulesOfRelationships(t *testing.T) {
	deleting := func(ctx context.Context, s *operation.Service) error {
		_, err := s.DeleteRelationships(ctx, by("peter"), dashboard)
		return err
	}
	many := make([]authz.Update, 0, authz.MaxUpdates)
	for i := range authz.MaxUpdates {
		many = append(many, updating(authz.Delete, authz.ID(fmt.Sprint("u", i))))
	}
	runRules(t, []ruleCase{
		{
			name: "create, touch and delete in one write", given: "dashboard:d#editor@user:old dashboard:d#editor@user:kept",
			do: writing([]authz.Update{
				updating(authz.Create, "new"), updating(authz.Touch, "kept"), updating(authz.Delete, "old"),
				updating(authz.Delete, "nobody"),
			}),
			changes: "+ dashboard:d#editor@user:new\n- dashboard:d#editor@user:old",
		},
		{name: "as many updates as fit one write", do: writing(many)},
		{
			name: "create what exists", given: "dashboard:d#editor@user:bob",
			do:   writing([]authz.Update{updating(authz.Touch, "new"), updating(authz.Create, "bob")}),
			code: authz.CodeConflict, says: `"updates[1].relationship": dashboard:d#editor@user:bob exists already`,
		},
		{
			name: "preconditions that hold", given: "dashboard:d#editor@user:bob",
			do: writing([]authz.Update{updating(authz.Create, "new")},
				isStored(editorOf(dashboard, "bob")), isAbsent(editorOf(dashboard, "ann"))),
			changes: "+ dashboard:d#editor@user:new",
		},
		{
			name: "something that must be stored is not", given: "dashboard:d#editor@user:bob",
			do: writing([]authz.Update{updating(authz.Touch, "new")},
				isStored(editorOf(dashboard, "bob")), isStored(editorOf(dashboard, "ann"))),
			code: authz.CodeConflict, says: `"preconditions[1].must_match"`,
		},
		{
			name: "something that must not be stored is", given: "dashboard:d#editor@user:bob",
			do:   writing([]authz.Update{updating(authz.Touch, "new")}, isAbsent(editorOf(dashboard, "bob"))),
			code: authz.CodeConflict, says: `"preconditions[0].must_not_match"`,
		},
		{
			name: "a relationship with an end", do: writing([]authz.Update{ending(until)}),
			changes: "+ dashboard:d#editor@user:bob for 2h0m0s",
		},
		{
			name: "an end that is no later than now", do: writing([]authz.Update{ending(now)}),
			code: authz.CodeInvalid, says: `"updates[0].expires_at" must be in the future`,
		},
		{
			name: "a fraction of a second", do: writing([]authz.Update{ending(until.Add(time.Second / 2))}),
			changes: "+ dashboard:d#editor@user:bob for 2h0m0s",
		},
		{
			name: "an end next to the zero time", do: writing([]authz.Update{ending(time.Time{}.Add(1))}),
			code: authz.CodeInvalid, says: `"updates[0].expires_at" must be in the future`,
		},
		{
			name: "an end in the year 10000",
			do:   writing([]authz.Update{ending(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))}),
			code: authz.CodeInvalid, says: `"updates[0].expires_at" must be before the year 10000`,
		},
		{
			name: "delete all relationships of an object", do: deleting,
			given:   "dashboard:d#editor@user:bob dashboard:d#account@account:t dashboard:e#editor@user:bob",
			changes: "- dashboard:d#account@account:t\n- dashboard:d#editor@user:bob",
		},
		{name: "delete all relationships of an object without any", do: deleting},
		{
			name: "delete relationships that another tool stored", do: deleting, given: "dashboard:d#editor@user:=zz",
			changes: "- dashboard:d#editor@user:stored:=zz",
		},
	})
}

// TestRelationshipsAndTheirKeyFitOneWrite checks that a write with an idempotency key leaves a place for the key.
func TestRelationshipsAndTheirKeyFitOneWrite(t *testing.T) {
	for updates, code := range map[int]authz.Code{authz.MaxUpdates: authz.CodeTooLarge, authz.MaxUpdates - 1: ""} {
		store := txtest.New()
		var write operation.RelationshipWrite
		for i := range updates {
			write.Updates = append(write.Updates, updating(authz.Create, authz.ID(fmt.Sprint("u", i))))
		}
		caller := by("peter")
		caller.Idempotency = &operation.Idempotency{Key: "k", Request: "r"}
		for range 2 {
			done, err := operation.New(store).WriteRelationships(t.Context(), caller, write)
			if code != "" {
				require.ErrorIs(t, err, code)
				require.ErrorContains(t, err, "at most 999 entries")
				require.Empty(t, store.Stored())
				continue
			}
			require.NoError(t, err)
			require.Len(t, store.Stored(), authz.MaxUpdates)
			require.NotEmpty(t, done.Token)
		}
	}
}

// TestWriteReachesAsManyObjectsAsUpdates checks that the number of objects does not matter, although each could have a
// deletion under way.
func TestWriteReachesAsManyObjectsAsUpdates(t *testing.T) {
	store := txtest.New()
	var write operation.RelationshipWrite
	for i := range authz.MaxUpdates {
		object := authz.Object{Type: "dashboard", ID: authz.ID(fmt.Sprint("d", i))}
		write.Updates = append(write.Updates, authz.Update{Action: authz.Create, Relationship: editorOf(object, "bob")})
	}
	_, err := operation.New(store).WriteRelationships(t.Context(), by(""), write)
	require.NoError(t, err)
	require.Len(t, store.Stored(), authz.MaxUpdates)
	require.Equal(t, "write_relationships", store.LastMetadata()["operation"])
}

// TestWriteFinishesDeletionsUnderWay writes to an object while an interrupted deletion of its relationships is
// recorded. If the deletion were resumed later, it would delete what was written.
func TestWriteFinishesDeletionsUnderWay(t *testing.T) {
	board := authz.Object{Type: "acme/board", ID: "b/c:d"} // a type with a prefix
	store := txtest.New(editorOf(board, "old"), authz.Relationship{
		Resource: authz.Object{Type: "deletion", ID: "relationships/acme/board:b/c:d"}, Relation: "relationships",
		Subject: authz.Subject{Object: authz.Object{Type: "platform", ID: "main"}},
	})
	_, err := operation.New(store).WriteRelationships(t.Context(), by("peter"), operation.RelationshipWrite{
		Updates: []authz.Update{{Action: authz.Create, Relationship: editorOf(board, "new")}},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"acme/board:b/c:d#editor@user:new"}, store.Stored())
}

// TestWriteOfRelationshipsIsRetried changes what a write requires before its second attempt.
func TestWriteOfRelationshipsIsRetried(t *testing.T) {
	store, attempts := txtest.New(editorOf(dashboard, "eve")), 0
	write := operation.RelationshipWrite{
		Updates: []authz.Update{updating(authz.Create, "bob")}, Preconditions: []authz.Precondition{
			isAbsent(editorOf(dashboard, "eve")),
		},
	}
	store.BeforeWrite = func() { attempts++ }
	_, err := operation.New(store).WriteRelationships(t.Context(), by("peter"), write)
	require.ErrorContains(t, err, "preconditions[0].must_not_match")
	require.Equal(t, 1, attempts, "a precondition that does not hold needs no other attempt")

	// Another request deletes the relationship after the first attempt was rejected and before its cause is read.
	rejected := &rejectingOnce{Store: store, then: func() { store.Remove(editorOf(dashboard, "eve")) }}
	_, err = operation.New(rejected).WriteRelationships(t.Context(), by("peter"), write)
	require.NoError(t, err)
	require.Equal(t, []string{"dashboard:d#editor@user:bob"}, store.Stored())
}

// rejectingOnce calls then after the first write, which fails.
type rejectingOnce struct {
	*txtest.Store
	then func()
}

func (s *rejectingOnce) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	token, err := s.Store.Write(ctx, write)
	if s.then != nil {
		s.then()
		s.then = nil
	}
	return token, err
}
