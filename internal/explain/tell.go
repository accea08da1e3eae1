package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// tellPath puts the chain into the answer, as far as the reader may see it: nothing of it if the subject has a role in it
// that the reader may not know of, as what is around a role tells which one it is.
func (i *inquiry) tellPath(ctx context.Context, chain []authz.Relationship, answer *Explanation) error {
	answer.Incomplete = i.incomplete && len(chain) == 0
	for _, r := range withoutMarks(chain) {
		hidden, err := i.view.hidesRoles(ctx, r.Resource)
		if err != nil {
			return err
		}
		if hidden && r.Subject == i.check.Subject {
			answer.Path, answer.Withheld = nil, true
			break
		}
		known, err := i.view.knows(ctx, r)
		if err != nil {
			return err
		}
		if !known {
			answer.Withheld = true
			continue
		}
		answer.Path = append(answer.Path, i.step(r))
	}
	answer.Text = i.textOfPath(answer)
	return nil
}

// tellMissing puts the ways into the answer that are about what the reader may see.
func (i *inquiry) tellMissing(ctx context.Context, ways []candidate, answer *Explanation) error {
	answer.Withheld, answer.Incomplete = i.withheld, i.incomplete
	if i.view.all {
		stored, err := i.isStored(ctx)
		if err != nil {
			return err
		}
		answer.Unstored = !stored
	}
	for _, way := range ways {
		told, err := i.tellWay(ctx, way)
		if err != nil {
			return err
		}
		if told == nil {
			answer.Withheld = true
			continue
		}
		answer.Missing = append(answer.Missing, *told)
	}
	answer.Text = i.textOfMissing(answer)
	return nil
}

// tellWay returns nil for a way that is about something that the reader may not see.
func (i *inquiry) tellWay(ctx context.Context, way candidate) (*Way, error) {
	for _, r := range slices.Concat(way.gains, way.loses) {
		objects := []authz.Object{r.Resource}
		if r.Subject.Type != i.check.Subject.Type && !r.Subject.Wildcard {
			objects = append(objects, r.Subject.Object)
		}
		if seen, err := i.view.sees(ctx, objects...); err != nil || !seen {
			return nil, err
		}
	}
	told := &Way{Relationships: way.gains, Requires: way.requires()}
	for _, r := range way.loses {
		// What goes with a transfer is another person's.
		if known, err := i.mayName(ctx, r); err != nil {
			return nil, err
		} else if known {
			told.Without = append(told.Without, r)
		}
	}
	for n, grant := range way.grants {
		if isBare(grant) {
			continue
		}
		call, err := i.tellOperation(ctx, grant, way.performers[n])
		if call == nil || err != nil {
			return nil, err
		}
		told.Operations = append(told.Operations, *call)
	}
	told.Text = i.textOfWay(told)
	return told, nil
}

// mayName reports whether the reader may know who stands in the relationship.
func (i *inquiry) mayName(ctx context.Context, r authz.Relationship) (bool, error) {
	if r.Subject == i.view.reader || operation.Listing(r.Resource.Type) == "" {
		return true, nil
	}
	return i.view.lists(ctx, r.Resource)
}

func (i *inquiry) tellOperation(ctx context.Context, grant operation.Grant, performers []Performers) (*Operation, error) {
	for _, object := range []authz.Object{grant.On, grant.NeedsOn} {
		if object.Type == "" {
			continue
		}
		if seen, err := i.view.sees(ctx, object); err != nil || !seen {
			return nil, err
		}
	}
	told := &Operation{
		Method: grant.Method, Path: grant.Path, Body: grant.Body, Needs: grant.Needs, On: grant.NeedsOn, Backend: grant.Backend,
	}
	if withheld, err := i.bodyWithheld(ctx, grant); err != nil {
		return nil, err
	} else if withheld {
		told.Body, told.BodyWithheld = nil, true
	}
	for _, group := range performers {
		if seen, err := i.view.sees(ctx, group.Resource); err != nil {
			return nil, err
		} else if !seen {
			continue
		}
		listed, err := i.view.lists(ctx, listedOn(grant, group))
		if err != nil {
			return nil, err
		}
		if !listed {
			group.People, group.More = nil, false
		}
		told.Performers = append(told.Performers, group)
	}
	told.Text = textOfOperation(told)
	return told, nil
}

func listedOn(grant operation.Grant, group Performers) authz.Object {
	for _, holder := range grant.Holders {
		if holder.Object == group.Resource && holder.Relation == group.Relation {
			return holder.ListedOn
		}
	}
	return authz.Object{}
}

// bodyWithheld reports whether the body names people that the reader may not know about.
func (i *inquiry) bodyWithheld(ctx context.Context, grant operation.Grant) (bool, error) {
	if len(grant.Others) == 0 {
		return false, nil
	}
	listed, err := i.view.lists(ctx, grant.Holders[0].ListedOn)
	return !listed, err
}
