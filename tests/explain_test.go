package tests

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func explainScene(t *testing.T) scene {
	t.Helper()
	s := newScene(t, memory.get(t))
	for _, text := range []string{
		"include team",
		"olga PUT accounts/~a/members/~otto {roles: [owner]}",
		"olga PUT subscriptions/~s/members/~otto {roles: [member]}", // this role gives no permission on the account
		"ulla POST importers {id: ~i, account: ~a}",
		"gert POST connections {id: ~c, account: ~a, connector: ~crm}",
		"gert PUT connections/~c/sharing {visibility: private, users: [~ulla]}",
		"olga POST accounts {id: ~o, subscription: ~s, role_set: operations}",
		"olga PUT accounts/~o/members/~rita {roles: [read_only]}",
		"olga POST workspaces {id: ~w, account: ~o, open: false}",
		"olga POST workspaces {id: ~shut, account: ~o, open: false}",
		"olga PUT workspaces/~shut/access {open: false, users: [~rita]}",
		"backend PUT platform/administrators/~pat",
	} {
		line{"scene", text}.play(s, "", "")
	}
	return s
}

// TestExplainReads checks the texts of explanations.
func TestExplainReads(t *testing.T) {
	t.Parallel()
	s := explainScene(t)
	for _, c := range []struct{ who, permission, resource, says string }{
		{
			"gert", "share", "connection:~c",
			"gert has the permission share on connection c, because gert created connection c and is a guest of account a",
		},
		{"otto", "run", "importer:~i", "otto has the permission run on importer i, because otto is an owner of account a"},
		{
			"ulla", "delete", "account:~a",
			"ulla lacks the permission delete on account a. ulla is not an owner of account a. An owner of account a can do that: olga, otto",
		},
		{
			"nina", "view", "importer:~i",
			"nina lacks the permission view on importer i. nina is not a user of account a. An owner or user of account a can do that: olga, otto, ulla",
		},
		{
			"rita", "view", "workspace:~w",
			"rita lacks the permission view on workspace w. rita may not enter workspace w. An administrator of account o can do that: olga",
		},
		{
			"rita", "create_flow", "workspace:~w",
			"rita lacks the permission create_flow on workspace w. rita is not a flow author of account o and rita may not enter workspace w. Step 1: An administrator of account o can do that: olga. Step 2: An administrator of account o can do that: olga",
		},
		{
			"otto", "view", "connection:~c",
			"otto lacks the permission view on connection c. connection c is not shared with otto. The creator of connection c can do that: gert",
		},
		{
			"nina", "run", "importer:~none",
			"nina lacks the permission run on importer none. importer none is not stored: no relationship has it as its resource",
		},
	} {
		resource := s.in(c.resource)
		if text := s.plain(s.why(question{"user:" + s.id(c.who), c.permission, resource}).Text); text != c.says {
			t.Errorf("%s %s %s:\n%s\nwant\n%s", c.who, c.permission, c.resource, text, c.says)
		}
	}
}

// TestEverySuggestionAllowsTheCheck reads the suggestions for several denied checks. It performs every second
// suggestion, each with new objects. Then the check must be allowed.
func TestEverySuggestionAllowsTheCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ who, permission, resource string }{
		{"nina", "delete", "importer:~i"}, {"nina", "use", "connection:~c"}, {"rita", "create_flow", "workspace:~w"}, {
			"rita", "invite_owner", "subscription:~s",
		},
	} {
		tried := 0
		for n := 0; n == 0 || n < tried; n += 2 {
			s := explainScene(t)
			q := question{"user:" + s.id(c.who), c.permission, s.in(c.resource)}
			suggestions := s.why(q).Suggestions
			suggestions = slices.DeleteFunc(suggestions, func(s suggestion) bool { return len(s.Operations) == 0 })
			if tried = len(suggestions); tried == 0 {
				t.Fatalf("%s: there is no suggestion with an operation", q)
			}
			s.performSuggestion(suggestions[n])
			if !s.may(q) {
				t.Errorf("%s: still denied after %s", q, suggestions[n].Text)
			}
		}
	}
}

