package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// startsSchema is engineSchema with one more type, whose objects are in no account.
const startsSchema = engineSchema + `
definition note {
	relation reader: user | user with expiration
	relation about: folder
	permission view = reader
}`

func historyOf(log *audit.Log, engine authz.Engine) *audit.History {
	return &audit.History{
		Log: log, Engine: engine,
		Rules: visibility.Rules{
			Objects: func(authz.Type) []authz.Permission { return []authz.Permission{"view"} },
			Roles: func(t authz.Type) authz.Permission {
				if t == "account" {
					return "view"
				}
				return ""
			},
			Place: place, People: "user",
		},
	}
}

// shownTo returns the entries about the account a that a person may read: each visible update with its actor, the
// oldest first. It reads them with Page and with VisibleEntries, and requires that both return the same entries.
func shownTo(t *testing.T, history *audit.History, reader authz.Actor, query audit.Query) (shown []string) {
	t.Helper()
	query.Account = "a"
	paged, before, err := history.Page(t.Context(), reader, query, 1000)
	require.NoError(t, err)
	require.Zero(t, before)
	for _, e := range slices.Backward(paged) {
		require.True(t, e.Omitted)
		require.Empty(t, e.Overlapping)
		for _, u := range e.Updates {
			shown = append(shown, fmt.Sprintln(e.Actor, u.Action, u.Relationship()))
		}
	}
	all := query
	all.After, all.Limit = new(int64(0)), 1000
	found, err := history.Find(t.Context(), all)
	require.NoError(t, err)
	streamed, err := history.VisibleEntries(t.Context(), reader, query, found)
	require.NoError(t, err)
	slices.Reverse(paged)
	require.True(t, slices.EqualFunc(paged, streamed, func(a, b audit.Entry) bool {
		return a.Seq == b.Seq && fmt.Sprint(a.Updates) == fmt.Sprint(b.Updates)
	}), "Page and VisibleEntries must return the same entries")
	return shown
}

// createAgain is a case in which an object is deleted and its id is used again. Each string of steps and again is a
// transaction. The transactions of steps are about the earlier object, and those of again about the new one.
type createAgain struct {
	steps []string // an actor, and relationships to write (+) or delete (-)
	again []string
	want  []string // the updates that the user joe may read afterwards
}

