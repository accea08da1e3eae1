package tests

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/testcontainers/testcontainers-go"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/enginetest"
)

// TestCollectedWhileAway stops Sluice for longer than a SpiceDB in a container keeps its history. So Sluice misses
// some changes: its audit log has a gap. The next start must report the gap in the log of the process, in the
// metrics and in the audit log. After the gap, the audit log must list all stored relationships.
func TestCollectedWhileAway(t *testing.T) {
	t.Parallel()
	const window = 7 * time.Second // longer than the interval to which SpiceDB rounds revisions
	spicedb := enginetest.Container(t, testcontainers.WithEnv(map[string]string{
		"SPICEDB_DATASTORE_GC_WINDOW": window.String(), "SPICEDB_DATASTORE_GC_INTERVAL": "1s",
	}))
	config := configuration()
	config.Store = app.StoreConfig{Endpoint: spicedb.Endpoint, Token: spicedb.Token, Insecure: true, DataDir: t.TempDir()}
	server, err := app.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	on, err := connect(server.URL, spicedb.Endpoint, spicedb.Token)
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, on)
	s.play(
		"backend POST subscriptions {id: ~s, role_set: multi_owner, owner: ~olga}",
		"olga POST accounts {id: ~a, subscription: ~s, role_set: team}",
		"olga PUT accounts/~a/members/~peter {roles: [user]}",
	)
	account := "account=" + url.QueryEscape(s.id("a"))
	known := s.history(account, func(found []entry) bool { return len(found) == 2 })
	if err := server.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}

	s.write(s.in("account:~a#user@user:~mallory"), s.in("account:~a#guest@user:~eve"))
	mallory := &v1.SubjectFilter{SubjectType: "user", OptionalSubjectId: s.id("mallory")}
	permissions := v1.NewPermissionsServiceClient(on.spicedb)
	if _, err := permissions.DeleteRelationships(t.Context(), &v1.DeleteRelationshipsRequest{
		RelationshipFilter: &v1.RelationshipFilter{
			ResourceType: "account", OptionalRelation: "user", OptionalSubjectFilter: mallory,
		},
	}); err != nil {
		t.Fatal(err)
	}
	away := time.Now()
	time.Sleep(window + 3*time.Second) // until SpiceDB has deleted its history
	s.write(s.in("account:~a#guest@user:~trent"))

	server = start(t, config)
	s.caller = newCaller(t, server.URL)
	entries, _ := s.page("limit=3")
	if len(entries) != 3 || entries[2].Kind != "gap" || entries[2].Reason != "not_kept" || entries[1].Kind != "snapshot" {
		t.Fatalf("the audit log ends with %+v", entries)
	}
	if shown := changes(entries[:1]); len(shown) != 2 || shown[0] != s.in(" touch account:~a#guest@user:~eve") ||
		shown[1] != s.in(" touch account:~a#guest@user:~trent") {
		t.Errorf("after the gap, the audit log has %q", shown)
	}
	then := "access?resource=account:" + s.id("a") + "&permission=view&at=" + away.Add(window/2).UTC().Format(time.RFC3339)
	if answer := s.call(http.MethodGet, then, nil); answer.status != http.StatusNotFound || !strings.Contains(
		answer.problem().Detail, "gap from",
	) {
		t.Errorf("access at a time in the gap: %d %s", answer.status, answer.body)
	}
	if then := s.had("view", "account:"+s.id("a"), known[len(known)-2].Time); !slices.Equal(then, []string{"olga"}) {
		t.Errorf("before the gap, these people could view the account: %q", then)
	}
	if now := s.had("view", "account:"+s.id("a"), time.Now()); !slices.Equal(
		now, []string{"eve", "olga", "peter", "trent"},
	) {
		t.Errorf("after the gap, these people may view the account: %q", now)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+inspectKey)
	response, err := wire.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if metrics, err := io.ReadAll(response.Body); err != nil || !strings.Contains(
		string(metrics), "\nsluice_audit_gaps_total 1\n",
	) {
		t.Errorf("the metrics have no gap (%v)", err)
	}
}
