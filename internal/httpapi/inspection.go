package httpapi

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
)

// internalTypes are the types in which the product stores its own records. Nobody has a permission on them.
var internalTypes = []authz.Type{
	"deletion", "offboarding", "idempotency_key", "invitation", "invitee", "membership", "removed_user", "request", "role",
	"title",
}

// inspector rejects questions that need the scope inspect.
type inspector struct {
	schema     definitions
	hasProduct bool // whether the schema has the definitions of the product
}

// requireInspection returns an error for a question that needs a key with the scope inspect and a request without an
// actor. Such a question names an internal type of the product or, instead of a permission, a relation or a schema step
// (as_…), so its answer does not depend on an actor. The error has CodeForbidden if the key lacks the scope, and
// CodeInvalid if the request has an actor. requireInspection accepts names that the schema lacks, because the engine
// rejects them.
func (r inspector) requireInspection(
	ctx context.Context, subject, resource authz.Type, permission authz.Permission,
) error {
	k, _ := ctx.Value(callKey{}).(*call)
	if k != nil && k.seesAll && !k.ignoresActor {
		return nil
	}
	reject := func(reason string) error {
		if k != nil && k.seesAll {
			return authz.Errorf(authz.CodeInvalid,
				"%s; such a request is not made on behalf of a person, so leave out the header %s", reason, actorHeader)
		}
		return inspectionRequired(reason)
	}
	if r.hasProduct {
		for _, typ := range []authz.Type{subject, resource} {
			if slices.Contains(internalTypes, typ) {
				return reject("the type " + string(typ) + " is internal to the product")
			}
		}
	}
	definitions, err := r.schema(ctx)
	if err != nil {
		return err
	}
	for i := range definitions {
		if definitions[i].Type != resource {
			continue
		}
		if slices.Contains(definitions[i].Relations, authz.Relation(permission)) {
			return reject(string(permission) + " is a relation of " + string(resource) + ", not a permission")
		}
		for _, p := range definitions[i].Permissions {
			if p.Name == permission && p.Internal {
				return reject(string(permission) + " is a schema step of " + string(resource))
			}
		}
	}
	return nil
}

func inspectionRequired(reason string) error {
	return authz.Errorf(authz.CodeForbidden, "%s; such a request needs a key with the scope %s", reason, apikey.Inspect)
}

// requireTypes calls requireInspection for the types of a search, but not for its action. So it rejects a search of an
// internal type even if the schema lacks the action.
func (r inspector) requireTypes(ctx context.Context, q question) error {
	return r.requireInspection(ctx, authz.Type(q.subject.Type), authz.Type(q.resource.Type), "")
}

// requireCheck calls requireInspection for a check.
func (r inspector) requireCheck(ctx context.Context, check authz.Check) error {
	return r.requireInspection(ctx, check.Subject.Type, check.Resource.Type, check.Permission)
}

// requireChecks runs requireCheck for each well-formed check, and records its error.
func (r inspector) requireChecks(ctx context.Context, questions []readCheck) {
	for i, question := range questions {
		if question.err == nil {
			questions[i].err = r.requireCheck(ctx, question.check)
		}
	}
}
