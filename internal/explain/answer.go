package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// addPath adds to the answer those relationships of the path that the reader may see. If the path contains a hidden
// role of the subject, it adds none, since the other relationships would reveal the role.
func (i *inquiry) addPath(ctx context.Context, path []authz.Relationship, answer *Explanation) error {
	answer.Incomplete = i.incomplete && len(path) == 0
	for _, r := range withoutFlags(path) {
		shown, err := i.mayKnowRole(ctx, r)
		if err != nil {
			return err
		}
		if !shown {
			answer.Path, answer.Omitted = nil, true
			break
		}
		known, err := i.view.MaySeeRelationship(ctx, r, i.check.Subject)
		if err != nil {
			return err
		}
		if !known {
			answer.Omitted = true
			continue
		}
		answer.Path = append(answer.Path, i.step(r))
	}
	answer.Text = i.pathSummary(answer)
	return nil
}

// addSuggestions adds to the answer the suggestions that the reader may see.
func (i *inquiry) addSuggestions(ctx context.Context, suggestions []candidate, answer *Explanation) error {
	answer.Omitted, answer.Incomplete = i.omitted, i.incomplete
	if i.view.Reader().All {
		stored, err := i.isStored(ctx)
		if err != nil {
			return err
		}
		answer.Unstored = !stored
	}
	for _, suggestion := range suggestions {
		shown, err := i.renderSuggestion(ctx, suggestion)
		if err != nil {
			return err
		}
		if shown == nil {
			answer.Omitted = true
			continue
		}
		answer.Suggestions = append(answer.Suggestions, *shown)
	}
	answer.Text = i.denialSummary(answer)
	return nil
}

// renderSuggestion returns a suggestion without the people and relationships that are hidden from the reader. It
// returns nil if the whole suggestion is hidden.
func (i *inquiry) renderSuggestion(ctx context.Context, suggestion candidate) (*Suggestion, error) {
	for _, r := range slices.Concat(suggestion.added, suggestion.deleted) {
		objects := []authz.Object{r.Resource}
		if r.Subject.Type != i.check.Subject.Type && !r.Subject.Wildcard {
			objects = append(objects, r.Subject.Object)
		}
		if seen, err := i.view.MaySee(ctx, objects...); err != nil || !seen {
			return nil, err
		}
	}
	shown := &Suggestion{Relationships: suggestion.added, Requires: suggestion.requires()}
	for _, r := range suggestion.deleted {
		// A transfer of ownership deletes the role of the current owner, which may be hidden from the reader.
		if known, err := i.view.MayKnowRole(ctx, r.Subject, r.Resource); err != nil {
			return nil, err
		} else if known {
			shown.Without = append(shown.Without, r)
		}
	}
	for n, grant := range suggestion.grants {
		if isRelationshipChange(grant) {
			continue
		}
		call, err := i.renderOperation(ctx, grant, suggestion.approvers[n])
		if call == nil || err != nil {
			return nil, err
		}
		shown.Operations = append(shown.Operations, *call)
	}
	shown.Text = i.suggestionText(shown)
	return shown, nil
}

func (i *inquiry) renderOperation(
	ctx context.Context, grant operation.Grant, approvers []Approvers,
) (*Operation, error) {
	for _, object := range []authz.Object{grant.On, grant.NeedsOn} {
		if object.Type == "" {
			continue
		}
		if seen, err := i.view.MaySee(ctx, object); err != nil || !seen {
			return nil, err
		}
	}
	shown := &Operation{
		Action: grant.Action, Needs: grant.Needs, On: grant.NeedsOn, Backend: grant.Backend,
	}
	var err error
	if shown.NamesHiddenPeople, err = i.namesHiddenPeople(ctx, grant); err != nil {
		return nil, err
	}
	for _, group := range approvers {
		if seen, err := i.view.MaySee(ctx, group.Resource); err != nil {
			return nil, err
		} else if !seen {
			continue
		}
		listed, err := i.view.MayKnow(ctx, visibility.Roles(listedOn(grant, group)))
		if err != nil {
			return nil, err
		}
		if !listed {
			group.People, group.More = nil, false
		}
		shown.Approvers = append(shown.Approvers, group)
	}
	shown.Text = operationText(shown)
	return shown, nil
}

func listedOn(grant operation.Grant, group Approvers) authz.Object {
	for _, holder := range grant.Holders {
		if holder.Object == group.Resource && holder.Relation == group.Relation {
			return holder.ListedOn
		}
	}
	return authz.Object{}
}

// namesHiddenPeople reports whether the arguments of the operation name people who are hidden from the reader.
func (i *inquiry) namesHiddenPeople(ctx context.Context, grant operation.Grant) (bool, error) {
	if len(grant.Others) == 0 {
		return false, nil
	}
	listed, err := i.view.MayKnow(ctx, visibility.Roles(grant.Holders[0].ListedOn))
	return !listed, err
}
