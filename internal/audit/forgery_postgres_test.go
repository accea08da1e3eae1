package audit_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// TestVerifyNamesEveryForgeryInPostgres does the same as TestVerifyNamesEveryForgeryInAFile, with a log in
// PostgreSQL. It writes no values of wrong types, since PostgreSQL rejects them.
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
	// Connections with the URI "without" do not prepare statements. Prepared statements would fail when the schema
	// changes.
	without, err := url.Parse(uri)
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

	// Each of these forgeries inserts a row while PostgreSQL does not maintain one index. So the index lacks the row.
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
		insert := "INSERT INTO " + f[1] + " " + rows[f[1]]
		forge("the index of "+f[1]+" by", fmt.Sprintf(ready, false), insert, fmt.Sprintf(ready, true))
	}
	forge("the database's schema lacks a part that Sluice creates: index on sluice_audit_entries USING btree (at)",
		"UPDATE pg_index SET indisready = false WHERE indexrelid = 'sluice_audit_entries_at'::regclass")
	require.Empty(t, faultsOf(t, log), "after the test has undone every change, Verify must report no fault")
}

// TestVerifyNamesEveryDifferenceOfThePostgresSchema checks that Verify names each change of the schema of a log in
// PostgreSQL.
func TestVerifyNamesEveryDifferenceOfThePostgresSchema(t *testing.T) {
	t.Parallel()
	uri := enginetest.Postgres(t)
	log, err := audit.OpenPostgres(t.Context(), uri)
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	db, err := sql.Open("pgx", uri)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	exec := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	exec(`CREATE ROLE foreign_owner; CREATE SCHEMA foreign_schema;
		CREATE FUNCTION foreign_code() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE FUNCTION foreign_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'`)
	const entries = "ALTER TABLE sluice_audit_entries "
	for _, f := range []struct{ part, change, undo string }{
		{
			"trigger on sluice_audit_marks CREATE TRIGGER hide",
			"CREATE TRIGGER hide BEFORE INSERT ON sluice_audit_marks FOR EACH ROW EXECUTE FUNCTION foreign_code()",
			"DROP TRIGGER hide ON sluice_audit_marks",
		},
		{
			"event trigger hide on ddl_command_start executes foreign_event",
			"CREATE EVENT TRIGGER hide ON ddl_command_start EXECUTE FUNCTION foreign_event()", "DROP EVENT TRIGGER hide",
		},
		{
			"rule on sluice_audit_marks hide", "CREATE RULE hide AS ON INSERT TO sluice_audit_marks DO INSTEAD NOTHING",
			"DROP RULE hide ON sluice_audit_marks",
		},
		{
			"policy on sluice_audit_entries hide", "CREATE POLICY hide ON sluice_audit_entries",
			"DROP POLICY hide ON sluice_audit_entries",
		},
		{
			"table sluice_audit_entries with row security", entries + "ENABLE ROW LEVEL SECURITY",
			entries + "DISABLE ROW LEVEL SECURITY",
		},
		{
			"table sluice_audit_entries with forced row security", entries + "FORCE ROW LEVEL SECURITY",
			entries + "NO FORCE ROW LEVEL SECURITY",
		},
		{
			"table sluice_audit_entries (unlogged: a crash of PostgreSQL empties it)", entries + "SET UNLOGGED",
			entries + "SET LOGGED",
		},
		{
			"owner of sluice_audit_entries: foreign_owner", entries + "OWNER TO foreign_owner", entries + "OWNER TO CURRENT_USER",
		},
		{
			"column sluice_audit_entries.seq bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY",
			entries + "ALTER seq ADD GENERATED BY DEFAULT AS IDENTITY", entries + "ALTER seq DROP IDENTITY",
		},
		{
			"column sluice_audit_entries.at bigint NOT NULL DEFAULT 1", entries + "ALTER at SET DEFAULT 1",
			entries + "ALTER at DROP DEFAULT",
		},
		{
			"column sluice_audit_entries.more bigint GENERATED ALWAYS AS (seq + 1)",
			entries + "ADD more bigint GENERATED ALWAYS AS (seq + 1) STORED", entries + "DROP more",
		},
		{
			"publication of sluice_audit_entries by foreign_one", "CREATE PUBLICATION foreign_one FOR TABLE sluice_audit_entries",
			"DROP PUBLICATION foreign_one",
		},
		{
			"publication of sluice_audit_state by foreign_all", "CREATE PUBLICATION foreign_all FOR ALL TABLES",
			"DROP PUBLICATION foreign_all",
		},
		{
			"constraint on foreign_schema.keeper FOREIGN KEY (seq) REFERENCES sluice_audit_entries(seq)",
			"CREATE TABLE foreign_schema.keeper (seq bigint REFERENCES sluice_audit_entries)", "DROP TABLE foreign_schema.keeper",
		},
		{
			"constraint on sluice_audit_entries CHECK ((seq < 9))", entries + "ADD CONSTRAINT hide CHECK (seq < 9)",
			entries + "DROP CONSTRAINT hide",
		},
		{
			"index on sluice_audit_entries USING btree (at) UNIQUE",
			"DROP INDEX sluice_audit_entries_at; CREATE UNIQUE INDEX sluice_audit_entries_at ON sluice_audit_entries (at)",
			"DROP INDEX sluice_audit_entries_at; CREATE INDEX sluice_audit_entries_at ON sluice_audit_entries (at)",
		},
		{
			"table foreign_schema.more inherits from sluice_audit_entries",
			"CREATE TABLE foreign_schema.more () INHERITS (sluice_audit_entries)", "DROP TABLE foreign_schema.more",
		},
		{
			"view sluice_audit_more", "CREATE VIEW sluice_audit_more AS SELECT * FROM sluice_audit_entries",
			"DROP VIEW sluice_audit_more",
		},
	} {
		exec(f.change)
		requireFault(t, faultsOf(t, log), "the database's schema has a part that Sluice does not create: "+f.part, f.change)
		differences, err := log.Differences(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, differences, f.change)
		require.Equal(t, strings.HasPrefix(f.part, "trigger") || strings.HasPrefix(f.part, "rule"),
			differences[0].RunsCode(), f.change)
		exec(f.undo)
		differences, err = log.Differences(t.Context())
		require.NoError(t, err)
		require.Empty(t, differences, f.undo)
	}
}

// TestReadingAPlaceWithoutLog checks the error for a file or database without a log.
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
