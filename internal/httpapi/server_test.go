package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-authz/sluice/api/apitest"
	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/internal/owntype"
	zed "github.com/sluice-authz/sluice/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server with a fake engine and fake operations.
type world struct {
	config     httpapi.Config
	engine     *engine
	operations *operations
	log        *syncBuffer
	handler    http.Handler
	url        string
	client     *http.Client
}

// The secrets of the keys of every test server. Each key has the scope in its name.
const (
	checkKey     = "secret-of-check"
	operateKey   = "secret-of-operate"
	provisionKey = "secret-of-provision"
	inspectKey   = "secret-of-inspect"
)

// serve starts a server that listens, and compares every answer with the contract.
func serve(t *testing.T, change ...func(*httpapi.Config)) *world {
	t.Helper()
	w := open(t, change...)
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	w.url, w.client = server.URL, &http.Client{Transport: apitest.Transport(t, transport)}
	return w
}

// open creates a server that does not listen.
func open(t testing.TB, change ...func(*httpapi.Config)) *world {
	t.Helper()
	w := &world{engine: new(engine), operations: new(operations), log: new(syncBuffer)}
	var keys []apikey.Key
	for _, scope := range apikey.AllScopes.Names() {
		key, err := apikey.Parse(scope + "-key:" + scope + ":secret-of-" + scope)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	set, err := apikey.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	w.config = httpapi.Config{
		Engine: w.engine, Explainer: struct{ httpapi.Explainer }{}, Operations: w.operations, Keys: set,
		Definitions: func(context.Context) ([]authz.Definition, error) { return definitions, nil },
		OwnTypes:    owntype.New(definitions, nil, zed.Parameters{"c": nil}),
		Ready:       func(context.Context) error { return nil },
		PublicURL:   "https://sluice.example.com",
		Logger:      slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics:     httpapi.NewMetrics(),
	}
	for _, c := range change {
		c(&w.config)
	}
	w.handler, err = httpapi.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// request describes a request. Empty fields are left out.
type request struct {
	method, path, body string
	key, actor         string
	header             http.Header
}

type response struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(t *testing.T, r request) response {
	t.Helper()
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, w.url+r.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	if r.actor != "" {
		req.Header.Set("Sluice-Actor", r.actor)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{status: res.StatusCode, header: res.Header, body: string(data)}
}

// wantProblem checks that the response is a problem document with the status, the code and every word.
func (r response) wantProblem(t *testing.T, status int, code string, words ...string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.body, fmt.Sprintf(`"code":%q`, code)) {
		t.Errorf("answered %d %s, want %d with the code %s", r.status, r.body, status, code)
	}
	for _, word := range words {
		if !strings.Contains(strings.ReplaceAll(r.body, `\"`, `"`), word) {
			t.Errorf("answered %s, want it to contain %q", r.body, word)
		}
	}
}

// want checks the status, and that the body is equivalent JSON.
func (r response) want(t *testing.T, status int, body string) {
	t.Helper()
	var got, want any
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != status || !reflect.DeepEqual(got, want) {
		t.Errorf("answered %d %s, want %d %s", r.status, r.body, status, body)
	}
}

var definitions = []authz.Definition{
	{Type: "user"},
	{
		Type: "importer", Doc: "Moves data.", Relations: []authz.Relation{"account"},
		Permissions: []authz.PermissionInfo{
			{Name: "view", Doc: "May see the importer.", Grantable: true}, {Name: "edit", Doc: "May change the importer."}, {
				Name: "as_creator", Internal: true,
			},
		},
	},
}

// engine is a fake engine that calls its functions. Without a function, it denies checks and finds nothing.
type engine struct {
	check func(context.Context, authz.Check, authz.Consistency) (authz.Decision, authz.Token, error)
	bulk  func(context.Context, []authz.Check, authz.Consistency) ([]authz.CheckResult, authz.Token, error)
	read  func(context.Context, authz.Filter, authz.Page) iter.Seq2[authz.ReadItem, error]

	resources func(authz.ResourceQuery, authz.Consistency, authz.Page) iter.Seq2[authz.FoundResource, error]
	subjects  func(context.Context, authz.SubjectQuery) iter.Seq2[authz.FoundSubject, error]
}

func (e *engine) LookupResources(
	_ context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.FoundResource, error] {
	if e.resources == nil {
		return func(func(authz.FoundResource, error) bool) {}
	}
	return e.resources(query, at, page)
}

func (e *engine) LookupSubjects(
	ctx context.Context, query authz.SubjectQuery, _ authz.Consistency,
) iter.Seq2[authz.FoundSubject, error] {
	if e.subjects == nil {
		return func(func(authz.FoundSubject, error) bool) {}
	}
	return e.subjects(ctx, query)
}

func (e *engine) Check(
	ctx context.Context, check authz.Check, at authz.Consistency,
) (authz.Decision, authz.Token, error) {
	if e.check == nil {
		return authz.Decision{}, "t1", nil
	}
	return e.check(ctx, check, at)
}

func (e *engine) CheckBulk(
	ctx context.Context, checks []authz.Check, at authz.Consistency,
) ([]authz.CheckResult, authz.Token, error) {
	if e.bulk == nil {
		return make([]authz.CheckResult, len(checks)), "t1", nil
	}
	return e.bulk(ctx, checks, at)
}

func (e *engine) Read(
	ctx context.Context, filter authz.Filter, _ authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	if e.read == nil {
		return func(func(authz.ReadItem, error) bool) {}
	}
	return e.read(ctx, filter, page)
}

// syncBuffer is a log that a test can read while a server writes it.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
