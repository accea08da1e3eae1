package tests

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/schema"
)

// TestSetsOfSubjectsNeedInspect sends a set of subjects, for example group:x#member, in every call that accepts one.
// It does this for every relation and permission of the schema. If no relation accepts such sets, a key with only
// the scope check gets an error. If a relation accepts them, or if the key has every scope, the key gets an answer.
func TestSetsOfSubjectsNeedInspect(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	text, err := os.ReadFile("testdata/own.zed")
	require.NoError(t, err)
	file, err := schema.Parse(t.Context(), string(text), "own.zed")
	require.NoError(t, err)
	definitions, err := schema.Describe(file.Text)
	require.NoError(t, err)
	accepted := make(map[string]bool)
	for _, definition := range definitions {
		for _, types := range definition.Accepts {
			for _, accepts := range types {
				accepted[string(accepts.Type)+"#"+string(accepts.Relation)] = true
			}
		}
	}
	refused, answered := 0, 0
	for _, definition := range definitions {
		names := make([]string, 0, len(definition.Relations)+len(definition.Permissions))
		for _, relation := range definition.Relations {
			names = append(names, string(relation))
		}
		for _, permission := range definition.Permissions {
			names = append(names, string(permission.Name))
		}
		for _, name := range names {
			set := string(definition.Type) + "#" + name
			for path, body := range setQuestionsOf(string(definition.Type), name) {
				got := string(s.withKey(checkKey).call(http.MethodPost, path, body).body)
				isRefused := strings.Contains(got, "such a request needs a key with the scope inspect")
				if isRefused == accepted[set] {
					t.Errorf("%s in %s with the scope check: %s", set, path, got)
				}
				if isRefused {
					refused++
				} else {
					answered++
				}
			}
		}
	}
	require.Greater(t, refused, 300)
	require.Equal(t, len(setQuestionsOf("a", "a"))*2, answered, "group#member and folder#viewer")
	// Such a look-up can read a relation: this one returns the account of an importer.
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}", "olga POST importers {id: ~i, account: ~a}",
	)
	found := s.must(http.MethodPost, "lookup/subjects", map[string]any{
		"resource": "importer:" + s.id("i"), "permission": "view", "subject_type": "account",
		"subject_relation": "as_team_user",
	})
	require.Contains(t, string(found.body), "account:"+s.id("a")+"#as_team_user")
	for path, body := range setQuestionsOf("account", "owner") {
		got := s.call(http.MethodPost, path, body)
		require.Equal(t, http.StatusOK, got.status, "with every scope, %s: %s", path, got.body)
		require.NotContains(t, string(got.body), "the scope inspect", path)
	}
}

// setQuestionsOf returns a body for each endpoint that accepts a set of subjects, by path.
func setQuestionsOf(typ, relation string) map[string]any {
	type object = map[string]any
	check := object{"subject": typ + ":x#" + relation, "permission": "view", "resource": "importer:x"}
	return map[string]any{
		"check":            check,
		"check/bulk":       object{"checks": []any{check}},
		"explain":          check,
		"permissions":      object{"subject": typ + ":x#" + relation, "resource": "importer:x"},
		"lookup/resources": object{"subject": typ + ":x#" + relation, "permission": "view", "resource_type": "importer"},
		"lookup/subjects": object{
			"resource": "importer:x", "permission": "view", "subject_type": typ, "subject_relation": relation,
		},
	}
}
