package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// foundResources is a page of a look-up of resources.
type foundResources struct {
	Resources []struct {
		Resource       string
		Allowed        bool
		MissingContext []string `json:"missing_context"`
	}
	NextCursor string `json:"next_cursor"`
	Token      string
}

// lookUp sends a look-up of resources or subjects. The pairs of field and value in change replace fields of the
// body.
func (c caller) lookUp(what string, body map[string]any, change ...any) answer {
	c.t.Helper()
	asked := make(map[string]any)
	for name, value := range body {
		asked[name] = value
	}
	for i := 0; i < len(change); i += 2 {
		asked[change[i].(string)] = change[i+1]
	}
	return c.as("").call(http.MethodPost, "lookup/"+what, asked)
}

// TestLookupResourcesPages looks up several hundred importers in pages, while others create and delete importers.
// Some importers are visible through several relationships. Each importer must be listed once.
func TestLookupResourcesPages(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	var want []string
	var writes []string
	for i := range 300 {
		id := s.id(fmt.Sprintf("i%03d", i))
		want = append(want, "importer:"+id)
		writes = append(writes, "importer:"+id+"#account@account:"+s.id("a"))
		// ulla may view these importers as their creator and through her role, and the others only through her role.
		if i%3 > 0 {
			writes = append(writes, "importer:"+id+"#creator@user:"+s.id("ulla"))
		}
	}
	body := map[string]any{
		"subject": "user:" + s.id("ulla"), "permission": "view", "resource_type": "importer",
		"consistency": map[string]any{"at_least_as_fresh": s.write(writes...)},
	}
	for _, limit := range []int{7, 100, 1000} {
		var got []string
		cursor, token := "", ""
		for page := 0; page == 0 || cursor != ""; page++ {
			a := s.lookUp("resources", body, "limit", limit, "cursor", cursor)
			var list foundResources
			a.decode(t, &list)
			if a.status != http.StatusOK || len(list.Resources) > limit || page > 50 {
				t.Fatalf("page %d: %d with %d resources", page, a.status, len(list.Resources))
			}
			for _, r := range list.Resources {
				got = append(got, r.Resource)
				if !r.Allowed || r.MissingContext != nil {
					t.Errorf("%+v", r)
				}
			}
			if page > 0 && list.Token != token || list.Token == "" {
				t.Errorf("page %d shows the state %q, the first one %q", page, list.Token, token)
			}
			cursor, token = list.NextCursor, list.Token
			// All pages show the state of the first page, so these changes must not be visible.
			s.play(fmt.Sprintf("ulla POST importers {id: ~new%d-%d, account: ~a}", limit, page))
			if page == 1 {
				s.play(fmt.Sprintf("olga DELETE importers/~new%d-0", limit))
			}
		}
		known := slices.DeleteFunc(slices.Clone(got), func(r string) bool { return strings.Contains(r, "new") })
		if !slices.Equal(known, want) || !slices.IsSorted(got) || len(slices.Compact(got)) != len(got) {
			t.Errorf("limit %d: %d importers, %d of them existed before: %v", limit, len(got), len(known), got)
		}
	}
	// The default limit is 100, and the last page has an empty cursor.
	var list foundResources
	s.lookUp("resources", body).decode(t, &list)
	if len(list.Resources) != 100 || list.NextCursor == "" {
		t.Errorf("a page has %d resources and the cursor %q", len(list.Resources), list.NextCursor)
	}
	s.lookUp("resources", body, "subject", "user:"+s.id("nobody")).decode(t, &list)
	if len(list.Resources) != 0 || list.NextCursor != "" || list.Token == "" {
		t.Errorf("the user nobody may view %+v", list)
	}
}

// TestLookupCursorIsTied sends the cursor of one look-up with other look-ups. These must reject it.
func TestLookupCursorIsTied(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	s.play("ulla POST importers {id: ~i, account: ~a}", "ulla POST importers {id: ~j, account: ~a}")
	body := map[string]any{
		"subject": "user:" + s.id("ulla"), "permission": "view", "resource_type": "importer", "limit": 1,
	}
	var first foundResources
	s.lookUp("resources", body).decode(t, &first)
	if first.NextCursor == "" || len(first.Resources) != 1 {
		t.Fatalf("the first page is %+v", first)
	}
	for what, change := range map[string][]any{
		"subject":        {"subject", "user:" + s.id("olga")},
		"permission":     {"permission", "run"},
		"type":           {"resource_type", "connection"},
		"context":        {"context", map[string]any{"x": 1}},
		"consistency":    {"consistency", "fully_consistent"},
		"cut by one":     {"cursor", first.NextCursor[:len(first.NextCursor)-1]},
		"cut by two":     {"cursor", first.NextCursor[:len(first.NextCursor)-2]},
		"cut by four":    {"cursor", first.NextCursor[:len(first.NextCursor)-4]},
		"longer":         {"cursor", first.NextCursor + "AAAA"},
		"garbled":        {"cursor", "A" + first.NextCursor[1:]},
		"no cursor":      {"cursor", "nonsense"},
		"of other lists": {"cursor", "YWxpY2U"},
	} {
		a := s.lookUp("resources", body, append([]any{"cursor", first.NextCursor}, change...)...)
		if a.status != http.StatusBadRequest || a.problem().Code != "invalid" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	var second foundResources
	s.lookUp("resources", body, "cursor", first.NextCursor, "limit", 5).decode(t, &second)
	if len(second.Resources) != 1 || second.NextCursor != "" {
		t.Errorf("the second page is %+v", second)
	}
	for _, limit := range []any{0, -1, 1001, 1.5, "7"} {
		if a := s.lookUp("resources", body, "limit", limit); a.status != http.StatusBadRequest ||
			a.problem().Code != "invalid" {
			t.Errorf("limit %v: %d %s", limit, a.status, a.body)
		}
	}
	for what, change := range map[string][]any{
		"permission": {"permission", "veiw"}, "type": {"resource_type", "importr"}, "subject type": {"subject", "usr:a"},
		"token": {"consistency", map[string]any{"at_least_as_fresh": "x"}},
	} {
		if a := s.lookUp("resources", body, change...); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
}

// TestLookupConsistency makes look-ups that must include the state of a token.
func TestLookupConsistency(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	token := s.by("ulla").must(http.MethodPost, "importers", map[string]any{"id": s.id("i"), "account": s.id("a")}).token(
		t,
	)
	body := map[string]any{"subject": "user:" + s.id("ulla"), "permission": "view", "resource_type": "importer"}
	for _, consistency := range []any{
		"fully_consistent", "minimize_latency", map[string]any{"at_least_as_fresh": token}, nil,
	} {
		change := []any{"consistency", consistency}
		if consistency == nil {
			change = nil
		}
		var list foundResources
		s.lookUp("resources", body, change...).decode(t, &list)
		if len(list.Resources) != 1 || list.Resources[0].Resource != "importer:"+s.id("i") {
			t.Errorf("%v: %+v", consistency, list)
		}
	}
}
