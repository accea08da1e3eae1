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

// TestNothingIsExcluded checks that no permission of the schema has an exclusion or an all(). So an additional
// relationship never removes a permission. Operations rely on that.
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
					t.Errorf("%s has an all(…), with which an additional relationship can remove a permission", where)
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

// TestIntersectionsBeginAtPeople checks that the first operand of each intersection depends on the subject. It must
// not be a flag, which is stored for everybody. A look-up finds the resources of the first operand, and checks the
// other operands on each of them. If the first operand were a flag, the look-up would read the accounts of all
// customers.
func TestIntersectionsBeginAtPeople(t *testing.T) {
	names := relationsByName(t)
	for name, relation := range names {
		on, _, _ := strings.Cut(name, "#")
		var check func(rewrite *core.UsersetRewrite)
		check = func(rewrite *core.UsersetRewrite) {
			for i, child := range children(rewrite) {
				if rewrite.GetIntersection() != nil && i == 0 && !beginsAtSubject(names, on, child) {
					t.Errorf("%s: the first operand of an intersection is a flag", name)
				}
				check(child.GetUsersetRewrite())
			}
		}
		check(relation.GetUsersetRewrite())
	}
}

func relationsByName(t *testing.T) map[string]*core.Relation {
	t.Helper()
	names := make(map[string]*core.Relation)
	for _, definition := range compiled(t) {
		for _, relation := range definition.GetRelation() {
			names[definition.GetName()+"#"+relation.GetName()] = relation
		}
	}
	return names
}

func children(rewrite *core.UsersetRewrite) []*core.SetOperation_Child {
	return append(rewrite.GetUnion().GetChild(), rewrite.GetIntersection().GetChild()...)
}

// beginsAtSubject reports whether a look-up of one operand of a permission reads only relationships that lead to the
// subject, and no flags.
func beginsAtSubject(names map[string]*core.Relation, on string, part *core.SetOperation_Child) bool {
	if nested := part.GetUsersetRewrite(); nested != nil {
		parts := children(nested)
		if nested.GetIntersection() != nil {
			parts = parts[:1]
		}
		return !slices.ContainsFunc(parts, func(one *core.SetOperation_Child) bool {
			return !beginsAtSubject(names, on, one)
		})
	}
	named := func(on, name string) bool {
		relation := names[on+"#"+name]
		if rewrite := relation.GetUsersetRewrite(); rewrite != nil {
			return beginsAtSubject(names, on, &core.SetOperation_Child{
				ChildType: &core.SetOperation_Child_UsersetRewrite{UsersetRewrite: rewrite},
			})
		}
		return !slices.ContainsFunc(relation.GetTypeInformation().GetAllowedDirectRelations(),
			func(allowed *core.AllowedRelation) bool { return allowed.GetPublicWildcard() != nil })
	}
	if arrow := part.GetTupleToUserset(); arrow != nil {
		left := names[on+"#"+arrow.GetTupleset().GetRelation()].GetTypeInformation().GetAllowedDirectRelations()
		return !slices.ContainsFunc(left, func(allowed *core.AllowedRelation) bool {
			return !named(allowed.GetNamespace(), arrow.GetComputedUserset().GetRelation())
		})
	}
	return named(on, part.GetComputedUserset().GetRelation())
}

// TestRoleSetsAreInTheSchema checks that the schema has a relation for every role, role set and feature of package
// authz.
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

// TestExpiration checks which roles accept an expiration: all roles on accounts except the required roles, and no
// others.
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

// TestHoldersOfRoles checks which roles groups and service accounts may hold: all roles except those that are for
// people only. Their roles may have an expiration exactly if the roles of people may.
func TestHoldersOfRoles(t *testing.T) {
	accepts := map[string]map[string]bool{}
	for _, definition := range compiled(t) {
		for _, relation := range definition.GetRelation() {
			kinds := map[string]bool{}
			for _, allowed := range relation.GetTypeInformation().GetAllowedDirectRelations() {
				kind := strings.TrimSuffix(allowed.GetNamespace()+"#"+allowed.GetRelation(), "#...")
				if allowed.GetRequiredExpiration() != nil {
					kind += " with expiration"
				}
				kinds[kind] = true
			}
			accepts[definition.GetName()+"#"+relation.GetName()] = kinds
		}
	}
	for _, set := range authz.RoleSets {
		for _, role := range set.Names() {
			name := string(set.On) + "#" + string(role)
			for _, ending := range []string{"", " with expiration"} {
				for _, holder := range []string{"group#member", "service_account"} {
					want := accepts[name]["user"+ending] && !set.IsForPeopleOnly(role)
					if accepts[name][holder+ending] != want {
						t.Errorf("%s accepts %s: %t, want %t", name, holder+ending, !want, want)
					}
				}
			}
		}
	}
}

// TestEveryTypeIsReservedInIDs checks that no id may begin with a type of the schema and a colon.
func TestEveryTypeIsReservedInIDs(t *testing.T) {
	for _, definition := range definitions(t) {
		if _, err := authz.ParseID(string(definition.Type) + ":x"); err == nil {
			t.Errorf("the id %s:x is valid", definition.Type)
		}
	}
}
