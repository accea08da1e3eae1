package explain

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// viewOf returns the view of the reader of an explanation at a revision. If a check fails, the view hides the object.
func (e *Explainer) viewOf(question Question, at authz.Token, definitions []authz.Definition) *visibility.View {
	reader := visibility.Reader{Subject: question.Check.Subject, All: question.All, OnlyOwnRoles: true}
	if question.Actor != "" {
		reader = visibility.Reader{Subject: question.Actor.Subject()}
	}
	rules := visibility.Rules{Objects: func(authz.Type) []authz.Permission { return []authz.Permission{"view"} }}
	if e.operations != nil {
		rules = operation.VisibilityRules
	}
	rules.People = "" // hide people like objects, since a schema can give permissions on people
	rules = rules.ForSchema(definitions, e.isProduct)
	bulk := func(ctx context.Context, checks []authz.Check) ([]authz.CheckResult, error) {
		results, _, err := e.engine.CheckBulk(ctx, checks, authz.AtSnapshot(at))
		return results, err
	}
	return visibility.New(rules, reader, visibility.HideUndecided(bulk)).WithPlaces(
		func(ctx context.Context, object authz.Object) ([]authz.Relationship, bool, error) {
			return e.readPlaces(ctx, object, rules, describe(definitions)[object.Type], authz.AtSnapshot(at))
		},
	)
}

// readPlaces is a visibility.PlaceReader. It reads only relationships whose subject has a type that can contain other
// objects.
func (e *Explainer) readPlaces(
	ctx context.Context, object authz.Object, rules visibility.Rules, definition authz.Definition, at authz.Consistency,
) (found []authz.Relationship, complete bool, err error) {
	accepted := make(map[authz.Type]bool)
	for relation, types := range definition.Accepts {
		for _, t := range types {
			accepted[t.Type] = accepted[t.Type] || rules.LeadsToPlace(authz.Relationship{
				Resource: object, Relation: relation, Subject: authz.Subject{Object: authz.Object{Type: t.Type}},
			})
		}
	}
	for t, leads := range accepted {
		if !leads {
			continue
		}
		filter := authz.Filter{Type: object.Type, ID: object.ID, SubjectType: t}
		for item, err := range e.engine.Read(ctx, filter, at, authz.Page{Limit: visibility.MaxPlacesOfObject + 1}) {
			if err != nil {
				return nil, false, err
			}
			if len(found) == visibility.MaxPlacesOfObject {
				return found, false, nil
			}
			found = append(found, item.Relationship)
		}
	}
	return found, true, nil
}

// isProduct reports whether only operations write the relationships of the type.
func (e *Explainer) isProduct(t authz.Type) bool { return e.operations != nil && operation.Writes(t) }
