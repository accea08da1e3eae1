package explain

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// How much is tried, and how much is told.
const (
	maxAttempts = 300
	maxWays     = 10
)

// ways finds what would make a denied answer an allowed one, the nearest first: operations of the product, and relationships
// that no operation writes.
func (i *inquiry) ways(ctx context.Context) (_ []candidate, err error) {
	world, err := i.around(ctx, i.check.Subject, i.check.Resource)
	if err != nil {
		return nil, err
	}
	changes, err := i.changes(ctx, world)
	if err != nil {
		return nil, err
	}
	scratch, err := i.rehearse(ctx, world)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	found, err := i.search(ctx, scratch, changes)
	if err := errors.Join(err, scratch.restore(ctx)); err != nil {
		return nil, err
	}
	ways, err := i.verify(ctx, scratch, found)
	if err != nil {
		return nil, err
	}
	rest, err := i.created(ctx, scratch)
	return append(ways, rest...), err
}

// candidate is a way that was found, before it is told.
type candidate struct {
	grants     []operation.Grant
	performers [][]Performers // of each grant
	gains      []authz.Relationship
	loses      []authz.Relationship
	privilege  int // how many permissions more than now the subject would have
}

// combination are changes of which none comes before those that are chosen already.
type combination struct {
	changes []operation.Grant
	next    int
}

// search finds the smallest combinations of changes whose effect is that the check is allowed.
func (i *inquiry) search(ctx context.Context, scratch *rehearsal, changes []operation.Grant) ([][]operation.Grant, error) {
	var found [][]operation.Grant
	attempts := 0
	for frontier := []combination{{}}; len(frontier) > 0; {
		var insufficient []combination
		for _, smaller := range frontier {
			for n := smaller.next; n < len(changes); n++ {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				larger := append(slices.Clone(smaller.changes), changes[n])
				covered := func(way []operation.Grant) bool { return covers(larger, way) }
				if !fits(smaller.changes, changes[n]) || slices.ContainsFunc(found, covered) {
					continue
				}
				if attempts++; attempts > maxAttempts {
					i.incomplete = true
					return found, nil
				}
				state, err := scratch.attempt(ctx, i.check, effectOf(larger))
				switch {
				case err != nil:
					return nil, err
				case state == authz.Allowed:
					found = append(found, larger)
				default:
					insufficient = append(insufficient, combination{larger, n + 1})
				}
			}
		}
		frontier = insufficient
	}
	return found, nil
}

// covers reports whether a combination does all that a smaller one does.
func covers(larger, smaller []operation.Grant) bool {
	for _, s := range smaller {
		same := func(l operation.Grant) bool {
			if l.Path != s.Path || l.Method != s.Method {
				return false
			}
			if len(s.Roles) == 0 {
				return slices.Equal(l.Effect, s.Effect)
			}
			return !slices.ContainsFunc(s.Roles, func(r authz.Role) bool { return !slices.Contains(l.Roles, r) })
		}
		if !slices.ContainsFunc(larger, same) {
			return false
		}
	}
	return true
}

// verify performs each combination in the scratch, as somebody who may, and keeps those after which the check is allowed.
// The nearest come first: those that need no further feature, then those that give the subject the least, then those that
// change the least.
func (i *inquiry) verify(ctx context.Context, scratch *rehearsal, found [][]operation.Grant) ([]candidate, error) {
	if len(found) == 0 {
		return nil, nil
	}
	if err := i.findPowers(ctx, scratch, found); err != nil {
		return nil, err
	}
	permissions, err := i.permissionsAround(ctx)
	if err != nil {
		return nil, err
	}
	before, err := held(ctx, scratch, permissions)
	if err != nil {
		return nil, err
	}
	var ways []candidate
	for _, combination := range found {
		way, actors, err := i.performable(ctx, combination)
		if err != nil {
			return nil, err
		}
		if way == nil {
			continue
		}
		works, err := i.perform(ctx, scratch, way, actors)
		if err == nil && works {
			var after int
			after, err = held(ctx, scratch, permissions)
			way.privilege = after - before
			ways = append(ways, *way)
		}
		if err := errors.Join(err, scratch.restore(ctx)); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(ways, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(len(a.requires()), len(b.requires())), a.privilege-b.privilege, len(a.grants)-len(b.grants), a.changes()-b.changes())
	})
	return ways[:min(len(ways), maxWays)], nil
}

func (c candidate) requires() authz.Feature {
	for _, grant := range c.grants {
		if grant.Requires != "" {
			return grant.Requires
		}
	}
	return ""
}

// changes is how many relationships would come and go.
func (c candidate) changes() int { return len(c.gains) + len(c.loses) }

// perform performs the operations of a way in the scratch. An operation that is refused there would be refused.
func (i *inquiry) perform(ctx context.Context, scratch *rehearsal, way *candidate, actors []authz.ID) (bool, error) {
	service := operation.New(scratch)
	for n, grant := range way.grants {
		if isBare(grant) {
			if _, err := scratch.Write(ctx, authz.Write{Updates: grant.Effect}); err != nil {
				return false, err
			}
			continue
		}
		if !grant.Backend {
			known, err := i.around(ctx, authz.Subject{Object: authz.Object{Type: "user", ID: actors[n]}}, grant.NeedsOn)
			if err != nil {
				return false, err
			}
			if err := scratch.add(ctx, known); err != nil {
				return false, err
			}
		}
		if err := grant.Perform(ctx, service, actors[n]); err != nil {
			if code := authz.CodeOf(err); code == authz.CodeInternal || code == authz.CodeDeadline || code == authz.CodeCanceled || code == authz.CodeUnavailable {
				return false, err
			}
			return false, nil
		}
	}
	decision, _, err := scratch.Check(ctx, i.check, authz.Fully())
	return decision.Allowed(), err
}

// add stores what is not there yet.
func (r *rehearsal) add(ctx context.Context, relationships []authz.Relationship) error {
	var write authz.Write
	for _, relationship := range relationships {
		if _, there := r.stored[identity(relationship)]; !there {
			write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: relationship})
		}
	}
	if len(write.Updates) == 0 {
		return nil
	}
	_, err := r.Write(ctx, write)
	return err
}

// permissionsAround are all that applications ask for on the resource and on what it is in.
func (i *inquiry) permissionsAround(ctx context.Context) ([]authz.Check, error) {
	world, err := i.around(ctx, i.check.Subject, i.check.Resource)
	if err != nil {
		return nil, err
	}
	objects := slices.DeleteFunc(i.objects(world), func(o authz.Object) bool {
		return o != i.check.Resource && operation.Listing(o.Type) == ""
	})
	var checks []authz.Check
	for _, object := range objects {
		for _, permission := range i.schema[object.Type].Public() {
			checks = append(checks, authz.Check{Subject: i.check.Subject, Permission: permission, Resource: object})
		}
	}
	return checks, nil
}

// held counts the permissions that the subject has.
func held(ctx context.Context, scratch *rehearsal, checks []authz.Check) (int, error) {
	results, _, err := scratch.CheckBulk(ctx, checks, authz.Fully())
	n := 0
	for _, result := range results {
		if result.Err == nil && result.Decision.Allowed() {
			n++
		}
	}
	return n, err
}
