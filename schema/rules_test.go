package schema_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/schemadsl/compiler"
	"github.com/authzed/spicedb/pkg/schemadsl/input"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

func definitions(t *testing.T) []authz.Definition {
	t.Helper()
	text, err := schema.Flatten()
	if err != nil {
		t.Fatal(err)
	}
	described, err := schema.Describe(text)
	if err != nil {
		t.Fatal(err)
	}
	return described
}

func compiled(t *testing.T) []*core.NamespaceDefinition {
	t.Helper()
	text, err := schema.Flatten()
	if err != nil {
		t.Fatal(err)
	}
	flat, err := compiler.Compile(
		compiler.InputSchema{Source: input.Source("schema"), SchemaString: text},
		compiler.AllowUnprefixedObjectType(), compiler.DisallowImportFlag(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return flat.ObjectDefinitions
}

// TestEveryPermissionIsDocumented checks that each permission has a comment of one sentence, which the API shows.
func TestEveryPermissionIsDocumented(t *testing.T) {
	for _, definition := range definitions(t) {
		if definition.Doc == "" {
			t.Errorf("%s is not documented", definition.Type)
		}
		for _, p := range definition.Permissions {
			first, _ := utf8.DecodeRuneInString(p.Doc)
			if !unicode.IsUpper(first) || !strings.HasSuffix(p.Doc, ".") || strings.Contains(p.Doc, ". ") {
				t.Errorf("%s, %s: %q is not one sentence", definition.Type, p.Name, p.Doc)
			}
		}
	}
}

// TestNothingIsExcluded checks that an additional relationship never removes a permission. Operations rely on that.
func TestNothingIsExcluded(t *testing.T) {
	var check func(where string, rewrite *core.UsersetRewrite)
	check = func(where string, rewrite *core.UsersetRewrite) {
		if rewrite.GetExclusion() != nil {
			t.Errorf("%s has an exclusion", where)
		}
		for _, operation := range []*core.SetOperation{
			rewrite.GetUnion(), rewrite.GetIntersection(), rewrite.GetExclusion(),
		} {
			for _, child := range operation.GetChild() {
				if all := child.GetFunctionedTupleToUserset(); all.GetFunction() == core.FunctionedTupleToUserset_FUNCTION_ALL {
					t.Errorf("%s has an all(…), which excludes too", where)
				}
				if nested := child.GetUsersetRewrite(); nested != nil {
					check(where, nested)
				}
			}
		}
	}
	for _, definition := range compiled(t) {
		for _, relation := range definition.GetRelation() {
			check(definition.GetName()+"#"+relation.GetName(), relation.GetUsersetRewrite())
		}
	}
}

// TestRoleSetsAreInTheSchema checks that every role, role set and feature of the domain is a relation.
func TestRoleSetsAreInTheSchema(t *testing.T) {
	relations := map[authz.Type][]authz.Relation{}
	for _, definition := range definitions(t) {
		relations[definition.Type] = definition.Relations
	}
	want := func(on authz.Type, relation authz.Relation) {
		if !slices.Contains(relations[on], relation) {
			t.Errorf("%s has no relation %s", on, relation)
		}
	}
	for _, set := range authz.RoleSets {
		for _, role := range set.Names() {
			want(set.On, authz.Relation(role))
		}
		if set.Name != authz.PlatformSet {
			want(set.On, authz.Relation(set.Name))
		}
	}
	for _, feature := range authz.Features {
		want("subscription", authz.Relation(feature))
	}
}

// TestExpiration checks that exactly the roles of accounts that are not required roles accept an expiration.
func TestExpiration(t *testing.T) {
	expiring := map[string]bool{}
	for _, definition := range compiled(t) {
		for _, relation := range definition.GetRelation() {
			for _, allowed := range relation.GetTypeInformation().GetAllowedDirectRelations() {
				if allowed.GetRequiredExpiration() != nil {
					expiring[definition.GetName()+"#"+relation.GetName()] = true
				}
			}
		}
	}
	for _, set := range authz.RoleSets {
		for _, role := range set.Names() {
			name := string(set.On) + "#" + string(role)
			want := set.On == "account" && role != authz.RoleOwner && role != authz.RoleAdministrator
			if expiring[name] != want {
				t.Errorf("%s can expire: %t, want %t", name, expiring[name], want)
			}
			if want && set.Required == role {
				t.Errorf("%s is a required role and can expire", name)
			}
		}
	}
}

// TestEveryTypeIsReservedInIDs checks that no id may begin with a type of the schema.
func TestEveryTypeIsReservedInIDs(t *testing.T) {
	for _, definition := range definitions(t) {
		if _, err := authz.ParseID(string(definition.Type) + ":x"); err == nil {
			t.Errorf("the id %s:x is valid", definition.Type)
		}
	}
}
