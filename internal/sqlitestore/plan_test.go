package sqlitestore

import (
	"database/sql/driver"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlans checks the query plans: no frequent query and no step of the garbage collection scans a table or sorts.
func TestPlans(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	statements := map[string]string{
		"remove history": removeHistory, "remove log": removeLog, "empty the last row": emptyLast, "expired": selectExpired,
		"insert": insertResource, "select": selectResource, "delete": deleteSubject, "update": updateSubject,
		"the newest before":   "SELECT revision FROM change WHERE id < ? ORDER BY id DESC LIMIT 1",
		"the last that ended": "SELECT ifnull(max(ended), 0) FROM history",
	}
	for _, bySubject := range []bool{false, true} {
		for name, keys := range map[string]span{
			"one": {keys: []string{"a"}}, "three": {keys: []string{"a", "b", "c"}},
			"many": {keys: slices.Repeat([]string{"a"}, maxKeys)}, "range": {from: "a", to: "b"},
		} {
			keys.bySubject = bySubject
			statements[name+" now"], _ = statementNow(keys, 1, 1)
			statements[name+" at a revision"], _ = statementAt(keys, 1, 1)
			for name, statement := range statements {
				require.NoError(t, s.readers.use(func(c *conn) error {
					parameters := strings.Count(statement, "?") // at least the number of parameters of the statement
					return c.query("EXPLAIN QUERY PLAN "+statement, make([]any, parameters), func(row []driver.Value) bool {
						step := row[3].(string)
						require.NotContains(t, step, "SCAN", "%s: %s", name, statement)
						require.NotContains(t, step, "TEMP B-TREE", "%s: %s", name, statement)
						return true
					})
				}))
			}
		}
	}
}
