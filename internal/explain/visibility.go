package explain

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// viewOf returns the View that decides what the reader of an explanation may see. It checks permissions at a
// revision. If a check fails, the View hides the fact for which it made the check.
func (e *Explainer) viewOf(question Question, at authz.Token, definitions []authz.Definition) *visibility.View {
	reader := visibility.Reader{All: true}
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
		rules.PlaceReader(e.engine, definitions, authz.AtSnapshot(at)),
	)
}

// isProduct reports whether relationships of the type are written only by operations of the product.
func (e *Explainer) isProduct(t authz.Type) bool { return e.operations != nil && operation.Writes(t) }

// mayKnowRole reports whether the reader may know the role that a relationship can give to the subject of the check.
// The relationship gives the role to the subject itself, to a group, or to the holders of a custom role. It returns
// true for a relationship that gives no role.
func (i *inquiry) mayKnowRole(ctx context.Context, r authz.Relationship) (bool, error) {
	isBinding := i.isProduct(r.Subject.Type) && r.Subject.Type == authz.TypeRoleBinding
	switch reader := i.view.Reader(); {
	case reader.All || reader.Subject == i.check.Subject:
		return true, nil
	case r.Subject != i.check.Subject && !i.isGroup(r.Subject) && !isBinding:
		return true, nil
	case isBinding && !operation.VisibilityRules.HasRoles(r.Resource.Type):
		return false, nil // a custom role on a single object, whose holders this package does not show
	}
	return i.view.MayKnowRole(ctx, i.check.Subject, r.Resource)
}
