package sqlitestore

import (
	"context"
	"database/sql/driver"
	"slices"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
	"github.com/authzed/spicedb/pkg/tuple"

	"github.com/sluice-authz/sluice/internal/spicedb/keyspan"
)

// query selects relationships.
type query struct {
	filter        datastore.RelationshipsFilter
	sort          options.SortOrder
	after, before *tuple.Relationship // the query excludes after, and includes before
	limit         *uint64

	skipCaveats bool
	expired     bool      // includes expired relationships
	now         time.Time // relationships that expire before it do not count
}

func (q query) matches(r tuple.Relationship) bool {
	switch {
	case q.skipCaveats && r.OptionalCaveat != nil:
		return false
	case !q.expired && r.OptionalExpiration != nil && r.OptionalExpiration.Before(q.now):
		return false
	default:
		return keyspan.Matches(q.filter, r)
	}
}

// row is a stored relationship.
type row struct {
	key     string
	details []byte
}

// span is a set of keys to read: the keys between from and to or, if keys is set, the listed keys.
type span struct {
	bySubject bool
	from, to  string // the span includes from, and excludes to
	keys      []string
}

// source is a function that returns the rows of a span in order, up to a limit.
type source func(ctx context.Context, s span, limit int) ([]row, error)

// Rows are read in pages. Between two pages, no connection is in use, so a reader may take any time and run other
// queries. Most queries find few rows, so the first page is small.
const (
	firstPage = 128
	nextPage  = 2048
	maxKeys   = 64 // largest number of keys in a statement
)

// pastKey is appended to a key to get a bound: a text greater than the key, and less than every greater key.
const pastKey = "\x01"

// iterate yields the relationships that the query selects. If the query's sort order is Unsorted or ChooseEfficient,
// they are in the order of the plan.
func iterate(ctx context.Context, read source, q query) datastore.RelationshipIterator {
	p := keyspan.PlanFor(q.filter)
	return func(yield func(tuple.Relationship, error) bool) {
		if q.limit != nil && *q.limit == 0 {
			return
		}
		var count uint64
		one := func(r tuple.Relationship) bool {
			count++
			return yield(r, nil) && (q.limit == nil || count < *q.limit)
		}
		var err error
		if p.InOrder(q.sort) {
			err = scan(ctx, read, p, q, one)
		} else {
			err = scanSorted(ctx, read, p, q, one)
		}
		if err != nil {
			yield(tuple.Relationship{}, err)
		}
	}
}

// scanSorted reads the matches in the order of the plan, and then visits them in the order that the query requires.
func scanSorted(ctx context.Context, read source, p keyspan.Plan, q query, visit func(tuple.Relationship) bool) error {
	order := orderOf(q.sort == options.BySubject)
	after, before := q.after, q.before
	q.after, q.before = nil, nil
	var found []tuple.Relationship
	err := scan(ctx, read, p, q, func(r tuple.Relationship) bool {
		if (after == nil || order(&r).Compare(order(after)) > 0) && (before == nil || order(&r).Compare(order(before)) <= 0) {
			found = append(found, r)
		}
		return true
	})
	if err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b tuple.Relationship) int { return order(&a).Compare(order(&b)) })
	for _, r := range found {
		if !visit(r) {
			break
		}
	}
	return nil
}

func orderOf(bySubject bool) func(*tuple.Relationship) keyspan.Key {
	if bySubject {
		return keyspan.BySubject
	}
	return keyspan.ByResource
}

// scan visits the matches in the order of the plan, until visit returns false.
func scan(ctx context.Context, read source, p keyspan.Plan, q query, visit func(tuple.Relationship) bool) error {
	order := orderOf(p.BySubject)
	var after, before string
	if q.after != nil {
		after = encodeKey(order(q.after))
	}
	if q.before != nil {
		before = encodeKey(order(q.before))
	}
	page := firstPage
	if q.limit != nil && *q.limit < firstPage {
		page = int(*q.limit)
	}
	for _, s := range spans(p, after, before) {
		for more := true; more; page = nextPage {
			if err := ctx.Err(); err != nil {
				return err
			}
			rows, err := read(ctx, s, page)
			if err != nil {
				return err
			}
			for _, found := range rows {
				r, err := decode(found.key, p.BySubject, found.details)
				if err != nil {
					return err
				}
				if q.matches(r) && !visit(r) {
					return nil
				}
			}
			if more = len(rows) == page && s.keys == nil; more {
				s.from = rows[len(rows)-1].key + pastKey
			}
		}
	}
	return nil
}

// spans returns the spans of a plan that have the keys after one key, up to and including another. An empty key is no
// bound.
func spans(p keyspan.Plan, after, before string) []span {
	var out []span
	for _, part := range p.Parts {
		from, to := bounds(part)
		if from == to {
			if from > after && (before == "" || from <= before) {
				if n := len(out); n > 0 && out[n-1].keys != nil && len(out[n-1].keys) < maxKeys {
					out[n-1].keys = append(out[n-1].keys, from)
				} else {
					out = append(out, span{bySubject: p.BySubject, keys: []string{from}})
				}
			}
			continue
		}
		if after != "" && after >= from {
			from = after + pastKey
		}
		if before != "" && before < to {
			to = before + pastKey
		}
		if from < to {
			out = append(out, span{bySubject: p.BySubject, from: from, to: to})
		}
	}
	return out
}

// rows returns all rows that a statement finds.
func (c *conn) rows(statement string, args []any) (found []row, err error) {
	err = c.query(statement, args, func(values []driver.Value) bool {
		r := row{}
		r.key, _ = values[0].(string)
		r.details, _ = values[1].([]byte)
		found = append(found, r)
		return true
	})
	return found, err
}
