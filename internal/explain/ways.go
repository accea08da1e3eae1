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

// ways finds what would make a denied answer an allowed one, the nearest first: operations of the product where they can
// help, and relationships that no operation writes.
func (i *inquiry) ways(ctx context.Context) (_ []candidate, err error) {
	world, err := i.around(ctx, i.check.Subject, i.check.Resource)
	if err != nil {
		return nil, err
	}
	scratch, err := i.rehearse(ctx, world)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	if i.operations == nil || !isPerson(i.check.Subject) {
		return i.relations(ctx, scratch, world, 2)
	}
	grants, err := i.operations.Grants(ctx, i.check.Subject.ID, i.check.Resource, i.token)
	if err != nil {
		return nil, err
	}
	found, err := i.search(ctx, scratch, grants)
	if err != nil {
		return nil, err
	}
	ways, err := i.verify(ctx, scratch, found)
	if err != nil {
		return nil, err
	}
	rest, err := i.created(ctx, scratch)
	return append(ways, rest...), err
}

func isPerson(s authz.Subject) bool { return s.Type == "user" && s.Relation == "" && !s.Wildcard }

// candidate is a way that was found, before it is told.
type candidate struct {
	grants     []operation.Grant
	performers [][]Performers // of each grant
	gains      []authz.Relationship
	loses      []authz.Relationship
	privilege  int // how many permissions more than now the subject would have
}

// search finds the smallest combinations of operations whose effect is that the check is allowed: at most one that gives
// a role, and at most one for every other object.
func (i *inquiry) search(ctx context.Context, scratch *rehearsal, grants []operation.Grant) ([][]operation.Grant, error) {
	var found [][]operation.Grant
	for n, combination := range combinations(grants) {
		if n == maxAttempts {
			break
		}
		if slices.ContainsFunc(found, func(smaller []operation.Grant) bool { return covers(combination, smaller) }) {
			continue
		}
		var updates []authz.Update
		for _, grant := range combination {
			updates = append(updates, grant.Effect...)
		}
		state, err := scratch.attempt(ctx, i.check, updates)
		if err != nil {
			return nil, err
		}
		if state == authz.Allowed {
			found = append(found, combination)
		}
	}
	return found, nil
}

// combinations are the sets of operations that can be performed one after the other, the smaller ones first, those that
// give roles before those that then name the person.
func combinations(grants []operation.Grant) [][]operation.Grant {
	all := [][]operation.Grant{nil}
	var subjects []authz.Object // of which one operation is chosen, or none
	subjectOf := func(g operation.Grant) authz.Object {
		if operation.Listing(g.On.Type) != "" {
			return authz.Object{} // all that give a role are one choice
		}
		return g.On
	}
	for _, grant := range grants {
		if on := subjectOf(grant); !slices.Contains(subjects, on) {
			subjects = append(subjects, on)
		}
	}
	slices.SortStableFunc(subjects, func(a, b authz.Object) int { return cmp.Compare(min(len(a.Type), 1), min(len(b.Type), 1)) })
	for _, on := range subjects {
		for _, smaller := range slices.Clone(all) {
			for _, grant := range grants {
				if subjectOf(grant) == on {
					all = append(all, append(slices.Clone(smaller), grant))
				}
			}
		}
	}
	all = all[1:]
	slices.SortStableFunc(all, func(a, b []operation.Grant) int { return len(a) - len(b) })
	return all
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
	objects := []authz.Object{i.check.Resource}
	for _, r := range world {
		if next := r.Subject.Object; operation.Listing(next.Type) != "" && !slices.Contains(objects, next) {
			objects = append(objects, next)
		}
	}
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
