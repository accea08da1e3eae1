package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
)

// failing is a schema whose caveats fail with some contexts. One of them fails because of the context that is stored
// with its relationship.
const failing = `schema: |-
  definition user {}
  caveat on_day(today string, allowed string) { today == allowed }
  caveat listed(names map<any>, name string) { names.listed == name }
  caveat below(count int, limit int) { count < limit }
  definition document {
    relation reader: user | user:* | user with on_day | user:* with on_day | user with listed | user with below
    relation banned: user | user with on_day
    /** May read the document. */
    permission read = reader
    /** May comment on the document. */
    permission comment = reader - banned
    /** May praise the document. */
    permission praise = banned
  }
relationships: |-
  document:plain#reader@user:ada
  document:plain#reader@user:bob
  document:plain#banned@user:bob[on_day:{"allowed":"monday"}]
  document:daily#reader@user:ada[on_day:{"allowed":"monday"}]
  document:daily#reader@user:bob
  document:daily#reader@user:cyd[on_day:{"allowed":"sunday"}]
  document:counted#reader@user:bob[below:{"limit":9}]
  document:counted#reader@user:cyd
  document:open#reader@user:*
  document:open#banned@user:cyd[on_day:{"allowed":"monday"}]
  document:open#banned@user:ada
  document:hourly#reader@user:*[on_day:{"allowed":"monday"}]
  document:hourly#reader@user:ada
`

// broken is a relationship whose caveat fails with every context, and a relationship without a caveat.
const broken = `  document:broken#reader@user:bob[listed:{"names":{},"name":"bob"}]
  document:broken#reader@user:cyd
`

// failed is an item in an answer. If the decision about the item failed, Error is set.
type failed struct {
	Resource, Subject string
	Type, ID, Name    string
	Allowed           bool
	Excluded          []string
	Error             *struct {
		Code, Detail string
		Status       int
	}
}

// state returns "allowed", or "failed" if the decision about the item failed.
func (f failed) state() string {
	switch {
	case f.Error != nil && (f.Error.Code == "invalid" || f.Error.Status == http.StatusBadRequest) && !f.Allowed:
		return "failed"
	case f.Error == nil && f.Allowed:
		return "allowed"
	default:
		return fmt.Sprintf("%+v", f)
	}
}

// TestFailingConditionsFailTheirItemsAlone calls every endpoint whose answer has several items. If the check of an
// item fails, the item must have an error and must not be allowed. Every other item must have the decision of its
// check.
func TestFailingConditionsFailTheirItemsAlone(t *testing.T) {
	t.Parallel()
	contexts := []map[string]any{
		nil, {"today": "monday"}, {"today": 5}, {"today": []string{"monday"}}, {"count": 1e22, "today": "monday"},
	}
	large := []map[string]any{{"count": 5, "today": 5}, {"count": "99999999999999999999", "today": "monday"}}
	for name, c := range map[string]struct {
		text     string
		replica  string
		contexts []map[string]any
	}{
		"with the context":              {failing, app.Off, contexts},
		"with what is stored":           {failing + broken, app.Off, contexts},
		"with the context, from memory": {failing, app.ReplicaAuto, large},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "failing.yaml")
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o600))
			config := configuration()
			config.Schema = file
			config.Replica.Mode = c.replica
			s := scene{caller: newCaller(t, start(t, config).URL)}
			for _, context := range c.contexts {
				holdFailures(t, s, context)
			}
		})
	}
}

