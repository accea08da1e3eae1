package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestCheck(t *testing.T) {
	w := serve(t)
	var q authz.Check
	var at authz.Consistency
	answer := authz.Decision{}
	w.engine.check = func(
		_ context.Context, check authz.Check, consistency authz.Consistency,
	) (authz.Decision, authz.Token, error) {
		q, at = check, consistency
		return answer, "t1", nil
	}
	alice, i1 := authz.Subject{
		Object: authz.Object{Type: "user", ID: "alice"},
	}, authz.Object{
		Type: "importer",
		ID:   "i1",
	}
	plain := authz.Check{Subject: alice, Permission: "view", Resource: i1}
	with := func(change func(*authz.Check)) authz.Check {
		c := plain
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name, body string
		check      authz.Check
		at         authz.Consistency
		decision   authz.Decision
		answer     string
	}{
		{
			"denied", `"subject":"user:alice","resource":"importer:i1"`, plain,
			authz.Consistency{},
			authz.Decision{},
			`{"allowed":false,"token":"t1"}`,
		},
		{
			"allowed", `"subject":"user:alice","resource":"importer:i1"`, plain,
			authz.Consistency{},
			authz.Decision{State: authz.Allowed},
			`{"allowed":true,"token":"t1"}`,
		},
		{
			"conditional", `"subject":"user:alice","resource":"importer:i1"`, plain,
			authz.Consistency{},
			authz.Decision{State: authz.Conditional, MissingContext: []string{"region"}},
			`{"allowed":false,"missing_context":["region"],"token":"t1"}`,
		},
		{
			"everybody in a relation", `"subject":"account:acme#owner","resource":"importer:i1"`,
			with(func(c *authz.Check) {
				c.Subject = authz.Subject{Object: authz.Object{Type: "account", ID: "acme"}, Relation: "owner"}
			}),
			authz.Consistency{},
			authz.Decision{},
			`{"allowed":false,"token":"t1"}`,
		},
		{
			"object form", `"subject":{"type":"user","id":"a#b:c"},"resource":{"type":"importer","id":"#"}`,
			with(func(c *authz.Check) { c.Subject.ID, c.Resource.ID = "a#b:c", "#" }),
			authz.Consistency{},
			authz.Decision{},
			`{"allowed":false,"token":"t1"}`,
		},
		{
			"the letter * and colons", `"subject":"user:*","resource":"importer:a:b"`,
			with(func(c *authz.Check) { c.Subject.ID, c.Resource.ID = "*", "a:b" }),
			authz.Consistency{},
			authz.Decision{},
			`{"allowed":false,"token":"t1"}`,
		},
		{
			"context", `"subject":"user:alice","resource":"importer:i1","context":{"n":1.5,"s":"x","l":[true,null]}`,
			with(func(c *authz.Check) { c.Context = map[string]any{"n": 1.5, "s": "x", "l": []any{true, nil}} }),
			authz.Consistency{},
			authz.Decision{},
			`{"allowed":false,"token":"t1"}`,
		},
		{
			"minimize_latency", `"subject":"user:alice","resource":"importer:i1","consistency":"minimize_latency"`, plain,
			authz.Consistency{Freshness: authz.MinimizeLatency},
			authz.Decision{},
			`{"allowed":false,"token":"t1"}`,
		},
		{
			"fully_consistent", `"subject":"user:alice","resource":"importer:i1","consistency":"fully_consistent"`, plain,
			authz.Fully(),
			authz.Decision{},
			`{"allowed":false,"token":"t1"}`,
		},
		{
			"at_least_as_fresh", `"subject":"user:alice","resource":"importer:i1","consistency":{"at_least_as_fresh":"t0"}`,
			plain, authz.AsFreshAs("t0"),
			authz.Decision{},
			`{"allowed":false,"token":"t1"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer = tt.decision
			w.do(
				t,
				request{
					method: "POST",
					path:   "/v1/check",
					key:    checkKey,
					body:   `{"permission":"view",` + tt.body + `}`,
				},
			).want(t, 200, tt.answer)
			if !reflect.DeepEqual(q, tt.check) || at != tt.at {
				t.Errorf("the engine got %+v at %+v, want %+v at %+v", q, at, tt.check, tt.at)
			}
		})
	}
}

func TestCheckBulk(t *testing.T) {
	w := serve(t)
	var q []authz.Check
	w.engine.bulk = func(
		_ context.Context, checks []authz.Check, _ authz.Consistency,
	) ([]authz.CheckResult, authz.Token, error) {
		q = checks
		results := make([]authz.CheckResult, len(checks))
		for i, check := range checks {
			switch check.Resource.ID {
			case "yes":
				results[i].Decision.State = authz.Allowed
			case "maybe":
				results[i].Decision = authz.Decision{State: authz.Conditional, MissingContext: []string{"region"}}
			case "wrong":
				results[i].Err = authz.Errorf(authz.CodeInvalid, "no such permission")
			case "broken":
				results[i].Err = fmt.Errorf("a secret cause")
			}
		}
		return results, "t1", nil
	}
	item := func(id string) string {
		return `{"subject":"user:a","permission":"view","resource":"importer:` + id + `"}`
	}
	ask := func(items ...string) response {
		return w.do(
			t,
			request{
				method: "POST", path: "/v1/check/bulk", key: checkKey, body: `{"checks":[` + strings.Join(items, ",") + `]}`,
			},
		)
	}
	detail := func(code, detail string) string {
		return fmt.Sprintf(`{"error":{"code":%q,"detail":%q}}`, code, detail)
	}

	got := ask(
		item("yes"), item("no"), `{"subject":"user:a"}`, item("maybe"), `7`,
		`{"subject":"a","permission":"view","resource":"importer:x"}`,
		item("wrong"), `{"subject":"user:a","permission":"view","resource":"importer:x","resource":"importer:y"}`,
		item("broken"), `null`,
		`{"subject":"user:a","permission":"view","resource":"importer:x","consistency":"fully_consistent"}`)
	want := []string{
		`{"allowed":true}`, `{"allowed":false}`, detail("invalid", `the field "permission" is missing`),
		`{"allowed":false,"missing_context":["region"]}`, detail("invalid", `the check must be an object, not a number`),
		detail(
			"invalid",
			`the field "subject": "a" is not a reference: write type:id or type:id#relation, for example user:alice`,
		),
		detail("invalid", "no such permission"), detail("invalid", `the field "resource" appears twice`),
		detail("internal", "the server failed; its log has the cause under the request id"), detail(
			"invalid", `the check must be an object, not null`,
		),
		detail(
			"invalid",
			`the field "consistency" does not exist; the fields here are context, permission, resource, subject`,
		),
	}
	if log := w.log.String(); !strings.Contains(log, "a secret cause") {
		t.Errorf("the log lacks the cause of one check: %s", log)
	}
	got.want(t, 200, `{"results":[`+strings.Join(want, ",")+`],"token":"t1"}`)
	if len(q) != 5 {
		t.Errorf("the engine got %d checks, want the 5 well-formed ones", len(q))
	}

	q = nil
	ask(`{}`, `[]`).want(t, 200, `{"results":[`+
		detail(
			"invalid", `the field "permission" is missing`,
		)+`,`+detail("invalid", `the check must be an object, not a list`)+`]}`)
	if q != nil {
		t.Errorf("the engine got %v", q)
	}

	thousand := make([]string, 1000)
	for i := range thousand {
		thousand[i] = item(strconv.Itoa(i))
	}
	if res := ask(thousand...); res.status != 200 || len(q) != 1000 || q[999].Resource.ID != "999" {
		t.Errorf("1000 checks answered %d", res.status)
	}
	ask(append(thousand, item("x"))...).wantProblem(t, 413, "too_large", "more than 1000 entries")

	w.engine.bulk = func(context.Context, []authz.Check, authz.Consistency) ([]authz.CheckResult, authz.Token, error) {
		return nil, "", authz.Errorf(authz.CodeUnavailable, "SpiceDB cannot be reached")
	}
	ask(item("yes")).wantProblem(t, 503, "unavailable", "SpiceDB cannot be reached")
}

