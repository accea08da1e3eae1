package tests

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// endless is the schema of a company, in addition to Sluice's own. SpiceDB needs exponential time for its
// permissions.
const endless = `use import
use expiration
import "sluice/root.zed"

definition crew {
  relation member: user | crew#member
}

definition doc {
  relation account: account
  relation allowed: user | doc#viewer | crew#member
  relation direct: user | doc#allowed
  relation parent: doc
  relation other: doc
  permission viewer = direct & allowed
  permission above = direct + allowed + parent->above + other->above + account->view
}

definition lad {
  relation aaa: user | lad#can
  relation bbb: user | lad#can
  permission can = aaa + bbb
  permission both = aaa & bbb
}
`

// endlessObjects writes objects whose permissions take long to evaluate. They are a cycle, a cycle with two paths,
// ladders (chains in which two relations lead to the next object), a deep chain, and objects whose many sets of
// people share a large set. Requests name the first object of each. The person alice is at the end of each.
func endlessObjects(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	rows := []string{
		"doc:circle#allowed@doc:circle#viewer", "doc:circle#direct@doc:circle#allowed", "doc:circle#account@account:sales",
		"doc:ring#parent@doc:ring1", "doc:ring#other@doc:ring1", "doc:ring1#parent@doc:ring", "doc:ring1#other@doc:ring",
	}
	step := func(name string, i int) string {
		if i == 0 {
			return "doc:" + name
		}
		return fmt.Sprintf("doc:%s%d", name, i)
	}
	for i := range 24 {
		at, next := step("ladder", i), step("ladder", i+1)
		rows = append(rows, at+"#allowed@"+next+"#viewer", at+"#direct@"+at+"#allowed")
		at, next = step("steps", i), step("steps", i+1)
		rows = append(rows, at+"#parent@"+next, at+"#other@"+next)
	}
	for i := range 60 {
		rows = append(rows, step("chain", i)+"#parent@"+step("chain", i+1))
	}
	for i := range 1000 {
		rows = append(
			rows, fmt.Sprintf("doc:sets#allowed@crew:g%d#member", i), fmt.Sprintf("crew:g%d#member@crew:huge#member", i),
		)
	}
	for i := range 500 {
		rows = append(rows, fmt.Sprintf("crew:huge#member@user:u%d", i))
	}
	for i := range 25 {
		rows = append(rows, fmt.Sprintf("crew:m%d#member@crew:m%d#member", i%5, i/5))
		for n := range 4 {
			rows = append(rows, fmt.Sprintf("crew:d%d_%d#member@crew:d%d_%d#member", i, n/2, i+1, n%2))
		}
	}
	for i := range 26 {
		at, next := fmt.Sprint("lad:l", i), fmt.Sprint("lad:l", i+1)
		rows = append(rows, at+"#aaa@"+next+"#can", at+"#bbb@"+next+"#can")
		at, next = fmt.Sprint("lad:k", i%5), fmt.Sprint("lad:k", i/5)
		rows = append(rows, at+"#aaa@"+next+"#can", at+"#bbb@"+next+"#can")
	}
	rows = append(
		rows,
		"doc:mesh#allowed@crew:m0#member",
		"crew:m4#member@user:alice",
		"doc:diamonds#allowed@crew:d0_0#member",
		"crew:d25_0#member@user:alice",
		"lad:l26#aaa@user:alice",
		"lad:k0#aaa@user:alice",
		"doc:circle#allowed@user:alice",
		"doc:ring1#direct@user:alice",
		"doc:ladder24#allowed@user:alice",
		"doc:ladder24#direct@user:alice",
		"doc:steps24#direct@user:alice",
		"doc:chain60#direct@user:alice",
	)
	for chunk := range slices.Chunk(rows, 1000) {
		write(t, conn, chunk...)
	}
}

type endlessCall struct{ method, path, body, accept string }

