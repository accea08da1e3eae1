package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// expected has the rules with which these tests verify logs.
var expected = audit.Expected{Place: place, Position: spicedb.ComparePosition}

// forgery is a change of the log's tables that bypasses Sluice. Verify must report a fault that begins with the text
// fault.
type forgery struct{ change, fault string }

// forgeries returns the forgeries that are possible in every database.
func forgeries() []forgery {
	all := []forgery{
		{"DELETE FROM sluice_audit_marks WHERE kind = 'actor' AND value = 'eve'", "entry 5: its search terms"},
		{"INSERT INTO sluice_audit_marks (kind, value, seq) VALUES ('actor', 'bob', 9)", "entry 9: its search terms"},
		{
			"INSERT INTO sluice_audit_present VALUES ('folder:f', 'reader', 'user:eve', 0, '', '')",
			"the relationship folder:f reader user:eve is in sluice_audit_present",
		},
		{
			"UPDATE sluice_audit_present SET resource = 'account:a#' WHERE resource = 'account:a'",
			"the relationship account:a# owner user:olga is in sluice_audit_present",
		},
		{
			"DELETE FROM sluice_audit_present WHERE resource = 'account:a'",
			"the relationship account:a owner user:olga is missing",
		},
		{
			"INSERT INTO sluice_audit_found VALUES ('folder:f', 'reader', 'user:eve', 0, '', '')",
			"sluice_audit_found must be empty, but has 1 relationship",
		},
		{"DELETE FROM sluice_audit_entries WHERE seq = 5", "the log ends with entry 4, and entry 5 was written last"},
		{"INSERT INTO sluice_audit_entries VALUES (0, 0, NULL, NULL, 'x', 'x')", "entry 0 is not an entry of Sluice"},
		{"DELETE FROM sluice_audit_state", "sluice_audit_state has no row 1"},
		{"INSERT INTO sluice_audit_state VALUES (4, '', 1)", "sluice_audit_state has a row 4"},
		{
			"UPDATE sluice_audit_state SET token = '' WHERE id = 1",
			"row 1 of sluice_audit_state, the token after which the log continues, is empty",
		},
		{
			"UPDATE sluice_audit_state SET token = (SELECT token FROM sluice_audit_state WHERE id = 3) WHERE id = 1",
			"row 1 of sluice_audit_state, the token after which the log continues",
		},
		{
			"UPDATE sluice_audit_state SET token = '4' WHERE id = 2",
			"the log ends with entry 5, and entry 4 is stored as the last one",
		},
		{"UPDATE sluice_audit_state SET token = '6' WHERE id = 2", "the log ends with entry 5, and entry 6 was written last"},
		{"UPDATE sluice_audit_state SET token = '05' WHERE id = 2", "row 2 of sluice_audit_state"},
		{"UPDATE sluice_audit_state SET token = '' WHERE id = 3", "row 3 of sluice_audit_state"},
		{"DROP TABLE sluice_audit_state", "the table sluice_audit_state cannot be read"},
		{"DROP TABLE sluice_audit_entries", "an entry cannot be read"},
		{"ALTER TABLE sluice_audit_marks RENAME COLUMN value TO word", "the table sluice_audit_marks cannot be read"},
		{
			"ALTER TABLE sluice_audit_marks ADD COLUMN word TEXT",
			"the database's schema has a part that Sluice does not create",
		},
		{"DROP INDEX sluice_audit_entries_at", "the database's schema lacks a part that Sluice creates: index"},
		{"DROP INDEX sluice_audit_present_due", "the database's schema lacks a part that Sluice creates: index"},
		{
			"CREATE INDEX foreign_one ON sluice_audit_marks (value)",
			"the database's schema has a part that Sluice does not create: index",
		},
		{"CREATE TABLE sluice_audit_foreign (a TEXT)", "the database's schema has a part that Sluice does not create"},
	}
	for id := 1; id <= 3; id++ {
		all = append(all,
			forgery{fmt.Sprintf(
				"DELETE FROM sluice_audit_state WHERE id = %d", id,
			), fmt.Sprintf("sluice_audit_state has no row %d", id)},
			forgery{fmt.Sprintf(
				"UPDATE sluice_audit_state SET version = 3 WHERE id = %d", id,
			), fmt.Sprintf("row %d of sluice_audit_state has the version 3", id)},
			forgery{
				fmt.Sprintf("UPDATE sluice_audit_state SET id = 9 WHERE id = %d", id), "sluice_audit_state has a row 9",
			},
			forgery{fmt.Sprintf(
				"UPDATE sluice_audit_state SET token = token || 'x' WHERE id = %d", id,
			), fmt.Sprintf("row %d of sluice_audit_state", id)},
		)
	}
	return all
}

