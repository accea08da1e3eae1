package tests

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// catalogue returns the public permissions of every type.
func (c caller) catalogue() map[string][]string {
	c.t.Helper()
	var answer struct {
		Types []struct {
			Type        string
			Permissions []struct{ Name, Description string }
		}
	}
	c.must(http.MethodGet, "permissions", nil).decode(c.t, &answer)
	permissions := map[string][]string{}
	for _, typ := range answer.Types {
		for _, p := range typ.Permissions {
			if p.Description == "" {
				c.t.Errorf("%s %s has no description", typ.Type, p.Name)
			}
			permissions[typ.Type] = append(permissions[typ.Type], p.Name)
		}
	}
	return permissions
}

// inside lists the requests that create the objects on which outsiders must have no permission.
var inside = append([]string{
	"backend PUT connectors/~crm {capabilities: [views, financial_settings, postgres_database]}",
	"backend POST subscriptions {id: ~s, role_set: $set, owner: ~olga, features: [user_permissions, dashboards]}",
	"olga POST accounts {id: ~t, subscription: ~s, role_set: team}",
	"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
	"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
	"olga PUT accounts/~o/members/~adam {roles: [administrator, flow_author, integration_author, connector_author]}",
	"olga PUT accounts/~n/members/~adam {roles: [editor]}",
	"olga POST subscriptions/~s/groups {id: ~crew, title: Crew}",
	"olga PUT groups/~crew/members/~adam",
	"olga PUT accounts/~o/groups/~crew {roles: [operator]}",
	"olga POST accounts/~o/service-accounts {id: ~machine, title: Nightly, roles: [operator]}",
	"olga POST connections {id: ~shared, account: ~t, connector: ~crm, visibility: shared}",
	"olga POST connections {id: ~charts, account: ~n, connector: ~crm}",
	"olga POST importers {id: ~i, account: ~t, source: ~shared}",
	"adam POST workspaces {id: ~open, account: ~o, open: true}",
	"adam POST workspaces {id: ~closed, account: ~o, open: false}",
	"adam POST flows {id: ~g, workspace: ~closed}",
	"adam POST connectors {id: ~own, account: ~o}",
	`backend POST relationships {updates: [{operation: create, relationship: "dashboard:~d#account@account:~t"}]}`,
	`backend POST relationships {updates: [{operation: create, relationship: "dashboard:~d#editor@user:~adam"}]}`,
	`backend POST relationships {updates: [{operation: create, relationship: "folder:~f#viewer@user:~adam"}]}`,
}, eachSimpleType("adam POST $types {id: ~$type, $place: ~$in}", map[string]string{
	"workspace": "open", "team": "t", "operations": "o", "analytics": "n",
})...)

var insideObjects = append([]string{
	"account:~t", "account:~o", "account:~n", "connection:~shared", "connection:~charts", "importer:~i", "workspace:~open",
	"workspace:~closed", "flow:~g", "connector:~own", "dashboard:~d", "folder:~f", "service_account:~machine",
}, eachSimpleType("$type:~$type", nil)...)

// outsiders creates people with every role of the role sets for accounts. For each role set, it creates an account
// in the subscription sub. master is the person who creates the accounts. outsiders returns the names of the people.
func (s scene) outsiders(sub, master string) []string {
	var sets struct {
		RoleSets []struct {
			Name  string
			On    string
			Roles []struct {
				Name       string
				Additional bool
			}
		} `json:"role_sets"`
	}
	s.must(http.MethodGet, "role-sets", nil).decode(s.t, &sets)
	base := map[string]string{"operations": "operator"}
	var people []string
	for _, set := range sets.RoleSets {
		if set.On != "account" {
			continue
		}
		account := sub + "-" + set.Name
		s.play(fmt.Sprintf("%s POST accounts {id: ~%s, subscription: ~%s, role_set: %s}", master, account, sub, set.Name))
		for _, role := range set.Roles {
			roles := []string{role.Name}
			if role.Additional {
				roles = append(roles, base[set.Name])
			}
			person := sub + "-" + set.Name + "-" + role.Name
			s.play(fmt.Sprintf(
				"%s PUT accounts/~%s/members/~%s {roles: [%s]}", master, account, person, strings.Join(roles, ", "),
			))
			people = append(people, person)
		}
	}
	if len(people) < 13 {
		s.t.Errorf("there are only %d roles", len(people))
	}
	return people
}

