package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// reusedID is a test case: an object is deleted, and then another object gets its id.
type reusedID struct {
	name string
	// reader is the person who reads the history of the account ~a at the end.
	reader string
	// earlier lists the steps about the earlier object, including its deletion. again lists the steps that create
	// the other object.
	earlier []string
	again   []string
	object  string // the value of the parameter object, which selects entries about the object
	want    []string
}

// common lists the first steps of every test case.
var common = []string{
	"backend PUT connectors/~c {capabilities: []} => 200",
	"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga, features: [user_permissions]}",
}

// inAccount returns the steps that create an account in which the person joe has a role. Nobody deletes the account.
// joe can read its history.
func inAccount(roleSet, role string, more ...string) []string {
	return append([]string{
		"olga POST accounts {id: ~a, subscription: ~s, role_set: " + roleSet + "}",
		"olga PUT accounts/~a/members/~joe {roles: [" + role + "]}",
		"olga PUT accounts/~a/members/~peter {roles: [" + role + "]}",
	}, more...)
}

// reusedPart returns the test case of a simple type (see authz.SimpleTypes): olga creates an object, deletes it, and
// creates another object with the same id.
func reusedPart(kind, create, roleSet, reader string, before ...string) reusedID {
	return reusedID{
		name: kind, reader: "joe", object: kind + ":~x",
		earlier: append(inAccount(roleSet, reader, before...),
			"olga POST "+create, "olga DELETE "+kind+"s/~x"),
		again: []string{"olga POST " + create},
		want:  []string{"olga create_" + kind + " touch " + kind + ":~x#"},
	}
}

// author grants olga the roles with which she may create objects of every type in an operations account.
const author = "olga PUT accounts/~a/members/~olga " +
	"{roles: [administrator, flow_author, integration_author, connector_author]}"

// reusedSimpleTypes returns a test case for each of authz.SimpleTypes.
func reusedSimpleTypes() []reusedID {
	var parts []reusedID
	for i, create := range eachSimpleType("$types {id: ~x, $place: $in}", map[string]string{
		"workspace": "~w", "operations": "~a", "analytics": "~a",
	}) {
		typ := authz.SimpleTypes[i]
		roleSet, reader, before := "analytics", "viewer", []string(nil)
		if slices.Contains(typ.RoleSets, authz.Operations) {
			roleSet, reader = "operations", "operator"
			before = []string{"olga POST workspaces {id: ~w, account: ~a, open: true}", author}
		}
		parts = append(parts, reusedPart(string(typ.Name), create, roleSet, reader, before...))
	}
	return parts
}