// TestExplainKeepsTheEnd checks that the suggestion to grant a person another role keeps the expiry date of the
// person's role.
func TestExplainKeepsTheEnd(t *testing.T) {
	t.Parallel()
	s := explainScene(t)
	const ends = "2099-01-31T17:00:00Z"
	s.play(
		`olga PUT accounts/~o/members/~carl {roles: [operator], expires_at: "`+ends+`"}`,
		"olga PUT workspaces/~w/access {open: true}",
	)
	q := question{"user:" + s.id("carl"), "create_flow", s.in("workspace:~w")}
	suggestions := s.why(q).Suggestions
	if len(suggestions) == 0 || len(suggestions[0].Operations) == 0 ||
		suggestions[0].Operations[0].Body["expires_at"] != ends {
		t.Fatalf("%+v", suggestions)
	}
	s.performSuggestion(suggestions[0])
	if !s.may(q) {
		t.Errorf("still denied after %s", suggestions[0].Text)
	}
	s.play(
		`carl GET users/~carl/accounts => 200 {accounts: [{id: ~o, role_set: operations, roles: [operator, flow_author], expires_at: "` + ends + `"}]}`,
	)
}

// TestExplainFeature checks a role that requires a feature. The suggestion must turn on the feature, and then grant
// the role.
func TestExplainFeature(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga, features: [user_permissions]}",
		"olga POST accounts {id: ~n, subscription: ~s, role_set: analytics}",
	)
	q := question{"user:" + s.id("nina"), "view_report_center", "account:" + s.id("n")}
	suggestions := s.why(q).Suggestions
	last := slices.IndexFunc(suggestions, func(s suggestion) bool { return s.RequiresFeature == "dashboards" })
	if last <= 0 || len(suggestions[last].Operations) != 2 || suggestions[last].Operations[0].Scope != "provision" {
		t.Fatalf("%+v", suggestions)
	}
	for _, early := range suggestions[:last] {
		if strings.Contains(fmt.Sprint(early.Operations), "report_user") {
			t.Errorf("a suggestion grants the role without the feature: %+v", early)
		}
	}
	s.performSuggestion(suggestions[last])
	if !s.may(q) {
		t.Errorf("still denied after %s", suggestions[last].Text)
	}
}

// TestExplainNamesPeople checks that an explanation names people only to a reader who may list these people.
func TestExplainNamesPeople(t *testing.T) {
	t.Parallel()
	s := explainScene(t)
	people := []string{"olga", "otto", "ulla", "gert", "rita"}
	ask := func(from caller, q question) (explanation, string) {
		a := from.must(http.MethodPost, "explain", q)
		var e explanation
		a.decode(t, &e)
		return e, s.plain(string(a.body))
	}
	for _, c := range []struct {
		name          string
		from          caller
		who, on, does string
		named         []string
	}{
		{"a key with inspect", s.caller, "nina", "account:~a", "create_importer", []string{"olga", "otto", "ulla"}},
		{"an owner", s.by("otto"), "nina", "account:~a", "create_importer", []string{"olga", "otto", "ulla"}},
		{"a user", s.by("ulla"), "nina", "importer:~i", "run", []string{"olga", "otto", "ulla"}},
		{
			"a guest with a key without inspect", s.by("gert").withKey(checkKey), "gert", "account:~a", "delete",
			[]string{"gert"},
		},
		{
			"a user with a key without inspect", s.by("ulla").withKey(checkKey), "ulla", "account:~a", "delete",
			[]string{"olga", "otto", "ulla"},
		},
	} {
		e, body := ask(c.from, question{"user:" + s.id(c.who), c.does, s.in(c.on)})
		if len(e.Suggestions) == 0 || len(e.Suggestions[0].Operations) == 0 {
			t.Errorf("the explanation for %s has no operations: %s", c.name, body)
			continue
		}
		for _, person := range people {
			isNamed := slices.Contains(c.named, person)
			if strings.Contains(body, person) && !isNamed {
				t.Errorf("the explanation for %s names %s: %s", c.name, person, body)
			}
			if isNamed && !strings.Contains(body, person) {
				t.Errorf("the explanation for %s does not name %s: %s", c.name, person, body)
			}
		}
	}
	// Suggestions list approvers by relation. They list only relations that grant the permission to approve without
	// another role.
	e, body := ask(s.caller, question{"user:" + s.id("nina"), "run", "importer:" + s.id("i")})
	for _, group := range e.Suggestions[0].Operations[0].Approvers {
		if group.Relation == "member" || group.Relation == "guest" {
			t.Errorf("a %s is listed as an approver: %s", group.Relation, body)
		}
	}
	// An explanation shows the roles of other people only to a reader who may list roles.
	if e, body := ask(
		s.by("gert"), question{"user:" + s.id("nina"), "create_importer", "account:" + s.id("a")},
	); !e.Omitted || len(e.Suggestions) > 0 {
		t.Errorf("the explanation shows a guest the roles that nina lacks: %s", body)
	}
	e, body = ask(s.by("gert"), question{"user:" + s.id("ulla"), "view", "account:" + s.id("a")})
	if !e.Allowed || !e.Omitted || strings.Contains(body, "user of") {
		t.Errorf("the explanation shows a guest ulla's role: %s", body)
	}
	if e, body := ask(s.by("otto"), question{"user:" + s.id("ulla"), "view", "account:" + s.id("a")}); e.Omitted ||
		!strings.Contains(body, "user of") {
		t.Errorf("the explanation does not show an owner ulla's role: %s", body)
	}
}

