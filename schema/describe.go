package schema

import (
	"maps"
	"slices"
	"strings"

	"github.com/authzed/spicedb/pkg/namespace"
	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	implv1 "github.com/authzed/spicedb/pkg/proto/impl/v1"
	"github.com/authzed/spicedb/pkg/schemadsl/compiler"
	"github.com/authzed/spicedb/pkg/tuple"

	"github.com/sluice-authz/sluice/internal/authz"
)

// internalPrefix begins the name of every schema step. A schema step is a permission that is used only inside other
// permissions.
const internalPrefix = "as_"

// Summary is the information about a schema that a server needs.
type Summary struct {
	Definitions  []authz.Definition // in the order of the schema, without stampType
	Dependencies Dependencies

	// CaveatParameters are the names of the parameters of all caveats, sorted.
	CaveatParameters []string
}

// Summarize reads a schema without imports. Errors have code authz.CodeInvalid.
func Summarize(text string) (Summary, error) {
	compiled, err := Compiled(text)
	if err != nil {
		return Summary{}, err
	}
	return Summary{
		Definitions: describe(compiled), Dependencies: dependencies(compiled), CaveatParameters: caveatParameters(compiled),
	}, nil
}

// Describe lists the definitions of a schema without imports, in the order of the schema. It leaves out the
// definition stampType. Errors have code authz.CodeInvalid.
func Describe(text string) ([]authz.Definition, error) {
	compiled, err := Compiled(text)
	if err != nil {
		return nil, err
	}
	return describe(compiled), nil
}

func describe(compiled *compiler.CompiledSchema) []authz.Definition {
	definitions := make([]authz.Definition, 0, len(compiled.ObjectDefinitions))
	for _, object := range compiled.ObjectDefinitions {
		if object.GetName() == stampType {
			continue
		}
		definition := authz.Definition{
			Type: authz.Type(object.GetName()), Doc: sentence(object.GetMetadata()),
			Accepts: make(map[authz.Relation][]authz.SubjectType),
		}
		for _, relation := range object.GetRelation() {
			if namespace.GetRelationKind(relation) != implv1.RelationMetadata_PERMISSION {
				definition.Relations = append(definition.Relations, authz.Relation(relation.GetName()))
				definition.Accepts[authz.Relation(relation.GetName())] = accepted(relation)
				continue
			}
			definition.Permissions = append(definition.Permissions, authz.PermissionInfo{
				Name:     authz.Permission(relation.GetName()),
				Doc:      sentence(relation.GetMetadata()),
				Internal: strings.HasPrefix(relation.GetName(), internalPrefix),
				Grantable: slices.ContainsFunc(
					namespace.GetComments(relation.GetMetadata()), hasGrantableMark,
				),
			})
		}
		definitions = append(definitions, definition)
	}
	return definitions
}

// accepted lists the kinds of subjects that a relation accepts.
func accepted(relation *core.Relation) []authz.SubjectType {
	var types []authz.SubjectType
	for _, allowed := range relation.GetTypeInformation().GetAllowedDirectRelations() {
		subject := authz.SubjectType{
			Type:     authz.Type(allowed.GetNamespace()),
			Wildcard: allowed.GetPublicWildcard() != nil,
			Caveat:   allowed.GetRequiredCaveat().GetCaveatName(),
			Expires:  allowed.GetRequiredExpiration() != nil,
		}
		if name := allowed.GetRelation(); name != tuple.Ellipsis {
			subject.Relation = authz.Relation(name)
		}
		types = append(types, subject)
	}
	return types
}

func caveatParameters(compiled *compiler.CompiledSchema) []string {
	var names []string
	for _, caveat := range compiled.CaveatDefinitions {
		names = slices.AppendSeq(names, maps.Keys(caveat.GetParameterTypes()))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ignoredWarning begins a comment that tells zed which warning to suppress.
const ignoredWarning = "// spicedb-ignore-warning:"

// sentence returns the comments of a declaration in one line. It leaves out comment marks such as "//",
// grantableMark, and comments for zed.
func sentence(metadata *core.Metadata) string {
	var words []string
	for _, comment := range namespace.GetComments(metadata) {
		if strings.HasPrefix(comment, ignoredWarning) {
			continue
		}
		for line := range strings.Lines(stripMarks(comment)) {
			words = append(words, strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "*"))...)
		}
	}
	words = slices.DeleteFunc(words, func(word string) bool { return word == grantableMark })
	return strings.Join(words, " ")
}

// stripMarks removes the comment marks from a comment: a leading "//", or a leading "/*" and the "*/" at the end. In
// a comment that begins with "/**", the second asterisk remains.
func stripMarks(comment string) string {
	comment = strings.TrimSpace(comment)
	if line, ok := strings.CutPrefix(comment, "//"); ok {
		return line
	}
	comment = strings.TrimPrefix(comment, "/*")
	return strings.TrimSuffix(comment, "*/")
}

// ProductTypes returns the types that the product's schema defines. Callers cannot write relationships of these types
// through POST /v1/relationships.
func ProductTypes() ([]authz.Type, error) {
	text, err := Flatten()
	if err != nil {
		return nil, err
	}
	definitions, err := Describe(text)
	if err != nil {
		return nil, err
	}
	types := make([]authz.Type, len(definitions))
	for i, definition := range definitions {
		types[i] = definition.Type
	}
	return types, nil
}
