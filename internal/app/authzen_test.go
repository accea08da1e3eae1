package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/api/apitest"
	"github.com/sluice-authz/sluice/internal/app"
)

// pdp is a server as a policy enforcement point that speaks AuthZEN meets it.
type pdp struct {
	url    string
	client *http.Client
}

// startPDP starts a server with a schema, the product's if there is no file, and holds each answer against the contract.
func startPDP(t *testing.T, file string, change ...func(*app.Config)) (pdp, *app.Server) {
	t.Helper()
	server := start(t, func(c *app.Config) {
		if file != "" {
			c.Schema = "testdata/authzen/" + file
		}
		for _, f := range change {
			f(c)
		}
	})
	return pdp{server.URL, &http.Client{Transport: apitest.Transport(t, http.DefaultTransport)}}, server
}

// send sends a body as it is.
func (p pdp) send(t *testing.T, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/access/v1/"+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := p.client.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(content)
}

// ask wants 200 and returns the answer.
func (p pdp) ask(t *testing.T, path, body string) map[string]any {
	t.Helper()
	response, content := p.send(t, path, body)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s\n%s", body, content)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(content), &answer))
	return answer
}

func (p pdp) decides(t *testing.T, want bool, body string) {
	t.Helper()
	answer := p.ask(t, "evaluation", body)
	require.Equal(t, want, answer["decision"], "%s\n%v", body, answer)
}

// decisions are those of a batch, in order.
func (p pdp) decisions(t *testing.T, body string) []bool {
	t.Helper()
	answer := p.ask(t, "evaluations", body)
	require.NotContains(t, answer, "decision")
	var decisions []bool
	for _, e := range answer["evaluations"].([]any) {
		decisions = append(decisions, e.(map[string]any)["decision"].(bool))
	}
	return decisions
}

// finds follows the pages of a search to its end, and returns the ids or names that it finds, and how many pages there were.
func (p pdp) finds(t *testing.T, path, body string, limit int) (found []string, pages int) {
	t.Helper()
	var request map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &request))
	page := map[string]any{"limit": limit}
	if limit < 0 {
		page = map[string]any{}
	}
	for {
		request["page"] = page
		sent, err := json.Marshal(request)
		require.NoError(t, err)
		answer := p.ask(t, "search/"+path, string(sent))
		results := answer["results"].([]any)
		for _, result := range results {
			if path == "action" {
				found = append(found, result.(map[string]any)["name"].(string))
				continue
			}
			require.Equal(t, request[path].(map[string]any)["type"], result.(map[string]any)["type"])
			found = append(found, result.(map[string]any)["id"].(string))
		}
		shown := answer["page"].(map[string]any)
		require.EqualValues(t, len(results), shown["count"])
		pages++
		if page["token"] = shown["next_token"].(string); page["token"] == "" {
			return found, pages
		}
		require.Len(t, results, limit, "a page that is not the last one is full")
	}
}

// replaced is a body with another value, as it stands there, in one of its fields.
func replaced(t *testing.T, body, field, value string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(body), &fields))
	fields[field] = json.RawMessage(value)
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(text)
}
