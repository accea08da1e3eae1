package enginetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// explanations checks the decision of an explanation. It also checks that the trace contains the relationship on
// which the decision depends.
func (s *suite) explanations(t *testing.T) {
	doc, folder, team := document(t, "explained"), object(t, "folder", "explained"), object(t, "team", "explained")
	token := s.touch(
		t,
		relationship(doc, "parent", authz.Subject{Object: folder}),
		relationship(folder, "owner", user(t, "above")),
		relationship(doc, "viewer", authz.Subject{Object: team, Relation: "member"}),
		relationship(team, "member", user(t, "inner")),
	)
	for _, c := range []struct {
		who  string
		want bool
		leaf authz.Object
		name authz.Permission
	}{
		{"above", true, folder, "owner"},
		{"inner", true, team, "member"},
		{"nobody", false, doc, "viewer"},
	} {
		check := authz.Check{Subject: user(t, c.who), Permission: "view", Resource: doc}
		decision, trace, at, err := s.engine.Explain(t.Context(), check, authz.AsFreshAs(token))
		require.NoError(t, err)
		require.NotEmpty(t, at)
		require.Equal(t, c.want, decision.Allowed(), c.who)
		require.Equal(t, []authz.Object{doc}, trace.Resources)
		require.Equal(t, authz.Permission("view"), trace.Name)
		leaf := find(trace, c.leaf, c.name)
		require.NotNil(t, leaf, c.who)
		require.True(t, leaf.IsRelation)
		require.Equal(t, check.Subject, leaf.Subject)
		require.Equal(t, decision.State, leaf.State, c.who)
	}
	_, _, _, err := s.engine.Explain(
		t.Context(), authz.Check{Subject: user(t, "a"), Permission: "vew", Resource: doc}, authz.Fully(),
	)
	requireCode(t, authz.CodeInvalid, err)
}

// find returns the part of a trace about the given object and relation, or nil.
func find(trace *authz.Trace, object authz.Object, name authz.Permission) *authz.Trace {
	if len(trace.Resources) == 1 && trace.Resources[0] == object && trace.Name == name {
		return trace
	}
	for _, part := range trace.Parts {
		if found := find(part, object, name); found != nil {
			return found
		}
	}
	return nil
}

// scratches checks scratch engines, on which Sluice simulates changes. A scratch engine must have only the schema
// and the relationships that it was given. It must not have relationships of the engine, or of other scratch
// engines.
func (s *suite) scratches(t *testing.T) {
	doc := document(t, "scratched")
	stored := relationship(doc, "viewer", user(t, "stored"))
	given := relationship(doc, "viewer", user(t, "given"))
	s.touch(t, stored)
	may := func(engine authz.Engine, who string) bool {
		decision, _, err := engine.Check(
			t.Context(), authz.Check{Subject: user(t, who), Permission: "view", Resource: doc}, authz.Fully(),
		)
		require.NoError(t, err)
		return decision.Allowed()
	}
	for range 3 { // an engine may reuse a closed scratch engine, which must then be empty
		one, err := s.engine.Scratch(t.Context(), "", []authz.Relationship{given})
		require.NoError(t, err)
		other, err := s.engine.Scratch(t.Context(), "", nil)
		require.NoError(t, err)
		require.True(t, may(one, "given"))
		require.False(t, may(one, "stored"))
		require.False(t, may(other, "given"))
		_, err = one.Write(
			t.Context(),
			authz.Write{Updates: []authz.Update{
				{Action: authz.Touch, Relationship: relationship(doc, "owner", user(t, "added"))},
			}},
		)
		require.NoError(t, err)
		require.True(t, may(one, "added"))
		require.False(t, may(other, "added"))
		require.False(t, may(s.engine, "added"))
		require.False(t, may(s.engine, "given"))
		// If the engine reuses closed scratch engines, this order makes it return them in another order in the next
		// round.
		require.NoError(t, other.Close())
		require.NoError(t, one.Close())
	}
	_, err := s.engine.Scratch(t.Context(), "", []authz.Relationship{relationship(doc, "viewr", user(t, "given"))})
	requireCode(t, authz.CodeInvalid, err)
}
