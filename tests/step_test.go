package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// A step is one line of a case, which is a test in a text file. '~' stands for the id prefix of this test. Names of
// actors have no '~'.
//
//	alice POST accounts {id: ~a, subscription: ~s, role_set: team}
//	alice PUT accounts/~a/members/~bob {roles: [user]} => 200 {roles: [user]}
//	bob DELETE accounts/~a => 403 forbidden delete
//	bob may view, edit importer:~i, importer:~j
//	bob may not delete importer:~i
//	stored account:~a#user@user:~bob
//	not stored account:~a#guest@user:~bob
//	nothing left of account:~a
//
// The actor is a person, or a service account in the form "service_account:robot". "backend" stands for the backend
// itself, without an actor. After "=>" comes the expected status, followed by the code of the problem with words of
// its detail, or by fields of the answer. Without "=>", the request must succeed. After a rejected request, the
// stored relationships must be unchanged. A brief backend (see backend.isBrief) does not compare them.
type step interface {
	run(s scene)
}

// parseStep parses one line.
func parseStep(line string) (step, error) {
	actor, rest, _ := strings.Cut(line, " ")
	verb, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case actor == "stored":
		return storedStep{relationship: verb, there: true}, nil
	case actor == "given":
		return givenStep{relationship: verb}, nil
	case actor == "not" && verb == "stored":
		return storedStep{relationship: rest}, nil
	case actor == "nothing" && verb == "left":
		return goneStep{object: strings.TrimPrefix(rest, "of ")}, nil
	case verb == "may":
		return parseMay(actor, rest)
	case slices.Contains(
		[]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, verb,
	):
		return parseRequest(actor, verb, rest)
	}
	return nil, fmt.Errorf("%q is no step", line)
}

// requestStep sends a request, and checks the answer.
type requestStep struct {
	actor, method, path string
	body                any

	status int
	code   string
	words  string
	fields any
}

func parseRequest(actor, method, rest string) (step, error) {
	r := requestStep{actor: actor, method: method}
	request, wanted, _ := strings.Cut(rest, "=>")
	var body string
	r.path, body, _ = strings.Cut(strings.TrimSpace(request), " ")
	var err error
	if r.body, err = flow(body); err != nil {
		return nil, fmt.Errorf("%q: %w", rest, err)
	}
	status, wanted, _ := strings.Cut(strings.TrimSpace(wanted), " ")
	if status == "" {
		return r, nil
	}
	if r.status, err = strconv.Atoi(status); err != nil {
		return nil, fmt.Errorf("%q: %w", rest, err)
	}
	if r.status >= 400 {
		r.code, r.words, _ = strings.Cut(strings.TrimSpace(wanted), " ")
		if !strings.HasPrefix(r.words, "{") {
			return r, nil
		}
		wanted, r.words = r.words, ""
	}
	r.fields, err = flow(wanted)
	return r, err
}

// flow parses a value in YAML's flow style, for example {roles: [user]}. It returns nil for an empty text.
func flow(text string) (any, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var value any
	err := yaml.Unmarshal([]byte(text), &value)
	return value, err
}

func (r requestStep) run(s scene) {
	s.t.Helper()
	from := s.caller
	if r.actor != "backend" {
		from = s.by(r.actor)
	}
	if r.status < 400 || s.on.isBrief() {
		r.verify(s.t, from.call(r.method, r.path, r.body))
		return
	}
	s.writesNothing(r.actor+" "+r.method+" "+r.path, func() {
		r.verify(s.t, from.call(r.method, r.path, r.body))
	})
}

