package tests

import (
	"net/http"
	"strings"
	"testing"
)

// TestExplainHidesRoles reads explanations on behalf of people who may not list roles. The explained checks are
// about members and about a stranger, for every third permission on objects that the reader may view. If two checks
// have the same decision, their explanations must be equal.
func TestExplainHidesRoles(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, text := range []string{
		"include team",
		"olga PUT accounts/~a/members/~gina {roles: [guest]}",
		"olga PUT subscriptions/~s/members/~mona {roles: [member]}",
		"olga PUT subscriptions/~s/members/~ria {roles: [member]}",
		"gert POST connections {id: ~named, account: ~a, connector: ~crm}",
		"gert PUT connections/~named/sharing {visibility: private, users: [~ulla]}",
		"gert POST connections {id: ~shared, account: ~a, connector: ~crm, visibility: shared}",
		"gert POST importers {id: ~i, account: ~a, source: ~named}",

		"backend POST subscriptions {id: ~single, role_set: single_owner, owner: ~olga}",
		"olga PUT subscriptions/~single/members/~bea {roles: [business_admin]}",
		"olga PUT subscriptions/~single/members/~ira {roles: [it_admin]}",
		"olga PUT subscriptions/~single/members/~rea {roles: [read_only]}",
		"olga POST accounts {id: ~t, subscription: ~single, role_set: team}",
		"olga PUT accounts/~t/members/~uma {roles: [user]}",
		"uma POST connections {id: ~plain, account: ~t, connector: ~crm}",
	} {
		line{"scene", text}.play(s, "", "")
	}
	var catalogue struct {
		Types []struct {
			Type        string
			Permissions []struct{ Name string }
		}
	}
	s.must(http.MethodGet, "permissions", nil).decode(t, &catalogue)
	permissions := make(map[string][]string)
	for _, described := range catalogue.Types {
		for _, permission := range described.Permissions {
			permissions[described.Type] = append(permissions[described.Type], permission.Name)
		}
	}
	objects := 0
	for _, c := range []struct {
		reader  string
		members []string // people whose roles the reader may not know
		objects []string
	}{
		{"gert", []string{"olga", "gina"}, []string{"account:~a", "importer:~i", "connection:~named", "connector:~crm"}},
		{"mona", []string{"ria"}, []string{"subscription:~s"}},
		{"ulla", []string{"mona"}, []string{"account:~a", "connection:~shared"}},
		{"uma", []string{"bea"}, []string{"connection:~plain"}},
		{"rea", []string{"ira"}, []string{"subscription:~single", "connection:~plain"}},
	} {
		for _, object := range c.objects {
			typ, _, _ := strings.Cut(object, ":")
			objects++
			for n, permission := range permissions[typ] {
				if (n+objects)%3 != 0 {
					continue
				}
				// reported has the explanation of each decision. The explanations for two people may differ only if
				// their decisions differ, since a check reveals the decision too.
				reported := make(map[bool]string)
				for _, who := range append(c.members, "sven") {
					a := s.by(c.reader).withKey(checkKey).must(
						http.MethodPost, "explain", question{"user:" + s.id(who), permission, s.in(object)},
					)
					answer := tokens.ReplaceAllString(strings.ReplaceAll(string(a.body), s.id(who), "WHO"), "")
					yes := strings.HasPrefix(answer, `{"allowed":true`)
					if before, asked := reported[yes]; asked && answer != before {
						t.Errorf("%s about %s, %s %s:\n%s\nabout another:\n%s", c.reader, who, permission, object, answer, before)
					}
					reported[yes] = answer
				}
			}
		}
	}
}