var createAgainCases = map[string]createAgain{
	"account": {
		steps: []string{
			"oscar +account:a#owner@user:oscar", "oscar +account:a#owner@user:secret",
			"oscar +folder:f#account@account:a +folder:f#reader@user:oscar", "oscar +folder:g#account@account:a",
			"oscar -account:a#owner@user:oscar -account:a#owner@user:secret",
			"oscar -folder:f#reader@user:oscar -folder:f#account@account:a -folder:g#account@account:a",
		},
		again: []string{"nora +account:a#owner@user:joe", "nora +folder:f#account@account:a"},
		want:  []string{"nora touch account:a#owner@user:joe\n", "nora touch folder:f#account@account:a\n"},
	},
	"object in an account": {
		steps: []string{
			"olga +account:a#owner@user:joe", "peter +folder:f#account@account:a +folder:f#reader@user:secret",
			"peter -folder:f#reader@user:secret", "peter -folder:f#account@account:a",
		},
		again: []string{"olga +folder:f#account@account:a +folder:f#reader@user:mia"},
		want: []string{
			"olga touch account:a#owner@user:joe\n",
			"olga touch folder:f#account@account:a\n", "olga touch folder:f#reader@user:mia\n",
		},
	},
	"object of another account": {
		steps: []string{
			"olga +account:a#owner@user:joe", "eve +folder:f#account@account:b +folder:f#reader@user:secret",
			"eve -folder:f#account@account:b", "eve -folder:f#reader@user:secret",
		},
		again: []string{"olga +folder:f#account@account:a"},
		want:  []string{"olga touch account:a#owner@user:joe\n", "olga touch folder:f#account@account:a\n"},
	},
	"reference to an earlier object": {
		steps: []string{
			"olga +account:a#owner@user:joe +note:n#reader@user:joe",
			"peter +folder:f#account@account:a +note:n#about@folder:f",
			"peter -folder:f#account@account:a", "peter -note:n#about@folder:f",
		},
		again: []string{"olga +folder:f#account@account:a", "olga +note:n#about@folder:f +folder:f#reader@user:mia"},
		want: []string{
			"olga touch account:a#owner@user:joe\n", "olga touch note:n#reader@user:joe\n",
			"olga touch folder:f#account@account:a\n",
			"olga touch folder:f#reader@user:mia\n", "olga touch note:n#about@folder:f\n",
		},
	},
	"object without a place": {
		steps: []string{
			"olga +account:a#owner@user:joe",
			"peter +account:a#owner@user:one +note:n#reader@user:secret", "peter -note:n#reader@user:secret",
		},
		again: []string{"olga +account:a#owner@user:two +note:n#reader@user:joe"},
		want: []string{
			"olga touch account:a#owner@user:joe\n", "peter touch account:a#owner@user:one\n",
			"olga touch account:a#owner@user:two\n", "olga touch note:n#reader@user:joe\n",
		},
	},
	"object that loses its relationships one after the other": {
		steps: []string{"olga +account:a#owner@user:joe", "olga +account:a#owner@user:one"},
		again: []string{
			"olga -account:a#owner@user:one", "olga +account:a#owner@user:two",
			"olga +folder:f#account@account:a", "olga +folder:f#reader@user:one", "olga -folder:f#reader@user:one",
		},
		want: []string{
			"olga touch account:a#owner@user:joe\n", "olga touch account:a#owner@user:one\n",
			"olga delete account:a#owner@user:one\n", "olga touch account:a#owner@user:two\n",
			"olga touch folder:f#account@account:a\n", "olga touch folder:f#reader@user:one\n",
			"olga delete folder:f#reader@user:one\n",
		},
	},
}

// play writes one transaction for each step.
func play(t *testing.T, engine authz.Engine, steps ...string) {
	t.Helper()
	for _, step := range steps {
		words := strings.Fields(step)
		w := authz.Write{Metadata: map[string]any{"actor": words[0], "key": "k", "operation": "o", "request_id": "r"}}
		for _, word := range words[1:] {
			resource, rest, _ := strings.Cut(word[1:], "#")
			relation, subject, _ := strings.Cut(rest, "@")
			action := authz.Touch
			if word[0] == '-' {
				action = authz.Delete
			}
			w.Updates = append(w.Updates, authz.Update{
				Action: action, Relationship: relationship(t, resource, relation, subject),
			})
		}
		_, err := engine.Write(t.Context(), w)
		require.NoError(t, err)
	}
}

func startsEngine(t *testing.T) *spicedb.EmbeddedEngine {
	t.Helper()
	engine := embedded(t)
	require.NoError(t, engine.ApplySchema(t.Context(), startsSchema))
	return engine
}

// TestPeopleReadNothingOfEarlierObjects deletes objects and uses their ids again.
func TestPeopleReadNothingOfEarlierObjects(t *testing.T) {
	t.Parallel()
	for name, test := range createAgainCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
				engine, log := startsEngine(t), openLog(t, open)
				follow(t, log, engine.Client)
				play(t, engine, test.steps...)
				play(t, engine, test.again...)
				wait(t, log, 1+len(test.steps)+len(test.again), audit.Query{})
				history := historyOf(log, engine)
				require.ElementsMatch(t, test.want, shownTo(t, history, "joe", audit.Query{}))
				for _, hidden := range []audit.Query{
					{Object: authz.Object{Type: "user", ID: "secret"}}, {Actor: "eve"}, {Actor: "oscar"},
				} {
					require.Empty(t, shownTo(t, history, "joe", hidden))
				}
				report, err := log.Verify(t.Context(), "", audit.Expected{Place: place})
				require.NoError(t, err)
				require.Empty(t, report.Faults)
			})
		})
	}
}

