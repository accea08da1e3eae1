package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// visibility decides which objects, roles and people the reader of an explanation may see.
type visibility struct {
	*Explainer
	all     bool
	subject authz.Subject // the subject of the check
	reader  authz.Subject // the actor, or else the subject of the check
	named   bool          // the reader is an actor, who may see names of people where the actor may list them
	token   authz.Token
	schema  map[authz.Type]authz.Definition

	visible map[authz.Object]bool
	listed  map[authz.Object]bool
}

func newVisibility(e *Explainer, question Question, token authz.Token, definitions []authz.Definition) *visibility {
	v := &visibility{
		Explainer: e, token: token, schema: describe(definitions),
		reader: question.Check.Subject, subject: question.Check.Subject,
		visible: make(map[authz.Object]bool), listed: make(map[authz.Object]bool),
	}
	if question.Actor == "" {
		v.all = question.All
		return v
	}
	v.named, v.reader = true, authz.Subject{Object: authz.Object{Type: "user", ID: question.Actor}}
	return v
}

// maySee reports whether the reader may know that the objects exist. The product declares a visible permission for each
// of its types. For other types it is `view`, or any permission if the type has no `view`.
func (v *visibility) maySee(ctx context.Context, objects ...authz.Object) (bool, error) {
	if v.all {
		return true, nil
	}
	for _, object := range objects {
		if object == v.reader.Object {
			continue
		}
		seen, known := v.visible[object]
		if !known {
			var err error
			if seen, err = v.hasAny(ctx, object, v.showingPermissions(object.Type)); err != nil {
				return false, err
			}
			v.visible[object] = seen
		}
		if !seen {
			return false, nil
		}
	}
	return true, nil
}

func (v *visibility) showingPermissions(t authz.Type) []authz.Permission {
	public := v.schema[t].Public()
	visible := authz.Permission("view")
	if v.operations != nil {
		visible = operation.Visible(t)
	}
	declared := func(p authz.PermissionInfo) bool { return p.Name == visible }
	switch {
	case slices.ContainsFunc(v.schema[t].Permissions, declared):
		return []authz.Permission{visible}
	case v.operations != nil && operation.Writes(t):
		return nil
	}
	return public
}

// mayListPeople reports whether the reader may see the names of people who have relations to the object.
func (v *visibility) mayListPeople(ctx context.Context, object authz.Object) (bool, error) {
	listing := operation.Listing(object.Type)
	if v.all || !v.named || listing == "" || v.operations == nil {
		return v.all, nil
	}
	listed, known := v.listed[object]
	if !known {
		var err error
		if listed, err = v.hasAny(ctx, object, []authz.Permission{listing}); err != nil {
			return false, err
		}
		v.listed[object] = listed
	}
	return listed, nil
}

// hidesRoles reports whether the subject's roles on the object are hidden from the reader.
func (v *visibility) hidesRoles(ctx context.Context, object authz.Object) (bool, error) {
	if v.operations == nil || v.reader == v.subject || operation.Listing(object.Type) == "" {
		return false, nil
	}
	listed, err := v.mayListPeople(ctx, object)
	return !listed, err
}

// hasAny reports whether the reader has one of the permissions on the object.
func (v *visibility) hasAny(ctx context.Context, object authz.Object, permissions []authz.Permission) (bool, error) {
	if len(permissions) == 0 {
		return false, nil
	}
	checks := make([]authz.Check, len(permissions))
	for i, permission := range permissions {
		checks[i] = authz.Check{Subject: v.reader, Permission: permission, Resource: object}
	}
	results, _, err := v.engine.CheckBulk(ctx, checks, authz.AtSnapshot(v.token))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(
		results, func(r authz.CheckResult) bool { return r.Err == nil && r.Decision.Allowed() },
	), nil
}

// mayKnow reports whether the reader may know of a relationship: the reader may see both ends, or one end is the reader
// or the subject of the check.
func (v *visibility) mayKnow(ctx context.Context, r authz.Relationship) (bool, error) {
	objects := []authz.Object{r.Resource}
	if r.Subject != v.subject && !r.Subject.Wildcard {
		objects = append(objects, r.Subject.Object)
	}
	return v.maySee(ctx, objects...)
}
