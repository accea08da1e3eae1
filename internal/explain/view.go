package explain

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

// view is what the reader of an explanation may see.
type view struct {
	*Explainer
	all     bool
	subject authz.Subject // of the check
	reader  authz.Subject // the actor, or the subject of the check
	named   bool          // the reader is an actor, to whom people are named where they may list them
	token   authz.Token
	schema  map[authz.Type]authz.Definition

	visible map[authz.Object]bool
	listed  map[authz.Object]bool
}

func newView(e *Explainer, question Question, token authz.Token, definitions []authz.Definition) *view {
	v := &view{
		Explainer: e, token: token, schema: describe(definitions), reader: question.Check.Subject, subject: question.Check.Subject,
		visible: make(map[authz.Object]bool), listed: make(map[authz.Object]bool),
	}
	if question.Actor == "" {
		v.all = question.All
		return v
	}
	v.named, v.reader = true, authz.Subject{Object: authz.Object{Type: "user", ID: question.Actor}}
	return v
}

// sees reports whether the reader may know that the objects exist: those on which they have the permission that shows
// the type. A type of a schema without the product's rules is shown by `view` or, if it has none, by any permission.
func (v *view) sees(ctx context.Context, objects ...authz.Object) (bool, error) {
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
			if seen, err = v.any(ctx, object, v.showing(object.Type)); err != nil {
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

func (v *view) showing(t authz.Type) []authz.Permission {
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

// lists reports whether people who stand in a relation of the object may be named to the reader.
func (v *view) lists(ctx context.Context, object authz.Object) (bool, error) {
	listing := operation.Listing(object.Type)
	if v.all || !v.named || listing == "" || v.operations == nil {
		return v.all, nil
	}
	listed, known := v.listed[object]
	if !known {
		var err error
		if listed, err = v.any(ctx, object, []authz.Permission{listing}); err != nil {
			return false, err
		}
		v.listed[object] = listed
	}
	return listed, nil
}

// hidesRoles reports whether the reader may not know which roles the subject of the check has on the object.
func (v *view) hidesRoles(ctx context.Context, object authz.Object) (bool, error) {
	if v.operations == nil || v.reader == v.subject || operation.Listing(object.Type) == "" {
		return false, nil
	}
	listed, err := v.lists(ctx, object)
	return !listed, err
}

// any reports whether the reader has one of the permissions.
func (v *view) any(ctx context.Context, object authz.Object, permissions []authz.Permission) (bool, error) {
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
	return slices.ContainsFunc(results, func(r authz.CheckResult) bool { return r.Err == nil && r.Decision.Allowed() }), nil
}

// knows reports whether the reader may know that a relationship is there: both ends are seen, or the reader or the subject of
// the check is the one.
func (v *view) knows(ctx context.Context, r authz.Relationship) (bool, error) {
	objects := []authz.Object{r.Resource}
	if r.Subject != v.subject && !r.Subject.Wildcard {
		objects = append(objects, r.Subject.Object)
	}
	return v.sees(ctx, objects...)
}
