package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/api"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/pages"
)

// sequence returns a sequence of the values, followed by the error if there is one.
func sequence[T any](err error, values ...T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, value := range values {
			if !yield(value, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

const (
	lookupResources = `{"subject":"user:alice","permission":"view","resource_type":"importer"}`
	lookupSubjects  = `{"resource":"importer:i1","permission":"view","subject_type":"user"}`
)

func user(id authz.ID) authz.Subject {
	return authz.Subject{Object: authz.Object{Type: "user", ID: id}}
}

func TestLookupResources(t *testing.T) {
	w := serve(t)
	w.engine.check = func(
		_ context.Context, check authz.Check, at authz.Consistency,
	) (authz.Decision, authz.Token, error) {
		if check.Permission != "view" || check.Resource.Type != "importer" || at != authz.Fully() {
			t.Errorf("the check for the token is %+v at %+v", check, at)
		}
		return authz.Decision{}, "t7", nil
	}
	var cache pages.Resources
	w.engine.resources = func(
		query authz.ResourceQuery, at authz.Consistency, page authz.Page,
	) iter.Seq2[authz.FoundResource, error] {
		if at != authz.AtSnapshot("t7") || query.Subject != user("alice") || query.Context["x"] != 1.0 {
			t.Errorf("the engine got %+v at %+v", query, at)
		}
		found, err := cache.Page(t.Context(), query, at, page, func(authz.Consistency) ([]authz.FoundResource, error) {
			return []authz.FoundResource{
				{ID: "a#b", Decision: authz.Decision{State: authz.Allowed}, Token: "t7"},
				{
					ID:       "b",
					Decision: authz.Decision{State: authz.Conditional, MissingContext: []string{"region"}},
					Token:    "t7",
				},
				{ID: "c", Decision: authz.Decision{State: authz.Allowed}, Token: "t7"},
			}, nil
		})
		return sequence(err, found...)
	}
	ask := func(more string) response {
		body := strings.TrimSuffix(
			lookupResources,
			"}",
		) + `,"context":{"x":1},"consistency":"fully_consistent"` + more + "}"
		return w.do(t, request{method: "POST", path: "/v1/lookup/resources", key: checkKey, body: body})
	}
	entries := []string{
		`{"resource":{"type":"importer","id":"a#b"},"allowed":true}`,
		`{"resource":"importer:b","allowed":false,"missing_context":["region"]}`,
		`{"resource":"importer:c","allowed":true}`,
	}
	page := func(next string, entries ...string) string {
		return `{"resources":[` + strings.Join(entries, ",") + `],"next_cursor":"` + next + `","token":"t7"}`
	}
	ask("").want(t, 200, page("", entries...))
	ask(`,"limit":3`).want(t, 200, page("", entries...))
	first := ask(`,"limit":2`)
	_, next, _ := strings.Cut(first.body, `"next_cursor":"`)
	next, _, _ = strings.Cut(next, `"`)
	first.want(t, 200, page(next, entries[:2]...))
	ask(`,"limit":2,"cursor":"`+next+`"`).want(t, 200, page("", entries[2]))
	ask(`,"limit":1001`).wantProblem(t, 400, "invalid", `"limit"`, "1000")
	ask(`,"limit":null`).want(t, 200, page("", entries...))

	w.engine.resources = func(authz.ResourceQuery, authz.Consistency, authz.Page) iter.Seq2[authz.FoundResource, error] {
		return sequence(authz.Errorf(authz.CodeUnavailable, "away"), authz.FoundResource{ID: "a"})
	}
	ask("").wantProblem(t, 503, "unavailable", "away") // the answer is the error, not an incomplete list
	res := w.do(t, request{method: "GET", path: "/metrics", key: inspectKey})
	for _, line := range []string{`{answer="allowed"} 8`, `{answer="conditional"} 4`, `{answer="error"} 1`} {
		if !strings.Contains(res.body, "sluice_decisions_total"+line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// stream requests a stream of subjects. The caller closes the body.
func (w *world) stream(t *testing.T, ctx context.Context, body string) *http.Response { //nolint:revive // t first
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/v1/lookup/subjects", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/x-ndjson")
	req.Header.Set("Authorization", "Bearer "+checkKey)
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestLookupSubjectsStream(t *testing.T) {
	w := serve(t)
	found := []authz.FoundSubject{
		{Subject: user("alice"), Decision: authz.Decision{State: authz.Allowed}},
		{Subject: user("bob"), Decision: authz.Decision{State: authz.Conditional, MissingContext: []string{"region"}}},
		{
			Subject: authz.Everybody(
				"user",
			), Decision: authz.Decision{State: authz.Allowed}, Excluded: []authz.ID{"a#b", "eve"},
		},
	}
	lines := `{"subject":"user:alice","allowed":true}
{"subject":"user:bob","allowed":false,"missing_context":["region"]}
{"subject":"user:*","allowed":true,"excluded":[{"id":"a#b","type":"user"},"user:eve"]}
`
	for name, tt := range map[string]struct {
		found []authz.FoundSubject
		err   error
		want  string
	}{
		"whole": {found, nil, lines + `{"token":"t1"}` + "\n"},
		"empty": {nil, nil, `{"token":"t1"}` + "\n"},
		"broken off": {
			found, fmt.Errorf("a secret cause"),
			lines + `{"error":{"type":"urn:sluice:problem:internal","title":"Internal error","status":500,"detail":"the server failed; its log has the cause under the request id","code":"internal","request_id":"r1"}}` + "\n",
		},
	} {
		w.engine.subjects = func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
			return sequence(tt.err, tt.found...)
		}
		header := http.Header{"Accept": {"application/x-ndjson"}, "X-Request-Id": {"r1"}}
		res := w.do(
			t,
			request{method: "POST", path: "/v1/lookup/subjects", key: checkKey, body: lookupSubjects, header: header},
		)
		if res.status != 200 || res.header.Get("Content-Type") != "application/x-ndjson" || res.body != tt.want {
			t.Errorf("%s: %d %v\n%s", name, res.status, res.header, res.body)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "a secret cause") ||
		!strings.Contains(log, `"outcome":"internal"`) {
		t.Errorf("the log lacks the broken stream: %s", log)
	}
	// An error before the first line is a plain problem.
	w.engine.subjects = func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
		return sequence[authz.FoundSubject](authz.Errorf(authz.CodeUnavailable, "away"))
	}
	header := http.Header{"Accept": {"application/x-ndjson"}}
	w.do(
		t, request{method: "POST", path: "/v1/lookup/subjects", key: checkKey, body: lookupSubjects, header: header},
	).wantProblem(t, 503, "unavailable", "away")
	w.do(t, request{method: "POST", path: "/v1/lookup/subjects", key: checkKey, body: `{`, header: header}).wantProblem(
		t, 400, "invalid",
	)
	w.do(
		t, request{method: "POST", path: "/v1/lookup/subjects", key: operateKey, body: lookupSubjects, header: header},
	).wantProblem(t, 403, "forbidden")
}

// TestStreamOutlastsTheRequestTimeout streams to a slow reader for longer than a request may take.
func TestStreamOutlastsTheRequestTimeout(t *testing.T) {
	const n = 8
	for timeout := 200 * time.Millisecond; ; timeout *= 4 { // a slow machine takes longer for each line
		text, err := streamSlowly(t, timeout, n)
		if err == nil && strings.Count(text, "\n") == n+1 && strings.HasSuffix(text, `{"token":"t1"}`+"\n") {
			return
		}
		if timeout > 10*time.Second {
			t.Fatalf("%v: %s", err, text)
		}
	}
}

// streamSlowly returns the answer of a server whose engine takes as long as the request timeout for each line.
func streamSlowly(t *testing.T, timeout time.Duration, lines int) (string, error) {
	t.Helper()
	w := serve(t, func(c *httpapi.Config) { c.Timeout = timeout })
	server := httptest.NewUnstartedServer(w.handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 2*timeout, 2*timeout
	server.Start()
	defer server.Close()
	w.url = server.URL
	w.engine.subjects = func(ctx context.Context, _ authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
		return func(yield func(authz.FoundSubject, error) bool) {
			for i := range lines {
				select {
				case <-time.After(timeout): // the time of the engine for the next line
				case <-ctx.Done():
					yield(authz.FoundSubject{}, ctx.Err())
					return
				}
				if !yield(
					authz.FoundSubject{
						Subject:  user(authz.ID(fmt.Sprint("u", i))),
						Decision: authz.Decision{State: authz.Allowed},
					},
					nil,
				) {
					return
				}
			}
		}
	}
	res := w.stream(t, t.Context(), lookupSubjects)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// TestDisconnectingEndsTheLookUp disconnects in the middle of a stream. The engine must stop its look-up.
func TestDisconnectingEndsTheLookUp(t *testing.T) {
	w := serve(t)
	ended := make(chan error, 1)
	w.engine.subjects = func(ctx context.Context, _ authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
		return func(yield func(authz.FoundSubject, error) bool) {
			yield(authz.FoundSubject{Subject: user("alice"), Decision: authz.Decision{State: authz.Allowed}}, nil)
			<-ctx.Done()
			ended <- ctx.Err()
			yield(authz.FoundSubject{}, ctx.Err())
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	res := w.stream(t, ctx, lookupSubjects)
	defer func() { _ = res.Body.Close() }()
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || !strings.Contains(line, "alice") {
		t.Errorf("%v: %s", err, line)
	}
	leave()
	if err := <-ended; err == nil {
		t.Error("the context of the engine did not end")
	}
}

func TestLookupSubjectsTooMany(t *testing.T) {
	w := serve(t)
	n := 10_000
	taken := 0
	w.engine.subjects = func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
		return func(yield func(authz.FoundSubject, error) bool) {
			for taken = range n {
				if !yield(authz.FoundSubject{Subject: user(authz.ID(fmt.Sprint(taken)))}, nil) {
					return
				}
			}
		}
	}
	ask := request{method: "POST", path: "/v1/lookup/subjects", key: checkKey, body: lookupSubjects}
	if res := w.do(t, ask); res.status != 200 || strings.Count(res.body, `"subject"`) != n {
		t.Errorf("%d subjects answered %d with %d", n, res.status, strings.Count(res.body, `"subject"`))
	}
	n = 20_000
	w.do(t, ask).wantProblem(t, 413, "too_large", "10000", "application/x-ndjson")
	if taken != 10_000 {
		t.Errorf("the engine yielded %d subjects", taken+1)
	}
	// Subjects that a wildcard excludes count too.
	w.engine.subjects = func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error] {
		return sequence(nil, authz.FoundSubject{Subject: authz.Everybody("user"), Excluded: make([]authz.ID, 10_000)})
	}
	w.do(t, ask).wantProblem(t, 413, "too_large")
}

func TestContents(t *testing.T) {
	w := serve(t)
	cursor := func(position string) string {
		return httpapi.SealCursor(
			checkKey, "listAccountContents", "a/b", "", position, gin.Param{Key: "collection", Value: "importers"},
		)
	}
	w.do(
		t,
		request{
			method: "GET", path: "/v1/accounts/a%2Fb/importers?actor=al%20ice&limit=7&cursor=" + cursor("x"), key: checkKey,
		},
	).want(
		t,
		200,
		`{"objects":[{"id":"i1","permissions":["view","edit"]},{"id":"i2","permissions":[]}],"next_cursor":"`+cursor(
			"c1",
		)+`","token":"t1"}`,
	)
	of, _ := w.operations.args[0].(operation.Collection)
	if of.Place != (authz.Object{Type: "account", ID: "a/b"}) || of.Type != "importer" ||
		fmt.Sprint(of.Permissions) != "[view edit]" ||
		w.operations.caller.Actor != "al ice" || w.operations.args[1] != (operation.Page{Limit: 7, Cursor: "x"}) {
		t.Errorf("the operation got %+v from %+v", w.operations.args, w.operations.caller)
	}
	for path, status := range map[string]int{
		"/v1/accounts/a/importers":              400, // no actor
		"/v1/accounts/a/importers?actor=":       400,
		"/v1/accounts/a/importers?actor=%FF":    400,
		"/v1/accounts/a/flows?actor=a":          404, // workspaces list flows, accounts do not
		"/v1/accounts/a/connection_groups":      404,
		"/v1/workspaces/a/importers?actor=a":    404,
		"/v1/accounts/a/nonsense?actor=a&x=y":   404,
		"/v1/accounts/a/importers/i1?actor=bob": 404,
	} {
		if res := w.do(t, request{method: "GET", path: path, key: checkKey}); res.status != status {
			t.Errorf("%s answered %d %s", path, res.status, res.body)
		}
	}
	w.do(t, request{method: "GET", path: "/v1/accounts/a/importers?actor=a", key: operateKey}).wantProblem(
		t, 403, "forbidden", "check",
	)
	other := serve(t, func(c *httpapi.Config) { c.Operations = nil })
	other.do(t, request{method: "GET", path: "/v1/accounts/a/importers?actor=a", key: checkKey}).wantProblem(
		t, 404, "not_found", "product",
	)
}

// TestContractNamesEveryCollection compares the collections in the contract with the types that operations list.
func TestContractNamesEveryCollection(t *testing.T) {
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		t.Fatal(err)
	}
	for place, parameter := range map[authz.Type]string{
		"account": "AccountCollection", "workspace": "WorkspaceCollection",
	} {
		names := contract.Components.Parameters[parameter].Value.Schema.Value.Enum
		collections := operation.Collections(place)
		if len(names) != len(collections) {
			t.Errorf("the contract has the lists %v, operations have %v", names, collections)
		}
		for _, name := range names {
			if collections[name.(string)] == "" {
				t.Errorf("operations have no list %s of a %s", name, place)
			}
		}
	}
	if len(operation.Collections("subscription"))+len(operation.Collections("importer")) > 0 {
		t.Error("operations list collections of other places too")
	}
}
