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

// conn is a connection to the file with its prepared statements. One goroutine at a time may use it.
//
// It calls the driver directly. A check runs several queries of about ten microseconds each, and database/sql would
// double this time.
type conn struct {
	driver.Conn
	statements map[string]driver.Stmt
}

// connect opens a connection. mode is one of SQLite's modes: ro, rw, rwc or memory. On the connection, no trigger
// runs and no view can be read.
func connect(path, mode string, pragmas ...string) (*conn, error) {
	query := url.Values{
		"mode": {mode}, "_pragma": append([]string{"busy_timeout(10000)", "trusted_schema(0)"}, pragmas...),
	}
	name := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String()
	opened, err := new(sqlite.Driver).Open(name)
	if err != nil {
		return nil, classify(err)
	}
	c := &conn{Conn: opened, statements: map[string]driver.Stmt{}}
	authorizer, ok := opened.(sqlite.AuthorizerRegisterer)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver has no authorizer"), c.Close())
	}
	if err := authorizer.RegisterAuthorizer(refuseTriggers); err != nil {
		return nil, errors.Join(classify(err), c.Close())
	}
	return c, nil
}

// connectStore opens a connection to the file of a store. If the SQLite schema of the file differs from the expected
// schema, it returns errForeign and changes nothing.
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
		return nil, classify(err)
	}
	c.statements[query] = s
	return s, nil
}

// exec runs a statement that returns no rows, and returns the number of changed rows. It has no context, since a
// context would cost a goroutine for each statement, and none of these statements runs long.
func (c *conn) exec(query string, args ...any) (int64, error) {
	return c.execUntil(context.Background(), query, args...)
}

// execUntil does the same as exec until ctx ends. It is for statements that may run long.
func (c *conn) execUntil(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	//nolint:errcheck // every statement of the driver is a StmtExecContext
	result, err := s.(driver.StmtExecContext).ExecContext(ctx, named(args))
	if err != nil {
		return 0, classify(err)
	}
	return result.RowsAffected()
}

// query calls visit for each row until visit returns false. The slice row is valid only during the call of visit, but
// its values stay valid.
func (c *conn) query(query string, args []any, visit func(row []driver.Value) (more bool)) (err error) {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	//nolint:errcheck // every statement of the driver is a StmtQueryContext
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), named(args))
	if err != nil {
		return classify(err)
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = classify(closing)
		}
	}()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return classify(err)
		case !visit(row):
			return nil
		}
	}
}

// queryRow reads a single row into the destinations and reports whether there was one.
func (c *conn) queryRow(query string, args []any, destinations ...any) (found bool, err error) {
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

// assign stores a value of a row in a destination. NULL becomes the zero value.
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

// Close closes the connection and its statements.
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
