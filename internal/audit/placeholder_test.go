package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// broken is a source that delivers changes which the log may not be able to store: some have a caveat context that is
// not JSON, and some have an actor with a NUL character. Other tools may write such changes.
type broken struct{ authz.Source }

func (b broken) Watch(ctx context.Context, after authz.Token) iter.Seq2[authz.Change, error] {
	return func(yield func(authz.Change, error) bool) {
		for change, err := range b.Source.Watch(ctx, after) {
			for i, u := range change.Updates {
				if u.Relationship.Resource.ID == "json" {
					change.Updates[i].Relationship.Caveat, change.Updates[i].Relationship.CaveatContext = "c", "{"
				}
			}
			for _, metadata := range change.Metadata {
				if metadata["actor"] == "nul" {
					metadata["actor"] = "nul\x00nul"
				}
			}
			if !yield(change, err) {
				return
			}
		}
	}
}

// TestNoEntryStopsTheLog checks that a placeholder replaces a rejected entry, and that the log stores the next entry.
func TestNoEntryStopsTheLog(t *testing.T) {
	t.Parallel()
	places := map[string]func(
		t *testing.T,
	) (open func() (*audit.Log, error), driver, source string, refuse func(table, column, like string) []string){
		"file": func(t *testing.T) (func() (*audit.Log, error), string, string, func(table, column, like string) []string) {
			directory := t.TempDir()
			return func() (*audit.Log, error) { return audit.OpenTrustingFile(t.Context(), directory) }, "sqlite",
				"file:" + filepath.Join(
					directory, audit.FileName,
				) + "?_pragma=busy_timeout(10000)", func(table, column, like string) []string {
					return []string{fmt.Sprintf(`CREATE TRIGGER refuse_%s BEFORE INSERT ON sluice_audit_%s WHEN new.%s LIKE '%s'
						BEGIN SELECT RAISE(ABORT, 'refused'); END`, table, table, column, like)}
				}
		},
		"postgres": func(
			t *testing.T,
		) (func() (*audit.Log, error), string, string, func(table, column, like string) []string) {
			uri := enginetest.Postgres(t)
			return func() (*audit.Log, error) {
					return audit.OpenPostgres(
						t.Context(), uri,
					)
				}, "pgx", uri, func(table, column, like string) []string {
					return []string{
						fmt.Sprintf("ALTER TABLE sluice_audit_%s ADD CHECK (%s NOT LIKE '%s')", table, column, like),
					}
				}
		},
	}
	for name, at := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open, driver, source, refuse := at(t)
			log := openLog(t, open)
			db, err := sql.Open(driver, source)
			require.NoError(t, err)
			defer func() { require.NoError(t, db.Close()) }()
			for _, statement := range slices.Concat(
				refuse("entries", "body", "%body-refused%"), refuse("marks", "value", "%mark-refused%"),
				refuse("present", "resource", "%present-refused%"), refuse("found", "resource", "%found-refused%"),
			) {
				_, err := db.ExecContext(t.Context(), statement)
				require.NoError(t, err)
			}

			engine := embedded(t)
			reader := func(folder, user string) authz.Relationship {
				return relationship(t, "folder:"+folder, "reader", "user:"+user)
			}
			for _, folder := range []string{"body-refused", "found-refused", "present-refused", "fine"} {
				write(t, engine, "olga", authz.Touch, reader(folder, "before"))
			}
			stats, _ := followFrom(t, log, broken{engine}, engine)
			begun := []string{
				"snapshot", "snapshot  touch folder:fine#reader@user:before", "unstored", "unstored", "unstored",
			}
			require.ElementsMatch(t, begun, lines(wait(t, log, len(begun), audit.Query{})))

			for i, w := range []struct {
				by      string
				updates []authz.Relationship
			}{
				{"olga", []authz.Relationship{reader("body-refused", "one")}},
				{"olga", []authz.Relationship{reader("mark-refused", "one"), reader("fine", "lost")}},
				{"olga", []authz.Relationship{reader("present-refused", "one")}},
				{"olga", []authz.Relationship{reader("json", "one")}},
				{"mark-refused", []authz.Relationship{reader("by-refused", "one")}},
			} {
				write(t, engine, w.by, authz.Touch, w.updates...)
				write(t, engine, "olga", authz.Touch, reader("good", fmt.Sprint("u", i)))
			}
			for _, by := range []string{"nul", strings.Repeat("long", 2000)} { // the log accepts these actors
				write(t, engine, by, authz.Touch, reader("good", "of"+by[:3]))
			}
			all := wait(t, log, len(begun)+12, audit.Query{})
			for i, e := range all[len(begun):] {
				if i < 10 && i%2 == 0 {
					require.Equal(t, audit.Unstored, e.Kind, "%d %s", i, e.Body)
					require.NotEmpty(t, e.Reason)
					require.NotEmpty(t, e.Revision)
				} else {
					require.Equal(t, audit.Changed, e.Kind, "%d %s", i, e.Body)
				}
			}
			counted := func() bool { return stats.Unstored() == 8 } // the statistics change after the entries are written
			require.Eventually(t, counted, time.Minute, time.Millisecond)
			wait(t, log, 1, audit.Query{Actor: "nul\x00nul"})
			wait(t, log, 1, audit.Query{Object: authz.Object{Type: "folder", ID: "json"}})

			// The log also rejects the entry of an expiry. A placeholder must replace it, and the log must continue.
			_, err = db.ExecContext(t.Context(), refuseExpiry[driver])
			require.NoError(t, err)
			expiring := reader("fine", "short")
			expiring.ExpiresAt = time.Now().Add(time.Second)
			write(t, engine, "olga", authz.Touch, expiring)
			all = wait(t, log, len(all)+2, audit.Query{})
			require.Equal(t, audit.Unstored, all[len(all)-1].Kind, lines(all))
			write(t, engine, "olga", authz.Touch, reader("good", "last"))
			all = wait(t, log, len(all)+1, audit.Query{})

			report, err := log.Verify(t.Context(), "", expected)
			require.NoError(t, err)
			for _, fault := range report.Faults { // Sluice does not create the triggers of this test
				require.Contains(t, fault, "the database's schema has a part that Sluice does not create")
			}
			_, err = past(t, log, engine, "good", all[len(all)-1].Time.Time)
			require.ErrorIs(t, err, authz.CodeNotFound, "a placeholder without objects hides the past of every object")
			require.ErrorContains(t, err, "could not be stored")
		})
	}
}

