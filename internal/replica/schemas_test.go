package replica_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// traits selects the constructs of a random schema. A schema with few constructs tests each of them alone, and the
// replica answers more questions about such a schema.
type traits struct {
	wildcards, usersets, expiration, caveats, recursion, subtraction, all, self bool
}

func randomTraits(r *rand.Rand) traits {
	half := func() bool { return r.IntN(2) == 0 }
	third := func() bool { return r.IntN(3) == 0 }
	return traits{
		wildcards: third(), usersets: half(), expiration: half(), caveats: third(),
		recursion: half(), subtraction: half(), all: third(), self: r.IntN(8) == 0,
	}
}

// model is a random schema, as the generator represents it.
type model struct {
	traits      traits
	definitions []*definition
}

type definition struct {
	name        authz.Type
	relations   []*relation
	permissions []*permission
}

type relation struct {
	name    authz.Relation
	allowed []allowed
}

// allowed is one kind of subject of a relation.
type allowed struct {
	typ      authz.Type
	relation string
	wildcard bool
	caveat   string
	expires  bool
}

type permission struct {
	name       string
	expression string
}

const caveatsText = `
caveat below(limit int, amount int) {
	amount < limit
}

caveat on_day(day string, today string) {
	day == today
}
`

// Several definitions have the same names, so that an arrow can continue from each type.
var (
	plainTypes      = []authz.Type{"user", "robot"}
	objectTypes     = []authz.Type{"team", "folder", "paper"}
	relationNames   = []authz.Relation{"owner", "viewer", "parent", "banned"}
	permissionNames = []string{"view", "edit", "share", "audit"}
)

// randomModel returns a schema that SpiceDB accepts in most cases. The generator does not know SpiceDB's rules about
// wildcards behind usersets and about circles.
func randomModel(r *rand.Rand, t traits) *model {
	m := &model{traits: t}
	for _, name := range plainTypes {
		m.definitions = append(m.definitions, &definition{name: name})
	}
	for _, name := range objectTypes[:1+r.IntN(len(objectTypes))] {
		m.definitions = append(m.definitions, &definition{name: name})
	}
	for _, d := range m.objects() {
		for _, name := range relationNames[:3+r.IntN(len(relationNames)-2)] {
			d.relations = append(d.relations, &relation{name: name})
		}
	}
	for i, d := range m.objects() {
		for _, rel := range d.relations {
			rel.allowed = m.randomSubjects(r, i, rel)
		}
	}
	m.randomPermissions(r)
	return m
}

// randomPermissions replaces the permissions of each definition.
func (m *model) randomPermissions(r *rand.Rand) {
	for _, d := range m.definitions {
		d.permissions = nil
	}
	for _, d := range m.objects() {
		for _, name := range permissionNames[:1+r.IntN(len(permissionNames))] {
			d.permissions = append(d.permissions, &permission{name: name})
		}
	}
	for _, d := range m.objects() {
		for i, p := range d.permissions {
			p.expression = m.expression(r, d, i, 3)
		}
	}
}

func (m *model) randomSubjects(r *rand.Rand, index int, rel *relation) []allowed {
	var out []allowed
	add := func(a allowed) {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	decorate := func(a allowed) allowed {
		a.expires = m.traits.expiration && r.IntN(3) == 0
		if m.traits.caveats && r.IntN(2) == 0 {
			a.caveat = []string{"below", "on_day"}[r.IntN(2)]
		}
		return a
	}
	if rel.name == "parent" {
		for range 1 + r.IntN(2) {
			add(decorate(allowed{typ: m.someAbove(r, index)}))
		}
		return out
	}
	for range 1 + r.IntN(3) {
		a := allowed{typ: plainTypes[r.IntN(10)/7]}
		switch {
		case m.traits.wildcards && r.IntN(4) == 0:
			a.wildcard = true
		case m.traits.usersets && r.IntN(2) == 0:
			a.typ = m.someAbove(r, index)
			if of := m.definition(a.typ); len(of.relations) > 0 {
				a.relation = []string{"owner", "viewer", permissionNames[0]}[r.IntN(3)]
			}
		case r.IntN(10) == 0:
			a.typ = m.someAbove(r, index)
		}
		add(decorate(a))
	}
	return out
}

// someAbove returns a type that objects of the definition may refer to: an earlier type, or any type if the schema may
// be recursive.
func (m *model) someAbove(r *rand.Rand, index int) authz.Type {
	objects := m.objects()
	switch {
	case m.traits.recursion && r.IntN(2) == 0:
		return objects[index].name
	case m.traits.recursion && r.IntN(4) == 0:
		return objects[r.IntN(len(objects))].name
	case index == 0:
		return plainTypes[0]
	default:
		return objects[r.IntN(index)].name
	}
}

// expression returns the expression of a permission. It names only earlier permissions of the definition, since SpiceDB
// rejects circles within one object.
func (m *model) expression(r *rand.Rand, d *definition, permission, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		return m.leaf(r, d, permission)
	}
	operators := []string{"+", "+", "+", "+", "+", "&"}
	if m.traits.subtraction {
		operators = append(operators, "-")
	}
	left, right := m.expression(r, d, permission, depth-1), m.expression(r, d, permission, depth-1)
	text := fmt.Sprintf("%s %s %s", left, operators[r.IntN(len(operators))], right)
	if r.IntN(2) == 0 {
		return "(" + text + ")"
	}
	return text
}

