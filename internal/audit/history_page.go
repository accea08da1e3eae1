package audit

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// Limits of one page that a person reads. A page examines at most maxWindow entries of the account, reads at most
// maxReadUpdates updates and returns at most maxPageUpdates of them. It reads pageBatch entries at a time.
const (
	maxWindow      = 10_000
	maxPageUpdates = 10_000
	maxReadUpdates = 100_000
	pageBatch      = 100
)

// Page returns the newest entries of a query that a person may see. The query must name an account. before is the
// value of Query.Before for the next page, or zero if there is none. The end of a page depends only on the visible
// entries, and on the number of entries since the account was created. So it does not reveal how many hidden entries
// match the query.
func (h *History) Page(
	ctx context.Context, reader authz.Actor, query Query, limit int,
) (page []Entry, before int64, err error) {
	err = h.catchUp(ctx, func() (*view, error) {
		v, err := h.newView(ctx, reader)
		if err == nil {
			page, before, err = v.page(ctx, query, limit)
		}
		return v, err
	})
	return page, before, err
}

func (v *view) page(ctx context.Context, query Query, limit int) (page []Entry, before int64, err error) {
	h := v.history
	if query.Object != (authz.Object{}) {
		if seen, err := v.shows(ctx, query.Object); err != nil || !seen {
			return nil, 0, err
		}
	}
	query.Before = v.newestBefore(query.Before)
	floor, err := v.floor(ctx, authz.Object{Type: account, ID: query.Account}, query.Object)
	if err != nil {
		return nil, 0, err
	}
	end, err := h.windowEnd(ctx, query, cmp.Or(h.Window, maxWindow))
	if err != nil {
		return nil, 0, err
	}
	query.lowerBound = max(end, floor)
	shownUpdates, readUpdates := 0, 0
	for query.Limit = pageBatch; ; {
		found, err := h.Find(ctx, query)
		if err != nil {
			return nil, 0, err
		}
		if len(found) == 0 {
			if end <= floor {
				return page, 0, nil
			}
			return page, end + 1, nil
		}
		for i, e := range found {
			if readUpdates += len(e.Updates); readUpdates >= maxReadUpdates {
				found = found[:i+1]
				break
			}
		}
		shown, err := v.entries(ctx, found)
		if err == nil {
			shown, err = h.filterShown(ctx, query, shown)
		}
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

// windowEnd returns the number of the first entry outside the window of a page, which consists of the account's newest
// entries. It returns zero if the window contains all entries of the account.
func (l *Log) windowEnd(ctx context.Context, query Query, window int) (int64, error) {
	before := query.Before
	if before == 0 {
		before = math.MaxInt64
	}
	if !query.Until.IsZero() {
		first, err := l.querySeq(
			ctx, "SELECT seq FROM sluice_audit_entries WHERE at >= $1 ORDER BY at, seq LIMIT 1",
			query.Until.UnixMicro(),
		)
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
	return l.querySeq(
		ctx,
		`SELECT seq FROM sluice_audit_entries WHERE at >= $1 AND seq = (SELECT seq FROM sluice_audit_marks
		WHERE kind = $2 AND value = $3 AND seq < $4 ORDER BY seq DESC LIMIT 1 OFFSET $5)`,
		since,
		byAccount,
		termValue(string(query.Account)),
		before,
		window,
	)
}

// querySeq reads the number of an entry. It returns zero if no entry matches.
func (l *Log) querySeq(ctx context.Context, query string, args ...any) (seq int64, err error) {
	err = l.db.QueryRowContext(ctx, query, args...).Scan(&seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, unavailable(err)
	}
	return seq, nil
}

// inAccount reports which of the objects are the account or are now in it, according to the log.
func (h *History) inAccount(ctx context.Context, id authz.ID, objects []authz.Object) (map[authz.Object]bool, error) {
	// above maps an object to the objects that contain it
	inside, above := make(map[authz.Object]bool), make(map[authz.Object][]authz.Object)
	next := objects
	for range maxDepth + 1 {
		unknown := make(map[authz.Relation][]authz.Object)
		for _, object := range next {
			_, known := above[object]
			place := h.Rules.Place(object.Type)
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

// placesOf reads the objects that contain the given objects.
func (l *Log) placesOf(ctx context.Context, place authz.Relation, objects []authz.Object) (found []Update, err error) {
	for len(objects) > 0 {
		some := objects[:min(len(objects), objectsPerQuery)]
		objects = objects[len(some):]
		keys := make([]any, len(some))
		for i, object := range some {
			keys[i] = keyOfObject(object)
		}
		values, args := tuples([][]any{keys})
		args = append(args, string(place))
		rows,
			err := l.db.QueryContext(ctx, fmt.Sprintf(`SELECT resource, subject
			FROM sluice_audit_present WHERE resource IN %s AND relation = $%d`,
			values, len(args)), args...)
		if err != nil {
			return nil, unavailable(err)
		}
		for rows.Next() {
			var resource, subject string
			if err := rows.Scan(&resource, &subject); err != nil {
				return nil, errors.Join(unavailable(err), rows.Close())
			}
			found = append(found, Update{Resource: referenceOf(resource), Subject: referenceOf(subject)})
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, unavailable(err)
		}
	}
	return found, nil
}

// placesOfObject implements visibility.PlaceReader at the position of the log. It skips relationships whose subject
// is a person.
func (h *History) placesOfObject(
	ctx context.Context, object authz.Object,
) (found []authz.Relationship, complete bool, err error) {
	rows, err := h.db.QueryContext(ctx, `SELECT relation, subject FROM sluice_audit_present
		WHERE resource = $1 AND subject NOT LIKE $2 LIMIT $3`,
		keyOfObject(object), string(h.Rules.People)+":%", visibility.MaxPlacesOfObject+1)
	if err != nil {
		return nil, false, unavailable(err)
	}
	for rows.Next() {
		var relation, subject string
		if err := rows.Scan(&relation, &subject); err != nil {
			return nil, false, errors.Join(unavailable(err), rows.Close())
		}
		found = append(found, authz.Relationship{
			Resource: object, Relation: authz.Relation(relation), Subject: authz.Subject(referenceOf(subject)),
		})
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, false, unavailable(err)
	}
	return found, len(found) <= visibility.MaxPlacesOfObject, nil
}
