package audit

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// FuzzReference checks that a reference is unchanged after a conversion to JSON and back, and to a key of the log's
// tables and back.
func FuzzReference(f *testing.F) {
	for _, id := range []string{"a", "*", "a#b", "a:b", "=2A", "", "<>&\"\\", "stored:=00", "ä"} {
		f.Add(id, "member", false)
		f.Add(id, "", true)
	}
	f.Fuzz(func(t *testing.T, id, relation string, wildcard bool) {
		if _, err := authz.ParseID(id); err != nil {
			return
		}
		if _, err := authz.ParseRelation(relation); err != nil {
			relation = ""
		}
		want := Reference{Object: authz.Object{Type: "user", ID: authz.ID(id)}, Relation: authz.Relation(relation)}
		if wildcard {
			want = Reference(authz.Everybody("user"))
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Reference
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%+v is %s in JSON, which is read as %+v, %v", want, text, got, err)
		}
		if got := referenceOf(keyOf(want)); got != want {
			t.Errorf("%+v has the key %s, which is read as %+v", want, keyOf(want), got)
		}
	})
}

// TestDocumentationListsTheFieldsOfTheHash checks that docs/audit.md names all fields that the hash of an entry
// covers, in their order.
func TestDocumentationListsTheFieldsOfTheHash(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/audit.md")
	require.NoError(t, err)
	_, list, found := strings.Cut(string(page), "with the fields in the order ")
	require.True(t, found)
	list, _, found = strings.Cut(list, ";")
	require.True(t, found)
	var fields []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Entry]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "omitted" || name == "hash" { // the hash does not cover these fields of answers
			continue
		}
		fields = append(fields, "`"+name+"`")
	}
	require.Equal(t, fields, strings.Split(strings.ReplaceAll(list, "\n", " "), ", "))
}
