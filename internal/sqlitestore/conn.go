package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"

	"modernc.org/sqlite"
)

// conn is a connection to the file, with the statements that it has prepared. It is used by one goroutine at a time.
//
// The driver is used without database/sql, which would take as long as the statement itself: a check asks several
// questions, each of which takes some ten microseconds.
type conn struct {
	driver.Conn
	statements map[string]driver.Stmt
}

// connect opens a connection. mode is SQLite's: ro, rw, rwc or memory. Triggers and views that a file may hold do not run.
func connect(path, mode string, pragmas ...string) (*conn, error) {
	query := url.Values{"mode": {mode}, "_pragma": append([]string{"busy_timeout(10000)", "trusted_schema(0)"}, pragmas...)}
	name := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String()
	opened, err := new(sqlite.Driver).Open(name)
	if err != nil {
		return nil, failure(err)
	}
	c := &conn{Conn: opened, statements: map[string]driver.Stmt{}}
	authorizer, ok := opened.(sqlite.AuthorizerRegisterer)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver has no authorizer"), c.Close())
	}
	if err := authorizer.RegisterAuthorizer(refuseTriggers); err != nil {
		return nil, errors.Join(failure(err), c.Close())
	}
	return c, nil
}

// connectStore opens a connection to the file of a store. It changes nothing in a file whose SQLite schema is not the
// expected one, and returns ErrForeign.
func connectStore(path, mode string, pragmas ...string) (*conn, error) {
	c, err := connect(path, mode)
	if err != nil {
		return nil, err
	}
	err = checkTables(c)
	for _, pragma := range pragmas {
		if err == nil {
			err = c.query("PRAGMA "+pragma, nil, func([]driver.Value) bool { return true })
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *conn) prepare(query string) (driver.Stmt, error) {
	if s, ok := c.statements[query]; ok {
		return s, nil
	}
	s, err := c.Prepare(query)
	if err != nil {
		return nil, failure(err)
	}
	c.statements[query] = s
	return s, nil
}

// exec runs a statement that returns no rows, and returns how many rows it changed. The context of a request would cost a
// goroutine for each statement, and none runs long.
func (c *conn) exec(query string, args ...any) (int64, error) {
	return c.execUntil(context.Background(), query, args...)
}

// execUntil is exec for a statement that may run long.
func (c *conn) execUntil(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := s.(driver.StmtExecContext).ExecContext(ctx, named(args)) //nolint:errcheck // every statement of the driver is one
	if err != nil {
		return 0, failure(err)
	}
	return result.RowsAffected()
}

// query calls visit for each row, until it returns false. The row is only valid during the call, but what it holds stays.
func (c *conn) query(query string, args []any, visit func(row []driver.Value) (more bool)) (err error) {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), named(args)) //nolint:errcheck // as in execUntil
	if err != nil {
		return failure(err)
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = failure(closing)
		}
	}()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return failure(err)
		case !visit(row):
			return nil
		}
	}
}

// one reads a single row into the destinations, and reports whether there was one.
func (c *conn) one(query string, args []any, destinations ...any) (found bool, err error) {
	var wrong error
	err = c.query(query, args, func(row []driver.Value) bool {
		found = true
		for i, destination := range destinations {
			if err := assign(destination, row[i]); err != nil {
				wrong = fmt.Errorf("%w: %s: column %d: %w", ErrCorrupt, query, i, err)
			}
		}
		return false
	})
	return found, errors.Join(err, wrong)
}

// assign stores a value of a row; NULL is the zero value.
func assign(destination any, value driver.Value) error {
	var ok bool
	switch d := destination.(type) {
	case *int64:
		*d, ok = value.(int64)
	case *string:
		*d, ok = value.(string)
	case *[]byte:
		*d, ok = value.([]byte)
	default:
		return fmt.Errorf("cannot read into %T", destination)
	}
	if !ok && value != nil {
		return fmt.Errorf("cannot read %T into %T", value, destination)
	}
	return nil
}

// Close ends the connection with all its statements.
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.Conn.Close())...)
}

func named(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	return values
}
