package httpapi_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestBulkOfFailuresAsksOnce checks a bulk in which the engine decides no check. Each item must have its own error,
// without a second call of the engine.
func TestBulkOfFailuresAsksOnce(t *testing.T) {
	w := serve(t)
	w.engine.bulk = func(
		_ context.Context, checks []authz.Check, _ authz.Consistency,
	) ([]authz.CheckResult, authz.Token, error) {
		results := make([]authz.CheckResult, len(checks))
		for i := range results {
			results[i].Err = authz.Errorf(authz.CodeTooLarge, "check %d is too large", i)
		}
		return results, "", results[0].Err
	}
	w.engine.check = func(context.Context, authz.Check, authz.Consistency) (authz.Decision, authz.Token, error) {
		t.Error("asked for a check again")
		return authz.Decision{}, "", nil
	}
	item := `{"subject":"user:a","permission":"view","resource":"importer:i"}`
	got := w.do(t, request{
		method: "POST", path: "/v1/check/bulk", key: checkKey, body: `{"checks":[` + item + `,` + item + `]}`,
	})
	want := `{"results":[{"error":{"code":"too_large","detail":"check 0 is too large"}},` +
		`{"error":{"code":"too_large","detail":"check 1 is too large"}}]}`
	if got.status != 200 || strings.TrimSpace(got.body) != want {
		t.Errorf("answered %d %s, want %s", got.status, got.body, want)
	}
}
