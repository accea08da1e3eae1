package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CreatePart creates an object that has only a parent: a flow, schedule or service in a workspace, or an integration,
// export, report or connector in an account.
func (s *Service) CreatePart(ctx context.Context, by Caller, part Part) (Part, Done, error) {
	kind := kindOf(part.Type)
	if kind.create == "" || kind.in != part.Parent.Type {
		return Part{}, Done{}, authz.Errorf(
			authz.CodeInvalid, "%s cannot be created in %s", authz.WithArticle(part.Type), authz.WithArticle(part.Parent.Type),
		)
	}
	object := authz.Object{Type: part.Type, ID: part.ID}
	build := func(ctx context.Context, p *plan) (Part, error) {
		if err := requirePermission(ctx, p, part.Parent, kind.create); err != nil {
			return Part{}, err
		}
		if err := claimID(ctx, p, object); err != nil {
			return Part{}, err
		}
		p.Create(object, kind.place, only(part.Parent))
		return part, nil
	}
	return runWithResult(ctx, s, by, "create_"+string(part.Type), s.partResult(by, object), build)
}