func TestPermissions(t *testing.T) {
	w := serve(t)
	body := `{"subject":"user:a","resource":"importer:i1","context":{"x":1},"consistency":"fully_consistent"}`
	calls := 0
	w.engine.bulk = func(
		_ context.Context, checks []authz.Check, at authz.Consistency,
	) ([]authz.CheckResult, authz.Token, error) {
		calls++
		want := authz.Check{
			Subject: authz.Subject{Object: authz.Object{Type: "user", ID: "a"}}, Permission: "view",
			Resource: authz.Object{Type: "importer", ID: "i1"}, Context: map[string]any{"x": 1.0},
		}
		if len(checks) != 2 || !reflect.DeepEqual(checks[0], want) || checks[1].Permission != "edit" ||
			at != authz.Fully() {
			t.Errorf("the engine got %+v at %+v", checks, at)
		}
		return []authz.CheckResult{
			{Decision: authz.Decision{State: authz.Allowed}},
			{Decision: authz.Decision{State: authz.Conditional, MissingContext: []string{"x"}}},
		}, "t1", nil
	}
	r := request{method: "POST", path: "/v1/permissions", key: checkKey, body: body}
	w.do(t, r).want(t, 200, `{"permissions":{"view":true,"edit":false},"token":"t1"}`)
	if calls != 1 {
		t.Errorf("the engine was called %d times, want one bulk check", calls)
	}
	w.engine.bulk = func(context.Context, []authz.Check, authz.Consistency) ([]authz.CheckResult, authz.Token, error) {
		return []authz.CheckResult{{}, {Err: authz.Errorf(authz.CodeInvalid, "context: wrong")}}, "t1", nil
	}
	w.do(t, r).want(
		t,
		200,
		`{"permissions":{"view":false,"edit":false},"errors":{"edit":{"code":"invalid","detail":"context: wrong"}},"token":"t1"}`,
	)
	r.body = `{"subject":"nobody:a","resource":"importer:i1"}`
	w.do(t, r).wantProblem(t, 400, "invalid", "context: wrong")
	r.body = body
	w.engine.bulk = func(context.Context, []authz.Check, authz.Consistency) ([]authz.CheckResult, authz.Token, error) {
		return []authz.CheckResult{
			{},
			{Err: authz.Errorf(authz.CodeUnavailable, "SpiceDB cannot be reached")},
		}, "t1", nil
	}
	w.do(t, r).wantProblem(t, 503, "unavailable", "SpiceDB cannot be reached")

	w.do(t, request{method: "GET", path: "/v1/permissions", key: inspectKey}).want(
		t,
		200,
		`{"types":[{"type":"importer","description":"Moves data.","permissions":[{"name":"view","description":"May see the importer.","grantable":true},{"name":"edit","description":"May change the importer.","grantable":false}]}]}`,
	)
}

