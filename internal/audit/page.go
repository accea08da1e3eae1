package audit

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/sluice-authz/sluice/internal/authz"
)

// How many entries of an account one page for a person goes through, how many updates it shows before it ends early,
// how many updates it reads at most, and how many entries are read at a time.
const (
	maxWindow      = 10_000
	maxPageUpdates = 10_000
	maxReadUpdates = 100_000
	pageBatch      = 100
)

// Page returns the newest entries of a query that a person may see, and the number of the entry before which the next page
// begins; zero if there is none. The query has an account. Where a page ends depends on the entries that the person
// sees, and on how many entries the account has: not on how many hidden ones the query's other filters would select.
func (h *History) Page(
	ctx context.Context, reader authz.ID, query Query, limit int,
) (page []Entry, before int64, err error) {
	if known, err := h.mayKnow(ctx, reader, query.Object); err != nil || !known {
		return nil, 0, err
	}
	if query.above, err = h.windowEnd(ctx, query, cmp.Or(h.Window, maxWindow)); err != nil {
		return nil, 0, err
	}
	shownUpdates, readUpdates := 0, 0
	for query.Limit = pageBatch; ; {
		found, err := h.Find(ctx, query)
		if err != nil {
			return nil, 0, err
		}
		if len(found) == 0 {
			if query.above == 0 {
				return page, 0, nil
			}
			return page, query.above + 1, nil
		}
		for i, e := range found {
			if readUpdates += len(e.Updates); readUpdates >= maxReadUpdates {
				found = found[:i+1]
				break
			}
		}
		shown, err := h.Show(ctx, reader, query, found)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range shown {
			if len(page) == limit || shownUpdates >= maxPageUpdates {
				return page, page[len(page)-1].Seq, nil
			}
			page = append(page, e)
			shownUpdates += len(e.Updates)
		}
		query.Before = found[len(found)-1].Seq
		if readUpdates >= maxReadUpdates {
			return page, query.Before, nil
		}
	}
}

// mayKnow reports whether a person may know that an object exists: people do not hide.
func (h *History) mayKnow(ctx context.Context, reader authz.ID, object authz.Object) (bool, error) {
	if object == (authz.Object{}) || object.Type == person {
		return true, nil
	}
	view := grant{object, h.Visible(object.Type)}
	allowed, err := h.allowed(ctx, reader, []grant{view})
	return allowed[view], err
}

// windowEnd returns the number of the entry behind the last one of the account that a page goes through; zero if it
// goes through all of them.
func (l *Log) windowEnd(ctx context.Context, query Query, window int) (int64, error) {
	before := query.Before
	if before == 0 {
		before = math.MaxInt64
	}
	if !query.Until.IsZero() {
		first, err := l.number(ctx, "SELECT seq FROM sluice_audit_entries WHERE at >= $1 ORDER BY at, seq LIMIT 1", query.Until.UnixMicro())
		if err != nil {
			return 0, err
		}
		if first > 0 {
			before = min(before, first)
		}
	}
	var since int64
	if !query.Since.IsZero() {
		since = query.Since.UnixMicro()
	}
	return l.number(ctx, `SELECT seq FROM sluice_audit_entries WHERE at >= $1 AND seq = (SELECT seq FROM sluice_audit_marks
		WHERE kind = $2 AND value = $3 AND seq < $4 ORDER BY seq DESC LIMIT 1 OFFSET $5)`, since, byAccount, word(string(query.Account)), before, window)
}

// number reads the number of an entry; zero if there is none.
func (l *Log) number(ctx context.Context, query string, args ...any) (seq int64, err error) {
	err = l.db.QueryRowContext(ctx, query, args...).Scan(&seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, failure(err)
	}
	return seq, nil
}

// inAccount reports which objects are an account or are in it now, as the log knows it.
func (h *History) inAccount(ctx context.Context, id authz.ID, objects []authz.Object) (map[authz.Object]bool, error) {
	inside, above := make(map[authz.Object]bool), make(map[authz.Object][]authz.Object) // above an object: those that it leads to
	next := objects
	for range maxDepth + 1 {
		unknown := make(map[authz.Relation][]authz.Object)
		for _, object := range next {
			_, known := above[object]
			place := h.Place(object.Type)
			if known || object.Type == account || place == "" {
				continue
			}
			above[object] = nil
			unknown[place] = append(unknown[place], object)
		}
		next = nil
		for place, of := range unknown {
			found, err := h.placesOf(ctx, place, of)
			if err != nil {
				return nil, err
			}
			for _, u := range found {
				above[u.Resource.Object] = append(above[u.Resource.Object], u.Subject.Object)
				next = append(next, u.Subject.Object)
			}
		}
		if len(next) == 0 {
			break
		}
	}
	var leads func(object authz.Object, depth int) bool
	leads = func(object authz.Object, depth int) bool {
		if object == (authz.Object{Type: account, ID: id}) {
			return true
		}
		for _, place := range above[object] {
			if depth < maxDepth && leads(place, depth+1) {
				return true
			}
		}
		return false
	}
	for _, object := range objects {
		inside[object] = leads(object, 0)
	}
	return inside, nil
}

// placesOf reads what objects hold in a relation.
func (l *Log) placesOf(ctx context.Context, place authz.Relation, objects []authz.Object) (found []Update, err error) {
	for len(objects) > 0 {
		some := objects[:min(len(objects), atOnce)]
		objects = objects[len(some):]
		keys := make([]any, len(some))
		for i, object := range some {
			keys[i] = keyOfObject(object)
		}
		values, args := tuples([][]any{keys})
		args = append(args, string(place))
		rows, err := l.db.QueryContext(ctx, fmt.Sprintf("SELECT resource, subject FROM sluice_audit_present WHERE resource IN %s AND relation = $%d",
			values, len(args)), args...)
		if err != nil {
			return nil, failure(err)
		}
		for rows.Next() {
			var resource, subject string
			if err := rows.Scan(&resource, &subject); err != nil {
				return nil, errors.Join(failure(err), rows.Close())
			}
			found = append(found, Update{Resource: referenceOf(resource), Subject: referenceOf(subject)})
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, failure(err)
		}
	}
	return found, nil
}