// forgedTables lists the tables that have rows. row is an SQL condition that selects one row. After a change of this
// row, Verify must report a fault that begins with the text fault.
var forgedTables = map[string]struct{ row, fault string }{
	"sluice_audit_entries": {"seq = 5", "entr"}, // the fault may name a later entry
	"sluice_audit_marks":   {"kind = 'actor' AND value = 'eve' AND seq = 5", "entry 5"},
	"sluice_audit_present": {"resource = 'account:a'", "the relationship account:a"},
	"sluice_audit_state":   {"id = 2", "sluice_audit_state has a row 1002"},
}

// forgedLog writes the entries that the forgeries change.
func forgedLog(t *testing.T, log *audit.Log) {
	t.Helper()
	engine := embedded(t)
	write(t, engine, "olga", authz.Touch, relationship(t, "account:a", "owner", "user:olga"), relationship(
		t, "folder:f", "account", "account:a",
	))
	stop := follow(t, log, engine.Client)
	until := relationship(t, "folder:f", "reader", "user:ann")
	until.ExpiresAt = time.Now().Add(24 * time.Hour)
	write(t, engine, "olga", authz.Touch, until)
	write(t, engine, "eve", authz.Delete, until)
	wait(t, log, 5, audit.Query{})
	stop()
	require.Empty(t, faultsOf(t, log))
}

func faultsOf(t *testing.T, log *audit.Log) []string {
	t.Helper()
	report, err := log.Verify(t.Context(), "", expected)
	require.NoError(t, err)
	return report.Faults
}

// requireFault requires a fault that begins with a text.
func requireFault(t *testing.T, faults []string, begin, change string) {
	t.Helper()
	for _, fault := range faults {
		if strings.HasPrefix(fault, begin) {
			return
		}
	}
	require.Fail(t, "Verify does not report a forgery", "%s: none of %q begins with %q", change, faults, begin)
}