func (m *model) leaf(r *rand.Rand, d *definition, permission int) string {
	switch {
	case r.IntN(20) == 0:
		return "nil"
	case m.traits.self && r.IntN(6) == 0:
		return "self"
	case permission > 0 && r.IntN(4) == 0:
		return d.permissions[r.IntN(permission)].name
	case r.IntN(2) == 0:
		if arrow := m.arrow(r, d); arrow != "" {
			return arrow
		}
	}
	return string(d.relations[r.IntN(len(d.relations))].name)
}

// arrow returns an expression with an arrow over a random relation of the definition. If the relation cannot have an
// arrow, it returns an empty text.
func (m *model) arrow(r *rand.Rand, d *definition) string {
	rel := d.relations[r.IntN(len(d.relations))]
	if len(rel.allowed) == 0 || slices.ContainsFunc(rel.allowed, func(a allowed) bool { return a.wildcard }) {
		return ""
	}
	target := m.definition(rel.allowed[r.IntN(len(rel.allowed))].typ)
	names := target.names()
	if len(names) == 0 {
		return ""
	}
	name := names[r.IntN(len(names))]
	if target == d && !m.traits.recursion {
		return ""
	}
	switch {
	case m.traits.all && r.IntN(2) == 0:
		return fmt.Sprintf("%s.all(%s)", rel.name, name)
	case r.IntN(5) == 0:
		return fmt.Sprintf("%s.any(%s)", rel.name, name)
	default:
		return fmt.Sprintf("%s->%s", rel.name, name)
	}
}

// objects returns the definitions that have relations.
func (m *model) objects() []*definition { return m.definitions[len(plainTypes):] }

func (m *model) definition(name authz.Type) *definition {
	i := slices.IndexFunc(m.definitions, func(d *definition) bool { return d.name == name })
	return m.definitions[i]
}

// names returns the relations and permissions of a definition.
func (d *definition) names() []string {
	var out []string
	for _, rel := range d.relations {
		out = append(out, string(rel.name))
	}
	for _, p := range d.permissions {
		out = append(out, p.name)
	}
	return out
}

// String returns the schema in SpiceDB's language.
func (m *model) String() string {
	var b strings.Builder
	if m.traits.self {
		b.WriteString("use self\n")
	}
	if m.traits.expiration {
		b.WriteString("use expiration\n")
	}
	if m.traits.caveats {
		b.WriteString(caveatsText)
	}
	for _, d := range m.definitions {
		fmt.Fprintf(&b, "\ndefinition %s {\n", d.name)
		for _, rel := range d.relations {
			kinds := make([]string, len(rel.allowed))
			for i, a := range rel.allowed {
				kinds[i] = a.String()
			}
			fmt.Fprintf(&b, "\trelation %s: %s\n", rel.name, strings.Join(kinds, " | "))
		}
		for _, p := range d.permissions {
			fmt.Fprintf(&b, "\tpermission %s = %s\n", p.name, p.expression)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func (a allowed) String() string {
	text := string(a.typ)
	switch {
	case a.wildcard:
		text += ":*"
	case a.relation != "":
		text += "#" + a.relation
	}
	switch {
	case a.caveat != "" && a.expires:
		return text + " with " + a.caveat + " and expiration"
	case a.caveat != "":
		return text + " with " + a.caveat
	case a.expires:
		return text + " with expiration"
	}
	return text
}

// permissions returns the permissions of every definition, for restore.
func (m *model) permissions() [][]*permission {
	var out [][]*permission
	for _, d := range m.objects() {
		out = append(out, d.permissions)
	}
	return out
}

func (m *model) restore(permissions [][]*permission) {
	for i, d := range m.objects() {
		d.permissions = permissions[i]
	}
}
