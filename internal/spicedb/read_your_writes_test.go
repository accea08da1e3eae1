package spicedb_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/freshness"
)

// TestReadYourWritesThroughEngine checks that a request with Default consistency sees every write through
// ReadYourWrites, also after overlapping writes.
func TestReadYourWritesThroughEngine(t *testing.T) {
	for _, name := range []string{"memory", "postgres"} {
		t.Run(name, func(t *testing.T) {
			engine := freshness.ReadYourWrites(backends[name](t))
			require.NoError(t, engine.ApplySchema(t.Context(), enginetest.Schema))
			const writers, rounds = 4, 20
			errs := make(chan error, writers)
			for w := range writers {
				go func() { errs <- writeAndSee(t.Context(), engine, w, rounds) }()
			}
			for range writers {
				require.NoError(t, <-errs)
			}
			// A later request sees all overlapping writes.
			for w := range writers {
				for i := range rounds {
					require.NoError(t, sees(t.Context(), engine, grant(w, i), true))
				}
			}
			// Reads see each deletion.
			for i := range rounds {
				_, err := engine.DeleteAll(t.Context(), authz.Exactly(grant(0, i)), nil, nil)
				require.NoError(t, err)
				require.NoError(t, sees(t.Context(), engine, grant(0, i), false))
			}
			// A failed write must not hide earlier writes. A write of another engine need not be visible.
			write := authz.Write{Updates: []authz.Update{{Action: authz.Create, Relationship: grant(1, 0)}}}
			_, err := engine.Write(t.Context(), write)
			require.ErrorIs(t, err, authz.CodeConflict)
			require.NoError(t, sees(t.Context(), engine, grant(1, 0), true))
			require.NoError(t, sees(t.Context(), engine, grant(0, 0), false))
		})
	}
}

func grant(writer, round int) authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: "document", ID: authz.ID(fmt.Sprintf("%d-%d", writer, round))},
		Relation: "owner",
		Subject:  authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(fmt.Sprint(writer))}},
	}
}

// writeAndSee writes while others write, and reads each write immediately.
func writeAndSee(ctx context.Context, engine authz.Engine, writer, rounds int) error {
	for i := range rounds {
		r := grant(writer, i)
		if _, err := engine.Write(
			ctx, authz.Write{Updates: []authz.Update{{Action: authz.Create, Relationship: r}}},
		); err != nil {
			return err
		}
		if err := sees(ctx, engine, r, true); err != nil {
			return err
		}
	}
	return nil
}

// sees reads a relationship in every way that the interface has, with the Default consistency.
func sees(ctx context.Context, engine authz.Engine, r authz.Relationship, want bool) error {
	check := authz.Check{Subject: r.Subject, Permission: "edit", Resource: r.Resource}
	decision, _, err := engine.Check(ctx, check, authz.Consistency{})
	if err != nil {
		return err
	}
	results, _, err := engine.CheckBulk(ctx, []authz.Check{check}, authz.Consistency{})
	if err != nil {
		return err
	}
	read := false
	for _, err := range engine.Read(ctx, authz.Exactly(r), authz.Consistency{}, authz.Page{}) {
		if err != nil {
			return err
		}
		read = true
	}
	found := false
	for _, err := range engine.LookupSubjects(
		ctx, authz.SubjectQuery{Resource: r.Resource, Permission: "edit", Type: "user"}, authz.Consistency{},
	) {
		if err != nil {
			return err
		}
		found = true
	}
	if decision.Allowed() != want || results[0].Decision.Allowed() != want || read != want || found != want {
		return fmt.Errorf("%s: check %v, bulk %v, read %v, look-up %v, want %v", r, decision, results[0], read, found, want)
	}
	return nil
}
