package replica

// relationID is the number of a relation of a type, or noRelation.
type relationID uint16

// typeID is the number of a type.
type typeID uint16

// names maps the types and relations of a schema to short numbers. Only writes add to it.
type names struct {
	types     map[string]typeID
	relations map[relationName]relationID
	typeNames []string
	names     []relationName
}

type relationName struct{ typ, relation string }

// noRelation is the number for a subject without a relation: SpiceDB's "...".
const noRelation relationID = 0

func newNames() names {
	return names{
		types:     make(map[string]typeID),
		relations: make(map[relationName]relationID),
		typeNames: []string{""},
		names:     []relationName{{}},
	}
}

func (n *names) typ(name string) typeID {
	id, ok := n.types[name]
	if !ok {
		id = typeID(len(n.typeNames)) //nolint:gosec // a schema has fewer types
		n.typeNames = append(n.typeNames, name)
		n.types[name] = id
	}
	return id
}

func (n *names) relation(typ, name string) relationID {
	key := relationName{typ, name}
	id, ok := n.relations[key]
	if !ok {
		id = relationID(len(n.names)) //nolint:gosec // a schema has fewer relations
		n.names = append(n.names, key)
		n.relations[key] = id
	}
	return id
}
