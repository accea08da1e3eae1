package apikey

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Scopes is the set of scopes of a key.
type Scopes uint8

// The scopes say what a client with the key may do:
//   - Check: ask for decisions.
//   - Operate: perform operations on behalf of any actor.
//   - Provision: perform the operations of the backend itself, which have no actor.
//   - Inspect: read stored data.
//   - Write: write relationships of types that are not the product's.
const (
	Check Scopes = 1 << iota
	Operate
	Provision
	Inspect
	Write

	AllScopes = Check | Operate | Provision | Inspect | Write
)

var scopeNames = []struct {
	scope Scopes
	name  string
}{
	{Check, "check"}, {Operate, "operate"}, {Provision, "provision"}, {Inspect, "inspect"}, {Write, "write"},
}

// String returns the names of the scopes, joined by '+'.
func (s Scopes) String() string { return strings.Join(s.Names(), "+") }

// Names returns the names of the scopes.
func (s Scopes) Names() []string {
	var names []string
	for _, n := range scopeNames {
		if s&n.scope != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// Any reports whether the set has one of the wanted scopes.
func (s Scopes) Any(wanted Scopes) bool { return s&wanted != 0 }

// scopeOf returns the scope with a name, or 0 if there is none.
func scopeOf(name string) Scopes {
	for _, n := range scopeNames {
		if n.name == name {
			return n.scope
		}
	}
	return 0
}

// writePrefix begins the name write:TYPE, which limits the scope Write to a type.
const writePrefix = "write:"

// ParseScopes parses names of scopes that are joined by '+'. The name write:TYPE limits the scope Write to a type;
// types has these types, sorted. If types is empty, Write has no such limit. The error lists the valid names. The
// text may be a key in the wrong field, so the error quotes nothing of it except types of the product.
func ParseScopes(text string) (scopes Scopes, types []authz.Type, err error) {
	for name := range strings.SplitSeq(text, "+") {
		limit, isLimited := strings.CutPrefix(name, writePrefix)
		if !isLimited {
			scope := scopeOf(name)
			if scope == 0 {
				return 0, nil, fmt.Errorf(
					"the scopes of a key must be names joined by '+'; the names are %s, and write:TYPE",
					strings.Join(AllScopes.Names(), ", "),
				)
			}
			scopes |= scope
			continue
		}
		typ, err := parseWriteType(limit)
		if err != nil {
			return 0, nil, err
		}
		types = append(types, typ)
	}
	if len(types) == 0 {
		return scopes, nil, nil
	}
	if scopes.Any(Write) {
		return 0, nil, errors.New(
			"a key has either write, for all types of your own, or write:TYPE for each type that it may write",
		)
	}
	slices.Sort(types)
	return scopes | Write, slices.Compact(types), nil
}

// parseWriteType parses the type of a scope write:TYPE. It returns an error for a type of the product.
func parseWriteType(text string) (authz.Type, error) {
	typ, err := authz.ParseType(text)
	if err != nil {
		return "", errors.New("the scope write:TYPE, for example write:dashboard, needs the name of a type: 3 to 64 " +
			"characters of a-z, 0-9 and _, beginning with a letter")
	}
	if authz.IsProductType(typ) {
		return "", fmt.Errorf("the scope write:%s names a type of the product, and only the product's operations write its "+
			"relationships; write:TYPE is for types of your own", typ)
	}
	return typ, nil
}
