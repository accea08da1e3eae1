package httpapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestEveryContextIsLimited sends contexts and properties to every call that has them, although no caveat reads them.
// Each call must reject those above the limit, and accept those just below it.
func TestEveryContextIsLimited(t *testing.T) {
	w := serve(t)
	q := 0
	for path, fields := range freeFields() {
		if path == "/v1/preview" { // only the body of the previewed call has such fields
			continue
		}
		for field, body := range fields {
			q++
			send := func(size int) response {
				value, key := strconv.Quote(strings.Repeat("x", size)), checkKey
				if path == "/v1/relationships" {
					key = writeKey
				}
				return w.do(
					t,
					request{
						method: http.MethodPost,
						path:   path,
						key:    key,
						body:   strings.ReplaceAll(body, "%", value),
					},
				)
			}
			got := send(authz.MaxContextBytes)
			if path == "/v1/check/bulk" ||
				strings.Contains(body, `"evaluations"`) { // the request succeeds, and only the item has the error
				if got.status != http.StatusOK || !strings.Contains(got.body, "16384") {
					t.Errorf("%s with a large %s: %d %.300s", path, field, got.status, got.body)
				}
			} else {
				got.wantProblem(t, http.StatusRequestEntityTooLarge, "too_large", "16384")
			}
			if got := send(authz.MaxContextBytes - 100); strings.Contains(got.body, "16384") {
				t.Errorf("%s with a %s just below the limit: %d %.300s", path, field, got.status, got.body)
			}
		}
	}
	if q < 15 {
		t.Errorf("only %d fields were tested", q)
	}
}
