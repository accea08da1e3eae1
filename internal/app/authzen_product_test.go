package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/app"
)

// operate sends an operation of the product.
func operate(t *testing.T, server *app.Server, actor, method, path, body string) {
	t.Helper()
	to, err := client.New(server.URL, key, client.WithHTTPClient(http.DefaultClient))
	require.NoError(t, err)
	through := to.REST()
	if actor != "" {
		through = to.As(actor).REST()
	}
	response, err := through.Call(t.Context(), method, "/v1/"+path, []byte(body))
	require.NoError(t, err, "%s %s %s", method, path, body)
	require.NoError(t, response.Body.Close())
}

// TestAuthZENOnTheProduct evaluates permissions on objects that operations created. The decisions must be those of the
// role table of a team account.
func TestAuthZENOnTheProduct(t *testing.T) {
	p, server := startPDP(t, "")
	user := func(id string) string { return `{"type":"user","id":"` + id + `"}` }
	importer := func(id string) string { return `{"type":"importer","id":"` + id + `"}` }
	operate(t, server, "", "POST", "subscriptions", `{"id":"s","role_set":"multi_owner","owner":"olga"}`)
	operate(t, server, "olga", "POST", "accounts", `{"id":"acme","subscription":"s","role_set":"team"}`)
	operate(
		t, server, "olga", "PATCH", "accounts/acme/members", `{"members":{"ulla@example.com":["user"],"guy#1":["guest"]}}`,
	)
	var all []string
	for i := range 12 {
		id := fmt.Sprintf("i %02d", i)
		all = append(all, id)
		operate(t, server, "ulla@example.com", "POST", "importers", `{"id":"`+id+`","account":"acme"}`)
	}
	operate(t, server, "guy#1", "POST", "importers", `{"id":"guy's","account":"acme"}`)
	operate(t, server, "", "PUT", "connectors/csv", `{"capabilities":["views"]}`)

	p.decides(t, true, asking(user("ulla@example.com"), named("Edit"), importer("i 00")))
	p.decides(t, false, asking(user("guy#1"), named("view"), importer("i 00")))
	p.decides(t, true, asking(user("guy#1"), named("delete"), importer("guy's")))
	p.decides(t, true, asking(user("olga"), named("Invite-Members"), `{"type":"account","id":"acme"}`))
	p.decides(t, false, asking(user("stranger"), named("view"), `{"type":"account","id":"acme"}`))

	for _, limit := range []int{-1, 1, 5, 13, 14} {
		found, pages := p.finds(t, "resource", asking(user("ulla@example.com"), named("view"), `{"type":"importer"}`), limit)
		require.ElementsMatch(t, append(slices.Clone(all), "guy's"), found, "limit %d", limit)
		if limit > 0 {
			require.Equal(t, (len(found)+limit-1)/limit, pages)
		}
		found, _ = p.finds(t, "subject", asking(`{"type":"user"}`, named("view"), importer("guy's")), limit)
		require.Equal(t, []string{"guy#1", "olga", "ulla@example.com"}, found)
	}
	found, _ := p.finds(t, "action", `{"subject":`+user("guy#1")+`,"resource":`+importer("guy's")+`}`, 2)
	require.Equal(t, []string{"copy", "delete", "edit", "run", "view"}, found, "schema steps are no actions")

	// The catalogue is visible to everybody.
	answer := p.ask(t, "search/subject", asking(`{"type":"user"}`, named("view"), `{"type":"connector","id":"csv"}`))
	require.Equal(t, map[string]any{"everybody": map[string]any{"except": []any{}}}, answer["context"])

	// The pages of a search must neither repeat nor skip results if relationships are written between them.
	list := asking(user("ulla@example.com"), named("view"), `{"type":"importer"}`)
	first := p.ask(t, "search/resource", with("page", `{"limit":5}`, list))
	operate(t, server, "olga", "POST", "importers", `{"id":"later","account":"acme"}`)
	operate(t, server, "olga", "DELETE", "importers/i%2011", ``)
	token := first["page"].(map[string]any)["next_token"].(string)
	second := p.ask(t, "search/resource", with("page", fmt.Sprintf(`{"token":%q,"limit":5}`, token), list))
	require.Len(t, second["results"], 5)
	found, _ = p.finds(t, "resource", list, 100)
	require.Contains(t, found, "later", "a new search includes the new importer")
	require.NotContains(t, found, "i 11")
}

