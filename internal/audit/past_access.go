package audit

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Past holds the relationships of an object at an earlier time, those of the objects that it refers to, and the schema
// of that time.
type Past struct {
	Schema        string
	Relationships []authz.Relationship
}

// MaxPastRelationships limits the relationships in a Past. maxPastEntries limits the entries that are read for it.
const (
	MaxPastRelationships = 10_000
	maxPastEntries       = 50_000
)

// farFuture replaces every expiration in the temporary engine of Access. Relationships that were valid at the earlier
// time may have expired now, and the engine would ignore them.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Past computes from the log the relationships of an object, and of the objects that it refers to, at an earlier time.
// The error has CodeNotFound if the time is before the log or in a gap, and CodeTooLarge above MaxPastRelationships.
func (l *Log) Past(ctx context.Context, resource authz.Object, at time.Time) (Past, error) {
	until := at.Add(time.Microsecond) // includes changes at exactly the time at
	var past Past
	var err error
	var gap int64
	if past.Schema, gap, err = l.schemaOf(ctx, at, until); err != nil {
		return past, err
	}
	replay := replay{log: l, until: until, gap: gap, present: make(map[authz.Object]map[string]authz.Relationship)}
	seen := map[authz.Object]bool{resource: true}
	for around := []authz.Object{resource}; len(around) > 0; {
		if err := replay.run(ctx, around); err != nil {
			return past, err
		}
		var next []authz.Object
		for _, object := range around {
			for _, r := range replay.present[object] {
				if !r.ExpiresAt.IsZero() {
					if !r.ExpiresAt.After(at) {
						continue
					}
					r.ExpiresAt = farFuture
				}
				past.Relationships = append(past.Relationships, r)
				if subject := r.Subject.Object; !r.Subject.Wildcard && !seen[subject] {
					seen[subject] = true
					next = append(next, subject)
				}
			}
		}
		if len(past.Relationships) > MaxPastRelationships {
			return past, authz.Errorf(
				authz.CodeTooLarge, "at that time, %s led to more relationships than the limit of %d", resource,
				MaxPastRelationships,
			)
		}
		around = next
	}
	return past, nil
}

// replay computes relationships at an earlier time: it applies the entries before that time.
type replay struct {
	log     *Log
	until   time.Time
	gap     int64 // number of the last gap before until; earlier placeholders do not matter
	read    int
	present map[authz.Object]map[string]authz.Relationship
}

// objectsPerQuery is the number of objects that one query selects.
const objectsPerQuery = 500

// run reads the relationships of the objects into r.present.
func (r *replay) run(ctx context.Context, objects []authz.Object) error {
	for some := range slices.Chunk(objects, objectsPerQuery) {
		// The query returns all entries about these objects. The entries may also have updates of other objects,
		// which applyUpdates ignores.
		present := make(map[authz.Object]map[string]authz.Relationship, len(some))
		for _, object := range some {
			present[object] = make(map[string]authz.Relationship)
		}
		for after, more := int64(0), true; more; {
			found, err := r.log.Find(ctx, Query{resources: some, Until: r.until, After: &after, Limit: 1000})
			if err != nil {
				return err
			}
			if r.read += len(found); r.read > maxPastEntries {
				return authz.Errorf(
					authz.CodeTooLarge, "more entries of the log are about these objects than the limit of %d",
					maxPastEntries,
				)
			}
			for _, e := range found {
				if e.Kind == Unstored && e.Seq > r.gap {
					return unknownSince(e.Entry)
				}
				applyUpdates(present, e.Updates)
				after = e.Seq
			}
			more = len(found) > 0
		}
		maps.Copy(r.present, present)
	}
	return nil
}

// applyUpdates applies those of the updates whose resource is a key of present.
func applyUpdates(present map[authz.Object]map[string]authz.Relationship, updates []Update) {
	for _, u := range updates {
		of, termFilter := present[u.Resource.Object]
		if !termFilter {
			continue
		}
		key := u.Relation + "@" + keyOf(u.Subject)
		if u.Action == actionDelete {
			delete(of, key)
		} else {
			of[key] = u.Relationship()
		}
	}
}

// unknownSince returns the error for a time after the placeholder e.
func unknownSince(e Entry) error {
	return authz.Errorf(
		authz.CodeNotFound,
		"the relationships at that time are unknown: entry %d of the audit log, with the time %s, could not be stored",
		e.Seq, e.Time.Format(time.RFC3339Nano),
	)
}

// schemaOf returns the schema at a time, and the number of the last gap before it, or zero.
func (l *Log) schemaOf(ctx context.Context, at, until time.Time) (schema string, gap int64, err error) {
	schemas, err := l.Find(ctx, Query{content: Schema, Until: until, Limit: 1})
	if err != nil {
		return "", 0, err
	}
	if len(schemas) == 0 {
		return "", 0, authz.Errorf(authz.CodeNotFound, "the audit log starts after %s", at.Format(time.RFC3339Nano))
	}
	after := int64(0)
	gaps, err := l.Find(ctx, Query{content: Gap, Since: until, After: &after, Limit: 1})
	if err != nil {
		return "", 0, err
	}
	if len(gaps) > 0 && !gaps[0].Since.After(at) {
		from, to := gaps[0].Since.Format(time.RFC3339Nano), gaps[0].Time.Format(time.RFC3339Nano)
		return "", 0, authz.Errorf(authz.CodeNotFound,
			"the relationships at %s are unknown: the audit log has a gap from %s to %s", at.Format(time.RFC3339Nano), from, to)
	}
	if gaps, err = l.Find(ctx, Query{content: Gap, Until: until, Limit: 1}); err != nil {
		return "", 0, err
	}
	if len(gaps) > 0 {
		gap = gaps[0].Seq
	}
	unstored, err := l.Find(ctx, Query{content: Unstored, Until: until, Limit: 1})
	if err != nil {
		return "", 0, err
	}
	if len(unstored) > 0 && unstored[0].Seq > gap {
		return "", 0, unknownSince(unstored[0].Entry)
	}
	return schemas[0].Schema, gap, nil
}

// Access returns the subjects that had a permission on an object at an earlier time. It evaluates the permission in a
// temporary engine that has the relationships and the schema of that time.
func (h *History) Access(
	ctx context.Context, query authz.SubjectQuery, at time.Time,
) (found []authz.FoundSubject, err error) {
	past, err := h.Past(ctx, query.Resource, at)
	if err != nil {
		return nil, err
	}
	scratch, err := h.Engine.Scratch(ctx, past.Schema, past.Relationships)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := scratch.Close(); err == nil {
			err = closed
		}
	}()
	for subject, err := range scratch.LookupSubjects(ctx, query, authz.Fully()) {
		if err != nil {
			return nil, err
		}
		found = append(found, subject)
	}
	return found, nil
}
