package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

	resources []authz.Object // one of them is what an update is about
	content   Kind           // Schema or Gap: that there is one in it
	above     int64          // the entry behind which all are

	Since, Until time.Time // from the one on, and before the other

	// After selects what comes behind that entry, the oldest first; without it, the newest comes first, and Before selects
	// what comes before that entry.
	After  *int64
	Before int64

	// Limit is how many entries come at most. Fewer can come before the end, where they are large.
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
	return l.entriesUpTo(ctx, l.db, maxFound, statement, args...)
}

// maxFound is how many bytes of entries Find reads before it ends.
const maxFound = 4 << 20

func (q Query) sql() (string, []any) {
	var args []any
	arg := func(value any) string {
		args = append(args, value)
		return "$" + strconv.Itoa(len(args))
	}
	list := func(values []string) string {
		names := make([]string, len(values))
		for i, value := range values {
			names[i] = arg(value)
		}
		return strings.Join(names, ", ")
	}
	var where strings.Builder
	for _, m := range q.marks() {
		fmt.Fprintf(&where, " AND e.seq IN (SELECT seq FROM sluice_audit_marks WHERE kind IN (%s) AND value IN (%s))", list(m.kinds), list(m.values))
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
	if q.above > 0 {
		where.WriteString(" AND e.seq > " + arg(q.above))
	}
	if q.Before > 0 {
		where.WriteString(" AND e.seq < " + arg(q.Before))
	}
	return "SELECT e.body, e.hash FROM sluice_audit_entries e WHERE 1 = 1" + where.String() + " ORDER BY e.seq " + order + " LIMIT " + arg(q.Limit), args
}

// wanted is a mark of one of some kinds and values.
type wanted struct{ kinds, values []string }

func (q Query) marks() []wanted {
	var marks []wanted
	if q.Object != (authz.Object{}) {
		marks = append(marks, wanted{[]string{byResource, bySubject}, []string{keyOfObject(q.Object)}})
	}
	if len(q.resources) > 0 {
		resources := wanted{kinds: []string{byResource}}
		for _, resource := range q.resources {
			resources.values = append(resources.values, keyOfObject(resource))
		}
		marks = append(marks, resources)
	}
	for _, m := range []mark{{byAccount, word(string(q.Account))}, {byActor, word(string(q.Actor))}, {byOperation, word(q.Operation)}, {byContent, string(q.content)}} {
		if m.value != "" {
			marks = append(marks, wanted{[]string{m.kind}, []string{m.value}})
		}
	}
	return marks
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (l *Log) entries(ctx context.Context, from querier, query string, args ...any) ([]Stored, error) {
	return l.entriesUpTo(ctx, from, math.MaxInt, query, args...)
}

// entriesUpTo reads entries until they have so many bytes, and one entry at least.
func (l *Log) entriesUpTo(ctx context.Context, from querier, bytes int, query string, args ...any) (found []Stored, err error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failure(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for bytes > 0 && rows.Next() {
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
		bytes -= len(s.Body)
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

// Through returns the token of the state through which the log has every change that Watch delivers, and the last entry. The
// token is empty, and the entry the zero value, as long as the log has no entry.
func (l *Log) Through(ctx context.Context) (authz.Token, Entry, error) {
	last, err := l.end(ctx, l.db) // before the token, which is never behind it
	if err != nil || last.Seq == 0 {
		return "", Entry{}, err
	}
	var through authz.Token
	err = l.db.QueryRowContext(ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", stateToken).Scan(&through)
	return through, last, err
}

// failure says that the log cannot be read, unless the time for it was over.
func failure(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &authz.Error{Code: authz.CodeUnavailable, Message: "the audit log cannot be read at the moment", Cause: err}
}