// TestPagesDoNotCountEarlierEntries compares two accounts: the id of one was used before, that of the other was not.
// Their pages must be the same.
func TestPagesDoNotCountEarlierEntries(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		engine, log := startsEngine(t), openLog(t, open)
		follow(t, log, engine.Client)
		var steps []string
		for n := range 12 {
			steps = append(steps, fmt.Sprintf("oscar +account:a#owner@user:u%d", n))
		}
		for n := range 12 {
			steps = append(steps, fmt.Sprintf("oscar -account:a#owner@user:u%d", n))
		}
		for n := range 7 {
			steps = append(steps, fmt.Sprintf("nora +account:a#owner@user:joe%d +account:b#owner@user:joe%d", n, n))
		}
		play(t, engine, steps...)
		wait(t, log, 1+len(steps), audit.Query{})
		history := historyOf(log, engine)
		history.Window = 5
		pages := func(of authz.ID) (lengths []int) {
			for query := (audit.Query{Account: of}); ; {
				page, before, err := history.Page(t.Context(), "joe0", query, 100)
				require.NoError(t, err)
				lengths = append(lengths, len(page))
				if query.Before = before; before == 0 {
					return lengths
				}
			}
		}
		require.Equal(t, []int{5, 2}, pages("a"))
		require.Equal(t, pages("b"), pages("a"))
	})
}

// TestLogBehindSpiceDBShowsNothingOfEarlierObjects deletes an account and creates it again while the log does not
// follow Watch.
func TestLogBehindSpiceDBShowsNothingOfEarlierObjects(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		engine, log := startsEngine(t), openLog(t, open)
		stop := follow(t, log, engine.Client)
		play(t, engine, "oscar +account:a#owner@user:oscar +account:a#owner@user:secret")
		wait(t, log, 2, audit.Query{})
		stop()
		play(t, engine,
			"oscar -account:a#owner@user:oscar -account:a#owner@user:secret", "nora +account:a#owner@user:joe",
		)
		history := historyOf(log, engine)
		require.NoError(t, history.RequireReader(t.Context(), "joe", "a"))
		require.Empty(t, shownTo(t, history, "joe", audit.Query{}))
		follow(t, log, engine.Client)
		wait(t, log, 4, audit.Query{})
		require.Equal(t, []string{"nora touch account:a#owner@user:joe\n"}, shownTo(t, history, "joe", audit.Query{}))
	})
}

// TestExpiryOfEarlierObjectIsHidden deletes an object and creates it again, before the log has the expiry of a
// relationship of the earlier object.
func TestExpiryOfEarlierObjectIsHidden(t *testing.T) {
	t.Parallel()
	for name, log := range logs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, time.Second, func(left time.Duration) bool { return expiresHidden(t, openLog(t, log(t)), left) })
		})
	}
}

// expiresHidden returns false if the relationship expired before the follower stopped, or if its expiry comes before
// the creation of the new account in the log.
func expiresHidden(t *testing.T, log *audit.Log, left time.Duration) bool {
	t.Helper()
	engine := startsEngine(t)
	guest := relationship(t, "account:a", "guest", "user:secret")
	guest.ExpiresAt = time.Now().Add(left)
	write(t, engine, "oscar", authz.Touch, guest, relationship(t, "account:a", "owner", "user:oscar"))
	stop := follow(t, log, engine.Client)
	wait(t, log, 2, audit.Query{})
	stop()
	if !time.Now().Before(guest.ExpiresAt) {
		return false
	}
	require.Eventually(t, func() bool {
		for _, err := range engine.Read(t.Context(), authz.Exactly(guest), authz.Fully(), authz.Page{}) {
			require.NoError(t, err)
			return false
		}
		return true
	}, time.Minute, 10*time.Millisecond)
	play(t, engine, "oscar -account:a#owner@user:oscar", "nora +account:a#owner@user:joe")
	follow(t, log, engine.Client)
	all := wait(t, log, 5, audit.Query{})
	require.Equal(t, []string{"nora touch account:a#owner@user:joe\n"},
		shownTo(t, historyOf(log, engine), "joe", audit.Query{}))
	return all[4].Kind == audit.Expiry
}

