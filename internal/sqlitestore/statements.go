package sqlitestore

import (
	"strconv"
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

// where is the condition on the keys of a span, with the numbered parameters that it uses and their values.
func (s span) where(column string) (condition string, args []any) {
	if s.keys == nil {
		return column + " >= ?1 AND " + column + " < ?2", []any{s.from, s.to}
	}
	count := 1
	for count < len(s.keys) {
		count *= 2 // so that few different statements are needed
	}
	numbers := make([]string, count)
	for i := range count {
		numbers[i] = "?" + strconv.Itoa(i+1)
		args = append(args, s.keys[min(i, len(s.keys)-1)])
	}
	return column + " IN (" + strings.Join(numbers, ",") + ")", args
}

// statementNow finds what is there now, and was at the revision.
func statementNow(s span, limit int, at int64) (statement string, args []any) {
	table := "by_resource"
	if s.bySubject {
		table = "by_subject"
	}
	condition, args := s.where("key")
	n := len(args)
	return "SELECT key, details FROM " + table + " WHERE " + condition + " AND created <= ?" + strconv.Itoa(n+1) +
		" ORDER BY key LIMIT ?" + strconv.Itoa(n+2), append(args, at, int64(s.atMost(limit)))
}

// statementThen finds what was there at the revision, and since then may have ended.
func statementThen(s span, limit int, at int64) (statement string, args []any) {
	table, index, column := "by_resource", "history_by_resource", "key"
	if s.bySubject {
		table, index, column = "by_subject", "history_by_subject", "swapped"
	}
	condition, args := s.where("key")
	past, _ := s.where(column)
	created, most := "?"+strconv.Itoa(len(args)+1), "?"+strconv.Itoa(len(args)+2)
	return "SELECT key, details FROM " + table + " WHERE " + condition + " AND created <= " + created +
		" UNION ALL SELECT " + column + ", details FROM history INDEXED BY " + index + " WHERE " + past + " AND ended > " + created + " AND created <= " + created +
		" ORDER BY 1 LIMIT " + most, append(args, at, int64(s.atMost(limit)))
}

// atMost is the limit of a statement: all of some keys are read at once.
func (s span) atMost(limit int) int {
	if s.keys != nil {
		return len(s.keys)
	}
	return limit
}