// endlessCalls lists a request to each endpoint that checks permissions. body is the request body or, for GET, the
// query. In it, $TYPE, $DOC and $MAY stand for the type, the id and the permission.
var endlessCalls = []endlessCall{
	{method: "POST", path: "/v1/check", body: `{"subject":"user:alice","permission":"$MAY","resource":"$TYPE:$DOC"}`},
	{
		method: "POST", path: "/v1/check/bulk",
		body: `{"checks":[{"subject":"user:alice","permission":"$MAY","resource":"$TYPE:$DOC"},{"subject":"user:u7","permission":"$MAY","resource":"$TYPE:$DOC"}]}`,
	},
	{method: "POST", path: "/v1/permissions", body: `{"subject":"user:alice","resource":"$TYPE:$DOC"}`},
	{method: "POST", path: "/v1/lookup/resources", body: `{"subject":"user:alice","permission":"$MAY","resource_type":"$TYPE","limit":1000}`},
	{method: "POST", path: "/v1/lookup/subjects", body: `{"resource":"$TYPE:$DOC","permission":"$MAY","subject_type":"user"}`},
	{
		method: "POST", path: "/v1/lookup/subjects", accept: "application/x-ndjson",
		body: `{"resource":"$TYPE:$DOC","permission":"$MAY","subject_type":"user"}`,
	},
	{method: "POST", path: "/v1/explain", body: `{"subject":"user:alice","permission":"$MAY","resource":"$TYPE:$DOC"}`},
	{method: "GET", path: "/v1/access", body: `resource=$TYPE:$DOC&permission=$MAY&at=$NOW`},
	{method: "POST", path: "/v1/preview", body: `{"method":"PUT","path":"/v1/accounts/sales/members/alice","body":{"roles":["user"]}}`},
	{
		method: "POST", path: "/access/v1/evaluation",
		body: `{"subject":{"type":"user","id":"alice"},"action":{"name":"$MAY"},"resource":{"type":"$TYPE","id":"$DOC"}}`,
	},
	{
		method: "POST", path: "/access/v1/evaluations",
		body: `{"subject":{"type":"user","id":"alice"},"evaluations":[{"action":{"name":"$MAY"},"resource":{"type":"$TYPE","id":"$DOC"}},{"subject":{"type":"user","id":"u7"},"action":{"name":"$MAY"},"resource":{"type":"$TYPE","id":"$DOC"}}]}`,
	},
	{
		method: "POST", path: "/access/v1/search/subject",
		body: `{"subject":{"type":"user"},"action":{"name":"$MAY"},"resource":{"type":"$TYPE","id":"$DOC"},"page":{"limit":1000}}`,
	},
	{
		method: "POST", path: "/access/v1/search/resource",
		body: `{"subject":{"type":"user","id":"alice"},"action":{"name":"$MAY"},"resource":{"type":"$TYPE"},"page":{"limit":1000}}`,
	},
	{
		method: "POST", path: "/access/v1/search/action",
		body: `{"subject":{"type":"user","id":"alice"},"resource":{"type":"$TYPE","id":"$DOC"}}`,
	},
}

// notEndless lists endpoints with the scope check or inspect that the test does not call. They check no permission
// of a company's own schema. The value is the reason.
var notEndless = map[string]string{
	"GET /v1/accounts/{id}/{collection}":   "permissions of the product alone, which lead to no object twice",
	"GET /v1/workspaces/{id}/{collection}": "permissions of the product alone",
	"GET /v1/relationships":                "reads what is stored",
	"GET /v1/audit":                        "permissions of the product alone",
	"GET /v1/events":                       "permissions of the product alone",
	"GET /v1/users/{user}/accounts":        "reads what is stored",
	"GET /v1/subscriptions":                "reads what is stored",
}

// TestEndlessCallsAreThoseOfTheContract checks that every endpoint that checks permissions is in endlessCalls or in
// notEndless.
func TestEndlessCallsAreThoseOfTheContract(t *testing.T) {
	all, err := readContract()
	require.NoError(t, err)
	for _, e := range all {
		if !slices.Contains(e.scopes, "check") && !slices.Contains(e.scopes, "inspect") {
			continue
		}
		asked := slices.ContainsFunc(
			endlessCalls, func(c endlessCall) bool { return c.method == e.method && c.path == e.path },
		)
		require.True(t, asked || notEndless[e.method+" "+e.path] != "", "%s %s", e.method, e.path)
	}
}

func writeEndlessSchema(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "endless.zed")
	require.NoError(t, os.WriteFile(file, []byte(endless), 0o600))
	return file
}

