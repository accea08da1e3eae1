package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// preview sends a request for the preview of an operation.
func (c caller) preview(method, path string, body any) answer {
	c.t.Helper()
	request := map[string]any{"method": method, "path": "/v1/" + path}
	if body != nil {
		request["body"] = body
	}
	return c.call(http.MethodPost, "preview", request)
}

// effects returns the effects in a preview: a line "+ subject permission resource" for each gained permission, and
// "- subject permission resource" for each lost one.
func (a answer) effects(t testing.TB) (lines []string, omitted bool) {
	t.Helper()
	var preview struct {
		Effects []struct {
			Subject, Resource string
			Gains, Loses      []string
		}
		Omitted bool
	}
	if a.status != http.StatusOK {
		t.Fatalf("%s: %d %s", a.request, a.status, a.body)
	}
	a.decode(t, &preview)
	for _, e := range preview.Effects {
		for _, gain := range e.Gains {
			lines = append(lines, "+ "+e.Subject+" "+gain+" "+e.Resource)
		}
		for _, loss := range e.Loses {
			lines = append(lines, "- "+e.Subject+" "+loss+" "+e.Resource)
		}
	}
	slices.Sort(lines)
	return lines, preview.Omitted
}

// access returns all permissions of the people on the objects, as lines "subject permission resource".
func (s scene) access(people, objects []string) []string {
	s.t.Helper()
	var lines []string
	for _, who := range people {
		for _, what := range objects {
			for permission, allowed := range s.permissions("user:"+s.id(who), s.in(what)) {
				if allowed {
					lines = append(lines, "user:"+s.id(who)+" "+permission+" "+s.in(what))
				}
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// changed returns the differences between two results of access, in the form of effects.
func changed(before, after []string) []string {
	var lines []string
	for _, line := range after {
		if !slices.Contains(before, line) {
			lines = append(lines, "+ "+line)
		}
	}
	for _, line := range before {
		if !slices.Contains(after, line) {
			lines = append(lines, "- "+line)
		}
	}
	slices.Sort(lines)
	return lines
}

// previews checks that a preview shows exactly the effects of the operation, and changes nothing.
func previews(t *testing.T, on *backend) {
	s := newScene(t, on)
	s.play(
		"backend PUT connectors/~c {capabilities: []}",
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga PUT accounts/~a/members/~peter {roles: [user]}",
		"olga PUT accounts/~a/members/~milton {roles: [guest]}",
		"olga POST connections {id: ~shared, account: ~a, connector: ~c, visibility: shared}",
		"peter POST connections {id: ~private, account: ~a, connector: ~c, visibility: private}",
		"peter POST importers {id: ~i, account: ~a, source: ~shared}",
	)
	people := []string{"olga", "peter", "milton", "nina"}
	objects := []string{
		"subscription:~s", "account:~a", "connection:~shared", "connection:~private", "importer:~i", "importer:~new",
	}
	for _, test := range []struct {
		actor, method, path string
		body                any
		omitted             string // an object that the actor may not view, neither before the operation nor afterwards
	}{
		{"olga", http.MethodPut, "accounts/~a/members/~milton", roles("user"), "connection:~private"},
		{"olga", http.MethodPut, "accounts/~a/members/~nina", roles("guest"), ""},
		{"olga", http.MethodPut, "accounts/~a/members/~nina", roles("guest"), ""}, // the second time, nothing changes
		{"peter", http.MethodPut, "connections/~private/sharing", map[string]any{"visibility": "shared"}, ""},
		{
			"peter", http.MethodPut, "connections/~private/sharing",
			map[string]any{"visibility": "private", "users": []string{s.id("olga")}},
			"",
		},
		{"peter", http.MethodPut, "connections/~private/sharing", map[string]any{"visibility": "private"}, ""},
		{
			"peter", http.MethodPost, "importers",
			map[string]any{"id": s.id("new"), "account": s.id("a"), "source": s.id("shared")},
			"",
		},
		{"", http.MethodPut, "connectors/~c", map[string]any{"capabilities": []string{"views", "financial_settings"}}, ""},
		{"olga", http.MethodDelete, "importers/~new", nil, ""},
		{
			"olga", http.MethodDelete, "accounts/~a/members/~peter?reassign_to=~nina&private_connections=disconnect", nil,
			"connection:~private",
		},
		{"olga", http.MethodDelete, "accounts/~a/members/~nina", nil, ""},
		{"olga", http.MethodDelete, "accounts/~a", nil, ""},
	} {
		by := s.caller
		if test.actor != "" {
			by = s.by(test.actor)
		}
		name := test.actor + " " + test.method + " " + test.path
		before := s.access(people, objects)
		var got []string
		var omitted bool
		s.writesNothing("the preview of "+name, func() {
			got, omitted = by.preview(test.method, s.in(test.path), test.body).effects(t)
		})
		by.must(test.method, s.in(test.path), test.body)
		want := changed(before, s.access(people, objects))
		reported := slices.DeleteFunc(slices.Clone(want), func(line string) bool {
			return test.omitted != "" && strings.HasSuffix(line, s.in(test.omitted))
		})
		// The preview must show every effect, except effects on the object test.omitted. If there are such effects,
		// it must set omitted. It may also set omitted without them: it leaves out effects on platform
		// administrators, whom the actor may not list.
		if !slices.Equal(got, reported) || !omitted && len(reported) < len(want) {
			t.Errorf(
				"%s: the preview (omitted %t) is\n%s\nbut the operation does\n%s", name, omitted, strings.Join(got, "\n"),
				strings.Join(want, "\n"),
			)
		}
	}
}

// TestPreviewIsRefused checks that a preview needs the permissions of its operation, and returns the errors of the
// operation.
func TestPreviewIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga PUT accounts/~a/members/~milton {roles: [guest]}",
	)
	member := s.in("accounts/~a/members/~nina")
	for _, test := range []struct {
		by           caller
		method, path string
		body         any
		status       int
		words        string
	}{
		{s.by("milton"), http.MethodPut, member, roles("guest"), 403, "lacks the permission"},
		{s.by("stranger"), http.MethodPut, member, roles("guest"), 404, "there is no account"},
		{s.by("olga"), http.MethodPut, member, roles("emperor"), 400, "emperor"},
		{s.by("olga"), http.MethodPut, member, map[string]any{"rols": []string{}}, 400, "rols"},
		{s.by("olga"), http.MethodPut, member, nil, 400, `the field "body" is missing`},
		{s.caller, http.MethodPut, member, roles("guest"), 400, "Sluice-Actor"},
		{
			s.by("olga"), http.MethodPost, "accounts",
			map[string]any{"id": s.id("a"), "subscription": s.id("s"), "role_set": "team"},
			409, "exists already",
		},
		{s.by("olga"), http.MethodDelete, s.in("accounts/~a/members/~olga"), nil, 409, "the last owner"},
		{
			s.withKey(operateKey).caller, http.MethodPut, s.in("connectors/~c"),
			map[string]any{"capabilities": []string{}},
			403,
			"scope provision",
		},
		{s.withKey(checkKey).by("olga"), http.MethodPut, member, roles("guest"), 403, "scope operate or provision"},
		{s.by("olga"), http.MethodPost, "check", question{"user:a", "view", "account:a"}, 400, "must name an operation"},
		{
			s.by("olga"), http.MethodPost, "preview",
			map[string]any{"method": "DELETE", "path": "/v1/accounts/x"},
			400,
			"must name an operation",
		},
		{s.by("olga"), http.MethodPost, "nothing", nil, 404, "this path does not exist"},
		{s.by("olga"), http.MethodGet, "accounts/a", nil, 400, "not one of POST, PUT, PATCH, DELETE"},
		{s.by("olga"), http.MethodDelete, "accounts/a?x=1", nil, 400, `the parameter "x" does not exist here`},
		{s.by("olga"), http.MethodDelete, "accounts/a#x", nil, 400, "without a fragment"},
		{s.by("olga"), http.MethodDelete, s.in("accounts/~a/members/~milton?reassign_to=~nobody"), nil, 400, "is not a member"},
	} {
		a := test.by.preview(test.method, test.path, test.body)
		if a.status != test.status || !strings.Contains(a.problem().Detail, test.words) {
			t.Errorf(
				"%s of %s %s: %d %s, want %d %s", a.request, test.method, test.path, a.status, a.body, test.status, test.words,
			)
		}
	}
	if a := s.preview(http.MethodDelete, s.in("users/~olga"), nil); a.status != http.StatusConflict ||
		!slices.Equal(a.problem().Accounts, []string{s.id("a")}) || !slices.Equal(
		a.problem().Subscriptions, []string{s.id("s")},
	) {
		t.Errorf("%s: %d %s", a.request, a.status, a.body)
	}
	var importers []string
	for i := range 501 {
		importers = append(importers, fmt.Sprintf("importer:%si%d#account@account:%sa", s.prefix, i, s.prefix))
	}
	s.write(importers...)
	if a := s.by("olga").preview(http.MethodPut, member, roles("guest")); a.status != http.StatusRequestEntityTooLarge ||
		!strings.Contains(a.problem().Detail, "at most 500 objects") {
		t.Errorf("%s: %d %s", a.request, a.status, a.body)
	}
}
