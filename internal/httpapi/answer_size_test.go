package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/preview"
)

// effects is a Previewer that returns the same effects for every operation.
type effects []preview.Effect

// HideOwn implements httpapi.Previewer.
func (effects) HideOwn(context.Context, authz.Actor, *preview.Overlay) error { return nil }

// Effects implements httpapi.Previewer.
func (e effects) Effects(context.Context, authz.Actor, *preview.Overlay) (preview.Effects, error) {
	return preview.Effects{Effects: e}, nil
}

func TestAnswerHasAMaximumSize(t *testing.T) {
	id := authz.ID(strings.Repeat("x", 250))
	one := preview.Effect{
		Subject:  authz.Subject{Object: authz.Object{Type: "user", ID: id}},
		Resource: authz.Object{Type: "importer", ID: id}, Gains: []authz.Permission{"view"},
	}
	for n, status := range map[int]int{1_000: http.StatusOK, 40_000: http.StatusRequestEntityTooLarge} {
		all := make(effects, n)
		for i := range all {
			all[i] = one
		}
		w := serve(t, func(c *httpapi.Config) {
			c.Previewer = all
			c.Operate = func(operation.Engine) httpapi.Operations { return c.Operations }
		})
		body := `{"method":"DELETE","path":"/v1/importers/i1"}`
		got := w.do(t, request{method: "POST", path: "/v1/preview", key: operateKey, actor: "alice", body: body})
		require.Equal(t, status, got.status, "%d effects: %.300s", n, got.body)
		if status != http.StatusOK {
			got.wantProblem(t, status, "too_large", "16777216")
		}
	}
}

func TestLargeAnswerFailsBeforeItIsEncoded(t *testing.T) {
	missing := []string{strings.Repeat("x", 20_000)}
	w := serve(t)
	w.engine.bulk = func(
		_ context.Context, checks []authz.Check, _ authz.Consistency,
	) ([]authz.CheckResult, authz.Token, error) {
		results := make([]authz.CheckResult, len(checks))
		for i := range results {
			results[i].Decision = authz.Decision{State: authz.Conditional, MissingContext: missing}
		}
		return results, token, nil
	}
	check := `{"subject":"user:alice","permission":"view","resource":"importer:i1"}`
	body := `{"checks":[` + strings.TrimSuffix(strings.Repeat(check+",", 1000), ",") + `]}`
	w.do(t, request{method: "POST", path: "/v1/check/bulk", key: checkKey, body: body}).wantProblem(
		t, 413, "too_large", "16777216",
	)
}

func TestBatchContextsShareALimit(t *testing.T) {
	w := serve(t, func(c *httpapi.Config) { c.CaveatParameters = []string{"region"} })
	for size, status := range map[int]int{3_000: http.StatusOK, 5_000: http.StatusRequestEntityTooLarge} {
		body, err := json.Marshal(map[string]any{
			"subject": map[string]any{"type": "user", "id": "alice"}, "action": map[string]any{"name": "view"},
			"resource": map[string]any{"type": "importer", "id": "i1"},
			"context":  map[string]any{"region": strings.Repeat("x", size)}, "evaluations": make([]struct{}, 1000),
		})
		require.NoError(t, err)
		got := w.do(t, request{method: "POST", path: "/access/v1/evaluations", key: checkKey, body: string(body)})
		require.Equal(t, status, got.status, "%d bytes each: %.300s", size, got.body)
	}
}

func TestWildcardExclusionsAreLimited(t *testing.T) {
	w := serve(t)
	for n, status := range map[int]int{10_000: http.StatusOK, 10_001: http.StatusRequestEntityTooLarge} {
		w.engine.subjects = func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
			excluded := make([]authz.ID, n)
			for i := range excluded {
				excluded[i] = authz.ID(fmt.Sprint("u", i))
			}
			return func(yield func(authz.FoundSubject, error) bool) {
				yield(
					authz.FoundSubject{
						Subject: authz.Everybody(
							"user",
						), Excluded: excluded, Decision: authz.Decision{State: authz.Allowed},
					},
					nil,
				)
			}
		}
		body := `{"subject":{"type":"user"},"action":{"name":"view"},"resource":{"type":"importer","id":"i1"}}`
		got := w.do(t, request{method: "POST", path: "/access/v1/search/subject", key: checkKey, body: body})
		require.Equal(t, status, got.status, "%d exceptions: %.300s", n, got.body)
	}
}
