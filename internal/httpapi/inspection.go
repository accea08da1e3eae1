package httpapi

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
)

// internalTypes are the product's types that hold its own records: no person has a permission on them.
var internalTypes = []authz.Type{
	"deletion", "offboarding", "idempotency_key", "invitation", "invitee", "membership", "removed_user", "request", "role",
}

// requireInspection returns an error if a question reads what is stored instead of asking for a decision: a relation or
// a step of permissions in place of a permission, or an internal type of the product. The error has CodeForbidden if
// the key of the request lacks the scope inspect, and CodeInvalid if the request names an actor, whom the answer is not
// narrowed to. What the schema does not know is nil here; the engine refuses it.
func (s *server) requireInspection(
	ctx context.Context, subject, resource authz.Type, permission authz.Permission,
) error {
	k, _ := ctx.Value(callKey{}).(*call)
	if k != nil && k.seesAll && !k.ignoresActor {
		return nil
	}
	refused := func(reason string) error {
		if k != nil && k.seesAll {
			return authz.Errorf(authz.CodeInvalid,
				"%s; the answer is not narrowed to a person: leave out the header %s", reason, actorHeader)
		}
		return inspectionRequired(reason)
	}
	if s.Operations != nil {
		for _, typ := range []authz.Type{subject, resource} {
			if slices.Contains(internalTypes, typ) {
				return refused("the type " + string(typ) + " is internal to the product")
			}
		}
	}
	definitions, err := s.Definitions(ctx)
	if err != nil {
		return err
	}
	for i := range definitions {
		if definitions[i].Type != resource {
			continue
		}
		if slices.Contains(definitions[i].Relations, authz.Relation(permission)) {
			return refused(string(permission) + " is a relation of " + string(resource) + ", not a permission")
		}
		for _, p := range definitions[i].Permissions {
			if p.Name == permission && p.Internal {
				return refused(string(permission) + " is a step of other permissions of " + string(resource))
			}
		}
	}
	return nil
}

func inspectionRequired(reason string) error {
	return authz.Errorf(authz.CodeForbidden, "%s; asking for it needs a key with the scope %s", reason, apikey.Inspect)
}

// requireTypes is requireInspection for the types of a search alone, whatever the action is: a search for what the
// schema does not know finds nothing, also on an internal type.
func (s *server) requireTypes(ctx context.Context, asked question) error {
	return s.requireInspection(ctx, authz.Type(asked.subject.Type), authz.Type(asked.resource.Type), "")
}

// requireCheck is requireInspection for a check.
func (s *server) requireCheck(ctx context.Context, check authz.Check) error {
	return s.requireInspection(ctx, check.Subject.Type, check.Resource.Type, check.Permission)
}

// requireChecks is requireCheck for each of the questions that are well-formed; a refused one keeps its error.
func (s *server) requireChecks(ctx context.Context, questions []readCheck) {
	for i, question := range questions {
		if question.err == nil {
			questions[i].err = s.requireCheck(ctx, question.check)
		}
	}
}