// reusedIDs has a test case for every type of object that operations delete and that people may view.
var reusedIDs = slices.Concat(reusedSimpleTypes(), []reusedID{
	{
		name: "account", reader: "joe", object: "account:~a",
		earlier: []string{
			"backend POST subscriptions {id: ~old, role_set: multi_owner, owner: ~oscar}",
			"oscar POST accounts {id: ~a, subscription: ~old, role_set: team}",
			"oscar PUT accounts/~a/members/~secret {roles: [user]}",
			"oscar DELETE accounts/~a",
		},
		again: []string{
			"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
			"olga PUT accounts/~a/members/~joe {roles: [user]}",
		},
		want: []string{"olga create_account touch account:~a#", "olga put_account_member touch account:~a#"},
	},
	{
		name: "subscription and what is in it", reader: "joe", object: "account:~a",
		earlier: []string{
			"backend POST subscriptions {id: ~old, role_set: multi_owner, owner: ~oscar}",
			"oscar POST accounts {id: ~a, subscription: ~old, role_set: team}",
			"oscar PUT accounts/~a/members/~secret {roles: [user]}",
			"secret POST connections {id: ~x, account: ~a, connector: ~c, visibility: shared}",
			"secret POST importers {id: ~i, account: ~a, source: ~x}",
			"oscar DELETE subscriptions/~old",
			"backend POST subscriptions {id: ~old, role_set: multi_owner, owner: ~olga, features: [user_permissions]}",
		},
		again: []string{
			"olga POST accounts {id: ~a, subscription: ~old, role_set: team}",
			"olga PUT accounts/~a/members/~joe {roles: [user]}",
			"joe POST connections {id: ~x, account: ~a, connector: ~c, visibility: shared}",
			"joe POST importers {id: ~i, account: ~a, source: ~x}",
		},
		want: []string{
			"olga create_account touch account:~a#", "olga put_account_member touch account:~a#",
			"joe create_connection touch connection:~x#", "joe create_importer touch importer:~i#",
		},
	},
	{
		name: "private connection", reader: "joe", object: "connection:~x",
		earlier: inAccount("team", "user",
			"peter POST connections {id: ~x, account: ~a, connector: ~c, visibility: private}",
			"peter PUT connections/~x/sharing {visibility: private, users: [~olga]}",
			"olga POST importers {id: ~i, account: ~a, source: ~x}",
			"peter DELETE connections/~x"),
		again: []string{"joe POST connections {id: ~x, account: ~a, connector: ~c, visibility: private}"},
		want:  []string{"joe create_connection touch connection:~x#"},
	},
	{
		name: "importer", reader: "joe", object: "importer:~x",
		earlier: inAccount("team", "user",
			"peter POST importers {id: ~x, account: ~a}", "peter DELETE importers/~x"),
		again: []string{"joe POST importers {id: ~x, account: ~a}"},
		want:  []string{"joe create_importer touch importer:~x#"},
	},
	{
		name: "importer of a connection that is there again", reader: "joe", object: "importer:~i",
		earlier: inAccount("team", "user",
			"peter POST connections {id: ~x, account: ~a, connector: ~c, visibility: shared}",
			"peter POST importers {id: ~i, account: ~a, source: ~x}", "peter DELETE importers/~i",
			"peter DELETE connections/~x"),
		again: []string{
			"joe POST connections {id: ~x, account: ~a, connector: ~c, visibility: shared}",
			"joe POST importers {id: ~i, account: ~a, source: ~x}",
		},
		want: []string{"joe create_importer touch importer:~i#"},
	},
	{
		name: "group", reader: "olga", object: "group:~x",
		earlier: inAccount("team", "user",
			"olga POST subscriptions/~s/groups {id: ~x, title: Crew}", "olga PUT groups/~x/members/~secret",
			"olga PUT accounts/~a/groups/~x {roles: [guest]}", "olga DELETE groups/~x"),
		again: []string{
			"olga POST subscriptions/~s/groups {id: ~x, title: Crew}",
			"olga PUT accounts/~a/groups/~x {roles: [user]}",
		},
		want: []string{"olga create_group touch group:~x#", "olga put_account_group touch account:~a#user@group:~x#"},
	},
	{
		name: "service account", reader: "joe", object: "service_account:~x",
		earlier: inAccount("team", "user",
			"olga POST accounts/~a/service-accounts {id: ~x, title: Nightly, roles: [guest]}",
			"olga DELETE service-accounts/~x"),
		again: []string{"olga POST accounts/~a/service-accounts {id: ~x, title: Nightly, roles: [user]}"},
		want: []string{
			"olga create_service_account touch service_account:~x#",
			"olga create_service_account touch account:~a#user@service_account:~x",
		},
	},
	reusedPart("workspace", "workspaces {id: ~x, account: ~a, open: true}", "operations", "operator"),
	reusedPart("connector", "connectors {id: ~x, account: ~a}", "operations", "operator", author),
})

// TestEveryDeletionIsFollowedByReuse checks that reusedIDs has a test case for every type of object that an
// operation deletes.
func TestEveryDeletionIsFollowedByReuse(t *testing.T) {
	all, err := readContract()
	require.NoError(t, err)
	deletions := 0
	for _, e := range all {
		collection, found := strings.CutSuffix(strings.TrimPrefix(e.path, "/v1/"), "/{id}")
		if e.method != http.MethodDelete || !found {
			continue
		}
		deletions++
		require.True(t, slices.ContainsFunc(reusedIDs, func(r reusedID) bool {
			return slices.ContainsFunc(r.earlier, func(o string) bool { return strings.Contains(o, " DELETE "+collection+"/~") })
		}), "no id of %s is used again", collection)
	}
	require.Greater(t, deletions, 10)
}

