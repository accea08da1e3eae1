package httpapi

import (
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/similar"
)

// definitions returns the definitions of the served schema.
type definitions func(context.Context) ([]authz.Definition, error)

// permissionsOf returns the public permissions of a type. The error has CodeInvalid if the schema lacks the type or the
// type has none.
func (d definitions) permissionsOf(ctx context.Context, typ authz.Type) ([]authz.Permission, error) {
	all, err := d(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, definition := range all {
		names[i] = string(definition.Type)
		if definition.Type != typ {
			continue
		}
		permissions := definition.Public()
		if len(permissions) == 0 {
			return nil, authz.Errorf(authz.CodeInvalid, "the type %q has no permissions", typ)
		}
		return permissions, nil
	}
	return nil, unknownType(typ, names)
}

// isUnknownType reports whether the schema lacks the type, so that no question about it can be decided.
func (d definitions) isUnknownType(ctx context.Context, typ authz.Type) bool {
	all, err := d(ctx)
	return err == nil && !slices.ContainsFunc(all, func(one authz.Definition) bool { return one.Type == typ })
}

// unknownType returns the error for a type that the schema lacks.
func unknownType(typ authz.Type, names []string) error {
	return authz.Errorf(authz.CodeInvalid, "the schema has no type %q%s", typ, similar.Hint(string(typ), names))
}

// nearest suggests names of the schema that resemble a malformed name.
func (d definitions) nearest(ctx context.Context, bad *authz.BadName) string {
	all, err := d(ctx)
	if err != nil {
		return ""
	}
	names := make(map[string]bool)
	for _, definition := range all {
		switch bad.Kind {
		case "type":
			names[string(definition.Type)] = true
		case "relation":
			addAll(names, definition.Relations)
		case "permission":
			addAll(names, definition.Relations)
			addAll(names, definition.Public())
		}
	}
	return similar.Hint(bad.Name, slices.Collect(maps.Keys(names)))
}

func addAll[S ~string](set map[string]bool, names []S) {
	for _, name := range names {
		set[string(name)] = true
	}
}
