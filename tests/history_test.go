package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// entry is an entry of the audit log, as GET /v1/audit returns it.
type entry struct {
	Seq                                           int64
	Time                                          time.Time
	Kind, Reason, Actor, Key, Operation, Revision string
	RequestID                                     string `json:"request_id"`
	StatedReason                                  string `json:"stated_reason"`
	Updates                                       []update
	Prev, Hash                                    string
	Omitted                                       bool
	raw                                           json.RawMessage
}

type update struct {
	Action   string
	Resource json.RawMessage
	Relation string
	Subject  json.RawMessage
}

func (u update) String() string {
	return u.Action + " " + strings.Trim(string(u.Resource), `"`) + "#" + u.Relation + "@" + strings.Trim(
		string(u.Subject), `"`,
	)
}

// changes returns the updates in entries, each with the actor and the operation.
func changes(entries []entry) []string {
	var out []string
	for _, e := range entries {
		for _, u := range e.Updates {
			out = append(out, strings.TrimSpace(e.Actor+" "+e.Operation+" ")+" "+u.String())
		}
	}
	return out
}

// page reads one page of the audit log, which begins with the newest entry.
func (c caller) page(query string) (entries []entry, next string) {
	c.t.Helper()
	var page struct {
		Entries    []json.RawMessage
		NextCursor string `json:"next_cursor"`
	}
	c.must(http.MethodGet, "audit?"+query, nil).decode(c.t, &page)
	for _, raw := range page.Entries {
		e := entry{raw: raw}
		if err := json.Unmarshal(raw, &e); err != nil {
			c.t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries, page.NextCursor
}

// history waits until the selected entries of the audit log satisfy a condition, and returns them, the oldest first.
// The audit log follows SpiceDB's Watch. So it may get a change shortly after the answer to the write.
func (c caller) history(query string, enough func([]entry) bool) []entry {
	c.t.Helper()
	end := time.Now().Add(2 * time.Minute)
	for {
		entries, _ := c.page(query)
		slices.Reverse(entries)
		if enough(entries) {
			return entries
		}
		if time.Now().After(end) {
			c.t.Fatalf("the history of %s does not change any more:\n%s", query, strings.Join(changes(entries), "\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func atLeast(n int) func([]entry) bool { return func(found []entry) bool { return len(found) >= n } }

// history checks that the audit log has every change with its actor.
func history(t *testing.T, on *backend) {
	s := newScene(t, on)
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
	)
	request := s.by("olga").request(
		http.MethodPut, "accounts/"+s.id("a")+"/members/"+url.PathEscape(s.id("pe#ter")), roles("user"),
	)
	request.Header.Set("X-Request-ID", s.id("request"))
	if answer := s.by("olga").send(request); answer.status != http.StatusOK {
		t.Fatal(answer)
	}
	s.write(s.in("account:~a#user@user:~mallory")) // as zed does: without an actor
	ends := time.Now().Add(2 * time.Second)
	_, err := v1.NewPermissionsServiceClient(on.spicedb).WriteRelationships(t.Context(), &v1.WriteRelationshipsRequest{
		Updates: []*v1.RelationshipUpdate{{Operation: v1.RelationshipUpdate_OPERATION_TOUCH, Relationship: &v1.Relationship{
			Resource: &v1.ObjectReference{ObjectType: "account", ObjectId: s.id("a")}, Relation: "guest",
			Subject:           &v1.SubjectReference{Object: &v1.ObjectReference{ObjectType: "user", ObjectId: s.id("temp")}},
			OptionalExpiresAt: timestamppb.New(ends),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.play(
		"backend PUT connectors/~c {capabilities: []} => 200",
		"olga POST connections {id: ~private, account: ~a, connector: ~c}",
		"olga POST importers {id: ~i, account: ~a, source: ~private}",
		"olga DELETE importers/~i",
	)
	account := "account=" + url.QueryEscape(s.id("a"))
	all := s.history(account, func(found []entry) bool {
		return len(found) > 0 && slices.ContainsFunc(found, func(e entry) bool { return e.Kind == "expiry" }) &&
			slices.ContainsFunc(found, func(e entry) bool { return e.Operation == "delete_importer" })
	})
	reported := changes(all)
	for _, want := range []string{
		"~olga create_account touch account:~a#owner@user:~olga",
		"~olga put_account_member touch account:~a#user@" + `{"type":"user","id":"~pe#ter"}`,
		" touch account:~a#user@user:~mallory",
		" touch account:~a#guest@user:~temp",
		" delete account:~a#guest@user:~temp",
		"~olga create_connection touch connection:~private#creator@user:~olga",
		"~olga create_importer touch importer:~i#source@connection:~private",
		"~olga delete_importer delete importer:~i#source@connection:~private",
	} {
		if !slices.Contains(reported, s.in(want)) {
			t.Errorf("there is no %q among\n%s", s.in(want), strings.Join(reported, "\n"))
		}
	}
	for _, e := range all {
		switch {
		case e.Kind == "expiry" && e.Time.Sub(ends).Abs() > time.Millisecond && !s.hasTimeOfPrevious(e, ends):
			t.Errorf("the log has the expiry of %s at %s", ends, e.Time)
		case e.Operation == "put_account_member" && (e.RequestID != s.id("request") || e.Key != "master"):
			t.Errorf("the request is %q with the key %q", e.RequestID, e.Key)
		}
	}
	s.requireFilters(account, all)
	s.requireChain()
	s.pages(account, all)
	s.requireRefusals(account)
}

// hasTimeOfPrevious reports whether an entry has the time of the previous entry. The audit log gives an entry this
// time if the entry's own time would be earlier.
func (s scene) hasTimeOfPrevious(e entry, should time.Time) bool {
	s.t.Helper()
	found, _ := s.page("limit=1000&since=" + e.Time.Format(time.RFC3339Nano) +
		"&until=" + e.Time.Add(time.Microsecond).Format(time.RFC3339Nano))
	return e.Time.After(should) && slices.ContainsFunc(found, func(other entry) bool { return other.Seq == e.Seq-1 })
}

// requireFilters checks that each parameter of GET /v1/audit selects the right entries.
func (s scene) requireFilters(account string, all []entry) {
	s.t.Helper()
	for query, want := range map[string]func(entry) bool{
		"actor=" + s.id("olga"):        func(e entry) bool { return e.Actor == s.id("olga") },
		"operation=put_account_member": func(e entry) bool { return e.Operation == "put_account_member" },
		"object=importer:" + s.id("i"): func(e entry) bool {
			return strings.HasSuffix(e.Operation, "_importer")
		},
		"since=" + all[2].Time.Format(time.RFC3339Nano): func(e entry) bool { return !e.Time.Before(all[2].Time) },
		"until=" + all[2].Time.Format(time.RFC3339Nano): func(e entry) bool { return e.Time.Before(all[2].Time) },
	} {
		found, _ := s.page(account + "&limit=1000&" + query)
		var got, wanted []int64
		for _, e := range slices.Backward(found) {
			got = append(got, e.Seq)
		}
		for _, e := range all {
			if want(e) {
				wanted = append(wanted, e.Seq)
			}
		}
		if !slices.Equal(got, wanted) || len(got) == 0 {
			s.t.Errorf("%s selects the entries %v, want %v", query, got, wanted)
		}
	}
}

// requireChain checks the chain of hashes: each entry has the hash of its own text, and the hash of the previous
// entry.
func (s scene) requireChain() {
	s.t.Helper()
	newest, _ := s.page("limit=20")
	for i, e := range newest {
		text := bytes.Replace(e.raw, []byte(`,"hash":"`+e.Hash+`"`), nil, 1)
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != e.Hash {
			s.t.Errorf("the hash of entry %d is not that of %s", e.Seq, text)
		}
		if i > 0 && (newest[i-1].Prev != e.Hash || newest[i-1].Seq != e.Seq+1) {
			s.t.Errorf("entry %d does not follow entry %d", newest[i-1].Seq, e.Seq)
		}
	}
}

func (s scene) pages(account string, all []entry) {
	s.t.Helper()
	var seqs []int64
	until := all[len(all)-1].Time.Add(time.Microsecond).Format(time.RFC3339Nano)
	for next, page := "", 0; page == 0 || next != ""; page++ {
		var entries []entry
		entries, next = s.page(account + "&limit=2&until=" + until + "&cursor=" + next)
		for _, e := range entries {
			seqs = append(seqs, e.Seq)
		}
	}
	slices.Reverse(seqs)
	if len(seqs) != len(all) || slices.ContainsFunc(all, func(e entry) bool { return !slices.Contains(seqs, e.Seq) }) {
		s.t.Errorf("the pages have the entries %v of %d", seqs, len(all))
	}
}

// requireRefusals sends invalid requests for the audit log. The server must reject them.
func (s scene) requireRefusals(account string) {
	s.t.Helper()
	_, next := s.page(account + "&limit=1")
	for _, test := range []struct {
		by     caller
		query  string
		status int
		words  string
	}{
		{s.caller, "since=yesterday", 400, `the parameter "since" must be a time such as`},
		{s.caller, "object=importer", 400, "is not a reference"},
		{s.caller, "cursor=abc", 400, "cursor is not a next_cursor"},
		{s.caller, "limit=1&cursor=" + next, 400, "the cursor belongs to other parameters"},
		{s.caller, "colour=red", 400, "does not exist here"},
		{s.withKey(checkKey).caller, account, 403, "without the scope inspect"},
		{s.withKey(operateKey).by("olga"), account, 403, "needs a key with the scope check or inspect"},
		{s.withKey(checkKey).by("olga"), "", 400, `the parameter "account" is missing`},
		{s.withKey(checkKey).by("stranger"), account, 404, "there is no account"},
		{s.withKey(checkKey).by("olga"), "account=nowhere", 404, "there is no account"},
	} {
		answer := test.by.call(http.MethodGet, "audit?"+test.query, nil)
		if answer.status != test.status || !strings.Contains(answer.problem().Detail, test.words) {
			s.t.Errorf("%s: %d %s, want %d %s", answer.request, answer.status, answer.body, test.status, test.words)
		}
		if events := test.by.call(
			http.MethodGet, "events?"+test.query, nil,
		); test.status != 400 && events.status != test.status {
			s.t.Errorf("%s: %d %s, want %d", events.request, events.status, events.body, test.status)
		}
	}
}

// TestHistoryOfOthers checks that the history of an account shows a person only the objects that this person may
// view.
func TestHistoryOfOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.play(
		"backend PUT connectors/~c {capabilities: []}",
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga POST accounts {id: ~b, subscription: ~s, role_set: team}",
		"olga PUT accounts/~a/members/~peter {roles: [user]}",
		"olga PUT accounts/~a/members/~milton {roles: [guest]}",
		"olga PUT accounts/~b/members/~bill {roles: [user]}",
		"peter POST connections {id: ~private, account: ~a, connector: ~c, visibility: private}",
		"peter POST connections {id: ~shared, account: ~a, connector: ~c, visibility: shared}",
		"peter POST importers {id: ~mixed, account: ~a, source: ~private, destination: ~shared}",
	)
	account := "account=" + s.id("a")
	everything := s.history(account+"&limit=1000", func(found []entry) bool {
		return slices.ContainsFunc(found, func(e entry) bool { return e.Operation == "create_importer" })
	})
	reported := func(name string) []string {
		entries, _ := s.withKey(checkKey).by(name).page(account + "&limit=1000")
		for _, e := range entries {
			if e.Hash != "" || e.Prev != "" {
				t.Errorf("%s gets the hash %s", name, e.Hash)
			}
		}
		return changes(entries)
	}
	if got := strings.Join(changes(everything), "\n"); !strings.Contains(got, s.id("private")) {
		t.Fatalf("the log lacks the private connection:\n%s", got)
	}
	olga, peter := strings.Join(reported("olga"), "\n"), strings.Join(reported("peter"), "\n")
	if strings.Contains(olga, s.id("private")) {
		t.Errorf("the history shows olga peter's private connection:\n%s", olga)
	}
	for _, want := range []string{
		"connection:~shared#creator@user:~peter", "account:~a#guest@user:~milton",
		"importer:~mixed#destination@connection:~shared",
	} {
		if !strings.Contains(olga, s.in(want)) {
			t.Errorf("the history does not show olga %s:\n%s", s.in(want), olga)
		}
	}
	if !strings.Contains(peter, s.in("connection:~private#creator@user:~peter")) {
		t.Errorf("the history does not show peter his private connection:\n%s", peter)
	}
	omitted, _ := s.withKey(checkKey).by("olga").page(account + "&operation=create_importer")
	if len(omitted) != 1 || !omitted[0].Omitted {
		t.Errorf("olga: want one entry with omitted set, got %+v", omitted)
	}
	if answer := s.withKey(checkKey).by("bill").call(
		http.MethodGet, "audit?"+account, nil,
	); answer.status != http.StatusNotFound {
		t.Errorf("%s: %d %s", answer.request, answer.status, answer.body)
	}

	// Whether olga may read an entry depends on her permissions now, not on those at the time of the entry.
	s.play("peter PUT connections/~private/sharing {visibility: shared}")
	if olga := strings.Join(reported("olga"), "\n"); !strings.Contains(olga, s.id("private")) {
		t.Errorf("the history does not show olga the connection that is shared now:\n%s", olga)
	}
}
