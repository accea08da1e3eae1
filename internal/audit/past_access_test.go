package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// past returns who could view a folder at a time, according to the log.
func past(t *testing.T, log *audit.Log, engine authz.Engine, folder authz.ID, at time.Time) (who []string, err error) {
	t.Helper()
	history := &audit.History{Log: log, Engine: engine}
	found, err := history.Access(t.Context(), authz.SubjectQuery{
		Resource: authz.Object{Type: "folder", ID: folder}, Permission: "view", Type: "user",
	}, at)
	for _, subject := range found {
		who = append(who, string(subject.Subject.ID))
	}
	return who, err
}

func TestPast(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		engine := embedded(t)
		log := openLog(t, open)
		stop := follow(t, log, engine.Client)
		wait(t, log, 1, audit.Query{})
		f, account := relationship(
			t, "folder:f", "account", "account:a",
		), relationship(t, "account:a", "owner", "user:olga")
		// One write creates all three relationships, so that they are in one entry.
		write(t, engine, "olga", authz.Touch, f, account, relationship(t, "folder:f", "reader", "user:peter"))
		write(t, engine, "olga", authz.Delete, relationship(t, "folder:f", "reader", "user:peter"))
		wait(t, log, 3, audit.Query{})
		require.NoError(
			t, engine.ApplySchema(t.Context(), strings.Replace(engineSchema, "reader + account->view", "reader", 1)),
		)
		wait(t, log, 4, audit.Query{})
		write(t, engine, "olga", authz.Touch, relationship(t, "folder:f", "reader", "user:eve"))
		all := wait(t, log, 5, audit.Query{})
		for i, want := range [][]string{nil, {"olga", "peter"}, {"olga"}, nil, {"eve"}} {
			got, err := past(t, log, engine, "f", all[i].Time.Time)
			require.NoError(t, err)
			require.ElementsMatch(t, want, got, "after entry %d", i+1)
		}
		_, err := past(t, log, engine, "f", all[0].Time.Add(-time.Second))
		require.ErrorIs(t, err, authz.CodeNotFound)
		require.ErrorContains(t, err, "the audit log starts after")

		stop()
		other := embedded(t)
		follow(t, log, other.Client)
		after := wait(t, log, 9, audit.Query{})
		for _, at := range []time.Time{all[4].Time.Time, after[5].Time.Add(-time.Microsecond)} {
			_, err := past(t, log, other, "f", at)
			require.ErrorIs(t, err, authz.CodeNotFound)
			require.ErrorContains(t, err, "has a gap from")
		}
		got, err := past(t, log, other, "f", after[5].Time.Time)
		require.NoError(t, err)
		require.Empty(t, got)
	})
}

// TestPastWithAnyDateOfExpiration checks that the log stores every expiration. Past access must include the
// relationships that had not expired at the time. Every other relationship must have an entry of its expiry.
func TestPastWithAnyDateOfExpiration(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		engine := embedded(t)
		log := openLog(t, open)
		follow(t, log, engine.Client)
		var rows []authz.Relationship
		var readers, ended []string
		for i, at := range enginetest.Dates() {
			row := relationship(t, "folder:f", "reader", fmt.Sprint("user:u", i))
			if row.ExpiresAt = at; at.After(time.Now()) {
				readers = append(readers, string(row.Subject.ID))
			} else {
				ended = append(ended, "expiry  delete "+row.String())
			}
			rows = append(rows, row)
		}
		write(t, engine, "olga", authz.Touch, rows...)
		all := wait(t, log, 2+len(ended), audit.Query{})
		stored := make(map[authz.ID]time.Time)
		for _, u := range all[1].Updates {
			stored[u.Subject.ID] = u.Relationship().ExpiresAt
		}
		for _, row := range rows {
			require.Equal(t, row.ExpiresAt, stored[row.Subject.ID])
		}
		require.ElementsMatch(t, ended, lines(all[2:]))
		got, err := past(t, log, engine, "f", all[1].Time.Time)
		require.NoError(t, err)
		require.ElementsMatch(t, readers, got)
		_, err = log.Verify(t.Context(), "", expected)
		require.NoError(t, err)
	})
}

func TestPastIsBounded(t *testing.T) {
	t.Parallel()
	log := openLog(t, logs["memory"](t))
	var changes []authz.Change
	for i := range audit.MaxPastRelationships/1000 + 1 {
		var subjects []string
		for n := range 1000 {
			subjects = append(subjects, fmt.Sprintf("user:%d-%d", i, n))
		}
		changes = append(changes, touched(t, fmt.Sprint(i), time.Now(), subjects...))
	}
	all := record(t, log, 1+len(changes), changes...)
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	_, err = past(t, log, engine, "f", all[len(all)-1].Time.Time)
	require.ErrorIs(t, err, authz.CodeTooLarge)
}
