package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// relations finds the relationships that would make the check allowed, at most so many together: those that the subject
// could stand in, on the resource and on everything around it, and those that it would have to leave.
func (i *inquiry) relations(ctx context.Context, scratch *rehearsal, world []authz.Relationship, together int) ([]candidate, error) {
	objects := []authz.Object{i.check.Resource}
	for _, r := range world {
		if next := r.Subject.Object; !r.Subject.Wildcard && i.hasRelations(next.Type) && !slices.Contains(objects, next) {
			objects = append(objects, next)
		}
	}
	var changes []authz.Update
	for _, object := range objects {
		for _, relation := range i.schema[object.Type].Relations {
			if r := (authz.Relationship{Resource: object, Relation: relation, Subject: i.check.Subject}); i.accepts(r) && !slices.Contains(world, r) {
				changes = append(changes, authz.Update{Action: authz.Touch, Relationship: r})
			}
		}
	}
	for _, r := range world {
		if r.Subject == i.check.Subject {
			changes = append(changes, authz.Update{Action: authz.Delete, Relationship: r})
		}
	}
	var found [][]authz.Update
	frontier := [][]authz.Update{nil}
	attempts := 0
	for range together {
		var next [][]authz.Update
		for _, smaller := range frontier {
			for _, change := range changes {
				larger := append(slices.Clone(smaller), change)
				if len(smaller) > 0 && slices.Index(changes, change) <= slices.Index(changes, smaller[len(smaller)-1]) || includesAny(larger, found) {
					continue
				}
				if attempts++; attempts > maxAttempts {
					return candidatesOf(found), nil
				}
				state, err := scratch.attempt(ctx, i.check, larger)
				if err != nil {
					return nil, err
				}
				if state == authz.Allowed {
					found = append(found, larger)
				} else {
					next = append(next, larger)
				}
			}
		}
		frontier = next
	}
	return candidatesOf(found), nil
}

// accepts reports whether the relationship can stand there without a caveat and an expiration.
func (i *inquiry) accepts(r authz.Relationship) bool {
	return slices.Contains(i.schema[r.Resource.Type].Accepts[r.Relation], authz.SubjectType{
		Type: r.Subject.Type, Relation: r.Subject.Relation, Wildcard: r.Subject.Wildcard,
	})
}

func includesAny(larger []authz.Update, found [][]authz.Update) bool {
	return slices.ContainsFunc(found, func(smaller []authz.Update) bool {
		return !slices.ContainsFunc(smaller, func(u authz.Update) bool { return !slices.Contains(larger, u) })
	})
}

func candidatesOf(found [][]authz.Update) []candidate {
	var ways []candidate
	for _, updates := range found[:min(len(found), maxWays)] {
		var way candidate
		for _, update := range updates {
			if update.Action == authz.Delete {
				way.loses = append(way.loses, update.Relationship)
			} else {
				way.gains = append(way.gains, update.Relationship)
			}
		}
		ways = append(ways, way)
	}
	return ways
}

// created tells whether it would suffice that the subject had created the resource, which no operation changes.
func (i *inquiry) created(ctx context.Context, scratch *rehearsal) ([]candidate, error) {
	r := authz.Relationship{Resource: i.check.Resource, Relation: "creator", Subject: i.check.Subject}
	if !i.accepts(r) {
		return nil, nil
	}
	state, err := scratch.attempt(ctx, i.check, []authz.Update{{Action: authz.Touch, Relationship: r}})
	if err != nil || state != authz.Allowed {
		return nil, err
	}
	return []candidate{{gains: []authz.Relationship{r}}}, nil
}
