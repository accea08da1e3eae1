package preview

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestPreviewComparesOnlyPermissionsThatCanChange checks that a preview compares only permissions that depend on an
// updated relation.
func TestPreviewComparesOnlyPermissionsThatCanChange(t *testing.T) {
	p := &Previewer{
		Depends: func(on authz.Type, permission authz.Permission, of authz.Type, relation authz.Relation) bool {
			return of == "account" && relation == "guest" && (on == "account" && permission == "view" || on == "importer")
		},
	}
	definitions := []authz.Definition{
		{Type: "account", Permissions: []authz.PermissionInfo{{Name: "view"}, {Name: "delete"}}},
		{Type: "importer", Permissions: []authz.PermissionInfo{{Name: "view"}, {Name: "as_viewer", Internal: true}}},
	}
	account, importer := authz.Object{Type: "account", ID: "a"}, authz.Object{Type: "importer", ID: "i"}
	update := func(relation authz.Relation) []authz.Update {
		return []authz.Update{{Relationship: authz.Relationship{Resource: account, Relation: relation}}}
	}
	asked := p.questions(definitions, []authz.Object{account, importer}, update("guest"))
	require.Equal(t, []question{{account, "view"}, {importer, "view"}}, asked)
	asked = p.questions(definitions, []authz.Object{account, importer}, update("owner"))
	require.Empty(t, asked)
}
