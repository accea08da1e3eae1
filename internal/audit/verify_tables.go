package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// tableCheck compares indexes with their tables, and values with the types of their columns. In SQLite, it must run
// before the other checks, since these read the tables through the indexes.
type tableCheck struct {
	ctx context.Context //nolint:containedctx // the context of the verification
	log *Log
	tx  *sql.Tx
	v   *verification
}

// compareIndexes compares every index with its table.
func (c *tableCheck) compareIndexes() error {
	if c.log.shared {
		return c.comparePostgresIndexes()
	}
	rows, err := tableRows(c.ctx, c.tx, 1, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFaults))
	for _, row := range rows {
		if text := textOf(row[0]); text != "ok" {
			c.v.fault("SQLite's integrity check says: %s", text)
		}
	}
	return err
}

// index is a PostgreSQL index of the log, with the columns by which it sorts.
type index struct{ table, columns, where string }

// postgresIndexes lists the indexes that createStatements creates.
var postgresIndexes = []index{
	{table: "sluice_audit_entries", columns: "seq"},
	{table: "sluice_audit_entries", columns: "revision, part"},
	{table: "sluice_audit_entries", columns: "at"},
	{table: "sluice_audit_marks", columns: "kind, value, seq"},
	{table: "sluice_audit_present", columns: "resource, relation, subject"},
	{table: "sluice_audit_present", columns: "expires_at", where: " WHERE expires_at > 0"},
	{table: "sluice_audit_found", columns: "resource, relation, subject"},
	{table: "sluice_audit_state", columns: "id"},
}

// These settings make PostgreSQL read a table without its indexes (byTable), or through the index that has the sort
// order of the query (byIndex).
const (
	byTable = "SET LOCAL enable_seqscan TO on; SET LOCAL enable_indexscan TO off; " +
		"SET LOCAL enable_indexonlyscan TO off; SET LOCAL enable_bitmapscan TO off"
	byIndex = "SET LOCAL enable_seqscan TO off; SET LOCAL enable_indexscan TO on; " +
		"SET LOCAL enable_indexonlyscan TO on; SET LOCAL enable_bitmapscan TO off; " +
		"SET LOCAL enable_sort TO off; SET LOCAL jit TO off"
	byDefault = "SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_indexscan TO DEFAULT; " +
		"SET LOCAL enable_indexonlyscan TO DEFAULT; SET LOCAL enable_bitmapscan TO DEFAULT; " +
		"SET LOCAL enable_sort TO DEFAULT; SET LOCAL jit TO DEFAULT"
)

// set applies settings to the rest of the transaction, one by one, since PostgreSQL cannot prepare several statements
// at once.
func (c *tableCheck) set(settings string) error {
	for setting := range strings.SplitSeq(settings, "; ") {
		if _, err := c.tx.ExecContext(c.ctx, setting); err != nil {
			return err
		}
	}
	return nil
}

// ignoreIndexes makes PostgreSQL read the tables without their indexes in later queries.
func (c *tableCheck) ignoreIndexes() error {
	if !c.log.shared {
		return nil
	}
	return c.set(byTable)
}

// comparePostgresIndexes reads each table without an index and through each of its indexes, and compares the rows.
func (c *tableCheck) comparePostgresIndexes() (err error) {
	defer func() {
		if err == nil { // on an error, the savepoint restores the settings
			err = c.set(byDefault)
		}
	}()
	for _, i := range postgresIndexes {
		var sums [2]string
		for n, by := range []struct{ settings, order string }{{byTable, ""}, {byIndex, " ORDER BY " + i.columns}} {
			//nolint:gosec // all parts of the query are constants
			query := fmt.Sprintf(`SELECT count(*) || ' ' || COALESCE(sum(hashtextextended(ROW(place, %s)::text, 0)), 0)
				FROM (SELECT ctid AS place, %s FROM %s%s%s) AS found`, i.columns, i.columns, i.table, i.where, by.order)
			if err := c.set(by.settings); err != nil {
				return err
			}
			if err := c.tx.QueryRowContext(c.ctx, query).Scan(&sums[n]); err != nil {
				return err
			}
		}
		if sums[0] != sums[1] {
			c.v.fault("the index of %s by %s does not match the rows of the table", i.table, i.columns)
		}
	}
	return nil
}

// compareTypes reports values whose type is not the type of their column. SQLite can store such values, PostgreSQL
// cannot.
func (c *tableCheck) compareTypes() error {
	if c.log.shared {
		return nil
	}
	expected, err := expectedColumns(c.ctx)
	if err != nil {
		return err
	}
	for table, columns := range expected {
		if err := c.v.runStep(
			c.ctx, c.tx, "the table "+table, func() error { return c.compareTypesOf(table, columns) },
		); err != nil {
			return err
		}
	}
	return nil
}

// column is a SQLite column with the types that its values may have.
type column struct{ name, types string }

func (c *tableCheck) compareTypesOf(table string, columns []column) error {
	var types, wrong []string
	for _, column := range columns {
		types = append(types, "typeof("+column.name+")")
		wrong = append(wrong, "typeof("+column.name+") NOT IN ("+column.types+")")
	}
	query := fmt.Sprintf(
		"SELECT rowid, %s FROM %s NOT INDEXED WHERE %s ORDER BY rowid LIMIT %d",
		strings.Join(types, ", "), table, strings.Join(wrong, " OR "), maxFaults,
	)
	found, err := tableRows(c.ctx, c.tx, 1+len(columns), query)
	if err != nil {
		return err
	}
	for _, row := range found {
		for i, column := range columns {
			if stored := textOf(row[1+i]); !strings.Contains(column.types, "'"+stored+"'") {
				c.v.fault(
					"row %v of %s has a value of the type %s in the column %s, which takes %s", row[0], table, stored,
					column.name, column.types,
				)
			}
		}
	}
	return nil
}

// expectedColumns returns the columns of the tables that Sluice creates.
func expectedColumns(ctx context.Context) (tables map[string][]column, err error) {
	scratch, err := OpenMemory(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	rows, err := scratch.db.QueryContext(
		ctx,
		`SELECT t.name, c.name, CASE c.type WHEN 'BIGINT' THEN '''integer''' ELSE '''text''' END
		|| CASE WHEN c."notnull" OR c.pk THEN '' ELSE ', ''null''' END
		FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY t.name, c.cid`,
	)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	tables = make(map[string][]column)
	for rows.Next() {
		var table string
		var c column
		if err := rows.Scan(&table, &c.name, &c.types); err != nil {
			return nil, err
		}
		tables[table] = append(tables[table], c)
	}
	return tables, rows.Err()
}
