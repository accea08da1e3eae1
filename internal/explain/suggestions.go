package explain

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

const (
	maxEvaluations = 300
	maxSuggestions = 10
)

// suggestions finds changes that would make a denied check allowed. The smallest change comes first: see
// verifyCombinations. A change consists of operations of the product, and of changes to relationships that no
// operation writes.
func (i *inquiry) suggestions(ctx context.Context) (_ []candidate, err error) {
	neighborhood, err := i.readNeighborhood(ctx, i.check.Subject, i.check.Resource)
	if err != nil {
		return nil, err
	}
	changes, err := i.candidateChanges(ctx, neighborhood)
	if err != nil {
		return nil, err
	}
	scratch, err := i.simulate(ctx, neighborhood)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	found, err := i.searchCombinations(ctx, scratch, changes)
	if err := errors.Join(err, scratch.rollBack(ctx)); err != nil {
		return nil, err
	}
	suggestions, err := i.verifyCombinations(ctx, scratch, found)
	if err != nil {
		return nil, err
	}
	rest, err := i.suggestCreator(ctx, scratch)
	return append(suggestions, rest...), err
}

// candidate is a suggestion that still contains the people and objects that are hidden from the reader.
type candidate struct {
	grants           []operation.Grant
	approvers        [][]Approvers // the approvers of each grant
	added            []authz.Relationship
	deleted          []authz.Relationship
	addedPermissions int // number of permissions that the subject would gain
}

// combination is a set of changes. Larger combinations add a change whose index is at least next, so that each set is
// tried only once.
type combination struct {
	changes []operation.Grant
	next    int
}

// searchCombinations returns combinations of changes after which the check is allowed. It leaves out each combination
// that contains a smaller one of them.
func (i *inquiry) searchCombinations(
	ctx context.Context, scratch *simulation, changes []operation.Grant,
) ([][]operation.Grant, error) {
	var found [][]operation.Grant
	evaluations := 0
	for frontier := []combination{{}}; len(frontier) > 0; {
		var insufficient []combination
		for _, smaller := range frontier {
			for n := smaller.next; n < len(changes); n++ {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				larger := append(slices.Clone(smaller.changes), changes[n])
				covered := func(suggestion []operation.Grant) bool { return covers(larger, suggestion) }
				if !canCombine(smaller.changes, changes[n]) || slices.ContainsFunc(found, covered) {
					continue
				}
				if evaluations++; evaluations > maxEvaluations {
					i.incomplete = true
					return found, nil
				}
				state, err := scratch.evaluate(ctx, i.check, updatesOf(larger))
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

// covers reports whether the larger combination contains every change of the smaller one. A grant of several roles
// contains a grant of some of these roles.
func covers(larger, smaller []operation.Grant) bool {
	for _, s := range smaller {
		same := func(l operation.Grant) bool {
			if !l.IsSameOperation(s) {
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

// verifyCombinations performs the operations of each combination in the simulation, on behalf of an approver: a
// person who may perform them. It returns a suggestion for each combination after which the check is allowed.
// Suggestions that need no additional feature come first. Among these and among the others, suggestions that add
// fewer permissions come first, then suggestions with fewer operations, then suggestions with fewer changed
// relationships.
func (i *inquiry) verifyCombinations(
	ctx context.Context, scratch *simulation, found [][]operation.Grant,
) ([]candidate, error) {
	if len(found) == 0 {
		return nil, nil
	}
	if err := i.findSufficientRelations(ctx, scratch, found); err != nil {
		return nil, err
	}
	permissions, err := i.nearbyPermissions(ctx)
	if err != nil {
		return nil, err
	}
	before, err := countAllowed(ctx, scratch, permissions)
	if err != nil {
		return nil, err
	}
	var suggestions []candidate
	for _, combination := range found {
		suggestion, actors, err := i.assignApprovers(ctx, combination)
		if err != nil {
			return nil, err
		}
		if suggestion == nil {
			continue
		}
		works, err := i.simulateOperations(ctx, scratch, suggestion, actors)
		if err == nil && works {
			var after int
			after, err = countAllowed(ctx, scratch, permissions)
			suggestion.addedPermissions = after - before
			suggestions = append(suggestions, *suggestion)
		}
		if err := errors.Join(err, scratch.rollBack(ctx)); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(suggestions, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(
			len(a.requires()), len(b.requires()),
		), a.addedPermissions-b.addedPermissions, len(a.grants)-len(b.grants), a.countChanges()-b.countChanges())
	})
	return suggestions[:min(len(suggestions), maxSuggestions)], nil
}

func (c candidate) requires() authz.Feature {
	for _, grant := range c.grants {
		if grant.Requires != "" {
			return grant.Requires
		}
	}
	return ""
}

// countChanges returns the number of relationships that the suggestion adds or deletes.
func (c candidate) countChanges() int { return len(c.added) + len(c.deleted) }

// simulateOperations performs the operations of a suggestion in the simulation. It reports whether all of them
// succeed, and whether the check is then allowed.
func (i *inquiry) simulateOperations(
	ctx context.Context, scratch *simulation, suggestion *candidate, actors []authz.ID,
) (bool, error) {
	service := operation.New(scratch)
	for n, grant := range suggestion.grants {
		if isRelationshipChange(grant) {
			if _, err := scratch.Write(ctx, authz.Write{Updates: grant.Effect}); err != nil {
				return false, err
			}
			continue
		}
		if !grant.Backend {
			known, err := i.readNeighborhood(
				ctx, authz.Subject{Object: authz.Object{Type: "user", ID: actors[n]}}, grant.NeedsOn,
			)
			if err != nil {
				return false, err
			}
			if err := scratch.add(ctx, known); err != nil {
				return false, err
			}
		}
		if err := grant.Perform(ctx, service, authz.Actor(actors[n])); err != nil {
			switch authz.CodeOf(err) {
			case authz.CodeInternal, authz.CodeDeadline, authz.CodeCanceled, authz.CodeUnavailable:
				return false, err
			default:
				return false, nil
			}
		}
	}
	decision, _, err := scratch.Check(ctx, i.check, authz.Fully())
	return decision.Allowed(), err
}

// add writes the relationships into the simulation, except those that it already has.
func (r *simulation) add(ctx context.Context, relationships []authz.Relationship) error {
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

// nearbyPermissions returns a check for each public permission on the resource, and on each object near it on which
// people can hold roles. Public permissions are those that applications check, and not schema steps.
func (i *inquiry) nearbyPermissions(ctx context.Context) ([]authz.Check, error) {
	neighborhood, err := i.readNeighborhood(ctx, i.check.Subject, i.check.Resource)
	if err != nil {
		return nil, err
	}
	objects := slices.DeleteFunc(i.nearbyObjects(neighborhood), func(o authz.Object) bool {
		return o != i.check.Resource && !operation.VisibilityRules.HasRoles(o.Type)
	})
	var checks []authz.Check
	for _, object := range objects {
		for _, permission := range i.schema[object.Type].Public() {
			checks = append(checks, authz.Check{Subject: i.check.Subject, Permission: permission, Resource: object})
		}
	}
	return checks, nil
}

// countAllowed returns the number of checks that are allowed.
func countAllowed(ctx context.Context, scratch *simulation, checks []authz.Check) (int, error) {
	results, _, err := scratch.CheckBulk(ctx, checks, authz.Fully())
	n := 0
	for _, result := range results {
		if result.Err == nil && result.Decision.Allowed() {
			n++
		}
	}
	return n, err
}
