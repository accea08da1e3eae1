package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestContextsHaveALimitEverywhere holds, of every call that takes a context or properties, that it refuses more than a
// context may have, although no caveat reads it, and takes as much as it may have.
func TestContextsHaveALimitEverywhere(t *testing.T) {
	w := serve(t)
	asked := 0
	for path, fields := range freeFields() {
		if path == "/v1/preview" { // its free field is the body of another call
			continue
		}
		for field, body := range fields {
			asked++
			send := func(size int) response {
				value := strconv.Quote(strings.Repeat("x", size))
				return w.do(
					t, request{method: http.MethodPost, path: path, key: checkKey, body: strings.ReplaceAll(body, "%", value)},
				)
			}
			got := send(authz.MaxContextBytes)
			if path == "/v1/check/bulk" || strings.Contains(body, `"evaluations"`) { // the error is in the place of the item
				if got.status != http.StatusOK || !strings.Contains(got.body, "16384") {
					t.Errorf("%s with a large %s: %d %.300s", path, field, got.status, got.body)
				}
			} else {
				got.wantProblem(t, http.StatusRequestEntityTooLarge, "too_large", "16384")
			}
			if got := send(authz.MaxContextBytes - 100); strings.Contains(got.body, "16384") {
				t.Errorf("%s with a %s of nearly that size: %d %.300s", path, field, got.status, got.body)
			}
		}
	}
	if asked < 15 {
		t.Errorf("asked with %d contexts only", asked)
	}
}
