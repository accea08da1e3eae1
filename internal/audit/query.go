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

// Query selects entries. An entry must match every field that is set.
type Query struct {
	Object    authz.Object // resource or subject of an update
	Account   authz.ID     // account that contains the resource of an update
	Actor     authz.Actor
	Operation string

	resources  []authz.Object // the resource of an update is one of these
	content    Kind           // Schema, Gap, or Unstored for a placeholder without objects
	lowerBound int64          // the entry has a larger number

	Since, Until time.Time // from Since inclusive to Until exclusive

	// After selects entries with a larger number, the oldest first. Without After, the newest entries come first, and
	// Before selects entries with a smaller number.
	After  *int64
	Before int64

	// Limit is the highest number of entries to return. If entries are large, Find may return fewer although more
	// follow.
	Limit int
}

// Stored is an entry together with the text that its hash covers.
type Stored struct {
	Entry
	Body []byte
}

// JSON returns the hashed text of the entry, with the hash added.
func (s Stored) JSON() json.RawMessage { return withHash(s.Body, s.Hash) }

// Find returns the entries that a query selects. It stops after maxFound bytes.
func (l *Log) Find(ctx context.Context, q Query) ([]Stored, error) {
	statement, args := q.sql()
	return l.entriesUpTo(ctx, l.db, maxFound, statement, args...)
}

// maxFound is how many bytes of entries Find reads.
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
	for _, m := range q.terms() {
		fmt.Fprintf(
			&where, " AND e.seq IN (SELECT seq FROM sluice_audit_marks WHERE kind IN (%s) AND value IN (%s))",
			list(m.kinds), list(m.values),
		)
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
	if q.lowerBound > 0 {
		where.WriteString(" AND e.seq > " + arg(q.lowerBound))
	}
	if q.Before > 0 {
		where.WriteString(" AND e.seq < " + arg(q.Before))
	}
	statement := "SELECT e.body, e.hash FROM sluice_audit_entries e WHERE 1 = 1" + where.String()
	return statement + " ORDER BY e.seq " + order + " LIMIT " + arg(q.Limit), args
}

// termFilter selects entries with a search term of one of the kinds and one of the values.
type termFilter struct{ kinds, values []string }

func (q Query) terms() []termFilter {
	var terms []termFilter
	if q.Object != (authz.Object{}) {
		terms = append(terms, termFilter{[]string{byResource, bySubject}, []string{keyOfObject(q.Object)}})
	}
	if len(q.resources) > 0 {
		resources := termFilter{kinds: []string{byResource}}
		for _, resource := range q.resources {
			resources.values = append(resources.values, keyOfObject(resource))
		}
		terms = append(terms, resources)
	}
	for _, m := range []term{{
		byAccount, termValue(string(q.Account)),
	}, {byActor, termValue(string(q.Actor))}, {byOperation, termValue(q.Operation)}, {byContent, string(q.content)}} {
		if m.value != "" {
			terms = append(terms, termFilter{[]string{m.kind}, []string{m.value}})
		}
	}
	return terms
}

// querier is a database, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (l *Log) entries(ctx context.Context, from querier, query string, args ...any) ([]Stored, error) {
	return l.entriesUpTo(ctx, from, math.MaxInt, query, args...)
}

// entriesUpTo reads entries up to a total size in bytes, but at least one entry.
func (l *Log) entriesUpTo(
	ctx context.Context, from querier, bytes int, query string, args ...any,
) (found []Stored, err error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for bytes > 0 && rows.Next() {
		var s Stored
		var hash string
		if err := rows.Scan(&s.Body, &hash); err != nil {
			return nil, unavailable(err)
		}
		if s.Entry, err = parseEntry(s.Body); err != nil {
			return nil, &authz.Error{
				Code: authz.CodeInternal, Message: "an entry of the audit log is no longer JSON", Cause: err,
			}
		}
		s.Hash = hash
		found = append(found, s)
		bytes -= len(s.Body)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable(err)
	}
	return found, nil
}

func parseEntry(body []byte) (e Entry, err error) {
	err = json.Unmarshal(body, &e)
	return e, err
}

// lastEntry reads the last entry. It returns the zero value for an empty log.
func (l *Log) lastEntry(ctx context.Context, from querier) (Entry, error) {
	found, err := l.entries(ctx, from, "SELECT body, hash FROM sluice_audit_entries ORDER BY seq DESC LIMIT 1")
	if err != nil || len(found) == 0 {
		return Entry{}, err
	}
	return found[0].Entry, nil
}

// Head returns the last entry. It returns the zero value for an empty log.
func (l *Log) Head(ctx context.Context) (Entry, error) { return l.lastEntry(ctx, l.db) }

// Through returns the token up to which the log has every change of Watch, and the last entry. Both are empty for an
// empty log.
func (l *Log) Through(ctx context.Context) (authz.Token, Entry, error) {
	last, err := l.lastEntry(ctx, l.db) // read first, so that the token is never older than the entry
	if err != nil || last.Seq == 0 {
		return "", Entry{}, err
	}
	var through authz.Token
	err = l.db.QueryRowContext(ctx, "SELECT token FROM sluice_audit_state WHERE id = $1", stateToken).Scan(&through)
	return through, last, err
}

// unavailable returns an error with CodeUnavailable. It returns the error of an ended context unchanged.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &authz.Error{Code: authz.CodeUnavailable, Message: "the audit log cannot be read at the moment", Cause: err}
}
