package tests

import (
	"net/http"
	"strings"
	"testing"
)

// TestUnknownNames sends names of permissions, relations and types that do not exist. The answer must be 400. If the
// schema has similar names, the answer must list them.
func TestUnknownNames(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST check {subject: 'user:~a', permission: edti, resource: 'importer:~i'} => 400 invalid edit",
		"backend POST check {subject: 'user:~a', permission: edit, resource: 'importr:~i'} => 400 invalid importer",
		"backend POST check {subject: 'usr:~a', permission: edit, resource: 'importer:~i'} => 400 invalid user",
		"backend POST check {subject: 'user:~a#members', permission: edit, resource: 'importer:~i'} => 400 invalid",
		"backend POST check {subject: 'user:~a', permission: create_account, resource: 'importer:~i'} => 400 invalid",
		"backend POST check {subject: 'user:~a', permission: 'Edit Me', resource: 'importer:~i'} => 400 invalid",
		"backend POST check {subject: 'user:~a', permission: rn, resource: 'importer:~i'} => 400 invalid run",
		"backend POST check {subject: 'user:~a', permission: Run, resource: 'importer:~i'} => 400 invalid run",
		"backend POST check {subject: 'user:~a', permission: run, resource: 'Importer:~i'} => 400 invalid importer",
		"backend POST check {subject: 'account:~a#Owner', permission: run, resource: 'importer:~i'} => 400 invalid owner",
		"backend POST permissions {subject: 'user:~a', resource: 'Importr:~i'} => 400 invalid importer",
		"backend GET relationships?resource=Account:~i => 400 invalid account",
		"backend GET relationships?resource=account:~i&relation=Owner => 400 invalid owner",
		"backend POST check {subject: 'user:*', permission: edit, resource: 'importer:~i'} => 200 {allowed: false}",
		"backend POST permissions {subject: 'user:~a', resource: 'importr:~i'} => 400 invalid importer",
		"backend GET relationships?resource=importr:~i => 400 invalid importer",
		"backend GET relationships?resource=account:~i&relation=ower => 400 invalid owner",
		"backend POST check {subject: 'user:~a', permission: edit, resource: 'importer:~i', consistency: eventually} => 400 invalid",
		"backend POST check {subject: 'user:~a', permission: edit, resource: 'importer:~i', consistency: {at_least_as_fresh: nonsense}} => 400 invalid",
	)
	var bulk struct {
		Results []struct {
			Allowed *bool
			Error   *problem
		}
	}
	s.must(http.MethodPost, "check/bulk", map[string]any{"checks": []question{
		{"user:a", "edit", "importer:" + s.id("i")},
		{"user:a", "edti", "importer:" + s.id("i")},
		{"user:a", "edit", "importr:" + s.id("i")},
		{"a", "edit", "importer:" + s.id("i")},
		{"user:a", "Edit", "importer:" + s.id("i")},
	}}).decode(t, &bulk)
	if len(bulk.Results) != 5 || bulk.Results[0].Allowed == nil || bulk.Results[0].Error != nil {
		t.Fatalf("a valid check has no decision because others are invalid: %+v", bulk.Results)
	}
	for i, nearest := range map[int]string{1: "edit", 2: "importer", 3: "reference", 4: "are edit"} {
		if e := bulk.Results[i].Error; e == nil || e.Code != "invalid" || !strings.Contains(e.Detail, nearest) {
			t.Errorf("result %d: %+v", i, bulk.Results[i])
		}
	}
}