// accountsApart checks that people who have no role on an account have no permission on anything in it. These people
// have roles on an account of another subscription, on that subscription, or on other accounts of the same
// subscription.
func accountsApart(t *testing.T, on *backend) {
	for _, set := range []string{"multi_owner", "single_owner"} {
		t.Run(set, func(t *testing.T) {
			on.parallel(t)
			s := newScene(t, on)
			for _, operation := range inside {
				if set == "single_owner" {
					operation = strings.ReplaceAll(operation, ", visibility: shared", "")
				}
				s.play(strings.ReplaceAll(operation, "$set", set))
			}
			s.play(
				"backend POST subscriptions {id: ~xm, role_set: multi_owner, owner: ~multi-owner, features: [user_permissions, dashboards]}",
				"multi-owner PUT subscriptions/~xm/members/~multi-member {roles: [member]}",
				"backend POST subscriptions {id: ~xs, role_set: single_owner, owner: ~single-owner}",
				"single-owner PUT subscriptions/~xs/members/~single-business {roles: [business_admin]}",
				"single-owner PUT subscriptions/~xs/members/~single-it {roles: [it_admin]}",
				"single-owner PUT subscriptions/~xs/members/~single-reader {roles: [read_only]}",
			)
			people := append(
				s.outsiders("xm", "multi-owner"), "multi-owner", "multi-member", "single-owner", "single-business", "single-it",
				"single-reader", "nobody",
			)
			objects := append(slices.Clone(insideObjects), "subscription:~s", "group:~crew", "platform:main")
			s.mayNothing(t, people, objects)
			neverAsked(t, s.catalogue(), objects)

			// People in other accounts of the same subscription have no permission on this account. Some of them are
			// members of the subscription, so the test does not check the subscription itself.
			s.mayNothing(t, s.outsiders("s", "olga"), insideObjects)
		})
	}
}

// mayNothing checks that none of the people has any permission on the objects.
func (s scene) mayNothing(t *testing.T, people, objects []string) {
	t.Helper()
	catalogue := s.catalogue()
	var questions []question
	flush := func() {
		for i, allowed := range s.mayEach(questions) {
			if allowed {
				t.Errorf("%s: true, want false", questions[i])
			}
		}
		questions = nil
	}
	for _, person := range people {
		for _, object := range objects {
			typ, _, _ := strings.Cut(object, ":")
			for _, permission := range catalogue[typ] {
				if questions = append(
					questions, question{"user:" + s.id(person), permission, s.in(object)},
				); len(questions) == 500 {
					flush()
				}
			}
		}
		// The answer of POST /v1/permissions must have no permission either.
		object := objects[len(person)%len(objects)]
		typ, _, _ := strings.Cut(object, ":")
		all := s.permissions("user:"+s.id(person), s.in(object))
		if names := slices.Sorted(maps.Keys(all)); !slices.Equal(names, slices.Sorted(slices.Values(catalogue[typ]))) {
			t.Errorf("the permissions on a %s are %s, want %s", typ, names, catalogue[typ])
		}
		for permission, allowed := range all {
			if allowed {
				t.Errorf("%s %s %s: true, want false", person, permission, object)
			}
		}
	}
	if len(questions) > 0 {
		flush()
	}
}

// neverAsked fails the test for each type with permissions of which no object was checked.
func neverAsked(t *testing.T, catalogue map[string][]string, objects []string) {
	t.Helper()
	for typ, permissions := range catalogue {
		if typ == "custom_role" {
			continue // the requests in inside create no custom role
		}
		if len(permissions) > 0 && !slices.ContainsFunc(
			objects, func(o string) bool { return strings.HasPrefix(o, typ+":") },
		) {
			t.Errorf("no %s was checked", typ)
		}
	}
}
