package schema

import (
	"context"
	"fmt"
	"slices"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/schemadsl/generator"

	"github.com/sluice-authz/sluice/internal/authz"
)

// RelationName is the name of a relation, with the type that declares it.
type RelationName struct {
	Type     authz.Type
	Relation authz.Relation
}

// Rename says that a relation had another name in an earlier version of the product's schema.
type Rename struct{ From, To RelationName }

// allRenames lists all renamed relations. When a server starts, it rewrites relationships with an old name: see
// app.Server.
var allRenames = []Rename{
	{RelationName{"workspace", "entrant"}, RelationName{"workspace", "member"}},
	{RelationName{"connector", "offers_views"}, RelationName{"connector", "capability_views"}},
	{
		RelationName{"connector", "offers_financial_settings"},
		RelationName{"connector", "capability_financial_settings"},
	},
	{
		RelationName{"connector", "offers_postgres_database"},
		RelationName{"connector", "capability_postgres_database"},
	},
	{RelationName{"deletion", "begun_by"}, RelationName{"deletion", "requested_by"}},
	{RelationName{"departure", "from"}, RelationName{"offboarding", "from"}},
	{RelationName{"departure", "begun_by"}, RelationName{"offboarding", "requested_by"}},
	{RelationName{"departure", "heir"}, RelationName{"offboarding", "reassign_to"}},
	{RelationName{"departure", "keeps_roles"}, RelationName{"offboarding", "keeps_roles"}},
	{RelationName{"departure", "moves_private"}, RelationName{"offboarding", "moves_private"}},
	{RelationName{"departure", "disconnects_private"}, RelationName{"offboarding", "disconnects_private"}},
	{RelationName{"departure", "withdraws"}, RelationName{"offboarding", "withdraws"}},
}

// RenamesIn returns the renames that a server must perform before it replaces the stored schema by the text. For such
// a rename, the stored schema declares the old name, and the text declares only the new name. Errors have code
// authz.CodeInvalid.
func RenamesIn(stored, text string) ([]Rename, error) {
	before, err := Describe(stored)
	if err != nil {
		return nil, err
	}
	after, err := Describe(text)
	if err != nil {
		return nil, err
	}
	declares := func(definitions []authz.Definition, name RelationName) bool {
		return slices.ContainsFunc(definitions, func(d authz.Definition) bool {
			return d.Type == name.Type && slices.Contains(d.Relations, name.Relation)
		})
	}
	var renames []Rename
	for _, rename := range allRenames {
		if declares(before, rename.From) && declares(after, rename.To) && !declares(after, rename.From) {
			renames = append(renames, rename)
		}
	}
	return renames, nil
}

// WithOldNames adds the old names of renamed relations to a schema. With the result, the stored relationships can be
// rewritten from the old names to the new ones. The text must declare every new name.
func WithOldNames(ctx context.Context, text string, renames []Rename) (string, error) {
	compiled, err := compile(text, "schema")
	if err != nil {
		return "", authz.Errorf(authz.CodeInvalid, "%s", err.Error())
	}
	definitions := make(map[authz.Type]*core.NamespaceDefinition)
	for _, definition := range compiled.ObjectDefinitions {
		definitions[authz.Type(definition.GetName())] = definition
	}
	ordered := compiled.OrderedDefinitions
	for _, rename := range renames {
		relation, err := relationOf(definitions[rename.To.Type], rename.To.Relation)
		if err != nil {
			return "", err
		}
		old := definitions[rename.From.Type]
		if old == nil {
			old = &core.NamespaceDefinition{Name: string(rename.From.Type)}
			definitions[rename.From.Type] = old
			ordered = append(ordered, old)
		}
		renamed := relation.CloneVT()
		renamed.Name = string(rename.From.Relation)
		old.Relation = append(old.Relation, renamed)
	}
	written, complete, err := generator.GenerateSchema(ctx, ordered)
	if err == nil && !complete {
		err = fmt.Errorf("SpiceDB cannot write a definition of the schema as text")
	}
	return written, err
}

func relationOf(definition *core.NamespaceDefinition, name authz.Relation) (*core.Relation, error) {
	for _, relation := range definition.GetRelation() {
		if relation.GetName() == string(name) {
			return relation, nil
		}
	}
	return nil, authz.Errorf(authz.CodeInvalid, "the schema does not declare %s#%s", definition.GetName(), name)
}
