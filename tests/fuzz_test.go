package tests

import (
	"encoding/json"
	"net/http"
	"testing"
)

// FuzzCheck sends arbitrary bodies to POST /v1/check. Each answer must conform to the contract: it must be a
// decision, or an error that says what is wrong.
func FuzzCheck(f *testing.F) {
	for _, body := range []string{
		`{"subject": "user:alice", "permission": "edit", "resource": "importer:i1"}`,
		`{"subject": {"type": "user", "id": "room#1"}, "permission": "view", "resource": {"type": "account", "id": "acme", "relation": "owner"}}`,
		`{"subject": "account:acme#owner", "permission": "view", "resource": "account:*", "context": {"a": [1, {"b": null}]}}`,
		`{"subject": "user:a=3D", "permission": "view", "resource": "account:\u0000", "consistency": "minimize_latency"}`,
		`{"subject": "user:a", "permission": "view", "resource": "account:a", "consistency": {"at_least_as_fresh": "GhUKEzE="}}`,
		`{"subject": 1, "permission": [], "resource": null}`, `[]`, `{`, ``, "\xff",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		answer := newCaller(t, memory.get(t).url).call(http.MethodPost, "check", body)
		switch answer.status {
		case http.StatusOK:
			if !json.Valid(body) {
				t.Errorf("%q is no JSON, and is answered: %s", body, answer.body)
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			if p := answer.problem(); p.Code == "" || p.Detail == "" {
				t.Errorf("%q: %s", body, answer.body)
			}
		default:
			t.Errorf("%q: %d %s", body, answer.status, answer.body)
		}
	})
}
