package audit

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
)

// compareSchema compares the database's schema with the one that Sluice creates. Foreign parts, such as triggers, could
// change or hide entries.
func (l *Log) compareSchema(ctx context.Context, tx *sql.Tx, v *verification) error {
	query, expected := describePostgres, postgresSchema
	if !l.shared {
		query = describeSQLite
		created, err := expectedSQLite(ctx)
		if err != nil {
			return err
		}
		expected = created
	}
	stored, err := describe(ctx, tx, query)
	if err != nil {
		return err
	}
	missingQuery := slices.Clone(expected)
	for _, line := range stored {
		if i := slices.Index(missingQuery, line); i >= 0 {
			missingQuery = slices.Delete(missingQuery, i, i+1)
		} else {
			v.fault("the database's schema has a part that Sluice does not create: %s", line)
		}
	}
	for _, line := range missingQuery {
		v.fault("the database's schema lacks a part that Sluice creates: %s", line)
	}
	return nil
}

const describeSQLite = `SELECT type || ' ' || name || ' on ' || tbl_name || ' ' || COALESCE(sql, '')
	FROM sqlite_master ORDER BY 1`

// describePostgres describes the log's tables: their kind and row security, columns, constraints, indexes, triggers,
// rules, policies and inheriting tables.
const describePostgres = `WITH t AS (SELECT oid, relname::text AS name, relkind::text AS kind, relrowsecurity,
	relpersistence::text AS persistence
		FROM pg_class WHERE relname LIKE 'sluice\_audit\_%' AND relkind IN ('r', 'v', 'm', 'f', 'p')
			AND pg_table_is_visible(oid))
	SELECT 'table ' || name || ' ' || kind || persistence || CASE WHEN relrowsecurity THEN ' row security' ELSE '' END
		FROM t
	UNION ALL SELECT 'column ' || name || '.' || attname || ' ' || format_type(atttypid, atttypmod) ||
		CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
		|| COALESCE(' ' || attgenerated::text || pg_get_expr(adbin, adrelid), '')
		|| CASE WHEN attcollation IN (0, 'pg_catalog.default'::regcollation) THEN ''
			ELSE ' ' || attcollation::regcollation::text END
		FROM t JOIN pg_attribute ON attrelid = t.oid LEFT JOIN pg_attrdef ON adrelid = t.oid AND adnum = attnum
			WHERE attnum > 0 AND NOT attisdropped
	UNION ALL SELECT 'constraint on ' || name || ' ' || pg_get_constraintdef(c.oid) FROM t
		JOIN pg_constraint c ON conrelid = t.oid WHERE contype <> 'n'
	UNION ALL SELECT 'index on ' || name || ' ' ||
		substr(pg_get_indexdef(indexrelid), strpos(pg_get_indexdef(indexrelid), ' USING ') + 1)
		|| CASE WHEN indisvalid AND indisready AND indislive THEN '' ELSE ' not valid' END FROM t
			JOIN pg_index ON indrelid = t.oid
	UNION ALL SELECT 'trigger on ' || name || ' ' || pg_get_triggerdef(g.oid) FROM t JOIN pg_trigger g ON tgrelid = t.oid
		WHERE NOT tgisinternal
	UNION ALL SELECT 'rule on ' || name || ' ' || rulename FROM t JOIN pg_rewrite ON ev_class = t.oid
	UNION ALL SELECT 'policy on ' || name || ' ' || polname FROM t JOIN pg_policy ON polrelid = t.oid
	UNION ALL SELECT 'table ' || inhrelid::regclass::text || ' inherits from ' || name FROM t
		JOIN pg_inherits ON inhparent = t.oid
	ORDER BY 1`

// describe runs a query that describes a schema. It replaces each run of white space by one space.
func describe(ctx context.Context, from querier, query string) (lines []string, err error) {
	rows, err := from.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines, rows.Err()
}

// postgresSchema is the result of describePostgres for a log that Sluice created.
var postgresSchema = []string{
	"column sluice_audit_entries.at bigint NOT NULL",
	"column sluice_audit_entries.body text NOT NULL",
	"column sluice_audit_entries.hash text NOT NULL",
	"column sluice_audit_entries.part bigint",
	"column sluice_audit_entries.revision text",
	"column sluice_audit_entries.seq bigint NOT NULL",
	"column sluice_audit_found.caveat text NOT NULL",
	"column sluice_audit_found.context text NOT NULL",
	"column sluice_audit_found.expires_at bigint NOT NULL",
	"column sluice_audit_found.relation text NOT NULL",
	"column sluice_audit_found.resource text NOT NULL",
	"column sluice_audit_found.subject text NOT NULL",
	"column sluice_audit_marks.kind text NOT NULL",
	"column sluice_audit_marks.seq bigint NOT NULL",
	"column sluice_audit_marks.value text NOT NULL",
	"column sluice_audit_present.caveat text NOT NULL",
	"column sluice_audit_present.context text NOT NULL",
	"column sluice_audit_present.expires_at bigint NOT NULL",
	"column sluice_audit_present.relation text NOT NULL",
	"column sluice_audit_present.resource text NOT NULL",
	"column sluice_audit_present.subject text NOT NULL",
	"column sluice_audit_state.id bigint NOT NULL",
	"column sluice_audit_state.token text NOT NULL",
	"column sluice_audit_state.version bigint NOT NULL",
	"constraint on sluice_audit_entries PRIMARY KEY (seq)",
	"constraint on sluice_audit_entries UNIQUE (revision, part)",
	"constraint on sluice_audit_found PRIMARY KEY (resource, relation, subject)",
	"constraint on sluice_audit_marks PRIMARY KEY (kind, value, seq)",
	"constraint on sluice_audit_present PRIMARY KEY (resource, relation, subject)",
	"constraint on sluice_audit_state PRIMARY KEY (id)",
	"index on sluice_audit_entries USING btree (at)",
	"index on sluice_audit_entries USING btree (revision, part)",
	"index on sluice_audit_entries USING btree (seq)",
	"index on sluice_audit_found USING btree (resource, relation, subject)",
	"index on sluice_audit_marks USING btree (kind, value, seq)",
	"index on sluice_audit_present USING btree (expires_at) WHERE (expires_at > 0)",
	"index on sluice_audit_present USING btree (resource, relation, subject)",
	"index on sluice_audit_state USING btree (id)",
	"table sluice_audit_entries rp",
	"table sluice_audit_found rp",
	"table sluice_audit_marks rp",
	"table sluice_audit_present rp",
	"table sluice_audit_state rp",
}
