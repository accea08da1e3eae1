package schema

import (
	"github.com/authzed/spicedb/pkg/schemadsl/compiler"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Dependencies lists, for each relation and permission of a schema, the relations that a check of it may read.
type Dependencies map[Name]map[Name]bool

func dependencies(compiled *compiler.CompiledSchema) Dependencies {
	g := newGraph(compiled)
	all := make(Dependencies, len(g.relations))
	for from := range g.relations {
		relations := make(map[Name]bool)
		for at := range g.closure(from) {
			if g.relations[at].GetUsersetRewrite() == nil {
				relations[at.nameOf()] = true
			}
		}
		all[from.nameOf()] = relations
	}
	return all
}

func (r reach) nameOf() Name { return Name{authz.Type(r.on), authz.Permission(r.name)} }

// Has reports whether a check of a permission may read a relation. The parameter "on" is the type that declares the
// permission, and "of" is the type that declares the relation.
func (d Dependencies) Has(on authz.Type, permission authz.Permission, of authz.Type, relation authz.Relation) bool {
	return d[Name{on, permission}][Name{of, authz.Permission(relation)}]
}
