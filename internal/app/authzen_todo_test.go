package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func person(name string) string {
	domains := map[string]string{"rick": "the-citadel.com", "morty": "the-citadel.com"}
	domain := domains[name]
	if domain == "" {
		domain = "the-smiths.com"
	}
	return `{"type":"user","id":"` + name + "@" + domain + `"}`
}

func todo(id string) string { return `{"type":"todo","id":"` + id + `"}` }

// TestAuthZENTodo runs the to-do scenario of the interoperability events of the AuthZEN working group.
func TestAuthZENTodo(t *testing.T) {
	p, _ := startPDP(t, "todo.yaml")
	everybody := []string{"rick", "morty", "summer", "beth", "jerry"}
	for _, c := range []struct {
		action, resource string
		permitted        string
	}{
		{"can_read_user", person("beth"), "rick morty summer beth jerry"},
		{"can_read_user", person("rick"), "rick morty summer beth jerry"},
		{"can_read_todos", todo("todo-1"), "rick morty summer beth jerry"},
		{"can_create_todo", todo("todo-1"), "rick morty summer"},
		{"can_update_todo", todo("of-rick"), "rick"},
		{"can_update_todo", todo("of-morty"), "rick morty"},
		{"can_update_todo", todo("of-summer"), "rick summer"},
		{"can_update_todo", todo("of-jerry"), "rick"},
		{"can_delete_todo", todo("of-rick"), "rick"},
		{"can_delete_todo", todo("of-morty"), "rick morty"},
		{"can_delete_todo", todo("of-jerry"), "rick"},
	} {
		var permitted, items string
		for i, name := range everybody {
			if answer := p.ask(t, "evaluation", asking(person(name), named(c.action), c.resource)); answer["decision"] == true {
				permitted += name + " "
			}
			if i > 0 {
				items += ","
			}
			items += `{"subject":` + person(name) + `}`
		}
		require.Equal(t, c.permitted+" ", permitted, "%s %s", c.action, c.resource)
		var together string
		for i, decision := range p.decisions(
			t, `{"action":`+named(c.action)+`,"resource":`+c.resource+`,"evaluations":[`+items+`]}`,
		) {
			if decision {
				together += everybody[i] + " "
			}
		}
		require.Equal(t, permitted, together)
	}
}

// TestAuthZENUnusedProperties checks that properties which no caveat uses may have any shape.
func TestAuthZENUnusedProperties(t *testing.T) {
	p, _ := startPDP(t, "todo.yaml")
	large := `{"claims":"` + strings.Repeat("x", 5<<10) + `","time":{"now":[1,null,"2"]}}`
	p.decides(t, true, with("context", large, asking(`{"type":"user","id":"beth@the-smiths.com","properties":`+large+`}`,
		`{"name":"can_read_todos","properties":`+large+`}`, todo("todo-1"))))
}

func TestAuthZENSemantics(t *testing.T) {
	p, _ := startPDP(t, "todo.yaml")
	yes, no, bad := `{"resource":`+todo("of-morty")+`}`, `{"resource":`+todo("of-rick")+`}`, `{"resource":"x"}`
	for _, c := range []struct {
		semantic string
		items    string
		want     []bool
	}{
		{"execute_all", yes + "," + no + "," + bad + "," + yes, []bool{true, false, false, true}},
		{"deny_on_first_deny", yes + "," + no + "," + bad + "," + yes, []bool{true, false}},
		{"deny_on_first_deny", yes + "," + bad + "," + no, []bool{true, false}},
		{"deny_on_first_deny", yes + "," + yes, []bool{true, true}},
		{"permit_on_first_permit", no + "," + bad + "," + yes + "," + no, []bool{false, false, true}},
		{"permit_on_first_permit", yes + "," + no, []bool{true}},
		{"permit_on_first_permit", no + "," + no, []bool{false, false}},
	} {
		body := `{"subject":` + person("morty") + `,"action":{"name":"can_update_todo"},"evaluations":[` + c.items + `],
			"options":{"evaluations_semantic":"` + c.semantic + `","another_option":1}}`
		require.Equal(t, c.want, p.decisions(t, body), "%s %s", c.semantic, c.items)
	}
}

