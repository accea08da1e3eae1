package httpapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// vocabulary puts what AuthZEN asks into the words of the served schema. Its errors have code CodeInvalid and say what
// the schema does not know.
type vocabulary struct {
	definitions []authz.Definition
	parameters  []string // of caveats
}

func (s *server) vocabulary(ctx context.Context) (vocabulary, error) {
	definitions, err := s.Definitions(ctx)
	return vocabulary{definitions: definitions, parameters: s.CaveatParameters}, err
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

// permission finds what an action names: as it is, in lower case, or in lower case with every other character as '_'.
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
	names := append(texts(definition.Public()), texts(definition.Relations)...)
	return "", authz.Errorf(
		authz.CodeInvalid, "the type %q has no permission %q%s", typ, action, authz.Suggest(spelled, names),
	)
}

// declares reports whether a name is a permission of the definition, or a relation, which may be asked for in its
// place.
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

func (v vocabulary) check(asked question) (authz.Check, error) {
	subject, err := v.object(asked.subject)
	if err != nil {
		return authz.Check{}, at("the subject", err)
	}
	resource, err := v.object(asked.resource)
	if err != nil {
		return authz.Check{}, at("the resource", err)
	}
	permission, err := v.permission(asked.resource.Type, asked.action.Name)
	if err != nil {
		return authz.Check{}, at("the action", err)
	}
	return authz.Check{
		Subject: authz.Subject{Object: subject}, Permission: permission, Resource: resource, Context: v.context(asked),
	}, nil
}

// What an AuthZEN request says besides names, as caveats find it.
const (
	subjectProperties  = "subject_properties"
	actionProperties   = "action_properties"
	resourceProperties = "resource_properties"
	wholeContext       = "context"
)

// context is what caveats find: each property object under its own name and the request's context under "context",
// empty where the request has none, and the fields of the context themselves, unless they have one of these names. What
// no caveat asks for is left out, since SpiceDB limits the size of the whole.
func (v vocabulary) context(asked question) map[string]any {
	all := make(map[string]any)
	for _, name := range v.parameters {
		if object, isObject := asked.object(name); isObject {
			all[name] = object
		} else if value, given := asked.context[name]; given {
			all[name] = value
		}
	}
	return all
}

// object returns what caveats find under one of the names of whole objects.
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

// contextsOf are the contexts to try one after the other: that of the request, and, where that has empty objects,
// without these. A caveat that reads a property that is not there fails; when there are no properties at all, it waits
// for them.
func contextsOf(full map[string]any) []map[string]any {
	bare := maps.Clone(full)
	for _, name := range []string{subjectProperties, actionProperties, resourceProperties, wholeContext} {
		if value, ok := bare[name].(map[string]any); ok && len(value) == 0 {
			delete(bare, name)
		}
	}
	if len(bare) == len(full) {
		return []map[string]any{full}
	}
	return []map[string]any{full, bare}
}
