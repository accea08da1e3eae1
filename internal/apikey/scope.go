package apikey

import (
	"fmt"
	"strings"
)

// Scopes is the set of scopes of a key.
type Scopes uint8

// The scopes. Check decides; Operate performs operations on behalf of any actor; Provision performs operations of the
// backend itself; Inspect reads stored data.
const (
	Check Scopes = 1 << iota
	Operate
	Provision
	Inspect

	AllScopes = Check | Operate | Provision | Inspect
)

var scopeNames = []struct {
	scope Scopes
	name  string
}{
	{Check, "check"}, {Operate, "operate"}, {Provision, "provision"}, {Inspect, "inspect"},
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

// ParseScopes parses names of scopes joined by '+'. The error lists the valid names but nothing of the text, which may
// contain a misplaced key.
func ParseScopes(text string) (Scopes, error) {
	var scopes Scopes
names:
	for name := range strings.SplitSeq(text, "+") {
		for _, n := range scopeNames {
			if n.name == name {
				scopes |= n.scope
				continue names
			}
		}
		return 0, fmt.Errorf(
			"the scopes of a key must be names joined by '+'; the names are %s", strings.Join(AllScopes.Names(), ", "),
		)
	}
	return scopes, nil
}
