package sqlitestore

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/authzed/spicedb/pkg/datastore"
	"github.com/authzed/spicedb/pkg/datastore/options"
)

func forward(now time.Time, filter datastore.RelationshipsFilter, opts []options.QueryOptionsOption) (query, error) {
	o := options.NewQueryOptionsWithOptions(opts...)
	if o.After != nil && o.Sort == options.Unsorted {
		return query{}, datastore.ErrCursorsWithoutSorting
	}
	return query{
		filter: filter, sort: o.Sort,
		after: options.ToRelationship(o.After), before: options.ToRelationship(o.BeforeOrEqual), limit: o.Limit,
		skipCaveats: o.SkipCaveats, expired: o.SkipExpiration, now: now,
	}, nil
}

func reverse(now time.Time, filter datastore.SubjectsFilter, opts []options.ReverseQueryOptionsOption) query {
	o := options.NewReverseQueryOptionsWithOptions(opts...)
	q := query{
		filter: datastore.RelationshipsFilter{OptionalSubjectsSelectors: []datastore.SubjectsSelector{filter.AsSelector()}},
		sort:   o.SortForReverse, limit: o.LimitForReverse,
		skipCaveats: o.SkipCaveatsForReverse, expired: o.SkipExpirationForReverse, now: now,
	}
	if o.SortForReverse != options.Unsorted {
		q.after = options.ToRelationship(o.AfterForReverse)
	}
	if o.ResRelation != nil {
		q.filter.OptionalResourceType, q.filter.OptionalResourceRelation = o.ResRelation.Namespace, o.ResRelation.Relation
	}
	return q
}

func countMatches(found datastore.RelationshipIterator) (count int, err error) {
	for _, err := range found {
		if err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

// shapes has the read statements for each of the two orders, by resource and by subject. The first statement of an
// order reads a range of keys. The others read lists of at most 1, 2, 4 and so on up to maxKeys keys. Their
// parameters have no numbers, since the driver would have to search the statement for them.
var shapes = func() (all [2][]shape) {
	for i, names := range []struct{ table, index, column string }{
		{"by_resource", "history_by_resource", "key"},
		{"by_subject", "history_by_subject", "swapped"},
	} {
		add := func(parameters int, where func(column string) string) {
			now := "SELECT key, details FROM " + names.table + " WHERE " + where("key") + " AND created <= ?"
			past := "SELECT " + names.column + ", details FROM history INDEXED BY " + names.index +
				" WHERE " + where(names.column) + " AND ended > ? AND created <= ?"
			all[i] = append(all[i], shape{
				parameters: parameters, now: now + " ORDER BY key LIMIT ?", at: now + " UNION ALL " + past + " ORDER BY 1 LIMIT ?",
			})
		}
		add(2, func(column string) string { return column + " >= ? AND " + column + " < ?" })
		for count := 1; count <= maxKeys; count *= 2 {
			add(count, func(column string) string { return column + " IN (?" + strings.Repeat(",?", count-1) + ")" })
		}
	}
	return all
}()

// shape is a pair of statements for ranges of keys, or for lists of keys up to one length. now finds the current
// relationships that already existed at a revision. at also finds the relationships that existed then and were
// replaced or deleted since.
type shape struct {
	parameters int
	now, at    string
}

// shape returns the statements for a span and the values of its condition.
func (s span) shape() (found shape, condition []any) {
	order := shapes[0]
	if s.bySubject {
		order = shapes[1]
	}
	if s.keys == nil {
		return order[0], []any{s.from, s.to}
	}
	found = order[1+bits.Len(uint(len(s.keys)-1))]
	condition = make([]any, found.parameters, 2*found.parameters+4)
	for i := range condition {
		condition[i] = s.keys[min(i, len(s.keys)-1)]
	}
	return found, condition
}

// statementNow returns the statement for current relationships that existed at the revision.
func statementNow(s span, limit int, at int64) (statement string, args []any) {
	found, condition := s.shape()
	return found.now, append(condition, at, s.atMost(limit))
}

// statementAt returns the statement for relationships that existed at the revision, including those that were replaced
// or deleted since.
func statementAt(s span, limit int, at int64) (statement string, args []any) {
	found, condition := s.shape()
	return found.at, slices.Concat(condition, []any{at}, condition, []any{at, at, s.atMost(limit)})
}

// atMost returns the limit of a statement. For a list of keys, this is the length of the list, so that one statement
// reads all of them.
func (s span) atMost(limit int) int64 {
	if s.keys != nil {
		return int64(len(s.keys))
	}
	return int64(limit)
}