// refuseExpiry makes a log reject expiries.
var refuseExpiry = map[string]string{
	"sqlite": `CREATE TRIGGER refuse_expiry BEFORE INSERT ON sluice_audit_entries WHEN new.body LIKE '%"kind":"expiry"%'
		BEGIN SELECT RAISE(ABORT, 'refused'); END`,
	"pgx": `ALTER TABLE sluice_audit_entries ADD CHECK (body NOT LIKE '%"kind":"expiry"%')`,
}

// TestPlaceholderHidesThePastOfItsObjects checks that past access returns an error for the objects of a placeholder,
// but an answer for other objects.
func TestPlaceholderHidesThePastOfItsObjects(t *testing.T) {
	t.Parallel()
	engine := embedded(t)
	log := openLog(t, logs["memory"](t))
	followFrom(t, log, broken{engine}, engine)
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:json", "reader", "user:mia"))
	write(t, engine, "olga", authz.Touch, relationship(t, "folder:good", "reader", "user:mia"))
	all := wait(t, log, 3, audit.Query{})
	require.Equal(t, audit.Unstored, all[1].Kind)
	_, err := past(t, log, engine, "json", all[2].Time.Time)
	require.ErrorIs(t, err, authz.CodeNotFound)
	require.ErrorContains(t, err, "could not be stored")
	who, err := past(t, log, engine, "good", all[2].Time.Time)
	require.NoError(t, err)
	require.Equal(t, []string{"mia"}, who)
}
