package tests

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/api/apitest"
	"github.com/sluice-authz/sluice/internal/authz"
)

// caller sends requests to the HTTP API with an API key. If actor is set, it sends them on behalf of this actor.
type caller struct {
	t     testing.TB
	url   string
	key   string
	actor string
	http  *http.Client
}

// newCaller returns a caller whose key has every scope, without an actor. The caller validates each answer against
// the contract.
func newCaller(t testing.TB, url string) caller {
	return caller{t: t, url: url, key: masterKey, http: &http.Client{Transport: apitest.Transport(t, wire)}}
}

func (c caller) as(actor string) caller {
	c.actor = actor
	return c
}

func (c caller) withKey(key string) caller {
	c.key = key
	return c
}

// answer is the answer to an HTTP request.
type answer struct {
	request string
	status  int
	header  http.Header
	body    []byte
}

// problem has the fields of a problem document that tests use.
type problem struct {
	Code          string   `json:"code"`
	Detail        string   `json:"detail"`
	Status        int      `json:"status"`
	Accounts      []string `json:"accounts"`
	Subscriptions []string `json:"subscriptions"`
}

// call sends a request. If body is nil, the request has no body. A body of the type []byte is sent unchanged, and
// any other value as JSON. The path is below /v1 unless it starts with a slash.
//
// Several goroutines may use call at the same time: if the request fails, call marks the test as failed and
// continues. An answer that did not arrive has the status 0.
func (c caller) call(method, path string, body any) answer {
	c.t.Helper()
	return c.send(c.request(method, path, body))
}

func (c caller) request(method, path string, body any) *http.Request {
	c.t.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/v1/" + path
	}
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		content = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			panic(err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, content)
	if err != nil {
		panic(err)
	}
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	if c.actor != "" {
		request.Header.Set("Sluice-Actor", authz.EscapeHeader(c.actor))
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request
}

func (c caller) send(request *http.Request) answer {
	c.t.Helper()
	a := answer{request: strings.TrimSpace(c.actor + " " + request.Method + " " + request.URL.RequestURI())}
	response, err := c.http.Do(request)
	if err != nil {
		if c.t.Context().Err() == nil {
			c.t.Errorf("%s: %v", a.request, err)
		}
		return a
	}
	defer response.Body.Close()
	a.status, a.header = response.StatusCode, response.Header
	if a.body, err = io.ReadAll(response.Body); err != nil {
		c.t.Errorf("%s: %v", a.request, err)
	}
	return a
}

// must sends a request, and ends the test if the status is not 2xx.
func (c caller) must(method, path string, body any) answer {
	c.t.Helper()
	a := c.call(method, path, body)
	if a.status < 200 || a.status > 299 {
		c.t.Fatalf("%s: %d %s", a.request, a.status, a.body)
	}
	return a
}

// problem parses a problem document.
func (a answer) problem() problem {
	var p problem
	// If the body is no problem document, the code stays empty. Then the test fails, since it expects another code.
	_ = json.Unmarshal(a.body, &p)
	return p
}

// decode parses the answer into v.
func (a answer) decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%s: %d %s: %v", a.request, a.status, a.body, err)
	}
}

// token returns the ZedToken of an answer.
func (a answer) token(t testing.TB) string {
	t.Helper()
	var with struct{ Token string }
	a.decode(t, &with)
	if with.Token == "" {
		t.Fatalf("%s: %d %s has no token", a.request, a.status, a.body)
	}
	return with.Token
}

// question is the input of one check.
type question struct {
	Subject    string `json:"subject"`
	Permission string `json:"permission"`
	Resource   string `json:"resource"`
}

func (q question) String() string {
	return q.Subject + " " + q.Permission + " " + q.Resource
}

// may makes one check, and reports whether it is allowed.
func (c caller) may(q question) bool {
	c.t.Helper()
	var decision struct{ Allowed bool }
	c.as("").must(http.MethodPost, "check", q).decode(c.t, &decision)
	return decision.Allowed
}

// mayEach makes several checks in one request.
func (c caller) mayEach(questions []question) []bool {
	c.t.Helper()
	var decisions struct {
		Results []struct {
			Allowed bool
			Error   *problem
		}
	}
	c.as("").must(http.MethodPost, "check/bulk", map[string]any{"checks": questions}).decode(c.t, &decisions)
	if len(decisions.Results) != len(questions) {
		c.t.Fatalf("%d checks have %d results", len(questions), len(decisions.Results))
	}
	allowed := make([]bool, len(questions))
	for i, result := range decisions.Results {
		if result.Error != nil {
			c.t.Fatalf("%s: %s", questions[i], result.Error.Detail)
		}
		allowed[i] = result.Allowed
	}
	return allowed
}

// permissions returns all permissions of the subject on the object.
func (c caller) permissions(subject, resource string) map[string]bool {
	c.t.Helper()
	var decision struct{ Permissions map[string]bool }
	c.as("").must(http.MethodPost, "permissions", map[string]string{"subject": subject, "resource": resource}).decode(
		c.t, &decision,
	)
	return decision.Permissions
}
