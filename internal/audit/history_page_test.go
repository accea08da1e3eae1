package audit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// TestPagesOfPersonCountNothingHidden checks that the pages for a person contain exactly the visible entries, and
// that hidden entries do not influence where a page ends.
func TestPagesOfPersonCountNothingHidden(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		engine := embedded(t)
		log := openLog(t, open)
		follow(t, log, engine.Client)
		write(t, engine, "olga", authz.Touch,
			relationship(
				t, "folder:seen", "account", "account:a",
			), relationship(t, "folder:seen", "reader", "user:mia"),
			relationship(
				t, "folder:hidden", "account", "account:a",
			), relationship(t, "folder:else", "account", "account:b"),
			relationship(t, "folder:else", "reader", "user:mia"))
		for n := range 4 {
			write(t, engine, "olga", authz.Touch, relationship(t, "folder:seen", "reader", fmt.Sprintf("user:s%d", n)))
			for m := range 2 {
				write(t, engine, "peter", authz.Touch, relationship(
					t, "folder:hidden", "reader", fmt.Sprintf("user:h%d%d", n, m),
				))
			}
			// This entry belongs to the account only through its first update, which is hidden from mia. She may see
			// the second update, since its folder is in another account.
			write(
				t,
				engine,
				"eve",
				authz.Touch,
				relationship(
					t, "folder:hidden", "reader", fmt.Sprintf("user:e%d", n),
				),
				relationship(t, "folder:else", "reader", fmt.Sprintf("user:e%d", n)),
			)
		}
		all := wait(t, log, 18, audit.Query{})
		history := &audit.History{
			Log: log, Engine: engine, Window: 5,
			Rules: visibility.Rules{
				Objects: func(authz.Type) []authz.Permission { return []authz.Permission{"view"} },
				Place:   place, People: "user",
			},
		}

		// pages returns the number of entries on each page, and all shown entries.
		pages := func(query audit.Query, limit int) (lengths []int, shown []string) {
			query.Account = "a"
			for {
				found, before, err := history.Page(t.Context(), "mia", query, limit)
				require.NoError(t, err)
				lengths = append(lengths, len(found))
				for _, e := range found {
					text, err := e.JSON()
					require.NoError(t, err)
					require.NotRegexp(t, `"(seq|part|prev|hash)"`, string(text))
					require.NotContains(t, string(text), "hidden")
					for _, u := range e.Updates {
						shown = append(shown, u.Relationship().String())
					}
				}
				if before == 0 {
					return lengths, shown
				}
				query.Before = before
			}
		}
		seen := []string{
			"folder:seen#reader@user:s3", "folder:seen#reader@user:s2", "folder:seen#reader@user:s1",
			"folder:seen#reader@user:s0",
			"folder:seen#reader@user:mia", "folder:else#reader@user:mia",
		}
		of := func(name authz.ID) authz.Object { return authz.Object{Type: "folder", ID: name} }
		for name, query := range map[string]audit.Query{
			"everything": {}, "of olga": {Actor: "olga"}, "by olga": {
				Operation: "change_things",
			}, "seen": {Object: of("seen")},
		} {
			lengths, shown := pages(query, 100)
			require.ElementsMatch(t, seen, shown, name)
			require.Equal(t, []int{1, 1, 1, 2}, lengths, "%s: a page ends after 5 entries of the account", name)
			lengths, shown = pages(query, 1)
			require.ElementsMatch(t, seen, shown, name)
			require.Len(t, lengths, 5, name)
		}
		for name, query := range map[string]audit.Query{
			"hidden": {Object: of("hidden")}, "unknown": {Object: of("unknown")},
		} {
			lengths, shown := pages(query, 1)
			require.Empty(t, shown, name)
			require.Equal(t, []int{0}, lengths, name)
		}
		nobody, _ := pages(audit.Query{Actor: "nobody"}, 100)
		for name, query := range map[string]audit.Query{
			"of eve": {Actor: "eve"}, "of peter": {Actor: "peter"}, "by nobody": {
				Operation: "none",
			}, "a reader of the hidden": {Object: authz.Object{Type: "user", ID: "h00"}},
			"a reader of both": {Object: authz.Object{Type: "user", ID: "e1"}},
		} {
			lengths, shown := pages(query, 100)
			require.Empty(t, shown, name)
			require.Equal(t, nobody, lengths, name)
		}
		lengths, shown := pages(audit.Query{Since: all[15].Time.Time, Until: all[17].Time.Time}, 100)
		require.Empty(t, shown)
		require.Equal(t, []int{0}, lengths)
	})
}

// TestPositionsAreSealed checks that an encrypted position reveals nothing about the number, and that only the person
// for whom it was encrypted can use it.
func TestPositionsAreSealed(t *testing.T) {
	t.Parallel()
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		log := openLog(t, open)
		one, other := log.SealPosition(41, "olga", "a"), log.SealPosition(42, "olga", "a")
		require.Equal(t, one, log.SealPosition(41, "olga", "a"))
		require.Len(t, other, len(one))
		require.NotEqual(t, one[:16], other[:16])
		seq, err := log.OpenPosition(one, "olga", "a")
		require.NoError(t, err)
		require.EqualValues(t, 41, seq)
		for _, broken := range []string{"", "41", one[1:], one + "A", other[:16] + one[16:]} {
			_, err := log.OpenPosition(broken, "olga", "a")
			require.ErrorIs(t, err, authz.CodeInvalid, broken)
		}
		for _, owner := range []struct {
			reader  authz.Actor
			account authz.ID
		}{{"peter", "a"}, {"olga", "b"}, {`olga" "a`, ""}} {
			_, err := log.OpenPosition(one, owner.reader, owner.account)
			require.ErrorIs(t, err, authz.CodeInvalid, owner)
		}
	})
}
