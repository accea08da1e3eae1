package tests

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// sealedID is part of every id in TestCursorsHoldNoID.
const sealedID = "concealed"

// sealedList is a list endpoint. It is read with GET if body is nil, and with POST otherwise.
type sealedList struct {
	endpoint string // the endpoint in the contract
	path     string
	body     map[string]any
	from     caller
}

// next requests a page with one entry. It returns the cursor of the next page, and the answer.
func (l sealedList) next(cursor string) (string, answer) {
	a := l.from.call(http.MethodGet, l.path+"limit=1&cursor="+url.QueryEscape(cursor), nil)
	if l.body != nil {
		l.body["limit"], l.body["cursor"] = 1, cursor
		if strings.HasPrefix(l.path, "/access/") {
			delete(l.body, "limit")
			delete(l.body, "cursor")
			l.body["page"] = map[string]any{"limit": 1, "token": cursor}
		}
		a = l.from.call(http.MethodPost, l.path, l.body)
	}
	var page struct {
		NextCursor string `json:"next_cursor"`
		Page       struct {
			NextToken string `json:"next_token"`
		} `json:"page"`
	}
	if a.status == http.StatusOK {
		a.decode(l.from.t, &page)
	}
	return page.NextCursor + page.Page.NextToken, a
}

// TestCursorsHoldNoID reads a cursor from every list endpoint of the contract. No decoding of the cursor may reveal
// an id. The endpoint accepts the cursor only from the same actor with the same API key.
func TestCursorsHoldNoID(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	s.prefix += sealedID
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"backend POST subscriptions {id: ~t, role_set: multi_owner, owner: ~olga}",
		"backend PUT connectors/~con {capabilities: []}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga POST accounts {id: ~b, subscription: ~s, role_set: operations}",
		"olga PUT subscriptions/~s/members/~finn {roles: [member]}",
		"olga PUT accounts/~b/members/~finn {roles: [operator, flow_author]}",
		"olga PUT subscriptions/~s/members/~ursula {roles: [owner]}",
		"olga PUT accounts/~a/members/~ursula {roles: [owner]}",
		"backend PUT subscriptions/~s/features {features: [custom_roles]}",
	)
	for i := range 3 {
		n := fmt.Sprint(i)
		s.play(
			"olga POST importers {id: ~"+n+", account: ~a}", "olga POST workspaces {id: ~"+n+", account: ~b, open: true}",
			"olga POST subscriptions/~s/groups {id: ~"+n+", title: T}", "olga PUT accounts/~a/groups/~"+n+" {roles: [user]}",
			"olga POST subscriptions/~s/service-accounts {id: ~s"+n+", title: T}",
			"olga POST accounts/~a/service-accounts {id: ~a"+n+", title: T}",
			"olga POST subscriptions/~s/roles {id: ~r"+n+", title: T}",
			"finn POST flows {id: ~"+n+", workspace: ~0}",
			"olga POST accounts/~a/invitations {invitee: ~i"+n+", roles: [user]}",
			"olga POST subscriptions/~s/invitations {invitee: ~i"+n+", roles: [member]}")
	}
	s.play("olga PATCH groups/~0/members {add: [~olga, ~finn, ~ursula]}")
	s.history("account="+s.id("a"), atLeast(3))
	olga := s.by("olga")
	lists := []sealedList{
		{"/v1/accounts/{id}/members", "accounts/~a/members?", nil, olga},
		{"/v1/accounts/{id}/invitations", "accounts/~a/invitations?", nil, olga},
		{"/v1/accounts/{id}/{collection}", "accounts/~a/importers?actor=~olga&", nil, s.caller},
		{"/v1/workspaces/{id}/{collection}", "workspaces/~0/flows?actor=~finn&", nil, s.caller},
		{"/v1/subscriptions", "subscriptions?", nil, s.caller},
		{"/v1/subscriptions/{id}/members", "subscriptions/~s/members?", nil, olga},
		{"/v1/subscriptions/{id}/members", "subscriptions/~s/members?by_account=true&", nil, olga},
		{"/v1/subscriptions/{id}/people", "subscriptions/~s/people?", nil, olga},
		{"/v1/subscriptions/{id}/accounts", "subscriptions/~s/accounts?", nil, olga},
		{"/v1/subscriptions/{id}/invitations", "subscriptions/~s/invitations?", nil, olga},
		{"/v1/subscriptions/{id}/groups", "subscriptions/~s/groups?", nil, olga},
		{"/v1/accounts/{id}/groups", "accounts/~a/groups?", nil, olga},
		{"/v1/accounts/{id}/roles", "accounts/~a/roles?", nil, olga},
		{"/v1/subscriptions/{id}/roles", "subscriptions/~s/roles?", nil, olga},
		{"/v1/accounts/{id}/roles/{role}/holders", "accounts/~a/roles/owner/holders?", nil, olga},
		{"/v1/subscriptions/{id}/roles/{role}/holders", "subscriptions/~s/roles/owner/holders?", nil, olga},
		{"/v1/subscriptions/{id}/service-accounts", "subscriptions/~s/service-accounts?", nil, olga},
		{"/v1/accounts/{id}/service-accounts", "accounts/~a/service-accounts?", nil, olga},
		{"/v1/groups/{id}/members", "groups/~0/members?", nil, olga},
		{"/v1/users/{user}/accounts", "users/~olga/accounts?", nil, olga},
		{"/v1/users/{user}/accounts", "users/~olga/accounts?", nil, s.caller},
		{"/v1/relationships", "relationships?resource=account:~a&", nil, s.caller},
		{"/v1/audit", "audit?account=~a&", nil, olga},
		{"/v1/audit", "audit?account=~a&", nil, s.caller},
		{"/v1/lookup/resources", "lookup/resources", map[string]any{
			"subject": "user:" + s.id("olga"), "permission": "view", "resource_type": "importer",
		}, s.caller},
		{"/access/v1/search/resource", "/access/v1/search/resource", map[string]any{
			"subject": entity("user", s.id("olga")), "action": map[string]any{"name": "view"}, "resource": map[string]any{
				"type": "importer",
			},
		}, s.caller},
		{"/access/v1/search/subject", "/access/v1/search/subject", map[string]any{
			"subject": map[string]any{"type": "user"}, "action": map[string]any{"name": "view"}, "resource": entity(
				"importer", s.id("0"),
			),
		}, s.caller},
		{"/access/v1/search/action", "/access/v1/search/action", map[string]any{
			"subject": entity("user", s.id("olga")), "resource": entity("importer", s.id("0")),
		}, s.caller},
	}
	for _, e := range endpoints(t) {
		isList := e.operation.Parameters.GetByInAndName("query", "cursor") != nil ||
			e.body() != nil && (e.body().Properties["cursor"] != nil || e.body().Properties["page"] != nil)
		if isList && !slices.ContainsFunc(lists, func(l sealedList) bool { return l.endpoint == e.path }) {
			t.Errorf("the test does not read the list %s", e)
		}
	}
	for _, l := range lists {
		l.path = s.in(l.path)
		cursor, a := l.next("")
		if cursor == "" {
			t.Errorf("%s has only one page: %d %s", l.path, a.status, a.body)
			continue
		}
		if found := decoded([]byte(cursor), 0); found != "" {
			t.Errorf("the cursor of %s holds an id: %s is %s", l.path, cursor, found)
		}
		if _, again := l.next(cursor); again.status != http.StatusOK {
			t.Errorf("the next page of %s: %d %s", l.path, again.status, again.body)
		}
		others := map[string]caller{"another key": l.from.withKey(secondMasterKey)}
		if l.from.actor != "" {
			others["another actor"] = s.by("ursula")
		}
		for who, other := range others {
			foreign := l
			foreign.from = other
			if _, a := foreign.next(cursor); a.status != http.StatusBadRequest || a.problem().Code != "invalid" {
				t.Errorf("%s accepts the cursor from %s: %d %s", l.path, who, a.status, a.body)
			}
		}
	}
}

