package audit

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Past is what an answer about an earlier time rests on: an object with everything that it leads to, as it was.
type Past struct {
	Schema        string
	Relationships []authz.Relationship
}

// The most that a Past holds, and that is read of the log for it.
const (
	MaxPastRelationships = 10_000
	maxPastEntries       = 50_000
)

// lasting is when relationships of the past that had an end expire on the scratch: they had not then.
var lasting = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Past rebuilds what an object and everything that it leads to were at a time, from the log alone. The error is
// CodeNotFound for a time before the log or in a gap of it, and CodeTooLarge above MaxPastRelationships.
func (l *Log) Past(ctx context.Context, resource authz.Object, at time.Time) (Past, error) {
	until := at.Add(time.Microsecond) // what happened at the time had happened
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
					r.ExpiresAt = lasting
				}
				past.Relationships = append(past.Relationships, r)
				if subject := r.Subject.Object; !r.Subject.Wildcard && !seen[subject] {
					seen[subject] = true
					next = append(next, subject)
				}
			}
		}
		if len(past.Relationships) > MaxPastRelationships {
			return past, authz.Errorf(authz.CodeTooLarge, "what %s led to then are more than %d relationships, too many to rebuild", resource, MaxPastRelationships)
		}
		around = next
	}
	return past, nil
}

// replay goes through the entries until a time.
type replay struct {
	log     *Log
	until   time.Time
	gap     int64 // the last gap before: the snapshot behind it repairs what could not be stored
	read    int
	present map[authz.Object]map[string]authz.Relationship
}

// atOnce is how many objects are looked for in the log at once.
const atOnce = 500

// run finds the relationships of the objects.
func (r *replay) run(ctx context.Context, objects []authz.Object) error {
	for some := range slices.Chunk(objects, atOnce) {
		present := make(map[authz.Object]map[string]authz.Relationship, len(some)) // of these alone: of others the entries tell a part
		for _, object := range some {
			present[object] = make(map[string]authz.Relationship)
		}
		for after, more := int64(0), true; more; {
			found, err := r.log.Find(ctx, Query{resources: some, Until: r.until, After: &after, Limit: 1000})
			if err != nil {
				return err
			}
			if r.read += len(found); r.read > maxPastEntries {
				return authz.Errorf(authz.CodeTooLarge, "more than %d entries of the log are about this, too many to go through", maxPastEntries)
			}
			for _, e := range found {
				if e.Kind == Unstored && e.Seq > r.gap {
					return unknownSince(e.Entry)
				}
				replayed(present, e.Updates)
				after = e.Seq
			}
			more = len(found) > 0
		}
		maps.Copy(r.present, present)
	}
	return nil
}

// replayed applies the updates that are about the objects.
func replayed(present map[authz.Object]map[string]authz.Relationship, updates []Update) {
	for _, u := range updates {
		of, wanted := present[u.Resource.Object]
		if !wanted {
			continue
		}
		key := u.Relation + "@" + keyOf(u.Subject)
		if u.Action == gone {
			delete(of, key)
		} else {
			of[key] = u.Relationship()
		}
	}
}

// unknownSince is that what was there after a placeholder is not known.
func unknownSince(e Entry) error {
	return authz.Errorf(authz.CodeNotFound, "what was there is not known: entry %d of the audit log, of %s, could not be stored", e.Seq, e.Time.Format(time.RFC3339Nano))
}

// schemaOf returns the schema of a time that the log knows, and the number of the last gap before it; zero if there is none.
func (l *Log) schemaOf(ctx context.Context, at, until time.Time) (schema string, gap int64, err error) {
	schemas, err := l.Find(ctx, Query{content: Schema, Until: until, Limit: 1})
	if err != nil {
		return "", 0, err
	}
	if len(schemas) == 0 {
		return "", 0, authz.Errorf(authz.CodeNotFound, "the audit log begins later than %s", at.Format(time.RFC3339Nano))
	}
	after := int64(0)
	gaps, err := l.Find(ctx, Query{content: Gap, Since: until, After: &after, Limit: 1})
	if err != nil {
		return "", 0, err
	}
	if len(gaps) > 0 && !gaps[0].Since.After(at) {
		return "", 0, authz.Errorf(authz.CodeNotFound, "what was there at %s is not known: the audit log has a gap from %s to %s",
			at.Format(time.RFC3339Nano), gaps[0].Since.Format(time.RFC3339Nano), gaps[0].Time.Format(time.RFC3339Nano))
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

// Access tells who of a type had a permission on an object at a time, on a scratch with what the log knows of it.
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