// TestAuthZENNeedsAKey checks the answers to requests without a valid key.
func TestAuthZENNeedsAKey(t *testing.T) {
	p, _ := startPDP(t, "todo.yaml", func(c *app.Config) {
		c.APIKeys = append(c.APIKeys, "backend:operate:a-key-that-does-not-check")
	})
	for _, path := range []string{"evaluation", "evaluations", "search/subject", "search/resource", "search/action"} {
		for authorization, status := range map[string]int{
			"": 401, "Bearer x": 401, "Basic " + key: 401, "Bearer a-key-that-does-not-check": 403,
		} {
			got := p.send(t, path, `{}`, "Authorization", authorization, "X-Request-ID", "r-1")
			require.Equal(t, status, got.status, got.body)
			require.Equal(t, status == 401, strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer"))
			require.Equal(t, "r-1", got.header.Get("X-Request-ID"))
		}
	}
}

// TestAuthZENMalformed checks that a malformed request gets status 400.
func TestAuthZENMalformed(t *testing.T) {
	p, _ := startPDP(t, "certification.yaml")
	read, typed := named("read"), `{"type":"record"}`
	bodies := map[string][]string{
		"evaluation":      {asking(alice, read, record1), `subject`, `action`, `resource`},
		"evaluations":     {asking(alice, read, record1), `subject`, `action`, `resource`, `evaluations`, `options`},
		"search/subject":  {asking(`{"type":"user"}`, read, record1), `subject`, `action`, `resource`, `page`},
		"search/resource": {asking(alice, read, typed), `subject`, `action`, `resource`, `page`},
		"search/action":   {`{"subject":` + alice + `,"resource":` + record1 + `}`, `subject`, `resource`, `page`},
	}
	for path, fields := range bodies {
		good := fields[0]
		got := p.send(t, path, good)
		require.NotContains(t, got.body, "problem", "%s %s", path, good)
		malformed := []string{
			``, ` `, `null`, `[]`, `"x"`, `7`, `{`, good + `}`, good + good, good[:len(good)-1], "\xff", with(
				"context", `{"x":"\ud800"}`, good,
			),
			with("context", `[]`, good), with("context", `"x"`, good), with("context", `{"x":1,"x":2}`, good),
			with("context", `{"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`, good), with(
				"context", `{"x":1e999}`, good,
			),
			with("subject", alice, good),
		}
		wellFormed := []string{with("context", `null`, good)}
		for _, field := range fields[1:] {
			for _, value := range []string{`null`, `"x"`, `7`, `true`, `[{}]`, `{}`} {
				optional := field == "page" || field == "options" || field == "evaluations"
				switch {
				case value == `null` && optional:
					wellFormed = append(wellFormed, replaced(t, good, field, value))
					continue
				case value == `{}` && optional && field != "evaluations", value == `[{}]` && field == "evaluations":
					continue
				}
				malformed = append(malformed, replaced(t, good, field, value))
			}
		}
		if strings.HasPrefix(path, "search") {
			for _, page := range []string{
				`{"limit":-1}`, `{"limit":"1"}`, `{"limit":1.5}`, `{"limit":1e40}`, `{"token":1}`, `{"token":"x"}`,
			} {
				malformed = append(malformed, with("page", page, good))
			}
			wellFormed = append(wellFormed, with("page", `{"limit":null,"token":null}`, good))
		}
		if path == "evaluations" {
			for _, semantic := range []string{`"all"`, `""`, `7`, `["execute_all"]`} {
				malformed = append(malformed, with("options", `{"evaluations_semantic":`+semantic+`}`, good))
			}
			wellFormed = append(wellFormed, with("options", `{"evaluations_semantic":null}`, good))
		}
		for _, body := range malformed {
			got := p.send(t, path, body)
			require.Equal(t, http.StatusBadRequest, got.status, "%s %s\n%s", path, body, got.body)
			require.Contains(t, got.body, `"code":"invalid"`)
		}
		for _, body := range wellFormed {
			got := p.send(t, path, body)
			require.Equal(t, http.StatusOK, got.status, "%s %s\n%s", path, body, got.body)
		}
		// An unknown field is ignored, whatever its value. A known name in another case counts as unknown.
		for _, body := range []string{
			with("Subject", `7`, good), with("SUBJECT", bob, with("rеsource", `{"a":{"a":1,"a":2}}`, good)),
			with("", `null`, good),
		} {
			again := p.send(t, path, body)
			require.Equal(t, got.body, again.body, body)
		}
	}
	items := []string{
		`null`, `7`, `"x"`, `[]`, `{"subject":null}`, `{"resource":{"type":7}}`, `{"action":"read"}`, `{"context":[]}`,
		`{"subject":{},"subject":{}}`,
		`{"resource":{"type":"","id":""}}`, `{"resource":{"type":"record","id":"record-1","properties":7}}`,
		`{"Resource":7,"resource":` + record1 + `}`,
	}
	decisions := p.decisions(t, `{"subject":`+alice+`,"action":`+read+`,"evaluations":[`+strings.Join(items, ",")+`]}`)
	for i, decision := range decisions {
		require.Equal(t, i == len(items)-1, decision, items[i])
	}
	require.Len(t, decisions, len(items))
	many := `{"subject":` + alice + `,"action":` + read + `,"resource":` + record1 + `,"evaluations":[` + strings.Repeat(
		`{},`, 1000,
	) + `{}]}`
	got := p.send(t, "evaluations", many)
	require.Equal(t, http.StatusRequestEntityTooLarge, got.status, got.body)
	require.Contains(t, got.body, "more than 1000 entries")
}
