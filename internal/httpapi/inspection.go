package httpapi

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
)

// internalTypes are the types in which the product stores its own records. Nobody has a permission on them.
var internalTypes = []authz.Type{
	"custom_role_slot", "custom_role_version", "deletion", "description", "offboarding", "idempotency_key", "invitation",
	"invitee", "membership", "removed_user", "request", "role", "title",
}

// inspector rejects questions that need the scope inspect.
type inspector struct {
	schema     definitions
	hasProduct bool // whether the schema has the definitions of the product
}

// requireInspection returns an error for a question that needs a key with the scope inspect and a request without an
// actor. Such a question names an internal type of the product, or a relation or a schema step (as_…) instead of a
// permission, or a subject in the form of a set that no relation accepts, see acceptsSet. So its answer does not
// depend on an actor. The error has CodeForbidden if the key lacks the scope, and CodeInvalid if the request has an
// actor. requireInspection accepts names that the schema lacks, because the engine rejects them.
func (r inspector) requireInspection(
	ctx context.Context, subject authz.Subject, resource authz.Type, permission authz.Permission,
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
		for _, typ := range []authz.Type{subject.Type, resource} {
			if slices.Contains(internalTypes, typ) {
				return reject("the type " + string(typ) + " is internal to the product")
			}
		}
	}
	definitions, err := r.schema(ctx)
	if err != nil {
		return err
	}
	if subject.Relation != "" && has(definitions, subject) && !acceptsSet(definitions, subject) {
		return reject(fmt.Sprintf(
			"the subject is in the form %s:ID#%s, and no relation of the schema accepts such subjects",
			subject.Type, subject.Relation,
		))
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

// acceptsSet reports whether a relation of the schema accepts a set such as group:g#member as a subject. The answer
// about such a set says only what is shared with the set. For any other set, for example account:a#as_team_user, the
// answer says whether the permission depends on this relation or permission of the account. So it reveals stored
// relationships, for example whether a connection is shared with its account.
func acceptsSet(definitions []authz.Definition, set authz.Subject) bool {
	for _, definition := range definitions {
		for _, accepted := range definition.Accepts {
			if slices.ContainsFunc(accepted, func(t authz.SubjectType) bool {
				return t.Type == set.Type && t.Relation == set.Relation
			}) {
				return true
			}
		}
	}
	return false
}

// has reports whether the schema has the relation or permission of a set.
func has(definitions []authz.Definition, set authz.Subject) bool {
	return slices.ContainsFunc(definitions, func(d authz.Definition) bool {
		return d.Type == set.Type && declares(d, string(set.Relation))
	})
}

func inspectionRequired(reason string) error {
	return authz.Errorf(authz.CodeForbidden, "%s; such a request needs a key with the scope %s", reason, apikey.Inspect)
}

// requireTypes calls requireInspection for the types of a search, but not for its action. So it rejects a search of an
// internal type even if the schema lacks the action.
func (r inspector) requireTypes(ctx context.Context, q question) error {
	return r.requireInspection(ctx, ofType(authz.Type(q.subject.Type)), authz.Type(q.resource.Type), "")
}

// requireCheck calls requireInspection for a check.
func (r inspector) requireCheck(ctx context.Context, check authz.Check) error {
	return r.requireInspection(ctx, check.Subject, check.Resource.Type, check.Permission)
}

// ofType returns a subject of a type. It stands for the subject of a question that names only its type.
func ofType(typ authz.Type) authz.Subject { return authz.Subject{Object: authz.Object{Type: typ}} }

// requireChecks runs requireCheck for each well-formed check, and records its error.
func (r inspector) requireChecks(ctx context.Context, questions []readCheck) {
	for i, question := range questions {
		if question.err == nil {
			questions[i].err = r.requireCheck(ctx, question.check)
		}
	}
}
