package httpapi_test

import "testing"

func TestCallWithoutBodyAcceptsEmptyObject(t *testing.T) {
	w := serve(t)
	for body, status := range map[string]int{
		"": 200, "{}": 200, " { }": 400, " {}\n": 200, `{"a":1}`: 400, "null": 400, "{}                              ": 400,
	} {
		if got := w.do(
			t, request{method: "DELETE", path: "/v1/importers/i1", key: operateKey, actor: "bob", body: body},
		); got.status != status {
			t.Errorf("%q: %d %s, want %d", body, got.status, got.body, status)
		}
	}
}
