package tests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// documents is a schema with caveats, wildcards and exclusions, and with relationships that combine these in every
// way.
const documents = `schema: |-
  definition user {}
  caveat at_night(hour int) { hour >= 22 }
  caveat in_region(region string, wanted string) { region == wanted }
  definition group {
    relation member: user | user with at_night
  }
  definition document {
    relation reader: user | user:* | user with at_night | user:* with at_night | group#member | group#member with in_region
    relation owner: user | user:* | user with in_region
    relation banned: user | user with at_night
    /** May read the document. */
    permission read = reader + owner
    /** May comment on the document. */
    permission comment = read - banned
    /** May comment on the document, as one who reads it. */
    permission note = (reader - banned) + owner
  }
relationships: |-
  document:plan#reader@user:ada
  document:plan#reader@user:bob[at_night]
  document:plan#owner@user:bob[in_region:{"wanted":"eu"}]
  document:plan#reader@user:cyd[at_night]
  document:plan#owner@user:cyd
  document:plan#reader@group:g#member
  group:g#member@user:ada
  group:g#member@user:dan
  group:g#member@user:bob
  document:hazy#reader@user:bob[at_night]
  document:hazy#owner@user:bob[in_region:{"wanted":"eu"}]
  document:hazy#reader@group:g#member[in_region:{"wanted":"us"}]
  document:open#reader@user:*
  document:open#reader@user:eve[at_night]
  document:open#banned@user:dan
  document:open#banned@user:fay[at_night]
  document:open#banned@user:gil
  document:open#owner@user:gil
  document:wide#reader@user:*
  document:wide#owner@user:*
  document:wide#banned@user:dan
  document:night#reader@user:*[at_night]
  document:night#reader@user:ada
  document:night#banned@user:dan
`

// TestLookupsAgreeWithChecks compares look-ups with checks, in a schema with caveats, wildcards and exclusions. For
// every resource and person, a look-up of resources and a look-up of subjects must have the same decision as a
// check.
func TestLookupsAgreeWithChecks(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "documents.yaml")
	if err := os.WriteFile(file, []byte(documents), 0o600); err != nil {
		t.Fatal(err)
	}
	config := configuration()
	config.Schema = file
	server := start(t, config)
	s := scene{caller: newCaller(t, server.URL)}
	people := []string{"ada", "bob", "cyd", "dan", "eve", "fay", "gil", "somebody"}
	type decision struct {
		Allowed        bool
		MissingContext []string `json:"missing_context"`
	}
	for _, context := range []map[string]any{
		{}, {"hour": 23}, {"hour": 12}, {"region": "eu"}, {"region": "eu", "hour": 3}, {"region": "us", "hour": 23},
	} {
		for _, permission := range []string{"read", "comment", "note", "reader"} {
			want := map[string]map[string]decision{}
			for _, resource := range []string{"plan", "hazy", "open", "wide", "night"} {
				want[resource] = map[string]decision{}
				for _, who := range people {
					var d decision
					s.must(http.MethodPost, "check", map[string]any{
						"subject": "user:" + who, "permission": permission, "resource": "document:" + resource, "context": context,
					}).decode(t, &d)
					if d.Allowed || d.MissingContext != nil {
						want[resource][who] = d
					}
				}
			}
			for _, who := range people {
				got, wanted := map[string]decision{}, map[string]decision{}
				for cursor, page := "", 0; page == 0 || cursor != ""; page++ {
					var list foundResources
					s.lookUp("resources", map[string]any{
						"subject": "user:" + who, "permission": permission, "resource_type": "document", "context": context, "limit": 1,
						"cursor": cursor,
					}).decode(t, &list)
					for _, r := range list.Resources {
						got[r.Resource] = decision{r.Allowed, r.MissingContext}
					}
					if cursor = list.NextCursor; len(got) != page+1 && len(list.Resources) > 0 {
						t.Fatalf("%s is listed twice", list.Resources[0].Resource)
					}
				}
				for resource, decisions := range want {
					if d, ok := decisions[who]; ok {
						wanted["document:"+resource] = d
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(wanted) {
					t.Errorf(
						"the resources that %s may %s with %v: %v, by checks %v", who, permission, context, got, wanted,
					)
				}
			}
			for resource, wanted := range want {
				found := s.subjects(map[string]any{
					"resource": "document:" + resource, "permission": permission, "subject_type": "user", "context": context,
				})
				got := map[string]decision{}
				for _, who := range people {
					if d, ok := decisionIn(found, "user:"+who); ok {
						got[who] = decision{d.Allowed, d.MissingContext}
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(wanted) {
					t.Errorf(
						"the people who may %s %s with %v: %v, by checks %v\n%+v",
						permission, resource, context, got, wanted, found,
					)
				}
			}
		}
	}
	found := s.subjects(map[string]any{"resource": "document:open", "permission": "comment", "subject_type": "user"})
	if fmt.Sprint(found) != fmt.Sprint([]foundSubject{
		{Subject: "user:*", Allowed: true, Excluded: []string{"user:dan", "user:fay", "user:gil"}},
		{Subject: "user:eve", Allowed: true},
		{Subject: "user:fay", MissingContext: []string{"hour"}},
	}) {
		t.Errorf("the people who may comment on document:open: %+v", found)
	}
	for _, path := range []string{"accounts/a/importers?actor=ada", "workspaces/w/flows?actor=ada"} {
		if a := s.call(http.MethodGet, path, nil); a.status != http.StatusNotFound || !strings.Contains(
			a.problem().Detail, "product",
		) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// decisionIn returns the decision about a subject in the answer of a look-up. As docs/api.md says, the entry of the
// subject decides. If the subject has no entry, the wildcard decides, unless it excludes the subject.
func decisionIn(found []foundSubject, subject string) (foundSubject, bool) {
	for _, f := range found {
		if f.Subject == subject {
			return f, true
		}
	}
	for _, f := range found {
		if f.Subject == "user:*" && !slices.Contains(f.Excluded, subject) {
			return f, true
		}
	}
	return foundSubject{}, false
}