func TestRoleSets(t *testing.T) {
	w := serve(t)
	res := w.do(t, request{method: "GET", path: "/v1/role-sets", key: operateKey})
	var sets struct {
		RoleSets []struct {
			Name, On, Default string
			Roles             []struct {
				Name, Title, Requires string
				Additional            bool
			}
		} `json:"role_sets"`
	}
	if err := json.Unmarshal([]byte(res.body), &sets); err != nil || len(sets.RoleSets) != len(authz.RoleSets) {
		t.Fatalf("%v: %s", err, res.body)
	}
	for i, want := range authz.RoleSets {
		got := sets.RoleSets[i]
		if got.Name != string(want.Name) || got.On != string(want.On) || got.Default != string(want.Default) ||
			len(got.Roles) != len(want.Roles) {
			t.Errorf("got %+v, want %+v", got, want)
			continue
		}
		for j, role := range want.Roles {
			r := got.Roles[j]
			if r.Name != string(role.Name) || r.Title != role.Title || r.Additional != role.Additional ||
				r.Requires != string(
					role.Requires,
				) {
				t.Errorf("got %+v, want %+v", r, role)
			}
		}
	}
}

func TestRelationships(t *testing.T) {
	w := serve(t)
	object := func(typ authz.Type, id authz.ID) authz.Object { return authz.Object{Type: typ, ID: id} }
	stored := []authz.Relationship{
		{
			Resource: object("account", "acme"),
			Relation: "owner",
			Subject:  authz.Subject{Object: object("user", "alice")},
		},
		{
			Resource: object(
				"account",
				"acme",
			), Relation: "guest", Subject: authz.Subject{Object: object("user", "a#b")},
			ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 0, time.FixedZone("x", 3600)),
		},
		{Resource: object("account", "acme"), Relation: "team", Subject: authz.Everybody("user")},
		{Resource: object("account", "acme"), Relation: "guest", Subject: authz.Subject{Object: object("user", "*")}},
		{
			Resource: object("account", "acme"), Relation: "guest",
			Subject: authz.Subject{Object: object("account", "b"), Relation: "owner"},
		},
		{
			Resource: object("account", "acme"), Relation: "guest",
			Subject: authz.Subject{Object: object("account", "#"), Relation: "owner"},
		},
	}
	written := []string{
		`{"resource":"account:acme","relation":"owner","subject":"user:alice"}`,
		`{"resource":"account:acme","relation":"guest","subject":{"type":"user","id":"a#b"},"expires_at":"2030-01-02T02:04:05Z"}`,
		`{"resource":"account:acme","relation":"team","subject":"user:*"}`,
		`{"resource":"account:acme","relation":"guest","subject":{"type":"user","id":"*"}}`,
		`{"resource":"account:acme","relation":"guest","subject":"account:b#owner"}`,
		`{"resource":"account:acme","relation":"guest","subject":{"type":"account","id":"#","relation":"owner"}}`,
	}
	var q authz.Filter
	w.engine.read = func(_ context.Context, filter authz.Filter, page authz.Page) iter.Seq2[authz.ReadItem, error] {
		q = filter
		start, _ := strconv.Atoi(page.Cursor)
		return func(yield func(authz.ReadItem, error) bool) {
			for i := start; i < len(stored) && i < start+page.Limit; i++ {
				if !yield(authz.ReadItem{Relationship: stored[i], Cursor: strconv.Itoa(i + 1), Token: "t1"}, nil) {
					return
				}
			}
		}
	}
	get := func(query string) response {
		return w.do(t, request{method: "GET", path: "/v1/relationships?" + query, key: inspectKey})
	}
	page := func(items []string, next string) string {
		return `{"relationships":[` + strings.Join(items, ",") + `],"next_cursor":"` + next + `","token":"t1"}`
	}
	next := func(query string) string {
		var answer struct {
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(get(query).body), &answer); err != nil || answer.Next == "" {
			t.Fatalf("%s has no next page: %v", query, err)
		}
		return answer.Next
	}
	get("resource=account:acme").want(t, 200, page(written, ""))
	if (q != authz.Filter{Type: "account", ID: "acme"}) {
		t.Errorf("read %+v", q)
	}
	fourth := next("resource=account:acme&limit=4")
	get("resource=account:acme&limit=4").want(t, 200, page(written[:4], fourth))
	get("resource=account:acme&limit=4&cursor="+fourth).want(t, 200, page(written[4:], ""))
	get("resource=account:acme&limit=6").want(t, 200, page(written, ""))
	get("resource=account:other&cursor="+fourth).wantProblem(t, 400, "invalid", "cursor")
	get("resource=account:a%20b%2Fc:d&relation=owner")
	if (q != authz.Filter{Type: "account", ID: "a b/c:d", Relation: "owner"}) {
		t.Errorf("read %+v", q)
	}
	get("resource=%7B%22type%22:%22account%22,%22id%22:%22a%23b%22%7D")
	if (q != authz.Filter{Type: "account", ID: "a#b"}) {
		t.Errorf("read %+v", q)
	}
	w.engine.read = func(context.Context, authz.Filter, authz.Page) iter.Seq2[authz.ReadItem, error] {
		return func(yield func(authz.ReadItem, error) bool) {
			if yield(authz.ReadItem{Relationship: stored[0], Token: "t1"}, nil) {
				yield(authz.ReadItem{}, authz.Errorf(authz.CodeInvalid, "cursor is wrong"))
			}
		}
	}
	get("resource=account:acme&cursor="+fourth).wantProblem(t, 400, "invalid", "cursor is wrong")
}
