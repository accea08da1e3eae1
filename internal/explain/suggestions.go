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

// suggestions finds changes that would make a denied check allowed, sorted from the smallest: operations of the
// product, and relationships that no operation writes.
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

// candidate is a suggestion before hidden parts are removed.
type candidate struct {
	grants           []operation.Grant
	approvers        [][]Approvers // one entry per grant
	added            []authz.Relationship
	deleted          []authz.Relationship
	addedPermissions int // permissions that the subject would have in addition
}

// combination is a set of changes. next is the index of the first change that may be added, so that each set is tried
// once.
type combination struct {
	changes []operation.Grant
	next    int
}

// searchCombinations returns the smallest combinations of changes after which the check is allowed.
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
// contains a grant of one of them.
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

// verifyCombinations performs each combination in the scratch engine on behalf of an approver. It returns those after
// which the check is allowed, in this order: first those that need no additional feature, then those that add fewer
// permissions, then those with fewer operations and relationships.
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

// simulateOperations performs the operations of a suggestion in the scratch engine. It reports whether all succeed and
// the check is then allowed.
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

// add stores the relationships that are not stored yet.
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

// nearbyPermissions returns a check for each public permission on the resource. It also returns them for each object
// around the resource on which people can hold roles.
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

// countAllowed returns how many of the checks are allowed.
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
