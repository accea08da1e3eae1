package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
)

// expected has the rules with which these tests verify logs.
var expected = audit.Expected{Place: place, Position: spicedb.ComparePosition}

// forgery is a change that bypasses Sluice, and the start of the fault that reports it.
type forgery struct{ change, fault string }

// forgeries returns the forgeries that are possible in every database.
func forgeries() []forgery {
	all := []forgery{
		{"DELETE FROM sluice_audit_marks WHERE kind = 'actor' AND value = 'eve'", "entry 5: its search terms"},
		{"INSERT INTO sluice_audit_marks (kind, value, seq) VALUES ('actor', 'bob', 9)", "entry 9: its search terms"},
		{"INSERT INTO sluice_audit_present VALUES ('folder:f', 'reader', 'user:eve', 0, '', '')", "the relationship folder:f reader user:eve is in sluice_audit_present"},
		{"UPDATE sluice_audit_present SET resource = 'account:a#' WHERE resource = 'account:a'", "the relationship account:a# owner user:olga is in sluice_audit_present"},
		{"DELETE FROM sluice_audit_present WHERE resource = 'account:a'", "the relationship account:a owner user:olga is missing"},
		{"INSERT INTO sluice_audit_found VALUES ('folder:f', 'reader', 'user:eve', 0, '', '')", "sluice_audit_found must be empty, but has 1 relationship"},
		{"DELETE FROM sluice_audit_entries WHERE seq = 5", "the log ends with entry 4, and entry 5 was written last"},
		{"INSERT INTO sluice_audit_entries VALUES (0, 0, NULL, NULL, 'x', 'x')", "entry 0 is not an entry of Sluice"},
		{"DELETE FROM sluice_audit_state", "sluice_audit_state has no row 1"},
		{"INSERT INTO sluice_audit_state VALUES (4, '', 1)", "sluice_audit_state has a row 4"},
		{"UPDATE sluice_audit_state SET token = '' WHERE id = 1", "row 1 of sluice_audit_state, the token after which the log continues, is empty"},
		{"UPDATE sluice_audit_state SET token = (SELECT token FROM sluice_audit_state WHERE id = 3) WHERE id = 1", "row 1 of sluice_audit_state, the token after which the log continues"},
		{"UPDATE sluice_audit_state SET token = '4' WHERE id = 2", "the log ends with entry 5, and entry 4 is stored as the last one"},
		{"UPDATE sluice_audit_state SET token = '6' WHERE id = 2", "the log ends with entry 5, and entry 6 was written last"},
		{"UPDATE sluice_audit_state SET token = '05' WHERE id = 2", "row 2 of sluice_audit_state"},
		{"UPDATE sluice_audit_state SET token = '' WHERE id = 3", "row 3 of sluice_audit_state"},
		{"DROP TABLE sluice_audit_state", "the table sluice_audit_state cannot be read"},
		{"DROP TABLE sluice_audit_entries", "an entry cannot be read"},
		{"ALTER TABLE sluice_audit_marks RENAME COLUMN value TO word", "the table sluice_audit_marks cannot be read"},
		{"ALTER TABLE sluice_audit_marks ADD COLUMN word TEXT", "the database's schema has a part that Sluice does not create"},
		{"DROP INDEX sluice_audit_entries_at", "the database's schema lacks a part that Sluice creates: index"},
		{"DROP INDEX sluice_audit_present_due", "the database's schema lacks a part that Sluice creates: index"},
		{"CREATE INDEX foreign_one ON sluice_audit_marks (value)", "the database's schema has a part that Sluice does not create: index"},
		{"CREATE TABLE sluice_audit_foreign (a TEXT)", "the database's schema has a part that Sluice does not create"},
	}
	for id := 1; id <= 3; id++ {
		all = append(all,
			forgery{fmt.Sprintf(
				"DELETE FROM sluice_audit_state WHERE id = %d", id,
			), fmt.Sprintf("sluice_audit_state has no row %d", id)},
			forgery{fmt.Sprintf(
				"UPDATE sluice_audit_state SET version = 2 WHERE id = %d", id,
			), fmt.Sprintf("row %d of sluice_audit_state has the version 2", id)},
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

// forgedTables has, for each table with rows, a condition for one row and the start of a fault about it.
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

// requireFault requires a fault that starts with a text.
func requireFault(t *testing.T, faults []string, begin, change string) {
	t.Helper()
	for _, fault := range faults {
		if strings.HasPrefix(fault, begin) {
			return
		}
	}
	require.Fail(t, "not named", "%s: none of %q begins with %q", change, faults, begin)
}

// TestVerifyNamesEveryForgeryInAFile changes every table, column, index and state row of a SQLite log. It also writes
// values of other types, and changes the file in ways that SQL statements do not offer.
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
	forge("the database's schema has a part that Sluice does not create: trigger foreign_one",
		"CREATE TRIGGER foreign_one AFTER INSERT ON sluice_audit_marks BEGIN DELETE FROM sluice_audit_marks WHERE value = new.value; END")

	columns, indexes := schemaOf(t, filepath.Join(original, audit.FileName))
	require.Len(t, columns, 24)
	for _, c := range columns {
		of, filled := forgedTables[c.table]
		if !filled { // the fault of compareFound suffices
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
		if !c.nullable || c.kind == "BIGINT" { // NULL remains NULL
			forge(fault, fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", c.table, c.name, change, of.row))
		}
		for kind, value := range map[string]string{
			"text": "'x'", "blob": "CAST(" + c.name + " AS BLOB)", "real": "0.5",
		} {
			if c.kind == "TEXT" && kind != "blob" { // SQLite converts a number to text
				continue
			}
			forge("row ", fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", c.table, c.name, value, of.row))
		}
		fault = "row "
		if c.nullable {
			fault = of.fault
		}
		forge(fault, "PRAGMA writable_schema = on", "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = '"+c.table+"'",
			"PRAGMA schema_version = 1000", "PRAGMA writable_schema = reset", fmt.Sprintf("UPDATE %s SET %s = NULL WHERE %s", c.table, c.name, of.row))
	}

	require.Len(t, indexes, 8)
	for i, index := range indexes {
		other := indexes[(i+1)%len(indexes)]
		swap := fmt.Sprintf(
			"UPDATE sqlite_master SET rootpage = %d - rootpage WHERE name IN ('%s', '%s')", index.root+other.root,
			index.name, other.name,
		)
		forge("SQLite's integrity check says", "PRAGMA writable_schema = on", swap)
		forge("SQLite's integrity check says", "PRAGMA writable_schema = on", // two indexes share one tree
			fmt.Sprintf("UPDATE sqlite_master SET rootpage = %d WHERE name = '%s'", indexes[(i+4)%len(indexes)].root, index.name))
	}
	// The index was partial for a while, so it lacks an entry.
	forge("SQLite's integrity check says: row 5 missing from index sluice_audit_entries_at",
		"PRAGMA writable_schema = on",
		"UPDATE sqlite_master SET sql = sql || ' WHERE seq <> 5' WHERE name = 'sluice_audit_entries_at'",
		"PRAGMA schema_version = 1000", "PRAGMA writable_schema = reset", "REINDEX sluice_audit_entries_at",
		"PRAGMA writable_schema = on", "UPDATE sqlite_master SET sql = replace(sql, ' WHERE seq <> 5', '') WHERE name = 'sluice_audit_entries_at'")
	forge("the database's schema has a part that Sluice does not create: index sluice_audit_entries_at",
		"DROP INDEX sluice_audit_entries_at", "CREATE INDEX sluice_audit_entries_at ON sluice_audit_entries (at) WHERE seq <> 5")
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

// inSQLite opens a file as another program would, on one connection.
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

// TestVerifyNamesEveryForgeryInPostgres does the same in PostgreSQL, which rejects values of other types.
func TestVerifyNamesEveryForgeryInPostgres(t *testing.T) {
	t.Parallel()
	uri := enginetest.Postgres(t)
	log, err := audit.OpenPostgres(t.Context(), uri)
	require.NoError(t, err)
	forgedLog(t, log)
	require.NoError(t, log.Close())
	db, err := sql.Open("pgx", uri)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	exec := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	tables := []string{"entries", "marks", "present", "found", "state"}
	exec("CREATE SCHEMA kept")
	for _, table := range tables {
		exec("CREATE TABLE kept." + table + " AS TABLE sluice_audit_" + table)
	}
	without, err := url.Parse(uri) // statements that were prepared before the schema changed
	require.NoError(t, err)
	query := without.Query()
	query.Set("default_query_exec_mode", "exec")
	without.RawQuery = query.Encode()
	log, err = audit.ReadPostgres(t.Context(), without.String())
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	all := strings.Join(tables, ", sluice_audit_")
	forge := func(fault string, statements ...string) {
		t.Helper()
		exec(strings.Join(statements, "; "))
		requireFault(t, faultsOf(t, log), fault, strings.Join(statements, "; "))
		var undo strings.Builder
		if strings.HasPrefix(statements[0], "UPDATE sluice") || strings.HasPrefix(statements[0], "DELETE") ||
			strings.HasPrefix(statements[0], "INSERT") {
			undo.WriteString("TRUNCATE sluice_audit_" + all + ";\n")
		} else {
			undo.WriteString("DROP TABLE IF EXISTS sluice_audit_foreign, sluice_audit_" + all + ";\n" + audit.Tables)
		}
		for _, table := range tables {
			undo.WriteString("INSERT INTO sluice_audit_" + table + " SELECT * FROM kept." + table + ";\n")
		}
		exec(undo.String())
	}
	for _, f := range forgeries() {
		forge(f.fault, f.change)
	}
	forge("the database's schema has a part that Sluice does not create: rule on sluice_audit_marks",
		"CREATE RULE foreign_one AS ON INSERT TO sluice_audit_marks WHERE new.value = 'eve' DO INSTEAD NOTHING")
	forge("the database's schema has a part that Sluice does not create: column sluice_audit_marks.value text NOT NULL",
		`ALTER TABLE sluice_audit_marks ALTER COLUMN value TYPE text COLLATE "C"`)
	forge("the database's schema lacks a part that Sluice creates: column sluice_audit_entries.at",
		"ALTER TABLE sluice_audit_entries ALTER COLUMN at TYPE text")

	columns, err := db.QueryContext(t.Context(), `SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_name LIKE 'sluice_audit_%' AND table_schema = 'public'`)
	require.NoError(t, err)
	var found []tableColumn
	for columns.Next() {
		var c tableColumn
		require.NoError(t, columns.Scan(&c.table, &c.name, &c.kind))
		found = append(found, c)
	}
	require.NoError(t, columns.Close())
	require.Len(t, found, 24)
	for _, c := range found {
		of, filled := forgedTables[c.table]
		if !filled {
			continue
		}
		change, fault := c.name+" || 'x'", of.fault
		if c.kind == "bigint" {
			change = c.name + " + 1000"
		}
		if c.table == "sluice_audit_state" && c.name != "id" {
			fault = "row 2 of sluice_audit_state"
		}
		forge(fault, fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", c.table, c.name, change, of.row))
	}

	// The index was not maintained for a while, so it lacks rows.
	indexes, err := db.QueryContext(t.Context(), `SELECT indexrelid::regclass::text, indrelid::regclass::text FROM pg_index
		WHERE indrelid::regclass::text LIKE 'sluice_audit_%'`)
	require.NoError(t, err)
	rows := map[string]string{
		"sluice_audit_entries": "VALUES (6, 1, 'a/1', 1, 'x', 'x')", "sluice_audit_marks": "VALUES ('actor', 'bob', 5)",
		"sluice_audit_present": "VALUES ('a', 'b', 'c', 1, '', '')",
		"sluice_audit_found":   "VALUES ('a', 'b', 'c', 1, '', '')",
		"sluice_audit_state":   "VALUES (4, '', 1)",
	}
	var forged [][2]string
	for indexes.Next() {
		var index, table string
		require.NoError(t, indexes.Scan(&index, &table))
		forged = append(forged, [2]string{index, table})
	}
	require.NoError(t, indexes.Close())
	require.Len(t, forged, 8)
	for _, f := range forged {
		ready := "UPDATE pg_index SET indisready = %t WHERE indexrelid = '" + f[0] + "'::regclass"
		forge("the index of "+f[1]+" by", fmt.Sprintf(
			ready, false,
		), "INSERT INTO "+f[1]+" "+rows[f[1]], fmt.Sprintf(ready, true))
	}
	forge("the database's schema lacks a part that Sluice creates: index on sluice_audit_entries USING btree (at)",
		"UPDATE pg_index SET indisready = false WHERE indexrelid = 'sluice_audit_entries_at'::regclass")
	require.Empty(t, faultsOf(t, log), "every change was undone")
}

// TestReadingAPlaceWithoutLog checks the error for a place without a log. A damaged log opens.
func TestReadingAPlaceWithoutLog(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ content, says string }{
		"empty":   {"", "has no tables of a log"},
		"a text":  {strings.Repeat("these are notes. ", 100), "is not a SQLite file"},
		"a title": {"SQLite format 3\x00", "is not a SQLite file"},
	} {
		directory := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(directory, audit.FileName), []byte(test.content), 0o600))
		_, err := audit.ReadFile(t.Context(), directory)
		require.ErrorContains(t, err, "there is no audit log", name)
		require.ErrorContains(t, err, test.says, name)
	}
	_, err := audit.ReadPostgres(t.Context(), enginetest.Postgres(t))
	require.ErrorContains(t, err, "there is no audit log: the database has no tables of a log")
}