// TestAuthZENDefaults checks batches with default values. An evaluation's own subject, action or resource replaces the
// default as a whole. Only required fields that it lacks come from the default.
func TestAuthZENDefaults(t *testing.T) {
	p, _ := startPDP(t, "doors.yaml")
	body := `{"subject":{"type":"badge","id":"cid","properties":{"blocked":true}},"action":{"name":"open_door"},"resource":` + door(
		"front",
	) + `,
		"evaluations":[{},{"subject":{"type":"badge","id":"cid"}},{"subject":{"id":"cid","properties":{}}},{"subject":{"properties":{"blocked":1}}},
		{"subject":{"type":"badge"},"action":{}},{"subject":{},"action":{"name":"deliver"}}, {"subject":{},"resource":{"id":"nowhere"}}, {"subject":{"id":""}}]}`
	require.Equal(t, []bool{false, true, true, false, true, false, false, false}, p.decisions(t, body))

	context := `{"subject":` + badge(
		"ann",
	) + `,"action":{"name":"open_door"},"resource":` + door(
		"front",
	) + `,"context":{"hour":9},
		"evaluations":[{},{"context":{"hour":22}},{"context":{}},{"context":{"hour":10}}]}`
	require.Equal(t, []bool{true, false, false, true}, p.decisions(t, context))
}

// TestAuthZENWildcard searches for the subjects of a permission that everybody has. The answer must say so in its
// context, and must not have a result with the id "*".
func TestAuthZENWildcard(t *testing.T) {
	p, _ := startPDP(t, "todo.yaml")
	answer := p.ask(t, "search/subject", asking(`{"type":"user"}`, named("can_see"), todo("todo-1")))
	require.Equal(t, map[string]any{
		"page": map[string]any{"next_token": "", "count": 0.0},
		"context": map[string]any{"everybody": map[string]any{
			"except": []any{"beth@the-smiths.com", "jerry@the-smiths.com"},
		}},
		"results": []any{},
	}, answer)
	p.decides(t, true, asking(`{"type":"user","id":"anybody"}`, named("can_see"), todo("todo-1")))
	p.decides(t, true, asking(`{"type":"user","id":"*"}`, named("can_see"), todo("todo-1")))
	p.decides(t, false, asking(person("beth"), named("can_see"), todo("todo-1")))
}

// TestAuthZENPageTokens checks that a token continues its own search and no other.
func TestAuthZENPageTokens(t *testing.T) {
	p, _ := startPDP(t, "todo.yaml")
	for path, bodies := range map[string][2]string{
		"subject": {
			asking(`{"type":"user"}`, named("can_read_todos"), todo("todo-1")),
			asking(`{"type":"user"}`, named("can_read_todos"), todo("of-rick")),
		},
		"resource": {
			asking(person("rick"), named("can_read_todos"), `{"type":"todo"}`),
			asking(person("beth"), named("can_read_todos"), `{"type":"todo"}`),
		},
		"action": {
			`{"subject":` + person("rick") + `,"resource":` + todo("of-rick") + `}`,
			`{"subject":` + person("morty") + `,"resource":` + todo("of-rick") + `}`,
		},
	} {
		page := func(body, page string) (int, string, string) {
			got := p.send(t, "search/"+path, with("page", page, body))
			if got.status != http.StatusOK {
				return got.status, got.body, ""
			}
			next, _ := p.ask(t, "search/"+path, with("page", page, body))["page"].(map[string]any)["next_token"].(string)
			return got.status, got.body, next
		}
		status, _, token := page(bodies[0], `{"limit":2}`)
		require.Equal(t, http.StatusOK, status)
		require.NotEmpty(t, token, path)
		status, _, next := page(
			bodies[0], fmt.Sprintf(`{"token":%q,"limit":2,"properties":{"sort":"up"},"unknown":1}`, token),
		)
		require.Equal(t, http.StatusOK, status)
		_, _, same := page(bodies[0], fmt.Sprintf(`{"token":%q}`, token))
		require.Equal(t, next == "", same == "", "the limit must not change")
		for name, refused := range map[string][2]string{
			"another search":  {bodies[1], fmt.Sprintf(`{"token":%q}`, token)},
			"another context": {with("context", `{"x":1}`, bodies[0]), fmt.Sprintf(`{"token":%q}`, token)},
			"another limit":   {bodies[0], fmt.Sprintf(`{"token":%q,"limit":3}`, token)},
			"cut off":         {bodies[0], fmt.Sprintf(`{"token":%q}`, token[:len(token)-9])},
			"no token":        {bodies[0], `{"token":"x"}`},
			"not base64":      {bodies[0], `{"token":"é"}`},
			"other base64":    {bodies[0], `{"token":"eyJzIjoiIiwibCI6LTEsImEiOiIifQ"}`},
		} {
			status, content, _ := page(refused[0], refused[1])
			require.Equal(t, http.StatusBadRequest, status, "%s %s: %s", path, name, content)
			require.Contains(t, content, "page.")
		}
		// The answer to a search with the limit 0 only says whether there are results. Its page token starts at the
		// first result.
		status, content, token := page(bodies[0], `{"limit":0}`)
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, content, `"results":[]`)
		require.NotEmpty(t, token)
	}
}
