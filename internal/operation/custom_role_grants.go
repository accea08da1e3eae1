package operation

import (
	"fmt"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/similar"
)

// parseGrants parses the permissions that a custom role of an account or subscription is to grant, for example
// importer.run. It returns each once, in the order of authz.Grantable. The error has CodeInvalid and names the nearest
// permissions.
func parseGrants(names []string, scope authz.Type) ([]authz.Grant, error) {
	wanted := make(map[string]bool, len(names))
	known := make(map[string]authz.Grant, len(authz.Grantable))
	var accepted []string
	for _, grant := range authz.Grantable {
		known[grant.String()] = grant
		if problemOfScope(grant, scope) == "" {
			accepted = append(accepted, grant.String())
		}
	}
	for i, name := range names {
		grant, ok := known[name]
		if !ok {
			return nil, authz.Errorf(authz.CodeInvalid, "grants[%d]: custom roles cannot grant %q%s", i, name,
				similar.Hint(name, accepted))
		}
		if problem := problemOfScope(grant, scope); problem != "" {
			return nil, authz.Errorf(authz.CodeInvalid, "grants[%d]: %s", i, problem)
		}
		wanted[name] = true
	}
	grants := []authz.Grant{}
	for _, grant := range authz.Grantable {
		if wanted[grant.String()] {
			grants = append(grants, grant)
		}
	}
	return grants, nil
}

// problemOfScope says why a role of an object of the type cannot grant a permission. It returns "" if the role can.
func problemOfScope(grant authz.Grant, scope authz.Type) string {
	if grant.Type == "subscription" && scope == "account" {
		return fmt.Sprintf("a role of an account cannot grant %s; only a role of the subscription can", grant)
	}
	return ""
}

// inScope returns the grants that a role of an object of the type can have.
func inScope(grants []authz.Grant, scope authz.Type) []authz.Grant {
	return slices.DeleteFunc(slices.Clone(grants), func(g authz.Grant) bool { return problemOfScope(g, scope) != "" })
}