// verify checks the answer. If the status is not the expected one, it ends the test, since the following steps
// depend on it.
func (r requestStep) verify(t testing.TB, a answer) {
	t.Helper()
	body, _ := json.Marshal(r.body)
	what := fmt.Sprintf("%s %s", a.request, body)
	switch {
	case r.status == 0 && a.status >= 200 && a.status < 300:
	case a.status != r.status:
		t.Fatalf("%s: %d %s, want %d %s", what, a.status, a.body, r.status, r.code)
	case r.code != "" && a.problem().Code != r.code:
		t.Errorf("%s: code %q, want %q", what, a.problem().Code, r.code)
	case !strings.Contains(a.problem().Detail, r.words):
		t.Errorf("%s: the detail %q does not contain %q", what, a.problem().Detail, r.words)
	}
	if r.fields != nil {
		var got any
		a.decode(t, &got)
		if missing := lacks(got, r.fields); missing != "" {
			t.Errorf("%s: %s: %s", what, a.body, missing)
		}
	}
}

// lacks describes how got differs from wanted, or returns "". got may have additional fields. All other values must
// be equal. A null in wanted means that got must not have the field.
func lacks(got, wanted any) string {
	w, isObject := wanted.(map[string]any)
	g, gotObject := got.(map[string]any)
	if !isObject || !gotObject {
		wantedText, _ := json.Marshal(wanted)
		if gotText, _ := json.Marshal(got); string(gotText) != string(wantedText) {
			return fmt.Sprintf("want %s, got %s", wantedText, gotText)
		}
		return ""
	}
	for name, value := range w {
		has, found := g[name]
		if value == nil && !found {
			continue
		}
		if missing := lacks(has, value); missing != "" {
			return name + ": " + missing
		}
	}
	return ""
}

// mayStep checks whether a person or a service account has all of the permissions, or none of them.
type mayStep struct {
	who                    string
	permissions, resources []string
	allowed                bool
}

func parseMay(who, rest string) (step, error) {
	m := mayStep{who: who, allowed: true}
	if denied, found := strings.CutPrefix(rest, "not "); found {
		m.allowed, rest = false, denied
	}
	for word := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == ' ' || r == ',' }) {
		if strings.Contains(word, ":") {
			m.resources = append(m.resources, word)
		} else {
			m.permissions = append(m.permissions, word)
		}
	}
	if len(m.permissions) == 0 || len(m.resources) == 0 {
		return nil, fmt.Errorf("%q names no permission or no object", rest)
	}
	return m, nil
}

func (m mayStep) run(s scene) {
	s.t.Helper()
	for _, resource := range m.resources {
		for _, permission := range m.permissions {
			subject := "user:" + s.id(m.who)
			if robot, found := strings.CutPrefix(m.who, "service_account:"); found {
				subject = "service_account:" + s.id(robot)
			}
			q := question{subject, permission, resource}
			if got := s.may(q); got != m.allowed {
				s.t.Errorf("%s: %t, want %t", q, got, m.allowed)
			}
		}
	}
}

// storedStep checks whether a relationship is stored.
type storedStep struct {
	relationship string
	there        bool
}

func (r storedStep) run(s scene) {
	s.t.Helper()
	if _, found := slices.BinarySearch(s.stored(), r.relationship); found != r.there {
		s.t.Errorf("%s is stored: %t, want %t", r.relationship, found, r.there)
	}
}

// goneStep checks that no relationship about an object is stored, for example after its deletion.
type goneStep struct{ object string }

func (g goneStep) run(s scene) {
	s.t.Helper()
	for _, r := range s.stored() {
		if names(r, g.object) {
			s.t.Errorf("%s is still stored", r)
		}
	}
}

// names reports whether a relationship in zed's notation has the object as resource or subject.
func names(relationship, object string) bool {
	resource, subject, _ := strings.Cut(relationship, "@")
	resource, _, _ = strings.Cut(resource, "#")
	subject, _, _ = strings.Cut(subject, "#")
	return resource == object || subject == object
}

// play runs steps in the scene, one line after the other.
func (s scene) play(lines ...string) {
	s.t.Helper()
	for _, line := range lines {
		next, err := parseStep(s.in(line))
		if err != nil {
			s.t.Fatal(err)
		}
		next.run(s)
	}
}

// givenStep writes a relationship directly to SpiceDB, as another tool could.
type givenStep struct{ relationship string }

func (g givenStep) run(s scene) {
	s.t.Helper()
	s.write(g.relationship)
}
