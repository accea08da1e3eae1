package schema

import (
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// allFlags are the flags that permissions of service accounts depend on. A flag is a relation that stores a yes or
// no. It is stored with two subjects: `user:*` and `service_account:*`. Earlier versions stored only `user:*`. When a
// server starts, app.CompleteFlags adds the missing relationships.
var allFlags = []RelationName{
	{"subscription", "single_owner"},
	{"subscription", "multi_owner"},
	{"account", "team"},
	{"account", "operations"},
	{"account", "analytics"},
	{"connector", "catalogue"},
	{"connector", "capability_views"},
	{"connector", "capability_financial_settings"},
	{"connector", "capability_postgres_database"},
}

// FlagsIn returns the flags of a schema that accept both `user:*` and `service_account:*`. Errors have code
// authz.CodeInvalid.
func FlagsIn(text string) ([]RelationName, error) {
	definitions, err := Describe(text)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(allFlags), func(flag RelationName) bool {
		return !acceptsWildcard(definitions, flag, "user") || !acceptsWildcard(definitions, flag, "service_account")
	}), nil
}

// HasOlderFlags reports whether in a stored schema at least one of the flags accepts only `user:*`. Errors have code
// authz.CodeInvalid.
func HasOlderFlags(stored string, flags []RelationName) (bool, error) {
	definitions, err := Describe(stored)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(flags, func(flag RelationName) bool {
		return acceptsWildcard(definitions, flag, "user") && !acceptsWildcard(definitions, flag, "service_account")
	}), nil
}

func acceptsWildcard(definitions []authz.Definition, flag RelationName, of authz.Type) bool {
	return slices.ContainsFunc(definitions, func(d authz.Definition) bool {
		return d.Type == flag.Type &&
			slices.Contains(d.Accepts[flag.Relation], authz.SubjectType{Type: of, Wildcard: true})
	})
}