// TestChecksRejectLargeIntegersByName sends an integer with more than 64 bits in a caveat context. A check that
// evaluates the caveat must be invalid, and so must the explanation of the check. The error must name the number.
func TestChecksRejectLargeIntegersByName(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "failing.yaml")
	require.NoError(t, os.WriteFile(file, []byte(failing), 0o600))
	config := configuration()
	config.Schema = file
	s := scene{caller: newCaller(t, start(t, config).URL)}
	const detail = `the field "context.count" holds the number 99999999999999999999, which is no 64-bit integer: ` +
		"send it as a string and declare the parameter as string"
	body := map[string]any{
		"subject": "user:bob", "permission": "read", "resource": "document:counted",
		"context": map[string]any{"count": "99999999999999999999"},
	}
	for _, path := range []string{"check", "explain"} {
		problem := s.call(http.MethodPost, path, body).problem()
		require.Equal(t, []string{"invalid", detail}, []string{problem.Code, problem.Detail}, path)
	}
}

var (
	failingPeople      = []string{"ada", "bob", "cyd", "somebody"}
	failingDocuments   = []string{"plain", "daily", "open", "hourly", "counted", "broken"}
	failingPermissions = []string{"read", "comment", "praise"}
)

func holdFailures(t *testing.T, s scene, context map[string]any) {
	t.Helper()
	with := func(body map[string]any) map[string]any {
		if context != nil {
			body["context"] = context
		}
		return body
	}
	entity := func(typ, id string) map[string]any { return map[string]any{"type": typ, "id": id} }
	truth := make(map[[3]string]string) // the expected state, by person, permission and document
	for _, who := range failingPeople {
		for _, permission := range failingPermissions {
			for _, document := range failingDocuments {
				a := s.call(
					http.MethodPost, "check",
					with(map[string]any{"subject": "user:" + who, "permission": permission, "resource": "document:" + document}),
				)
				state := "failed"
				if a.status == http.StatusOK {
					var decided struct{ Allowed bool }
					a.decode(t, &decided)
					state = map[bool]string{true: "allowed", false: "denied"}[decided.Allowed]
				} else {
					require.Equal(t, "invalid", a.problem().Code, "%s", a.body)
				}
				truth[[3]string{who, permission, document}] = state
			}
		}
	}
	// expect compares the items of an answer with the expected states. The answer leaves out denied items.
	expect := func(what string, got map[string]string, items []string, at func(item string) [3]string) {
		t.Helper()
		want := make(map[string]string)
		for _, item := range items {
			if state := truth[at(item)]; state != "denied" {
				want[item] = state
			}
		}
		require.Equal(t, want, got, "%s with %v", what, context)
	}
	for _, who := range failingPeople {
		for _, permission := range failingPermissions {
			at := func(document string) [3]string { return [3]string{who, permission, document} }
			got := make(map[string]string)
			for cursor, more := "", true; more; more = cursor != "" {
				var page struct {
					Resources  []failed
					NextCursor string `json:"next_cursor"`
				}
				s.must(http.MethodPost, "lookup/resources", with(map[string]any{
					"subject": "user:" + who, "permission": permission, "resource_type": "document", "limit": 2, "cursor": cursor,
				})).decode(t, &page)
				for _, r := range page.Resources {
					if r.Allowed || r.Error != nil {
						got[strings.TrimPrefix(r.Resource, "document:")] = r.state()
					}
				}
				cursor = page.NextCursor
			}
			expect("look-up of resources for "+who+" "+permission, got, failingDocuments, at)
			expect("search of resources for "+who+" "+permission, search(s, "resource", with(map[string]any{
				"subject": entity("user", who), "action": map[string]any{"name": permission}, "resource": map[string]any{
					"type": "document",
				},
			})), failingDocuments, at)
		}
		for _, document := range failingDocuments {
			at := func(permission string) [3]string { return [3]string{who, permission, document} }
			var decided struct {
				Permissions map[string]bool
				Errors      map[string]struct{ Code, Detail string }
			}
			s.must(
				http.MethodPost, "permissions", with(map[string]any{"subject": "user:" + who, "resource": "document:" + document}),
			).decode(t, &decided)
			got := make(map[string]string)
			for name, allowed := range decided.Permissions {
				if _, fails := decided.Errors[name]; fails {
					require.False(t, allowed)
					require.Equal(t, "invalid", decided.Errors[name].Code)
					got[name] = "failed"
				} else if allowed {
					got[name] = "allowed"
				}
			}
			require.Len(t, decided.Permissions, len(failingPermissions))
			expect("permissions of "+who+" on "+document, got, failingPermissions, at)
			expect("search of actions of "+who+" on "+document, search(s, "action", with(map[string]any{
				"subject": entity("user", who), "resource": entity("document", document),
			})), failingPermissions, at)
		}
	}
	for _, permission := range failingPermissions {
		for _, document := range failingDocuments {
			at := func(who string) [3]string { return [3]string{who, permission, document} }
			body := with(map[string]any{"resource": "document:" + document, "permission": permission, "subject_type": "user"})
			var found struct{ Subjects []failed }
			s.must(http.MethodPost, "lookup/subjects", body).decode(t, &found)
			expect("look-up of subjects of "+permission+" "+document, stateOfEach(found.Subjects), failingPeople, at)

			request := s.request(http.MethodPost, "lookup/subjects", body)
			request.Header.Set("Accept", "application/x-ndjson")
			var streamed []failed
			lines := strings.Split(strings.TrimSpace(string(s.send(request).body)), "\n")
			for _, line := range lines[:len(lines)-1] {
				var f failed
				require.NoError(t, json.Unmarshal([]byte(line), &f))
				streamed = append(streamed, f)
			}
			require.Contains(t, lines[len(lines)-1], `{"token":`)
			expect("stream of subjects of "+permission+" "+document, stateOfEach(streamed), failingPeople, at)

			expect("search of subjects of "+permission+" "+document, search(s, "subject", with(map[string]any{
				"subject": map[string]any{"type": "user"}, "action": map[string]any{"name": permission}, "resource": entity(
					"document", document,
				),
			})), failingPeople, at)
		}
	}
}

