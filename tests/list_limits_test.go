package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestEveryListHasALimit sends too long lists to every endpoint of the contract. It does this for every list in a
// body, also for lists in lists. The answer must be too_large, before the server reads any object.
func TestEveryListHasALimit(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	lists := 0
	for _, e := range endpoints(t) {
		schema := e.body()
		if schema == nil {
			continue
		}
		for place, body := range tooLong(schema, "", 0) {
			lists++
			written, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			caller := s.caller
			if e.has("Sluice-Actor") {
				caller = s.as(s.id("olga"))
			}
			a := caller.call(e.method, e.at(s.id("x")), written)
			if a.status != http.StatusRequestEntityTooLarge || !strings.Contains(string(a.body), "1000") || len(a.body) > 1000 {
				t.Errorf("%s with 1001 entries in %s: %d %.300s", e, place, a.status, a.body)
			}
		}
	}
	if lists < 15 {
		t.Errorf("the contract has only %d lists", lists)
	}
}

// tooLong returns, for each list in a schema, a value in which this list is too long. The key of a value is the
// position of its list.
func tooLong(schema *openapi3.Schema, place string, depth int) map[string]any {
	found := make(map[string]any)
	if depth > 5 {
		return found
	}
	for _, part := range schema.AllOf {
		for place, value := range tooLong(part.Value, place, depth+1) {
			found[place] = value
		}
	}
	inside := func(schema *openapi3.Schema, place string, wrap func(any) any) {
		for place, value := range tooLong(schema, place, depth+1) {
			found[place] = wrap(value)
		}
	}
	if schema.Items != nil {
		items := make([]any, 1001)
		for i := range items {
			items[i] = plain(schema.Items.Value)
		}
		found[place+"[]"] = items
		inside(schema.Items.Value, place+"[0]", func(item any) any { return []any{item} })
	}
	if typed := schema.AdditionalProperties.Schema; typed != nil &&
		(typed.Value.Type != nil || len(typed.Value.AllOf) > 0) {
		entries := make(map[string]any)
		for i := range 1001 {
			entries[fmt.Sprint("n", i)] = plain(typed.Value)
		}
		found[place+"{}"] = entries
		inside(typed.Value, place+"{n}", func(entry any) any { return map[string]any{"n": entry} })
	}
	for name, property := range schema.Properties {
		inside(property.Value, place+"."+name, func(value any) any {
			object, _ := plain(schema).(map[string]any)
			object[name] = value
			return object
		})
	}
	return found
}

// plain returns a small valid value of a schema.
func plain(schema *openapi3.Schema) any {
	switch {
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case len(schema.AllOf) > 0:
		return plain(schema.AllOf[0].Value)
	case schema.Type.Is(openapi3.TypeArray):
		return []any{}
	case schema.Type.Is(openapi3.TypeBoolean):
		return true
	case schema.Type.Is(openapi3.TypeInteger):
		return 1
	case schema.Type.Is(openapi3.TypeObject):
		object := make(map[string]any)
		for _, name := range schema.Required {
			object[name] = plain(schema.Properties[name].Value)
		}
		return object
	default:
		return "user:x"
	}
}

// TestBulkErrorNamesTheEntryAtFault sends bulk requests with one invalid entry, and with many. The error must name
// the position of an invalid entry.
func TestBulkErrorNamesTheEntryAtFault(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.play(
		"olga PATCH accounts/~a/members {members: {~ulla: [user], ~gert: [nonsense]}} => 400 invalid members.~gert",
		"olga PUT subscriptions/~s/members/~ulla/accounts {accounts: {~a: [nonsense]}} => 400 invalid accounts.~a",
		"olga PUT subscriptions/~s/members/~ulla/accounts {accounts: {~a: [user], ~missing: [user]}} => 404 not_found accounts.~missing",
		"ulla POST connections {id: ~c, account: ~a, connector: ~crm}",
		"backend PUT subscriptions/~s/features {features: []}",
		"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
		"olga PATCH accounts/~n/members {members: {~ulla: [editor], ~gert: [report_user]}} => 409 feature_required members.~gert",
	)
	long := strings.Repeat("x", 5000)
	a := s.by("olga").call(
		http.MethodPatch, s.in("accounts/~a/members"), map[string]any{"members": map[string]any{long: []string{"user"}}},
	)
	if a.status != http.StatusBadRequest || len(a.body) > 1000 {
		t.Errorf("%d %s", a.status, a.body)
	}
	strangers := make([]string, 50)
	for i := range strangers {
		strangers[i] = s.id(fmt.Sprint("stranger", i))
	}
	a = s.by("ulla").call(
		http.MethodPut, s.in("connections/~c/sharing"), map[string]any{"visibility": "private", "users": strangers},
	)
	if named := strings.Count(string(a.body), "stranger"); a.status != http.StatusBadRequest || named != 10 ||
		!strings.Contains(string(a.body), "40 more") {
		t.Errorf("%d %s, which names %d entries", a.status, a.body, named)
	}
}
