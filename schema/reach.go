package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	core "github.com/authzed/spicedb/pkg/proto/core/v1"
	"github.com/authzed/spicedb/pkg/schemadsl/compiler"
	"github.com/authzed/spicedb/pkg/tuple"
)

// reach is a relation or permission of a type.
type reach struct{ on, name string }

// graph finds the relations and caveats that a check of a relation or permission may evaluate.
type graph struct {
	relations map[reach]*core.Relation
	caveats   map[string]*core.CaveatDefinition
}

func newGraph(compiled *compiler.CompiledSchema) graph {
	g := graph{relations: make(map[reach]*core.Relation), caveats: make(map[string]*core.CaveatDefinition)}
	for _, definition := range compiled.ObjectDefinitions {
		for _, relation := range definition.GetRelation() {
			g.relations[reach{definition.GetName(), relation.GetName()}] = relation
		}
	}
	for _, caveat := range compiled.CaveatDefinitions {
		g.caveats[caveat.GetName()] = caveat
	}
	return g
}

// arrow is an expression relation->name.
type arrow struct{ relation, name string }

// expression walks over a permission's expression. It calls the function "name" for each relation or permission in
// the expression, and the function "follow" for each arrow.
func expression(rewrite *core.UsersetRewrite, name func(string), follow func(arrow)) {
	for _, operation := range []*core.SetOperation{rewrite.GetUnion(), rewrite.GetIntersection(), rewrite.GetExclusion()} {
		for _, child := range operation.GetChild() {
			if computed := child.GetComputedUserset(); computed != nil {
				name(computed.GetRelation())
			}
			if plain := child.GetTupleToUserset(); plain != nil {
				follow(arrow{plain.GetTupleset().GetRelation(), plain.GetComputedUserset().GetRelation()})
			}
			if function := child.GetFunctionedTupleToUserset(); function != nil {
				follow(arrow{function.GetTupleset().GetRelation(), function.GetComputedUserset().GetRelation()})
			}
			if nested := child.GetUsersetRewrite(); nested != nil {
				expression(nested, name, follow)
			}
		}
	}
}

// reachable lists the caveats that a check of a relation or permission may evaluate, sorted by name.
func (g graph) reachable(from reach) []string {
	caveats := make(map[string]bool)
	for at := range g.closure(from) {
		for _, allowed := range g.relations[at].GetTypeInformation().GetAllowedDirectRelations() {
			if caveat := allowed.GetRequiredCaveat().GetCaveatName(); caveat != "" {
				caveats[caveat] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(caveats))
}

// closure returns every relation and permission that a check of the relation or permission "from" may evaluate. The
// result includes "from".
func (g graph) closure(from reach) map[reach]bool {
	seen := make(map[reach]bool)
	var walk func(reach)
	walk = func(at reach) {
		relation, exists := g.relations[at]
		if !exists || seen[at] {
			return
		}
		seen[at] = true
		for _, allowed := range relation.GetTypeInformation().GetAllowedDirectRelations() {
			if subject := allowed.GetRelation(); subject != "" && subject != tuple.Ellipsis {
				walk(reach{allowed.GetNamespace(), subject})
			}
		}
		expression(relation.GetUsersetRewrite(),
			func(name string) { walk(reach{at.on, name}) },
			func(a arrow) {
				walk(reach{at.on, a.relation}) // its relationships may have caveats too
				for _, on := range g.subjects(reach{at.on, a.relation}) {
					walk(reach{on, a.name})
				}
			})
	}
	walk(from)
	return seen
}

// subjects lists the types of the subjects that a relation accepts, except those that it accepts only as a wildcard.
func (g graph) subjects(relation reach) (types []string) {
	for _, allowed := range g.relations[relation].GetTypeInformation().GetAllowedDirectRelations() {
		if allowed.GetPublicWildcard() == nil && !slices.Contains(types, allowed.GetNamespace()) {
			types = append(types, allowed.GetNamespace())
		}
	}
	return types
}

// checkParameters returns an error if one check may evaluate two caveats that have a parameter of the same name, but
// with different types. A check has only one context, so the value in it could fit only one of the two caveats.
func (g graph) checkParameters(definitions []*core.NamespaceDefinition) error {
	for _, definition := range definitions {
		for _, relation := range definition.GetRelation() {
			first := map[string]string{} // maps each parameter to the first caveat that declares it
			for _, caveat := range g.reachable(reach{definition.GetName(), relation.GetName()}) {
				parameters := g.caveats[caveat].GetParameterTypes()
				for _, name := range slices.Sorted(maps.Keys(parameters)) {
					other, known := first[name]
					if !known {
						first[name] = caveat
						continue
					}
					one, two := typeName(g.caveats[other].GetParameterTypes()[name]), typeName(parameters[name])
					if one != two {
						return fmt.Errorf(
							"definition %s: %s may depend on caveat %s, whose parameter %s is %s, and on caveat %s, whose %s is %s: "+
								"rename one of the parameters",
							definition.GetName(), relation.GetName(), other, name, one, caveat, name, two)
					}
				}
			}
		}
	}
	return nil
}

// typeName returns the type of a caveat's parameter as the schema writes it, for example list<int>.
func typeName(reference *core.CaveatTypeReference) string {
	var inner []string
	for _, child := range reference.GetChildTypes() {
		inner = append(inner, typeName(child))
	}
	if len(inner) == 0 {
		return reference.GetTypeName()
	}
	return reference.GetTypeName() + "<" + strings.Join(inner, ", ") + ">"
}

// warnings returns a warning for each arrow that leads to a type without the relation or permission that the arrow
// names. SpiceDB accepts such an arrow, but it grants nothing through this type.
func (g graph) warnings(definitions []*core.NamespaceDefinition) (warnings []string) {
	for _, definition := range definitions {
		for _, relation := range definition.GetRelation() {
			expression(relation.GetUsersetRewrite(), func(string) {}, func(a arrow) {
				for _, on := range g.subjects(reach{definition.GetName(), a.relation}) {
					if _, exists := g.relations[reach{on, a.name}]; !exists {
						warnings = append(warnings, fmt.Sprintf(
							"definition %s, permission %s: %s->%s grants nothing through %s, which has no permission or relation %s",
							definition.GetName(), relation.GetName(), a.relation, a.name, on, a.name))
					}
				}
			})
		}
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}
