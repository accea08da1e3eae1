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

// pdp is a policy decision point: a server that a test calls as a policy enforcement point does.
type pdp struct {
	url    string
	client *http.Client
}

// startPDP starts a server with the schema of a file, or with the product's schema if file is empty. It checks each
// answer against the contract.
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

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a body unchanged.
func (p pdp) send(t *testing.T, path, body string, header ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, p.url+"/access/v1/"+path, strings.NewReader(body),
	)
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
	return answer{response.StatusCode, response.Header, string(content)}
}

// ask sends a body, requires status 200, and returns the answer.
func (p pdp) ask(t *testing.T, path, body string) map[string]any {
	t.Helper()
	got := p.send(t, path, body)
	require.Equal(t, http.StatusOK, got.status, "%s\n%s", body, got.body)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	var decoded map[string]any
	require.NoError(t, json.Unmarshal([]byte(got.body), &decoded))
	return decoded
}

func (p pdp) decides(t *testing.T, want bool, body string) {
	t.Helper()
	answer := p.ask(t, "evaluation", body)
	require.Equal(t, want, answer["decision"], "%s\n%v", body, answer)
}

// decisions returns the decisions of a batch, in order.
func (p pdp) decisions(t *testing.T, body string) []bool {
	t.Helper()
	require.NotContains(t, p.ask(t, "evaluations", body), "decision")
	var batch struct {
		Evaluations []struct{ Decision bool }
	}
	require.NoError(t, json.Unmarshal([]byte(p.send(t, "evaluations", body).body), &batch))
	var decisions []bool
	for _, e := range batch.Evaluations {
		decisions = append(decisions, e.Decision)
	}
	return decisions
}

// finds reads all pages of a search. It returns the found ids or names and the number of pages.
func (p pdp) finds(t *testing.T, path, body string, limit int) (found []string, pages int) {
	t.Helper()
	var asked map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &asked))
	searched, _ := asked[path].(map[string]any)
	page := map[string]any{"limit": limit}
	if limit < 0 {
		page = map[string]any{}
	}
	for {
		wanted, err := json.Marshal(page)
		require.NoError(t, err)
		var answer struct {
			Page struct {
				NextToken *string `json:"next_token"`
				Count     int
			}
			Results []struct{ Type, ID, Name string }
		}
		got := p.send(t, "search/"+path, replaced(t, body, "page", string(wanted)))
		require.Equal(t, http.StatusOK, got.status, "%s\n%s", body, got.body)
		require.NoError(t, json.Unmarshal([]byte(got.body), &answer))
		for _, result := range answer.Results {
			found = append(found, result.ID+result.Name)
			if path != "action" {
				require.Equal(t, searched["type"], result.Type)
			}
		}
		pages++
		require.Less(t, pages, 100, "the search has no end")
		require.Len(t, answer.Results, answer.Page.Count)
		require.NotNil(t, answer.Page.NextToken)
		if page["token"] = *answer.Page.NextToken; page["token"] == "" {
			return found, pages
		}
		require.Len(t, answer.Results, limit, "a page that is not the last one is full")
	}
}

// replaced returns a body in which one field has another raw value.
func replaced(t *testing.T, body, field, value string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(body), &fields))
	fields[field] = json.RawMessage(value)
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(text)
}