// TestPeopleReadNothingBeforeGap lets a log continue with another store, in which every id may belong to another
// object.
func TestPeopleReadNothingBeforeGap(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		before, after, log := startsEngine(t), startsEngine(t), openLog(t, open)
		play(t, before, "olga +account:a#owner@user:joe +account:a#owner@user:secret")
		stop := follow(t, log, before.Client)
		play(t, before, "olga +account:a#owner@user:secret2", "olga +folder:f#account@account:a")
		wait(t, log, 4, audit.Query{})
		stop()
		play(t, after, "nora +account:a#owner@user:joe +account:a#owner@user:mia")
		follow(t, log, after.Client)
		wait(t, log, 9, audit.Query{})
		play(t, after, "nora +account:a#owner@user:new")
		wait(t, log, 10, audit.Query{})
		require.Equal(t, []string{" touch account:a#owner@user:mia\n", "nora touch account:a#owner@user:new\n"},
			shownTo(t, historyOf(log, after), "joe", audit.Query{}))
	})
}

// allowing is an engine that has every relationship and allows every check.
type allowing struct{ everything }

func (allowing) CheckBulk(
	_ context.Context, checks []authz.Check, _ authz.Consistency,
) (results []authz.CheckResult, _ authz.Token, _ error) {
	for range checks {
		results = append(results, authz.CheckResult{Decision: authz.Decision{State: authz.Allowed}})
	}
	return results, "checked", nil
}

// TestStartInSeveralEntries creates objects in one transaction that is so large that the log has several entries for
// it.
func TestStartInSeveralEntries(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		log := openLog(t, open)
		now := time.Now()
		deleted := touched(t, "2", now, "user:secret")
		deleted.Updates[0].Action = authz.Delete
		var many []string
		for n := range 2500 {
			many = append(many, fmt.Sprintf("user:u%d", n))
		}
		again := touched(t, "3", now, many...)
		again.Updates = slices.Concat([]authz.Update{
			{Action: authz.Touch, Relationship: relationship(t, "folder:f", "account", "account:a")},
		}, again.Updates, []authz.Update{
			{Action: authz.Touch, Relationship: relationship(t, "account:a", "owner", "user:olga")},
		})
		record(t, log, 6, touched(t, "1", now, "user:secret"), deleted, again)
		shown := shownTo(t, historyOf(log, allowing{}), "joe", audit.Query{})
		require.Equal(t, 2502, len(shown)) //nolint:testifylint // require.Len would print all of them
		require.NotContains(t, strings.Join(shown, ""), "secret")
	})
}

// TestLogWithoutStartsIsUpgraded opens a log of version 1, which has no search terms of the kind byStart.
func TestLogWithoutStartsIsUpgraded(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	open := func() (*audit.Log, error) { return audit.OpenFile(t.Context(), directory) }
	log, err := open()
	require.NoError(t, err)
	engine, test := startsEngine(t), createAgainCases["object in an account"]
	stop := follow(t, log, engine.Client)
	play(t, engine, test.steps...)
	play(t, engine, test.again...)
	all := wait(t, log, 1+len(test.steps)+len(test.again), audit.Query{})
	stop()
	require.NoError(t, log.Close())
	db, err := sql.Open("sqlite", filepath.Join(directory, audit.FileName))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(),
		"DELETE FROM sluice_audit_marks WHERE kind = 'start'; UPDATE sluice_audit_state SET version = 1")
	require.NoError(t, err)
	require.NoError(t, db.Close())

	log = openLog(t, open)
	history := historyOf(log, engine)
	_, _, err = history.Page(t.Context(), "joe", audit.Query{Account: "a"}, 10)
	require.ErrorIs(t, err, authz.CodeUnavailable, "unavailable until the writer has added the search terms")
	follow(t, log, engine.Client)
	require.ElementsMatch(t, test.want, shownTo(t, history, "joe", audit.Query{}))
	report, err := log.Verify(t.Context(), all[0].Hash, audit.Expected{Place: place})
	require.NoError(t, err)
	require.Empty(t, report.Faults)
}
