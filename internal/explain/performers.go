package explain

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// maxPeople is how many of those who stand in one relation are looked at and named.
const maxPeople = 10

// performable finds for each operation of a combination who may perform it now, and one of them. It returns nil if there
// is an operation that nobody may perform.
func (i *inquiry) performable(ctx context.Context, combination []operation.Grant) (*candidate, []authz.ID, error) {
	way := &candidate{}
	var actors []authz.ID
	for _, grant := range combination {
		if grant.Before != nil {
			way.grants, way.performers, actors = append(way.grants, *grant.Before), append(way.performers, nil), append(actors, "")
		}
		for _, update := range grant.Effect {
			if update.Action == authz.Delete {
				way.loses = append(way.loses, update.Relationship)
			} else {
				way.gains = append(way.gains, update.Relationship)
			}
		}
		var performers []Performers
		var actor authz.ID
		if !grant.Backend && !isBare(grant) {
			var err error
			if performers, err = i.performers(ctx, grant); err != nil || len(performers) == 0 {
				return nil, nil, err
			}
			actor = performers[0].People[0]
		}
		way.grants, way.performers, actors = append(way.grants, grant), append(way.performers, performers), append(actors, actor)
	}
	return way, actors, nil
}

// performers finds who may perform an operation, by the relation in which they stand.
func (i *inquiry) performers(ctx context.Context, grant operation.Grant) ([]Performers, error) {
	var groups []Performers
	var checks []authz.Check
	for _, holder := range grant.Holders {
		if !i.suffices(holder, grant) {
			continue
		}
		people, err := i.holdersOf(ctx, holder)
		if err != nil {
			return nil, err
		}
		group := Performers{Resource: holder.Object, Relation: holder.Relation, More: len(people) > maxPeople}
		for _, who := range people[:min(len(people), maxPeople)] {
			group.People = append(group.People, who.ID)
			for _, need := range grant.Needs {
				checks = append(checks, authz.Check{Subject: who, Permission: need, Resource: grant.NeedsOn})
			}
		}
		groups = append(groups, group)
	}
	if len(checks) == 0 {
		return nil, nil
	}
	results, _, err := i.engine.CheckBulk(ctx, checks, i.at())
	if err != nil {
		return nil, err
	}
	lacks := func(who authz.ID) bool {
		for n, result := range results {
			if checks[n].Subject.ID == who && (result.Err != nil || !result.Decision.Allowed()) {
				return true
			}
		}
		return false
	}
	for n := range groups {
		groups[n].People = slices.DeleteFunc(groups[n].People, lacks)
	}
	return slices.DeleteFunc(groups, func(g Performers) bool { return len(g.People) == 0 }), nil
}

// power is a permission that somebody may have who stands in a relation and in no other.
type power struct {
	holder     operation.Holder
	permission authz.Permission
	on         authz.Object
}

// findPowers finds out which of the holders may perform the operations for standing in their relation alone, with somebody
// made up in each.
func (i *inquiry) findPowers(ctx context.Context, scratch *rehearsal, combinations [][]operation.Grant) error {
	i.powers = make(map[power]bool)
	rows := make(map[operation.Holder]authz.Relationship)
	var asked []power
	var checks []authz.Check
	for _, grant := range slices.Concat(combinations...) {
		for _, holder := range grant.Holders {
			if _, known := rows[holder]; !known {
				somebody := authz.Subject{Object: authz.Object{Type: "user", ID: authz.ID(rand.Text())}}
				rows[holder] = authz.Relationship{Resource: holder.Object, Relation: holder.Relation, Subject: somebody}
			}
			for _, need := range grant.Needs {
				if p := (power{holder, need, grant.NeedsOn}); !slices.Contains(asked, p) {
					asked = append(asked, p)
					checks = append(checks, authz.Check{Subject: rows[holder].Subject, Permission: need, Resource: grant.NeedsOn})
				}
			}
		}
	}
	if len(checks) == 0 {
		return nil
	}
	if err := scratch.add(ctx, slices.Collect(maps.Values(rows))); err != nil {
		return err
	}
	results, _, err := scratch.CheckBulk(ctx, checks, authz.Fully())
	for n, result := range results {
		i.powers[asked[n]] = result.Err == nil && result.Decision.Allowed()
	}
	return errors.Join(err, scratch.restore(ctx))
}

// suffices reports whether anybody who stands in the relation may perform the operation for that alone. To have created an
// object is no role, and works together with one.
func (i *inquiry) suffices(holder operation.Holder, grant operation.Grant) bool {
	if operation.Listing(holder.Object.Type) == "" {
		return true
	}
	return !slices.ContainsFunc(grant.Needs, func(need authz.Permission) bool { return !i.powers[power{holder, need, grant.NeedsOn}] })
}

// holdersOf reads who stands in a relation, up to one more than are named.
func (i *inquiry) holdersOf(ctx context.Context, holder operation.Holder) ([]authz.Subject, error) {
	if known, ok := i.holders[holder]; ok {
		return known, nil
	}
	people := []authz.Subject{}
	filter := authz.Filter{Type: holder.Object.Type, ID: holder.Object.ID, Relation: holder.Relation, SubjectType: "user", SubjectPlain: true}
	for item, err := range i.engine.Read(ctx, filter, i.at(), authz.Page{Limit: maxPeople + 1}) {
		if err != nil {
			return nil, err
		}
		people = append(people, item.Relationship.Subject)
	}
	if i.holders == nil {
		i.holders = make(map[operation.Holder][]authz.Subject)
	}
	i.holders[holder] = people
	return people, nil
}
