package replica

import (
	"slices"
	"sync"

	"github.com/authzed/spicedb/pkg/query"
	"github.com/authzed/spicedb/pkg/schema/v2"

	product "github.com/sluice-authz/sluice/schema"
)

// plans are the plans of one schema. Each is compiled on first use.
type plans struct {
	schema *schema.Schema
	text   string
	made   sync.Map // planKey to *plan
}

type planKey struct{ typ, permission string }

// plan evaluates a permission for subjects that are not usersets.
type plan struct {
	exact     bool // the planner decides as SpiceDB does; otherwise the other fields are not set
	recursive bool // the permission refers to itself
	excludes  bool // the permission contains an exclusion

	check     query.Iterator   // decides checks
	subjects  query.Iterator   // finds subjects
	resources []query.Iterator // each finds some of the resources
}

func newPlans(text string) (*plans, error) {
	compiled, err := product.Compiled(text)
	if err != nil {
		return nil, err
	}
	built, err := schema.BuildSchemaFromCompiledSchema(*compiled)
	if err != nil {
		return nil, err
	}
	return &plans{schema: built, text: text}, nil
}

// has reports whether the schema has a type.
func (p *plans) has(typ string) bool {
	_, ok := p.schema.GetTypeDefinition(typ)
	return ok
}

// answersFor reports whether the plan decides as SpiceDB does for subjects of a type. In a recursive permission, the
// planner confuses an object (team:t) with usersets of the object (team:t#member).
func (p *plans) answersFor(plan *plan, typ string) bool {
	if !plan.recursive {
		return true
	}
	definition, ok := p.schema.GetTypeDefinition(typ)
	return ok && len(definition.Relations()) == 0 && len(definition.Permissions()) == 0
}

// of returns the plan for a permission or relation of a type. It returns nil if the schema has no such permission or
// relation, or if the planner does not support it.
func (p *plans) of(typ, permission string) *plan {
	key := planKey{typ, permission}
	if made, ok := p.made.Load(key); ok {
		return made.(*plan) //nolint:errcheck,forcetypeassert // made has values of no other type
	}
	if !p.names(typ, permission) {
		return nil // unknown names come from callers and are not cached
	}
	made, _ := p.made.LoadOrStore(key, p.build(typ, permission))
	return made.(*plan) //nolint:errcheck,forcetypeassert // made has values of no other type
}

func (p *plans) names(typ, permission string) bool {
	definition, ok := p.schema.GetTypeDefinition(typ)
	if !ok {
		return false
	}
	_, isRelation := definition.GetRelation(permission)
	_, isPermission := definition.GetPermission(permission)
	return isRelation || isPermission
}

func (p *plans) build(typ, permission string) *plan {
	outline, err := query.BuildOutlineFromSchema(p.schema, typ, permission)
	if err != nil {
		return nil
	}
	simple, err := query.WalkOutlineBottomUp(outline.Root, simplify)
	if err != nil {
		return nil
	}
	if outline, err = query.CanonicalizeOutline(simple); err != nil {
		return nil
	}
	if !exact(outline.Root) {
		return &plan{}
	}
	made := &plan{exact: true}
	err = query.WalkOutlinePreOrder(outline.Root, func(o query.Outline) error {
		made.recursive = made.recursive || o.Type == query.RecursiveIteratorType
		made.excludes = made.excludes || o.Type == query.ExclusionIteratorType
		return nil
	})
	if err == nil {
		if !made.recursive {
			outline.Root = query.MutateOutline(outline.Root, []query.OutlineMutation{withoutSets})
		}
		err = made.compile(outline)
	}
	if err != nil {
		return nil
	}
	return made
}

// compile creates the iterators of a plan. Each iterator uses the form of the outline that is fastest for its purpose.
func (p *plan) compile(outline query.CanonicalOutline) error {
	var err error
	if p.subjects, err = outline.Compile(); err != nil {
		return err
	}
	ordered := query.MutateOutline(outline.Root, []query.OutlineMutation{shortestFirst})
	for _, part := range parts(ordered) {
		iterator, err := compileLookUp(part, outline.CanonicalKeys)
		if err != nil {
			return err
		}
		p.resources = append(p.resources, iterator)
	}
	p.check, err = compile(query.MutateOutline(ordered, []query.OutlineMutation{unnamed}), outline.CanonicalKeys)
	return err
}

