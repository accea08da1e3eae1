package sqlitestore

import (
	"database/sql/driver"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"modernc.org/sqlite"
)

//go:embed schema.sql
var tables string

// refuseTriggers is a SQLite authorizer. It rejects statements that run a trigger or read a view; a store has
// neither.
func refuseTriggers(_ sqlite.AuthorizerActionCode, _, _, _, triggerOrView string) sqlite.AuthorizerReturnCode {
	if triggerOrView != "" {
		return sqlite.AuthorizerDeny
	}
	return sqlite.AuthorizerOK
}

// checkTables returns errForeign unless the SQLite schema of the file is exactly that of schema.sql. Any other
// trigger, view, constraint or default could change the effect of later statements. checkTables accepts the tables
// that SQLite's ANALYZE creates.
func checkTables(c *conn) error {
	want, err := expectedTables()
	if err != nil {
		return err
	}
	got, err := readTables(c)
	if err != nil {
		return err
	}
	for _, one := range got {
		if !slices.Contains(want, one) && !slices.Contains(statistics, one) {
			return fmt.Errorf("%w: its SQLite schema has an unexpected declaration: %s", errForeign, one.named())
		}
	}
	for _, one := range want {
		if !slices.Contains(got, one) {
			return fmt.Errorf("%w: its SQLite schema lacks %s", errForeign, one.named())
		}
	}
	got = slices.DeleteFunc(got, func(one declaration) bool { return slices.Contains(statistics, one) })
	if len(got) != len(want) {
		return fmt.Errorf("%w: its SQLite schema declares something twice", errForeign)
	}
	return nil
}

// declaration is a row of sqlite_schema: a table, index, trigger or view.
type declaration struct{ kind, name, table, sql string }

// statistics are the tables that ANALYZE creates, in all versions of SQLite. SQLite's planner reads them. They can
// make a statement slow, but they do not change its result. Opening a store for writing drops them.
var statistics = []declaration{
	{"table", "sqlite_stat1", "sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"},
	{"table", "sqlite_stat2", "sqlite_stat2", "CREATE TABLE sqlite_stat2(tbl,idx,sampleno,sample)"},
	{"table", "sqlite_stat3", "sqlite_stat3", "CREATE TABLE sqlite_stat3(tbl,idx,neq,nlt,ndlt,sample)"},
	{"table", "sqlite_stat4", "sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"},
}

// dropStatistics drops the statistics tables of ANALYZE.
func dropStatistics(c *conn) error {
	got, err := readTables(c)
	if err != nil {
		return err
	}
	for _, one := range got {
		if slices.Contains(statistics, one) {
			if _, err := c.exec("DROP TABLE " + one.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropStatistics drops the statistics tables of the store. It uses a connection of its own, since a connection that has
// read the statistics continues to use them.
func (d *directory) dropStatistics() error {
	c, err := connectStore(d.file(), "rw")
	if err != nil {
		return err
	}
	return errors.Join(dropStatistics(c), c.Close())
}

// named describes the declaration, with the beginning of its text.
func (d declaration) named() string {
	const shown = 200
	sql := d.sql
	if len(sql) > shown {
		sql = sql[:shown] + "…"
	}
	return fmt.Sprintf("the %s %q on %q (%q)", d.kind, d.name, d.table, sql)
}

var comments = regexp.MustCompile(`--[^\n]*`)

// readTables lists the declarations of a file. It removes comments and spaces from the declarations, so that they can
// be compared. That is safe because no declaration in schema.sql has a quoted text or name.
func readTables(c *conn) (found []declaration, err error) {
	const query = "SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_schema"
	wrong := false
	err = c.query(query, nil, func(row []driver.Value) bool {
		var text [4]string
		for i := range text {
			if assign(&text[i], row[i]) != nil {
				wrong = true
			}
		}
		text[3] = strings.Join(strings.Fields(comments.ReplaceAllString(text[3], "")), " ")
		found = append(found, declaration{text[0], text[1], text[2], text[3]})
		return true
	})
	if err == nil && wrong {
		err = fmt.Errorf("%w: its SQLite schema cannot be read", ErrCorrupt)
	}
	return found, err
}

// expectedTables lists the declarations of schema.sql.
var expectedTables = sync.OnceValues(func() (want []declaration, err error) {
	c, err := connect(":memory:", "memory")
	if err != nil {
		return nil, err
	}
	if _, err = c.exec(tables); err == nil {
		want, err = readTables(c)
	}
	if closing := c.Close(); err == nil {
		err = closing
	}
	return want, err
})