// historyOfReusedIDs checks every call that reads the audit log. It must show a person nothing about an earlier
// object with the same id.
func historyOfReusedIDs(t *testing.T, on *backend) {
	for _, test := range reusedIDs {
		t.Run(test.name, func(t *testing.T) {
			on.parallel(t)
			s := newScene(t, on)
			s.play(common...)
			s.play(test.earlier...)
			account := "account=" + s.id("a")
			earlier, _ := s.page("limit=1000")
			s.play(test.again...)
			everything := s.history("limit=1000&object="+s.in(test.object), func(found []entry) bool {
				return slices.ContainsFunc(changes(found), func(c string) bool {
					return strings.HasPrefix(c, s.in("~"+test.want[len(test.want)-1]))
				}) && (len(earlier) == 0 || found[len(found)-1].Seq > earlier[0].Seq)
			})
			if reported := strings.Join(changes(everything), "\n"); !strings.Contains(reported, " delete ") {
				t.Fatalf("a key with the scope inspect reads no deletion:\n%s", reported)
			}
			reader := s.withKey(checkKey).by(test.reader)
			for _, query := range []string{"", "&object=" + s.in(test.object)} {
				s.requireOnlyPresent(reader, account+query, test)
			}
			for _, query := range []string{
				"&object=user:" + s.id("secret"), "&actor=" + s.id("oscar"),
				"&operation=delete_" + strings.Split(test.object, ":")[0],
			} {
				if entries, next := reader.page(account + query + "&limit=1000"); len(entries) > 0 || next != "" {
					t.Errorf("%s selects %v, and has the cursor %q", query, changes(entries), next)
				}
			}
			if answer := reader.call(http.MethodGet, "access?resource="+s.in(test.object)+"&permission=view&at="+
				time.Now().UTC().Format(time.RFC3339), nil); answer.status != http.StatusForbidden {
				t.Errorf("%s: %d %s", answer.request, answer.status, answer.body)
			}
		})
	}
}

// requireOnlyPresent requires that the audit log shows the reader only entries of the present object. It reads pages
// of every size, and the stream of events. These must not reveal the number of other entries.
func (s scene) requireOnlyPresent(reader caller, query string, test reusedID) {
	s.t.Helper()
	object := s.in(test.object)
	check := func(where string, entries []entry) {
		s.t.Helper()
		var about []string
		for _, e := range entries {
			if !e.Omitted {
				s.t.Errorf("%s: the entry does not say that parts may be left out: %s", where, e.raw)
			}
			for _, c := range changes([]entry{e}) {
				if strings.Contains(c, s.id("secret")) && e.Actor != s.id("secret") || strings.Contains(c, s.id("oscar")) {
					s.t.Errorf("%s: %s", where, c)
				}
				if strings.Contains(c, object+"#") || strings.HasSuffix(c, "@"+object) {
					about = append(about, c)
				}
			}
		}
		for _, c := range about {
			if !slices.ContainsFunc(test.want, func(want string) bool { return strings.HasPrefix(c, s.in("~"+want)) }) &&
				!strings.Contains(c, s.in("@"+test.object)) || strings.Contains(c, " delete ") {
				s.t.Errorf("%s shows the earlier object: %s", where, c)
			}
		}
		if len(about) == 0 {
			s.t.Errorf("%s shows nothing about %s", where, object)
		}
	}
	whole, next := reader.page(query + "&limit=1000")
	if next != "" {
		s.t.Errorf("after all entries, there is the cursor %q", next)
	}
	check("the page of "+query, whole)
	var single []entry
	for next, first := "", true; first || next != ""; first = false {
		var one []entry
		one, next = reader.page(query + "&limit=1&cursor=" + next)
		single = append(single, one...)
	}
	if a, b := changes(single), changes(whole); !slices.Equal(a, b) {
		s.t.Errorf("single entries are %v, and the page is %v", a, b)
	}
	read, leave := reader.follow(query, "0")
	defer leave()
	var streamed []entry
	for range whole {
		e, ok := read()
		if !ok {
			s.t.Fatalf("the stream ends after %v", changes(streamed))
		}
		streamed = append(streamed, e.entry)
	}
	slices.Reverse(streamed)
	if a, b := changes(streamed), changes(whole); !slices.Equal(a, b) {
		s.t.Errorf("the stream has %v, and the page %v", a, b)
	}
}
