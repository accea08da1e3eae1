package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// foundSubject is an entry of a look-up of subjects.
type foundSubject struct {
	Subject        string
	Allowed        bool
	MissingContext []string `json:"missing_context"`
	Excluded       []string

	// Only the last line of a stream has one of these fields.
	Token string
	Error *problem
}

// subjects looks up subjects twice: with one answer, and with a stream. Both must have the same results.
func (s scene) subjects(body map[string]any) []foundSubject {
	s.t.Helper()
	var list struct {
		Subjects []foundSubject
		Token    string
	}
	a := s.lookUp("subjects", body)
	a.decode(s.t, &list)
	if a.status != http.StatusOK || list.Token == "" {
		s.t.Fatalf("%s: %d %s", a.request, a.status, a.body)
	}
	streamed, last := s.streamSubjects(body)
	byName := func(a, b foundSubject) int { return strings.Compare(a.Subject, b.Subject) }
	slices.SortFunc(list.Subjects, byName)
	slices.SortFunc(streamed, byName)
	if last.Token == "" || fmt.Sprint(streamed) != fmt.Sprint(list.Subjects) {
		s.t.Errorf("the stream has %+v and ends with %+v, the answer has %+v", streamed, last, list.Subjects)
	}
	if once := slices.CompactFunc(
		slices.Clone(streamed), func(a, b foundSubject) bool { return a.Subject == b.Subject },
	); len(once) != len(streamed) {
		s.t.Errorf("a subject is listed twice: %+v", streamed)
	}
	return list.Subjects
}

// streamSubjects looks up subjects with a stream. It returns the last line separately.
func (s scene) streamSubjects(body map[string]any) (found []foundSubject, last foundSubject) {
	s.t.Helper()
	request := s.as("").request(http.MethodPost, "lookup/subjects", body)
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := s.http.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/x-ndjson" {
		s.t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		var line foundSubject
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			s.t.Fatalf("%s: %v", lines.Text(), err)
		}
		if line.Token != "" || line.Error != nil {
			last = line
			continue
		}
		if found = append(found, line); last.Token != "" {
			s.t.Error("there is a line after the last one")
		}
	}
	if lines.Err() != nil {
		s.t.Error(lines.Err())
	}
	return found, last
}

// TestLookupSubjects looks up the people who may view importers and other objects. Each person is listed once.
func TestLookupSubjects(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.play("ulla POST importers {id: ~i, account: ~a}")
	names := func(found []foundSubject) (all []string) {
		for _, f := range found {
			if !f.Allowed {
				t.Errorf("%+v", f)
			}
			all = append(all, f.Subject)
		}
		return all
	}
	body := map[string]any{"resource": "importer:" + s.id("i"), "permission": "view", "subject_type": "user"}
	if got, want := names(s.subjects(body)), []string{"user:" + s.id("olga"), "user:" + s.id("ulla")}; !slices.Equal(
		got, want,
	) {
		t.Errorf("the people who may view the importer: %v, want %v", got, want)
	}
	body["resource"] = "importer:" + s.id("missing")
	if got := s.subjects(body); len(got) != 0 {
		t.Errorf("the people who may view a missing object: %v", got)
	}
	for what, change := range map[string][]any{
		"permission": {"permission", "veiw"}, "type": {"subject_type", "usr"}, "relation": {
			"subject_type", "account", "subject_relation", "ownr",
		},
		"resource type": {"resource", "importr:x"}, "no relation": {"subject_relation", ""}, "relation of the resource": {
			"resource", "account:a#owner",
		},
		"token": {"consistency", map[string]any{"at_least_as_fresh": "x"}},
	} {
		for _, accept := range []string{"application/json", "application/x-ndjson"} {
			changed := map[string]any{"resource": "importer:" + s.id("i"), "permission": "view", "subject_type": "user"}
			for i := 0; i < len(change); i += 2 {
				changed[change[i].(string)] = change[i+1]
			}
			request := s.request(http.MethodPost, "lookup/subjects", changed)
			request.Header.Set("Accept", accept)
			if a := s.send(request); a.status != http.StatusBadRequest || a.problem().Code != "invalid" {
				t.Errorf("%s as %s: %d %s", what, accept, a.status, a.body)
			}
		}
	}
}

// TestManySubjects looks up more subjects than one answer can have. A stream returns all of them. It ends if the
// client closes the connection.
func TestManySubjects(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	var writes []string
	for i := range 9_998 {
		writes = append(writes, fmt.Sprintf("account:%s#user@user:%s", s.id("a"), s.id(fmt.Sprint("m", i))))
	}
	body := map[string]any{
		// platform administrators and guests lack this permission
		"resource": "account:" + s.id("a"), "permission": "manage_billing", "subject_type": "user",
		"consistency": map[string]any{"at_least_as_fresh": s.write(writes...)},
	}
	if found := s.subjects(body); len(found) != 10_000 { // the users m0, m1, and so on, and olga and ulla
		t.Errorf("there are %d subjects", len(found))
	}
	body["consistency"] = map[string]any{
		"at_least_as_fresh": s.write("account:" + s.id("a") + "#user@user:" + s.id("one-more")),
	}
	a := s.lookUp("subjects", body)
	if a.status != http.StatusRequestEntityTooLarge || a.problem().Code != "too_large" || !strings.Contains(
		a.problem().Detail, "application/x-ndjson",
	) {
		t.Errorf("%d %.300s", a.status, a.body)
	}
	found, last := s.streamSubjects(body)
	if len(found) != 10_001 || last.Token == "" {
		t.Errorf("the stream has %d subjects and ends with %+v", len(found), last)
	}
	ctx, leave := context.WithTimeout(t.Context(), 10*time.Minute)
	request := s.request(http.MethodPost, "lookup/subjects", body).WithContext(ctx)
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := s.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReaderSize(response.Body, 16).ReadString('\n'); err != nil {
		t.Error(err)
	}
	leave()
	_ = response.Body.Close()
}
