package spicedb

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// Schema implements authz.Engine.
func (c *Client) Schema(ctx context.Context) (_ string, err error) {
	defer c.observe("Schema", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	response, err := c.schema.ReadSchema(ctx, &v1.ReadSchemaRequest{})
	if err != nil {
		err = c.failure(ctx, err)
		if errors.Is(err, authz.CodeNotFound) {
			return "", nil
		}
		return "", err
	}
	return response.GetSchemaText(), nil
}

// ApplySchema implements authz.Engine.
func (c *Client) ApplySchema(ctx context.Context, schema string) (err error) {
	defer c.observe("ApplySchema", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	if _, err := c.schema.WriteSchema(ctx, &v1.WriteSchemaRequest{Schema: schema}); err != nil {
		return c.failure(ctx, err)
	}
	c.alls.forget()
	c.caveats.forget()
	c.names.forget()
	return nil
}

// DiffSchema implements authz.Engine. A change is breaking if it removes a part that stored relationships or callers
// may use, or if it changes a caveat parameter. A changed expression of a permission or caveat is not breaking.
func (c *Client) DiffSchema(ctx context.Context, text string) (_ []authz.SchemaChange, err error) {
	defer c.observe("DiffSchema", time.Now(), &err)
	ctx, cancel := c.deadline(ctx)
	defer cancel()

	response, err := c.schema.DiffSchema(ctx, &v1.DiffSchemaRequest{
		Consistency:      &v1.Consistency{Requirement: &v1.Consistency_FullyConsistent{FullyConsistent: true}},
		ComparisonSchema: text,
	})
	if err != nil {
		err = c.failure(ctx, err)
		if errors.Is(err, authz.CodeNotFound) {
			return []authz.SchemaChange{{Text: "SpiceDB has no schema yet: everything is new"}}, nil
		}
		return nil, err
	}
	if len(response.GetDiffs()) == 0 {
		return nil, nil
	}
	stored, err := c.schema.ReadSchema(ctx, &v1.ReadSchemaRequest{})
	if err != nil {
		if err = c.failure(ctx, err); !errors.Is(err, authz.CodeNotFound) { // without a schema, everything is new
			return nil, err
		}
	}
	changed, err := changedExpressions(stored.GetSchemaText(), text)
	if err != nil {
		return nil, err
	}
	changes := make([]authz.SchemaChange, 0, len(response.GetDiffs()))
	for _, d := range response.GetDiffs() {
		changes = append(changes, toChange(d, changed))
	}
	return changes, nil
}

// changedExpressions returns a function that says how the expression of a permission or caveat differs between two
// schemas.
func changedExpressions(before, after string) (func(name string) string, error) {
	from, err := schema.Expressions(before)
	if err != nil {
		return nil, err
	}
	to, err := schema.Expressions(after)
	if err != nil {
		return nil, err
	}
	return func(name string) string { return fmt.Sprintf("from %q to %q", from[name], to[name]) }, nil
}

// toChange converts a difference. changed describes how an expression differs.
func toChange(d *v1.ReflectionSchemaDiff, changed func(name string) string) authz.SchemaChange {
	same := func(format string, args ...any) authz.SchemaChange {
		return authz.SchemaChange{Text: fmt.Sprintf(format, args...)}
	}
	breaking := func(format string, args ...any) authz.SchemaChange {
		return authz.SchemaChange{Text: fmt.Sprintf(format, args...), Breaking: true}
	}
	switch d := d.GetDiff().(type) {
	case *v1.ReflectionSchemaDiff_DefinitionAdded:
		return same("adds definition %s", d.DefinitionAdded.GetName())
	case *v1.ReflectionSchemaDiff_DefinitionRemoved:
		return breaking("removes definition %s", d.DefinitionRemoved.GetName())
	case *v1.ReflectionSchemaDiff_DefinitionDocCommentChanged:
		return same("changes the comment of definition %s", d.DefinitionDocCommentChanged.GetName())
	case *v1.ReflectionSchemaDiff_RelationAdded:
		return same("adds relation %s", relationName(d.RelationAdded))
	case *v1.ReflectionSchemaDiff_RelationRemoved:
		return breaking("removes relation %s", relationName(d.RelationRemoved))
	case *v1.ReflectionSchemaDiff_RelationDocCommentChanged:
		return same("changes the comment of relation %s", relationName(d.RelationDocCommentChanged))
	case *v1.ReflectionSchemaDiff_RelationSubjectTypeAdded:
		change := d.RelationSubjectTypeAdded
		subject, relation := subjectType(change.GetChangedSubjectType()), relationName(change.GetRelation())
		return same("allows subject %s in relation %s", subject, relation)
	case *v1.ReflectionSchemaDiff_RelationSubjectTypeRemoved:
		change := d.RelationSubjectTypeRemoved
		subject, relation := subjectType(change.GetChangedSubjectType()), relationName(change.GetRelation())
		return breaking("no longer allows subject %s in relation %s", subject, relation)
	case *v1.ReflectionSchemaDiff_PermissionAdded:
		return same("adds permission %s", permissionName(d.PermissionAdded))
	case *v1.ReflectionSchemaDiff_PermissionRemoved:
		return breaking("removes permission %s", permissionName(d.PermissionRemoved))
	case *v1.ReflectionSchemaDiff_PermissionDocCommentChanged:
		return same("changes the comment of permission %s", permissionName(d.PermissionDocCommentChanged))
	case *v1.ReflectionSchemaDiff_PermissionExprChanged:
		name := permissionName(d.PermissionExprChanged)
		return same("changes the expression of permission %s %s", name, changed(name))
	case *v1.ReflectionSchemaDiff_CaveatAdded:
		return same("adds caveat %s", d.CaveatAdded.GetName())
	case *v1.ReflectionSchemaDiff_CaveatRemoved:
		return breaking("removes caveat %s", d.CaveatRemoved.GetName())
	case *v1.ReflectionSchemaDiff_CaveatDocCommentChanged:
		return same("changes the comment of caveat %s", d.CaveatDocCommentChanged.GetName())
	case *v1.ReflectionSchemaDiff_CaveatExprChanged:
		name := d.CaveatExprChanged.GetName()
		return same("changes the expression of caveat %s %s", name, changed(name))
	case *v1.ReflectionSchemaDiff_CaveatParameterAdded:
		return breaking("adds parameter %s", parameterName(d.CaveatParameterAdded))
	case *v1.ReflectionSchemaDiff_CaveatParameterRemoved:
		return breaking("removes parameter %s", parameterName(d.CaveatParameterRemoved))
	case *v1.ReflectionSchemaDiff_CaveatParameterTypeChanged:
		return breaking("changes the type of parameter %s", parameterName(d.CaveatParameterTypeChanged.GetParameter()))
	default:
		return breaking("makes a change that this version does not know")
	}
}

func relationName(r *v1.ReflectionRelation) string {
	return r.GetParentDefinitionName() + "#" + r.GetName()
}

func permissionName(p *v1.ReflectionPermission) string {
	return p.GetParentDefinitionName() + "#" + p.GetName()
}

func parameterName(p *v1.ReflectionCaveatParameter) string {
	return p.GetName() + " of caveat " + p.GetParentCaveatName()
}

// subjectType formats an allowed subject type as in the schema. It omits an expiration.
func subjectType(t *v1.ReflectionTypeReference) string {
	name := t.GetSubjectDefinitionName()
	switch {
	case t.GetIsPublicWildcard():
		name += ":*"
	case t.GetOptionalRelationName() != "":
		name += "#" + t.GetOptionalRelationName()
	}
	if caveat := t.GetOptionalCaveatName(); caveat != "" {
		name += " with " + caveat
	}
	return name
}