// TestVerifyNamesEveryForgeryInAFile changes every table, column, index and state row of a log in SQLite. It also
// writes values of wrong types, and changes the file in ways in which SQLite's usual statements cannot.
func TestVerifyNamesEveryForgeryInAFile(t *testing.T) {
	t.Parallel()
	original, directory := t.TempDir(), t.TempDir()
	log, err := audit.OpenFile(t.Context(), original)
	require.NoError(t, err)
	forgedLog(t, log)
	require.NoError(t, log.Close())
	whole, err := os.ReadFile(filepath.Join(original, audit.FileName))
	require.NoError(t, err)
	file := filepath.Join(directory, audit.FileName)
	tried := 0
	forge := func(fault string, statements ...string) {
		t.Helper()
		tried++
		require.NoError(t, os.WriteFile(file, whole, 0o600))
		inSQLite(t, file, func(ctx context.Context, c *sql.Conn) {
			for _, statement := range statements {
				_, err := c.ExecContext(ctx, statement)
				require.NoError(t, err, statement)
			}
		})
		log, err := audit.ReadFile(t.Context(), directory)
		require.NoError(t, err)
		faults := faultsOf(t, log)
		require.NoError(t, log.Close())
		requireFault(t, faults, fault, strings.Join(statements, "; "))
	}
	for _, f := range forgeries() {
		forge(f.fault, f.change)
	}
	forge(
		"the database's schema has a part that Sluice does not create: trigger foreign_one",
		"CREATE TRIGGER foreign_one AFTER INSERT ON sluice_audit_marks BEGIN DELETE FROM sluice_audit_marks WHERE value = new.value; END",
	)

	columns, indexes := schemaOf(t, filepath.Join(original, audit.FileName))
	require.Len(t, columns, 24)
	for _, c := range columns {
		of, filled := forgedTables[c.table]
		if !filled { // this table must be empty: compareFound reports any row
			continue
		}
		change := c.name + " || 'x'"
		if c.kind == "BIGINT" {
			change = c.name + " + 1000"
		}
		fault := of.fault
		if c.table == "sluice_audit_state" && c.name != "id" {
			fault = "row 2 of sluice_audit_state"
		}
		if !c.nullable || c.kind == "BIGINT" { // a nullable text may be NULL, and would stay NULL
			forge(fault, fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", c.table, c.name, change, of.row))
		}
		for kind, value := range map[string]string{
			"text": "'x'", "blob": "CAST(" + c.name + " AS BLOB)", "real": "0.5",
		} {
			if c.kind == "TEXT" && kind != "blob" { // a text column converts a number to text
				continue
			}
			forge("row ", fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", c.table, c.name, value, of.row))
		}
		fault = "row "
		if c.nullable {
			fault = of.fault
		}
		forge(
			fault,
			"PRAGMA writable_schema = on",
			"UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = '"+c.table+"'",
			"PRAGMA schema_version = 1000",
			"PRAGMA writable_schema = reset",
			fmt.Sprintf("UPDATE %s SET %s = NULL WHERE %s", c.table, c.name, of.row),
		)
	}

	require.Len(t, indexes, 8)
	for i, index := range indexes {
		other := indexes[(i+1)%len(indexes)]
		swap := fmt.Sprintf(
			"UPDATE sqlite_master SET rootpage = %d - rootpage WHERE name IN ('%s', '%s')", index.root+other.root,
			index.name, other.name,
		)
		forge("SQLite's integrity check says", "PRAGMA writable_schema = on", swap)
		// After this forgery, two indexes share one tree.
		forge(
			"SQLite's integrity check says",
			"PRAGMA writable_schema = on",
			fmt.Sprintf(
				"UPDATE sqlite_master SET rootpage = %d WHERE name = '%s'", indexes[(i+4)%len(indexes)].root, index.name,
			),
		)
	}
	// This forgery creates the index with a condition, and then removes the condition. So the index lacks an entry.
	forge(
		"SQLite's integrity check says: row 5 missing from index sluice_audit_entries_at",
		"PRAGMA writable_schema = on",
		"UPDATE sqlite_master SET sql = sql || ' WHERE seq <> 5' WHERE name = 'sluice_audit_entries_at'",
		"PRAGMA schema_version = 1000",
		"PRAGMA writable_schema = reset",
		"REINDEX sluice_audit_entries_at",
		"PRAGMA writable_schema = on",
		"UPDATE sqlite_master SET sql = replace(sql, ' WHERE seq <> 5', '') WHERE name = 'sluice_audit_entries_at'",
	)
	forge(
		"the database's schema has a part that Sluice does not create: index sluice_audit_entries_at",
		"DROP INDEX sluice_audit_entries_at",
		"CREATE INDEX sluice_audit_entries_at ON sluice_audit_entries (at) WHERE seq <> 5",
	)
	require.Greater(t, tried, 100)
}

type tableColumn struct {
	table, name, kind string
	nullable          bool
}

type tableIndex struct {
	name string
	root int
}

// schemaOf returns the columns and indexes of a file.
func schemaOf(t *testing.T, file string) (columns []tableColumn, indexes []tableIndex) {
	t.Helper()
	inSQLite(t, file, func(ctx context.Context, c *sql.Conn) {
		rows, err := c.QueryContext(ctx, `SELECT t.name, c.name, c.type, NOT c."notnull" AND NOT c.pk
			FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'`)
		require.NoError(t, err)
		for rows.Next() {
			var c tableColumn
			require.NoError(t, rows.Scan(&c.table, &c.name, &c.kind, &c.nullable))
			columns = append(columns, c)
		}
		require.NoError(t, rows.Close())
		rows, err = c.QueryContext(ctx, "SELECT name, rootpage FROM sqlite_master WHERE type = 'index' ORDER BY name")
		require.NoError(t, err)
		for rows.Next() {
			var i tableIndex
			require.NoError(t, rows.Scan(&i.name, &i.root))
			indexes = append(indexes, i)
		}
		require.NoError(t, rows.Close())
	})
	return columns, indexes
}

// inSQLite opens the file on one connection, as another program would, and calls do.
func inSQLite(t *testing.T, file string, do func(context.Context, *sql.Conn)) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(delete)")
	require.NoError(t, err)
	c, err := db.Conn(t.Context())
	require.NoError(t, err)
	do(t.Context(), c)
	require.NoError(t, c.Close())
	require.NoError(t, db.Close())
}
