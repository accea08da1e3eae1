package httpapi

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// TestInternalTypesAreThoseOfTheSchema asserts that internalTypes has every definition of the product on which nobody
// has a permission. The exceptions are users, and groups of connections, which operations only refer to.
func TestInternalTypesAreThoseOfTheSchema(t *testing.T) {
	text, err := schema.Flatten()
	require.NoError(t, err)
	definitions, err := schema.Describe(text)
	require.NoError(t, err)
	var internal []authz.Type
	for _, definition := range definitions {
		if len(definition.Permissions) == 0 && definition.Type != "user" && definition.Type != "connection_group" {
			internal = append(internal, definition.Type)
		}
	}
	slices.Sort(internal)
	listed := slices.Clone(internalTypes)
	slices.Sort(listed)
	require.Equal(t, internal, listed)
}