// stateOfEach returns the state of each person in a look-up of subjects. It is the state of the person's own entry.
// Without such an entry, it is the state of the wildcard.
func stateOfEach(found []failed) map[string]string {
	states := make(map[string]string)
	for _, who := range failingPeople {
		for _, f := range found {
			if f.Subject == "user:*" && (f.Allowed || f.Error != nil) && !slices.Contains(f.Excluded, "user:"+who) {
				states[who] = f.state()
			}
		}
		for _, f := range found {
			if f.Subject == "user:"+who && (f.Allowed || f.Error != nil) {
				states[who] = f.state()
			}
		}
	}
	return states
}

// search reads all pages of an AuthZEN search, and returns the state of each result and error.
func search(s scene, kind string, body map[string]any) map[string]string {
	s.t.Helper()
	states := make(map[string]string)
	for token, more := "", true; more; more = token != "" {
		body["page"] = map[string]any{"limit": 2, "token": token}
		var answer struct {
			Results []failed
			Page    struct {
				NextToken string `json:"next_token"`
				Count     int
			}
			Context struct {
				Everybody *struct{ Except []string }
				Errors    []failed
			}
		}
		s.must(http.MethodPost, "/access/v1/search/"+kind, body).decode(s.t, &answer)
		require.Len(s.t, answer.Results, answer.Page.Count)
		for _, who := range failingPeople {
			if everybody := answer.Context.Everybody; everybody != nil && !slices.Contains(everybody.Except, who) &&
				states[who] == "" {
				states[who] = "allowed"
			}
		}
		for _, f := range answer.Context.Errors {
			if f.ID == "" && f.Name == "" {
				for _, who := range failingPeople {
					states[who] = f.state()
				}
			}
		}
		for _, f := range answer.Results {
			states[f.ID+f.Name] = "allowed"
		}
		for _, f := range answer.Context.Errors {
			if f.ID+f.Name != "" {
				states[f.ID+f.Name] = f.state()
			}
		}
		token = answer.Page.NextToken
	}
	return states
}
