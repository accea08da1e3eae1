package audit

import (
	"encoding/json"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
)

// FuzzReference writes references in JSON and in the log's tables, and reads them again.
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
			t.Errorf("%+v is written %s and read %+v, %v", want, text, got, err)
		}
		if got := referenceOf(keyOf(want)); got != want {
			t.Errorf("%+v is kept as %s and read %+v", want, keyOf(want), got)
		}
	})
}