func entity(typ, id string) map[string]any { return map[string]any{"type": typ, "id": id} }

// decoded searches a text for sealedID. It decodes the text, and each part of it, as text, base64, hexadecimal
// digits and compressed data, up to four times. It returns the decoded text that contains sealedID.
func decoded(text []byte, depth int) string {
	if bytes.Contains(text, []byte(sealedID)) {
		return fmt.Sprintf("%q", text)
	}
	if depth == 4 || len(text) < 4 {
		return ""
	}
	var inside [][]byte
	parts := bytes.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune(base64Letters, r) })
	for _, part := range append(parts, text) {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for skip := range min(4, len(part)) { // the encoded text may begin a few letters later
				trimmed := bytes.TrimRight(part[skip:], "=")
				if got, err := encoding.DecodeString(string(trimmed[:len(trimmed)-len(trimmed)%4])); err == nil {
					inside = append(inside, got)
				}
			}
		}
		if got, err := hex.DecodeString(string(part)); err == nil {
			inside = append(inside, got)
		}
	}
	readers := []func(io.Reader) (io.Reader, error){
		func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
		func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		func(r io.Reader) (io.Reader, error) { return flate.NewReader(r), nil },
	}
	for _, open := range readers {
		if reader, err := open(bytes.NewReader(text)); err == nil {
			got, _ := io.ReadAll(io.LimitReader(reader, 1<<16))
			inside = append(inside, got)
		}
	}
	for _, next := range inside {
		if len(next) > 0 && !bytes.Equal(next, text) {
			if found := decoded(next, depth+1); found != "" {
				return found
			}
		}
	}
	return ""
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