// TestExplainHidesHiddenObjects explains checks about hidden objects, and about objects that do not exist. The
// explanations must be equal.
func TestExplainHidesHiddenObjects(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	for _, text := range existing {
		line{"existing", text}.play(s, "", "")
	}
	asked := map[string]string{
		"s": "subscription view", "a": "account create_importer", "o": "account view_data", "n": "account edit",
		"importer":   "importer run",
		"connection": "connection use", "workspace": "workspace create_flow", "flow": "flow run", "schedule": "schedule edit",
		"service": "service manage", "integration": "integration edit", "connector": "connector edit",
		"export": "export view", "report": "report view",
	}
	for name, what := range asked {
		typ, permission, _ := strings.Cut(what, " ")
		same := func(how string, from caller, who string, status int) {
			ask := func(name string) []byte {
				a := from.call(http.MethodPost, "explain", map[string]any{
					"subject": "user:" + s.id(who), "permission": permission, "resource": typ + ":" + s.id(name),
					"consistency": "fully_consistent",
				})
				if a.status != status {
					t.Errorf("%s about %s: %d %s", how, name, a.status, a.body)
				}
				reported := regexp.MustCompile(s.id(name)+`\b`).ReplaceAll(a.body, []byte("ID"))
				return tokens.ReplaceAll(requestID.ReplaceAll(reported, nil), nil)
			}
			if there, missing := ask(name), ask("missing"); !bytes.Equal(there, missing) || bytes.Contains(
				there, []byte("olga"),
			) {
				t.Errorf("%s: about %s: %s\nabout a missing object: %s", how, name, there, missing)
			}
		}
		for _, stranger := range []string{"sven", "finn", "nora"} {
			same(stranger, s.by(stranger), stranger, http.StatusOK)
			same(stranger+" with a key that checks", s.by(stranger).withKey(checkKey), stranger, http.StatusOK)
			same("a key that checks, about "+stranger, s.withKey(checkKey).caller, stranger, http.StatusOK)
			same(stranger+" about olga", s.by(stranger), "olga", http.StatusNotFound)
			same(stranger+" about another", s.by(stranger), "ulla", http.StatusNotFound)
		}
	}
	// olga owns the account and the subscription of the connection, but may not view the connection.
	if a := s.by("olga").call(
		http.MethodPost, "explain", question{"user:" + s.id("ulla"), "use", "connection:" + s.id("connection")},
	); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
}

var tokens = regexp.MustCompile(`"token":"[^"]*",?`)

// TestExplainOtherSchemas explains checks in a schema that does not contain Sluice's types.
func TestExplainOtherSchemas(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(file, []byte(`schema: |-
  caveat at_night(hour int) { hour >= 22 }
  definition user {}
  definition room {
    relation keeper: user
    relation guest: user with at_night
    relation closed: user
    /** May enter the room. */
    permission enter = (keeper + guest) - closed
  }
relationships: |-
  room:attic#keeper@user:kim
  room:attic#guest@user:gus[at_night]
  room:attic#closed@user:cleo
  room:attic#keeper@user:cleo
`), 0o600); err != nil {
		t.Fatal(err)
	}
	config := configuration()
	config.Schema = file
	c := newCaller(t, start(t, config).URL)
	if e := c.why(question{
		"user:kim", "enter", "room:attic",
	}); e.Text != "kim has the permission enter on room attic, because kim is keeper of room attic" || len(e.Path) != 1 || e.Trace == nil {
		t.Errorf("%+v", e)
	}
	if e := c.why(question{"user:gus", "enter", "room:attic"}); e.Allowed ||
		!slices.Equal(e.MissingContext, []string{"hour"}) || len(e.Path) != 1 {
		t.Errorf("%+v", e)
	}
	if e := c.why(question{"user:eve", "enter", "room:attic"}); len(e.Suggestions) != 1 ||
		e.Suggestions[0].Relationships[0].String() != "room:attic#keeper@user:eve" || len(e.Suggestions[0].Operations) != 0 {
		t.Errorf("%+v", e)
	}
	if e := c.why(question{"user:cleo", "enter", "room:attic"}); len(e.Suggestions) != 1 ||
		e.Suggestions[0].Without[0].String() != "room:attic#closed@user:cleo" {
		t.Errorf("%+v", e)
	}
}
