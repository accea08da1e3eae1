package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Query selects entries: those that agree with every field that is set.
type Query struct {
	Object    authz.Object // named by an update
	Account   authz.ID     // that the resource of an update is in
	Actor     authz.ID
	Operation string

	Since, Until time.Time // from the one on, and before the other

	// After selects what comes behind that entry, the oldest first; without it, the newest comes first, and Before selects
	// what comes before that entry.
	After  *int64
	Before int64

	// Limit is how many entries come at most.
	Limit int
}

// Stored is an entry with its text.
type Stored struct {
	Entry
	Body []byte
}

// JSON is the entry as it was hashed, with its hash.
func (s Stored) JSON() json.RawMessage { return sealed(s.Body, s.Hash) }

// Find returns the entries that a query selects.
func (l *Log) Find(ctx context.Context, q Query) ([]Stored, error) {
	statement, args := q.sql()
	return l.entries(ctx, l.db, statement, args...)
}

func (q Query) sql() (string, []any) {
	var args []any
	arg := func(value any) string {
		args = append(args, value)
		return "$" + strconv.Itoa(len(args))
	}
	var from, where strings.Builder
	from.WriteString("SELECT e.body, e.hash FROM sluice_audit_entries e")
	where.WriteString(" WHERE 1 = 1")
	for i, m := range q.marks() {
		fmt.Fprintf(&from, " JOIN sluice_audit_marks m%[1]d ON m%[1]d.seq = e.seq AND m%[1]d.kind = %[2]s AND m%[1]d.value = %[3]s", i, arg(m.kind), arg(m.value))
	}
	if !q.Since.IsZero() {
		where.WriteString(" AND e.at >= " + arg(q.Since.UnixMicro()))
	}
	if !q.Until.IsZero() {
		where.WriteString(" AND e.at < " + arg(q.Until.UnixMicro()))
	}
	order := "DESC"
	if q.After != nil {
		where.WriteString(" AND e.seq > " + arg(*q.After))
		order = "ASC"
	}
	if q.Before > 0 {
		where.WriteString(" AND e.seq < " + arg(q.Before))
	}
	return from.String() + where.String() + " ORDER BY e.seq " + order + " LIMIT " + arg(q.Limit), args
}

func (q Query) marks() []mark {
	var marks []mark
	if q.Object != (authz.Object{}) {
		marks = append(marks, mark{byObject, keyOfObject(q.Object)})
	}
	for _, m := range []mark{{byAccount, string(q.Account)}, {byActor, string(q.Actor)}, {byOperation, q.Operation}} {
		if m.value != "" {
			marks = append(marks, m)
		}
	}
	return marks
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (l *Log) entries(ctx context.Context, from querier, query string, args ...any) (found []Stored, err error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failure(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s Stored
		var hash string
		if err := rows.Scan(&s.Body, &hash); err != nil {
			return nil, failure(err)
		}
		if s.Entry, err = parse(s.Body); err != nil {
			return nil, &authz.Error{Code: authz.CodeInternal, Message: "an entry of the audit log is no longer JSON", Cause: err}
		}
		s.Hash = hash
		found = append(found, s)
	}
	if err := rows.Err(); err != nil {
		return nil, failure(err)
	}
	return found, nil
}

func parse(body []byte) (e Entry, err error) {
	err = json.Unmarshal(body, &e)
	return e, err
}

// end reads the last entry; the zero value if there is none.
func (l *Log) end(ctx context.Context, from querier) (Entry, error) {
	found, err := l.entries(ctx, from, "SELECT body, hash FROM sluice_audit_entries ORDER BY seq DESC LIMIT 1")
	if err != nil || len(found) == 0 {
		return Entry{}, err
	}
	return found[0].Entry, nil
}

// Head returns the last entry; the zero value if there is none.
func (l *Log) Head(ctx context.Context) (Entry, error) { return l.end(ctx, l.db) }

// failure says that the log cannot be read, unless the time for it was over.
func failure(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &authz.Error{Code: authz.CodeUnavailable, Message: "the audit log cannot be read at the moment", Cause: err}
}