// ask sends the request about an object and a permission. It returns the status and the body of the answer. If there
// is no answer, the status is 0.
func (c endlessCall) ask(ctx context.Context, url, object, may string) (status int, answer []byte, err error) {
	typ, id, _ := strings.Cut(object, ":")
	body := strings.NewReplacer(
		"$TYPE", typ, "$DOC", id, "$MAY", may, "$NOW", time.Now().UTC().Format(time.RFC3339Nano),
	).Replace(c.body)
	address := url + c.path
	if c.method == http.MethodGet {
		address, body = address+"?"+body, ""
	}
	request, err := http.NewRequestWithContext(ctx, c.method, address, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+masterKey)
	if c.method != http.MethodGet {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.accept != "" {
		request.Header.Set("Accept", c.accept)
	}
	if c.path == "/v1/preview" {
		request.Header.Set("Sluice-Actor", "olga")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, errors.Join(err, response.Body.Close())
}

// TestEveryQuestionEnds calls every endpoint that checks permissions, about the objects of endlessObjects, and
// closes the connection early. Then the server must stop working on the request. An answer must not be an internal
// error.
func TestEveryQuestionEnds(t *testing.T) { // not parallel: goroutines of other tests would count
	config := configuration()
	config.Schema = writeEndlessSchema(t)
	server := start(t, config)
	conn, err := dialSpiceDB(server.GRPCAddress, server.GRPCKey)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	s := newScene(t, &backend{url: server.URL, spicedb: conn})
	s.must(http.MethodPost, "subscriptions", map[string]any{"id": "initech", "role_set": "multi_owner", "owner": "olga"})
	endlessObjects(t, conn)
	past := endlessCalls[slices.IndexFunc(endlessCalls, func(c endlessCall) bool { return c.path == "/v1/access" })]
	deadline := time.Now().Add(10 * time.Minute)
	for status := http.StatusNotFound; status == http.StatusNotFound; { // wait until the audit log has the subscription
		require.True(t, time.Now().Before(deadline))
		status, _, err = past.ask(t.Context(), server.URL, "doc:sets", "allowed")
		require.NoError(t, err)
	}
	http.DefaultClient.CloseIdleConnections()
	idle := runtime.NumGoroutine()
	answered := 0
	for i, question := range []struct {
		doc, may string
		// The evaluation of some requests would take minutes, so the server must reject them. These are the requests
		// whose path contains rejects.
		rejects string
	}{
		{doc: "doc:circle", may: "viewer"},
		{doc: "doc:ladder", may: "viewer"},
		{doc: "doc:ring", may: "above"},
		{doc: "doc:steps", may: "above"},
		{doc: "doc:chain", may: "above"},
		{doc: "doc:sets", may: "above"},
		{doc: "doc:mesh", may: "above", rejects: "/subject"},
		{doc: "doc:diamonds", may: "above", rejects: "/subject"},
		{doc: "lad:l0", may: "both", rejects: "/resource"},
		{doc: "lad:k0", may: "both", rejects: "/resource"},
	} {
		for j, c := range endlessCalls {
			lookup := c.path == "/v1/lookup/resources"
			if raceDetector && !lookup && (i+j)%3 > 0 { // under the race detector, each request takes ten times as long
				continue
			}
			timeout := 100 * time.Millisecond
			rejected := question.rejects != "" && strings.Contains(c.path, question.rejects)
			if rejected {
				timeout = time.Minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			status, _, err := c.ask(ctx, server.URL, question.doc, question.may)
			cancel()
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded, "%s about %s", c.path, question.doc)
				require.False(t, rejected, "%s about %s is not answered", c.path, question.doc)
				continue
			}
			answered++
			require.Less(t, status, http.StatusInternalServerError, "%s about %s", c.path, question.doc)
		}
		http.DefaultClient.CloseIdleConnections()
		deadline := time.Now().Add(10 * time.Minute) // the race detector is slow
		for runtime.NumGoroutine() > idle+30 {
			require.True(t, time.Now().Before(deadline), "%s: %d goroutines go on", question.doc, runtime.NumGoroutine()-idle)
			time.Sleep(10 * time.Millisecond) // the work for a request ends shortly after the request
		}
		t.Logf("%s: %d goroutines more than before, %d answers", question.doc, runtime.NumGoroutine()-idle, answered)
		runtime.GC() // garbage does not count
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		require.Less(t, memory.HeapAlloc, uint64(1<<30), question.doc)
	}
}

// TestServerStopsWhileQuestionsRun stops a server while it evaluates requests that take exponential time. The server
// must stop within its drain timeout.
func TestServerStopsWhileQuestionsRun(t *testing.T) {
	t.Parallel()
	key := rand.Text()
	server := newProcess(
		t, "--datastore", "memory", "--grpc-listen", "127.0.0.1:0", "--grpc-key", key, "--schema", writeEndlessSchema(t),
		"--drain-timeout", "1s",
	)
	found := server.addresses()
	conn, err := dialSpiceDB(found.spicedb, key)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	endlessObjects(t, conn)
	var sent, ended sync.WaitGroup
	for i, c := range endlessCalls {
		sent.Add(1)
		once := sync.OnceFunc(sent.Done)
		ctx := httptrace.WithClientTrace(
			t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { once() }},
		)
		ended.Go(func() {
			defer once()
			// The stopping server may abort the request.
			_, _, _ = c.ask(ctx, found.url, []string{"doc:circle", "doc:ladder"}[i%2], "viewer")
		})
	}
	sent.Add(1)
	ended.Go(func() {
		once := sync.OnceFunc(sent.Done)
		defer once()
		ctx := httptrace.WithClientTrace(
			t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { once() }},
		)
		lookup := endlessCalls[slices.IndexFunc(
			endlessCalls, func(c endlessCall) bool { return c.path == "/v1/lookup/resources" },
		)]
		_, _, _ = lookup.ask(ctx, found.url, "lad:l0", "both")
	})
	sent.Wait()
	server.stop()
	ended.Wait()
}
