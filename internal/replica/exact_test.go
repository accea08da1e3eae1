package replica

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// leftToSpiceDB returns every question about a permission or relation of a schema that the replica does not answer
// itself. It tries checks and look-ups, for objects of every type as subject.
func leftToSpiceDB(t *testing.T, text string) (left []string) {
	t.Helper()
	definitions, err := schema.Describe(text)
	require.NoError(t, err)
	plans, err := newPlans(text)
	require.NoError(t, err)
	s := &state{store: newStore(), version: 1, plans: plans}
	for _, d := range definitions {
		var names []authz.Permission
		for _, p := range d.Permissions {
			names = append(names, p.Name)
		}
		for _, r := range d.Relations {
			names = append(names, authz.Permission(r))
			for _, accepted := range d.Accepts[r] {
				if accepted.Caveat != "" {
					left = append(left, string(d.Type)+"#"+string(r)+" for relationships with the caveat "+accepted.Caveat)
				}
			}
		}
		for _, name := range names {
			for _, of := range definitions {
				for question, why := range reasons(t, s, authz.Object{Type: d.Type, ID: "a"}, name, of.Type) {
					if why != "" {
						left = append(left, string(d.Type)+"#"+string(name)+" for "+string(of.Type)+", "+question+": "+why)
					}
				}
			}
		}
	}
	return left
}

// reasons returns, for each kind of question about a permission, why the replica does not answer it.
func reasons(
	t *testing.T, s *state, resource authz.Object, permission authz.Permission, of authz.Type,
) map[string]string {
	t.Helper()
	subject := authz.Subject{Object: authz.Object{Type: of, ID: "b"}}
	_, check := s.check(
		t.Context(), authz.Check{Subject: subject, Permission: permission, Resource: resource}, time.Now(),
	)
	_, resources := s.resources(
		t.Context(), authz.ResourceQuery{Subject: subject, Permission: permission, Type: resource.Type}, time.Now(),
	)
	_, subjects := s.subjects(
		t.Context(), authz.SubjectQuery{Resource: resource, Permission: permission, Type: of}, time.Now(),
	)
	return map[string]string{"check": check, "resources": resources, "subjects": subjects}
}

// TestProductPermissionsAreExact checks that the replica answers every question about the product's permissions. A
// change of the schema must not create a permission that exact leaves to SpiceDB.
func TestProductPermissionsAreExact(t *testing.T) {
	t.Parallel()
	text, err := schema.Flatten()
	require.NoError(t, err)
	require.Empty(t, leftToSpiceDB(t, text))
}

// TestInexactPermissionsAreFound checks that leftToSpiceDB finds each kind of permission that the replica leaves to
// SpiceDB, within the product's schema.
func TestInexactPermissionsAreFound(t *testing.T) {
	t.Parallel()
	text, err := schema.Flatten()
	require.NoError(t, err)
	for name, added := range map[string]string{
		"connection_group#found": "relation parent: connection_group\n" +
			"permission found = account->view & parent->found",
		"connection_group#read": "relation parent: connection_group\nrelation reader: account#view\n" +
			"permission read = parent->reader",
		"connection_group#reader for relationships with the caveat early": "relation reader: user with early",
	} {
		const definition = "definition connection_group {"
		require.Contains(t, text, definition)
		changed := strings.Replace(text, definition, "caveat early(hour int) {\n\thour < 8\n}\n"+definition+"\n"+added, 1)
		require.Contains(t, strings.Join(leftToSpiceDB(t, changed), "\n"), name)
	}
}
