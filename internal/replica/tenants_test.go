package replica

import (
	"fmt"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/query"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// tenants returns the relationships of some tenants. Each tenant has one object of every type. Each object has every
// relationship to objects of the same tenant that the schema allows.
func tenants(definitions []authz.Definition, count int) (all []*v1.Relationship) {
	for i := range count {
		name := fmt.Sprint("t", i)
		for _, d := range definitions {
			for _, relation := range d.Relations {
				for _, accepted := range d.Accepts[relation] {
					subject := name
					if accepted.Wildcard {
						subject = "*"
					}
					all = append(all, &v1.Relationship{
						Resource: &v1.ObjectReference{ObjectType: string(d.Type), ObjectId: name}, Relation: string(relation),
						Subject: &v1.SubjectReference{
							Object:           &v1.ObjectReference{ObjectType: string(accepted.Type), ObjectId: subject},
							OptionalRelation: string(accepted.Relation),
						},
					})
				}
			}
		}
	}
	return all
}

// TestLookUpsReadNoOtherTenant looks up the resources of each of the product's permissions, for subjects of every type.
// A look-up must not read relationships of other tenants, unless the permission itself is for everybody.
func TestLookUpsReadNoOtherTenant(t *testing.T) {
	t.Parallel()
	text, err := schema.Flatten()
	require.NoError(t, err)
	definitions, err := schema.Describe(text)
	require.NoError(t, err)
	plans, err := newPlans(text)
	require.NoError(t, err)
	states := make(map[int]*state)
	for _, count := range []int{1, 30} {
		states[count] = &state{store: newStore(), version: 1, plans: plans}
		states[count].store.touch(tenants(definitions, count), 1)
	}
	found := 0
	var forEverybody []string
	for _, d := range definitions {
		for _, permission := range d.Permissions {
			name := string(d.Type) + "#" + string(permission.Name)
			outline, err := query.BuildOutlineFromSchema(plans.schema, string(d.Type), string(permission.Name))
			require.NoError(t, err)
			if reach(outline.Root) >= perWildcard {
				forEverybody = append(forEverybody, name)
				continue
			}
			for _, of := range definitions {
				q := authz.ResourceQuery{
					Subject: authz.Subject{Object: authz.Object{Type: of.Type, ID: "t0"}}, Permission: permission.Name, Type: d.Type,
				}
				alone, reads := lookUp(t, states[1], q)
				among, readsAmong := lookUp(t, states[30], q)
				require.Equal(t, alone, among, "%s for %s", name, of.Type)
				require.Equal(t, reads, readsAmong, "%s for %s reads relationships of other tenants", name, of.Type)
				found += len(alone)
			}
		}
	}
	require.Greater(t, found, 50)
	require.Equal(t, []string{
		"subscription#as_active", "account#as_active", "connector#as_views", "connector#as_financial_settings",
		"connector#as_postgres_database", "connector#view",
	}, forEverybody)
}

// lookUp returns the ids that a look-up finds, and how many relationships it reads.
func lookUp(t *testing.T, s *state, q authz.ResourceQuery) (ids []string, reads int) {
	t.Helper()
	plan, why := s.plan(q.Subject, q.Type, q.Permission)
	require.Empty(t, why)
	evaluation := s.evaluation(t.Context(), lookUpRows, time.Now(), false)
	evaluation.MarkAsOperation(plan.subjects, query.OperationIterResources)
	seen := make(map[string]bool)
	for _, part := range plan.resources {
		paths, err := evaluation.IterResources(part, subjectOf(q.Subject), query.ObjectType{Type: string(q.Type)})
		require.NoError(t, err)
		for path, err := range paths {
			require.NoError(t, err)
			if id := path.Resource.ObjectID; !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids, lookUpRows - evaluation.Reader.(*reader).left //nolint:forcetypeassert // evaluation sets a reader
}
