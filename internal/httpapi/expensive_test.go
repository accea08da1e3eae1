package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/api"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/explain"
	"github.com/sluice-authz/sluice/internal/httpapi"
)

// explainer blocks every explanation until the test releases it.
type explainer struct{ release chan struct{} }

func (e explainer) Explain(ctx context.Context, _ explain.Question) (explain.Explanation, error) {
	select {
	case <-e.release:
		return explain.Explanation{Token: "t1"}, nil
	case <-ctx.Done():
		return explain.Explanation{}, ctx.Err()
	}
}

// history is an audit log according to which nobody had access in the past.
type history struct{ httpapi.History }

func (history) Access(context.Context, authz.SubjectQuery, time.Time) ([]authz.FoundSubject, error) {
	return nil, nil
}

// TestExpensiveCallsHaveTheirOwnLimit asserts that every call with a cost in the contract waits a second for the
// running expensive call, and is then rejected. Meanwhile, the server answers checks.
func TestExpensiveCallsHaveTheirOwnLimit(t *testing.T) {
	check := `{"subject":"user:alice","permission":"view","resource":"importer:i1"}`
	requests := map[string]request{
		"explain": {method: http.MethodPost, path: "/v1/explain", key: checkKey, body: check},
		"accessThen": {
			method: http.MethodGet, path: "/v1/access?resource=importer:i1&permission=view&at=1999-01-01T00:00:00Z",
			key: inspectKey,
		},
		"preview": {
			method: http.MethodPost, path: "/v1/preview", key: operateKey, actor: "alice",
			body: `{"method":"DELETE","path":"/v1/importers/i1"}`,
		},
	}
	doc, err := openapi3.NewLoader().LoadFromData(api.Contract)
	require.NoError(t, err)
	costly := 0
	for _, item := range doc.Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.Extensions["x-cost"] != nil {
				require.Contains(t, requests, operation.OperationID)
				costly++
			}
		}
	}
	require.Equal(t, len(requests), costly)

	synctest.Test(t, func(t *testing.T) {
		busy := explainer{make(chan struct{})}
		w := open(t, func(c *httpapi.Config) { c.Explainer, c.History, c.Expensive = busy, history{}, 1 })
		send := func(r request) *httptest.ResponseRecorder {
			sent := httptest.NewRequestWithContext(t.Context(), r.method, r.path, strings.NewReader(r.body))
			sent.Header.Set("Authorization", "Bearer "+r.key)
			if r.body != "" {
				sent.Header.Set("Content-Type", "application/json")
			}
			if r.actor != "" {
				sent.Header.Set("Sluice-Actor", r.actor)
			}
			answer := httptest.NewRecorder()
			w.handler.ServeHTTP(answer, sent)
			return answer
		}
		first := make(chan int, 1)
		go func() { first <- send(requests["explain"]).Code }()
		synctest.Wait()
		for name, r := range requests {
			start := time.Now()
			answer := send(r)
			require.Equal(t, http.StatusTooManyRequests, answer.Code, "%s: %s", name, answer.Body)
			require.Contains(t, answer.Body.String(), `"code":"limited"`)
			require.Equal(t, "1", answer.Header().Get("Retry-After"), name)
			require.Equal(t, time.Second, time.Since(start), name)
		}
		start := time.Now()
		require.Equal(
			t,
			http.StatusOK,
			send(request{method: http.MethodPost, path: "/v1/check", key: checkKey, body: check}).Code,
		)
		require.Zero(t, time.Since(start), "a check does not wait for explanations")

		second := make(chan int, 1) // this request gets the free slot within a second
		go func() { second <- send(requests["accessThen"]).Code }()
		synctest.Wait()
		close(busy.release)
		require.Equal(t, http.StatusOK, <-first)
		require.Equal(t, http.StatusOK, <-second)
		require.Equal(t, http.StatusOK, send(requests["accessThen"]).Code, "the place is free again")
	})
}
