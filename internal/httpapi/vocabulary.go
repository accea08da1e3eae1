package httpapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/similar"
)

// vocabulary translates AuthZEN questions into names of the served schema. Its errors have CodeInvalid and contain the
// name that the schema lacks.
type vocabulary struct {
	definitions []authz.Definition
	parameters  []string // parameter names of the caveats
}

func (a *authZENAPI) vocabulary(ctx context.Context) (vocabulary, error) {
	definitions, err := a.definitions(ctx)
	return vocabulary{definitions: definitions, parameters: a.caveatParameters}, err
}

func (v vocabulary) definition(typ string) (authz.Definition, error) {
	i := slices.IndexFunc(v.definitions, func(d authz.Definition) bool { return string(d.Type) == typ })
	if i >= 0 {
		return v.definitions[i], nil
	}
	names := make([]string, len(v.definitions))
	for i, definition := range v.definitions {
		names[i] = string(definition.Type)
	}
	return authz.Definition{}, unknownType(authz.Type(typ), names)
}

func (v vocabulary) object(entity AccessEntity) (authz.Object, error) {
	definition, err := v.definition(entity.Type)
	if err != nil {
		return authz.Object{}, err
	}
	return authz.NewObject(string(definition.Type), entity.ID)
}

// permission returns the permission that an action names. It tries the name itself, the name in lower case, and the
// name in lower case with '_' for every character other than a letter or digit.
func (v vocabulary) permission(typ, action string) (authz.Permission, error) {
	if len(action) > authz.MaxNameBytes {
		return "", authz.Errorf(
			authz.CodeInvalid,
			"%q is not the name of a permission: it has %s, and a name has at most %d",
			action,
			authz.Count(len(action), "byte", "bytes"),
			authz.MaxNameBytes,
		)
	}
	definition, err := v.definition(typ)
	if err != nil {
		return "", err
	}
	lower := strings.ToLower(action)
	spelled := strings.Map(plain, lower)
	for _, name := range []string{action, lower, spelled} {
		if declares(definition, name) {
			return authz.Permission(name), nil
		}
	}
	names := append(toStrings(definition.Public()), toStrings(definition.Relations)...)
	return "", authz.Errorf(
		authz.CodeInvalid, "the type %q has no permission %q%s", typ, action, similar.Hint(spelled, names),
	)
}

// declares reports whether the definition has a permission or a relation of that name.
func declares(definition authz.Definition, name string) bool {
	return slices.Contains(definition.Relations, authz.Relation(name)) ||
		slices.ContainsFunc(definition.Permissions, func(p authz.PermissionInfo) bool { return string(p.Name) == name })
}

func plain(c rune) rune {
	if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
		return c
	}
	return '_'
}

func (v vocabulary) check(q question) (authz.Check, error) {
	subject, err := v.object(q.subject)
	if err != nil {
		return authz.Check{}, withPlace("the subject", err)
	}
	resource, err := v.object(q.resource)
	if err != nil {
		return authz.Check{}, withPlace("the resource", err)
	}
	permission, err := v.permission(q.resource.Type, q.action.Name)
	if err != nil {
		return authz.Check{}, withPlace("the action", err)
	}
	return authz.Check{
		Subject: authz.Subject{Object: subject}, Permission: permission, Resource: resource, Context: v.context(q),
	}, nil
}

// Names under which caveats read the parts of an AuthZEN request.
const (
	subjectProperties  = "subject_properties"
	actionProperties   = "action_properties"
	resourceProperties = "resource_properties"
	wholeContext       = "context"
)

// context returns the context for caveats. It has each property object under its own name, and the whole context of the
// request under "context"; these objects may be empty. It also has each field of the request's context, unless the
// field has one of these names. It omits names that no caveat uses, because SpiceDB limits the total size.
func (v vocabulary) context(q question) map[string]any {
	all := make(map[string]any)
	for _, name := range v.parameters {
		if object, isObject := q.object(name); isObject {
			all[name] = object
		} else if value, given := q.context[name]; given {
			all[name] = value
		}
	}
	return all
}

// object returns the object that caveats read under this name.
func (q question) object(name string) (_ map[string]any, isObject bool) {
	var object map[string]any
	switch name {
	case subjectProperties:
		object = optional(q.subject.Properties)
	case actionProperties:
		object = optional(q.action.Properties)
	case resourceProperties:
		object = optional(q.resource.Properties)
	case wholeContext:
		object = q.context
	default:
		return nil, false
	}
	if object == nil {
		object = map[string]any{}
	}
	return object, true
}

// contextsOf returns the contexts to try, in order: the full one and, if it has empty objects, one without them. If a
// caveat reads a property of an empty object, it fails. Without the object, the answer is conditional.
func contextsOf(full map[string]any) []map[string]any {
	withoutEmpty := maps.Clone(full)
	for _, name := range []string{subjectProperties, actionProperties, resourceProperties, wholeContext} {
		if value, ok := withoutEmpty[name].(map[string]any); ok && len(value) == 0 {
			delete(withoutEmpty, name)
		}
	}
	if len(withoutEmpty) == len(full) {
		return []map[string]any{full}
	}
	return []map[string]any{full, withoutEmpty}
}
