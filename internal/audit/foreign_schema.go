package audit

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"modernc.org/sqlite"
)

// errForeign is the error for a SQLite file whose schema has parts that Sluice does not create.
var errForeign = errors.New("the file is not an audit log of Sluice")

// connector opens connections to a SQLite database.
type connector struct {
	name string

	// trusting lets triggers run. Tests use triggers to make a log reject entries.
	trusting bool
}

// Connect implements driver.Connector. On its connections no trigger runs and no view can be read.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	opened, err := c.Driver().Open(c.name)
	if err != nil || c.trusting {
		return opened, err
	}
	authorizer, ok := opened.(sqlite.AuthorizerRegisterer)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver has no authorizer"), opened.Close())
	}
	if err := authorizer.RegisterAuthorizer(refuseTriggers); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return new(sqlite.Driver) }

func refuseTriggers(_ sqlite.AuthorizerActionCode, _, _, _, triggerOrView string) sqlite.AuthorizerReturnCode {
	if triggerOrView != "" {
		return sqlite.AuthorizerDeny
	}
	return sqlite.AuthorizerOK
}

// statistics are the tables of SQLite's ANALYZE, as describeSQLite describes them. They change the speed of a query,
// but not its result.
var statistics = map[string]string{
	"table sqlite_stat1 on sqlite_stat1 CREATE TABLE sqlite_stat1(tbl,idx,stat)":                "sqlite_stat1",
	"table sqlite_stat2 on sqlite_stat2 CREATE TABLE sqlite_stat2(tbl,idx,sampleno,sample)":     "sqlite_stat2",
	"table sqlite_stat3 on sqlite_stat3 CREATE TABLE sqlite_stat3(tbl,idx,neq,nlt,ndlt,sample)": "sqlite_stat3",
	"table sqlite_stat4 on sqlite_stat4 CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)": "sqlite_stat4",
}

// refuseForeign returns errForeign if a file's SQLite schema has parts that Sluice does not create. It accepts a schema
// without some parts, since opening the log creates them. It deletes the statistics of ANALYZE.
func refuseForeign(ctx context.Context, db *sql.DB) error {
	stored, err := describe(ctx, db, describeSQLite)
	if err != nil || len(stored) == 0 { // a new file
		return err
	}
	expected, err := expectedSQLite(ctx)
	if err != nil {
		return err
	}
	for _, line := range stored {
		if _, harmless := statistics[line]; !harmless && !slices.Contains(expected, line) {
			return fmt.Errorf("%w: its SQLite schema has %.200q; see `sluice audit verify`", errForeign, line)
		}
	}
	for _, line := range stored {
		if table, harmless := statistics[line]; harmless {
			if _, err := db.ExecContext(ctx, "DROP TABLE "+table); err != nil {
				return err
			}
		}
	}
	return nil
}

// expectedSQLite describes the schema that Sluice creates.
func expectedSQLite(ctx context.Context) (expected []string, err error) {
	scratch, err := OpenMemory(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	return describe(ctx, scratch.db, describeSQLite)
}