// shortestFirst sorts the parts of a union or an intersection by size, since evaluation often stops after the first.
func shortestFirst(o query.Outline) query.Outline {
	if o.Type == query.UnionIteratorType || o.Type == query.IntersectionIteratorType {
		slices.SortStableFunc(o.SubOutlines, func(a, b query.Outline) int { return size(a) - size(b) })
	}
	return o
}

func size(o query.Outline) int {
	n := 1
	for _, sub := range o.SubOutlines {
		n += size(sub)
	}
	return n
}

// unnamed removes the nodes of an outline that only contain the name of a permission or relation. Only usersets such as
// group:g#member need these names. Plans have no userset as subject, so their evaluation does not need them.
func unnamed(o query.Outline) query.Outline {
	if o.Type == query.AliasIteratorType {
		return o.SubOutlines[0]
	}
	return o
}

// parts returns the parts of a permission that is a union.
func parts(o query.Outline) []query.Outline {
	switch o.Type {
	case query.AliasIteratorType:
		return parts(o.SubOutlines[0])
	case query.UnionIteratorType:
		var all []query.Outline
		for _, sub := range o.SubOutlines {
			all = append(all, parts(sub)...)
		}
		return all
	default:
		return []query.Outline{o}
	}
}

// simplify removes the parts of an outline that the reader makes unnecessary. The reader returns neither expired
// relationships nor relationships with a caveat. So the plan need not evaluate caveats, and it reads a relation only
// once, even if its definition has variants with and without a caveat.
func simplify(o query.Outline) (query.Outline, error) {
	if o.Type == query.CaveatIteratorType {
		return o.SubOutlines[0], nil
	}
	if o.Type != query.UnionIteratorType {
		return o, nil
	}
	seen := make(map[leaf]bool)
	kept := o.SubOutlines[:0:0]
	for _, sub := range o.SubOutlines {
		if sub.Type == query.DatastoreIteratorType {
			key := leafOf(sub.Args.Relation)
			if seen[key] {
				continue
			}
			seen[key] = true
		}
		kept = append(kept, sub)
	}
	o.SubOutlines = kept
	return o, nil
}

// withoutSets removes from a union the parts that only a subject which is a set can match, and repeated arrows. For the
// subjects user | group#member | group#member with expiration, the planner reads the groups four times: twice to find
// the subject among them, and twice to find it in one of them. exact makes sure that an arrow follows each set.
func withoutSets(o query.Outline) query.Outline {
	if o.Type != query.UnionIteratorType {
		return o
	}
	type arrow struct {
		left                 leaf
		definition, relation string
	}
	seen := make(map[arrow]bool)
	o.SubOutlines = slices.DeleteFunc(slices.Clone(o.SubOutlines), func(sub query.Outline) bool {
		if sub.Type == query.DatastoreIteratorType {
			return isSet(sub.Args.Relation)
		}
		if sub.Type != query.ArrowIteratorType || sub.SubOutlines[0].Type != query.DatastoreIteratorType ||
			sub.SubOutlines[1].Type != query.AliasIteratorType {
			return false
		}
		right := sub.SubOutlines[1].Args
		found := arrow{leafOf(sub.SubOutlines[0].Args.Relation), right.DefinitionName, right.RelationName}
		repeated := seen[found]
		seen[found] = true
		return repeated
	})
	return o
}

// leaf identifies the relationships that a node of the outline reads.
type leaf struct {
	definition, relation, subjectType, subjectRelation string
	wildcard                                           bool
}

func leafOf(r *schema.BaseRelation) leaf {
	return leaf{r.DefinitionName(), r.RelationName(), r.Type(), r.Subrelation(), r.Wildcard()}
}
