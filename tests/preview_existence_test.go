package tests

import (
	"bytes"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// creations lists requests in which the user sven creates an object, $ID, in his own accounts. There is one for
// every endpoint of the contract in which an actor chooses the id of a new object. Another company has an object of
// the same type, which sven may not view.
var creations = slices.Concat([]struct{ object, request string }{
	{"a", "POST accounts {id: $ID, subscription: ~xs, role_set: team}"},
	{"o", "POST accounts {id: $ID, subscription: ~xs, role_set: operations}"},
	{"importer", "POST importers {id: $ID, account: ~xt}"},
	{"importer", "POST importers/~xi/copy {id: $ID}"},
	{"connection", "POST connections {id: $ID, account: ~xt, connector: ~crm}"},
	{"connection", "POST connections {id: $ID, account: ~xt, connector: ~crm, visibility: shared}"},
	{"workspace", "POST workspaces {id: $ID, account: ~xo, open: true}"},
	{"workspace", "POST workspaces {id: $ID, account: ~xo, open: false}"},
	{"connector", "POST connectors {id: $ID, account: ~xo}"},
	{"group", "PUT connections/~xc/group {group: $ID}"},
	{"crew", "POST subscriptions/~xs/groups {id: $ID, title: Crew}"},
	{"machine", "POST accounts/~xt/service-accounts {id: $ID, title: Nightly, roles: [user]}"},
	{"machine", "POST subscriptions/~xs/service-accounts {id: $ID, title: Nightly}"},
	{"role", "POST accounts/~ht/roles {id: $ID, title: Reader, grants: [importer.view]}"},
	{"role", "POST subscriptions/~xs/roles {id: $ID, title: Reader, grants: [importer.view]}"},
}, simpleCreations())

// newCreationScene creates the objects that the requests in creations need.
func newCreationScene(t *testing.T) scene {
	s := newScene(t, memory.get(t))
	for _, text := range existing {
		line{"existing", text}.play(s, "", "")
	}
	s.play(
		"sven PUT accounts/~xo/members/~sven {roles: [administrator, flow_author, integration_author, connector_author]}",
		"sven POST workspaces {id: ~xw, account: ~xo, open: true}",
		"sven POST accounts {id: ~xn, subscription: ~xs, role_set: analytics}",
		"backend POST subscriptions {id: ~x1, role_set: single_owner, owner: ~sven}",
		"sven POST accounts {id: ~xg, subscription: ~x1, role_set: analytics}",
		"sven POST connections {id: ~xc, account: ~xg, connector: ~crm}",
		"backend POST subscriptions {id: ~one, role_set: single_owner, owner: ~olga}",
		"olga POST accounts {id: ~og, subscription: ~one, role_set: analytics}",
		"olga POST connections {id: ~oc, account: ~og, connector: ~crm}",
		"olga PUT connections/~oc/group {group: ~group}",
		"olga POST subscriptions/~one/groups {id: ~crew, title: Crew}",
		"olga POST subscriptions/~one/service-accounts {id: ~machine, title: Nightly}",
		"backend POST subscriptions {id: ~hs, role_set: multi_owner, owner: ~olga, features: [custom_roles]}",
		"olga POST accounts {id: ~hr, subscription: ~hs, role_set: team}",
		"olga POST accounts/~hr/roles {id: ~role, title: Reader, grants: [importer.view]}",
		"olga POST accounts {id: ~ht, subscription: ~hs, role_set: team}",
		"olga PUT accounts/~ht/members/~sven {roles: [owner]}",
		"backend PUT subscriptions/~xs/features {features: [custom_roles]}",
	)
	return s
}

// creation returns the request of sven that creates an object with the id of name.
func (s scene) creation(request, name string) requestStep {
	s.t.Helper()
	next, err := parseStep(s.in("sven " + strings.ReplaceAll(request, "$ID", s.id(name))))
	if err != nil {
		s.t.Fatal(err)
	}
	return next.(requestStep)
}

// TestPreviewOfCreationHidesTakenIDs previews the creation of objects with the ids of hidden objects, and with free
// ids. The previews must be equal. The creation itself must be a conflict. If the actor may view the object that has
// the id, the preview must be a conflict too.
func TestPreviewOfCreationHidesTakenIDs(t *testing.T) {
	t.Parallel()
	s := newCreationScene(t)
	previews := func(actor, request, name string) []byte {
		r := s.creation(request, name)
		a := s.by(actor).preview(r.method, r.path, r.body)
		if a.status != http.StatusOK {
			t.Errorf("%s's preview of %s for %s: %d %s", actor, request, name, a.status, a.body)
		}
		return bytes.ReplaceAll(a.body, []byte(s.id(name)), []byte("ID"))
	}
	s.writesNothing("previews and refused creations", func() {
		for _, c := range creations {
			taken, free := previews("sven", c.request, c.object), previews("sven", c.request, "missing-"+c.object)
			if !bytes.Equal(taken, free) {
				t.Errorf("the preview of %s for an id that is taken: %s\nand for one that is free: %s", c.request, taken, free)
			}
			// sven may not view the subscription of the account ~ht, so a preview shows no permission on its custom roles.
			hasEffects := c.object != "group" && !strings.HasPrefix(c.request, "POST accounts/~ht")
			if hasEffects && !bytes.Contains(free, []byte(`"gains":["`)) {
				t.Errorf("the preview of %s has no effects: %s", c.request, free)
			}
			taking := s.creation(c.request, c.object)
			// Each account has its own groups of connections, and each subscription its own roles. So these ids do not
			// conflict.
			if c.object == "group" || strings.HasPrefix(c.request, "POST subscriptions/~xs/roles") {
				continue
			}
			a := s.by("sven").call(taking.method, taking.path, taking.body)
			if a.status != http.StatusConflict || a.problem().Code != "conflict" {
				t.Errorf("%s for an id that is taken: %d %s, want 409", c.request, a.status, a.body)
			}
		}
	})
	// olga owns the account, but may not view ulla's private connection in it.
	const inside = "POST connections {id: $ID, account: ~a, connector: ~crm}"
	if taken, free := previews("olga", inside, "connection"), previews("olga", inside, "missing-connection"); !bytes.Equal(
		taken, free,
	) {
		t.Errorf("for a hidden connection of the account: %s\nand for none: %s", taken, free)
	}
	// Nobody may view an object that is being deleted. Its id is not free yet.
	s.write(s.in("deletion:importer/~deleting#requested_by@user:~olga"))
	const importer = "POST importers {id: $ID, account: ~xt}"
	if taken, free := previews("sven", importer, "deleting"), previews("sven", importer, "missing-importer"); !bytes.Equal(
		taken, free,
	) {
		t.Errorf("for an importer that is being deleted: %s\nand for none: %s", taken, free)
	}
	for _, c := range creations {
		if c.object == "group" { // a second connection may be put into an existing group
			continue
		}
		visible := s.creation(c.request, "visible-"+c.object)
		if a := s.by("sven").call(
			visible.method, visible.path, visible.body,
		); a.status != http.StatusCreated && a.status != http.StatusConflict {
			t.Fatalf("%s: %d %s", a.request, a.status, a.body)
		}
		a := s.by("sven").preview(visible.method, visible.path, visible.body)
		if a.status != http.StatusConflict || !strings.Contains(a.problem().Detail, "already") {
			t.Errorf("the preview of %s for an object that sven may view: %d %s", c.request, a.status, a.body)
		}
	}
	// Without an actor, the backend itself sees the conflict.
	subscription := map[string]any{"id": s.id("s"), "role_set": "multi_owner", "owner": s.id("sven")}
	if a := s.preview(http.MethodPost, "subscriptions", subscription); a.status != http.StatusConflict {
		t.Errorf("the backend's preview of a subscription that exists: %d %s", a.status, a.body)
	}
}

// TestCreationsAreThoseOfTheContract fails if creations has no request for an endpoint of the contract in which an
// actor chooses the id of a new object.
func TestCreationsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	var previewed []string
	parameter := regexp.MustCompile(`~\w+`)
	for _, c := range creations {
		words := strings.Fields(c.request)
		previewed = append(previewed, words[0]+" /v1/"+parameter.ReplaceAllString(words[1], "{id}"))
	}
	for _, e := range endpoints(t) {
		// The id of a new invitation is random, so no actor chooses it.
		created := e.operation.Responses.Value("201") != nil && !strings.HasSuffix(e.path, "/invitations")
		if created && slices.Contains(e.scopes, "operate") && !slices.Contains(previewed, e.String()) {
			t.Errorf("creations has no request for %s", e)
		}
	}
}
