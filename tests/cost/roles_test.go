package cost_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/sluice-authz/sluice/internal/testsize"
)

const (
	// mostGrants is how many new people one call can give a role.
	mostGrants = 990

	// A request that is rejected as too large may cost this part of the limits.
	maxEarly = 0.6
)

// foundShapes creates the accounts of previewsOfRoles: "few" with few objects, "many" with objects that have the same
// relationships, and "own" with one object of each of many people. Every account has many people.
func (s *server) foundShapes() {
	s.t.Helper()
	s.must("POST", "/v1/subscriptions", "", map[string]any{"id": "shapes", "role_set": "multi_owner", "owner": "olga"})
	for _, id := range []string{"few", "many", "own"} {
		s.must("POST", "/v1/accounts", "olga", map[string]any{"id": id, "subscription": "shapes", "role_set": "team"})
		s.must("PATCH", "/v1/accounts/"+id+"/members", "olga", map[string]any{"members": roles("e", people, "user")})
	}
	importer := func(id, account, by string) {
		s.must("POST", "/v1/importers", by, map[string]any{"id": id, "account": account})
	}
	importer("few", "few", "e0")
	for i := range 300 {
		importer(fmt.Sprint("many", i), "many", "e0")
	}
	for i := range people {
		importer(fmt.Sprint("own", i), "own", fmt.Sprint("e", i))
	}
}

// previewsOfRoles returns previews of changes of roles: in each account of foundShapes, for each size of the change,
// for existing, new and absent people.
func previewsOfRoles() []request {
	var all []request
	for _, account := range []string{"few", "many", "own"} {
		for _, n := range testsize.Of([]int{1, 100, mostGrants}, []int{1, 10, 30, 100, 300, mostGrants}) {
			changes := map[string]map[string][]string{
				"a new role of members": roles("e", n, "guest"), "a role of new people": roles("f", n, "user"),
				"no role of strangers": roles("stranger", n),
			}
			if n > people {
				delete(changes, "a new role of members")
			}
			for name, members := range changes {
				all = append(all, request{
					name: fmt.Sprintf("in %s of %s, %d times", account, name, n), actor: "olga",
					body: asJSON(map[string]any{
						"method": "PATCH", "path": "/v1/accounts/" + account + "/members", "body": map[string]any{"members": members},
					}),
				})
			}
		}
	}
	return all
}

// TestChangesOfManyRolesHaveABoundedCost changes the roles of many people, and previews such changes. The changes must
// succeed, so that the test measures their whole cost. Most of the previews must succeed as well. The others must be
// rejected early as too large.
func TestChangesOfManyRolesHaveABoundedCost(t *testing.T) {
	s := start(t)
	s.foundShapes()
	price := unit()
	var worst measured
	succeeded := 0
	previews := previewsOfRoles()
	for _, r := range previews {
		r.method, r.path = "POST", "/v1/preview"
		status, m := s.measure(r, price)
		worst.raise(m)
		switch {
		case status < 300:
			succeeded++
		case status != http.StatusRequestEntityTooLarge:
			t.Errorf("%s was answered %d", r.name, status)
		case m.units > maxUnits*maxEarly || float64(m.memory) > maxMemory*maxEarly:
			t.Errorf("%s was found to be too large at a late moment: %s", r.name, m)
		}
	}
	if succeeded*4 < len(previews)*3 {
		t.Errorf("only %d of %d previews succeeded", succeeded, len(previews))
	}
	for _, account := range []string{"few", "many", "own"} {
		for _, change := range []struct {
			name    string
			members map[string][]string
		}{
			{"roles of new people", roles("n", mostGrants, "user")},
			{"other roles of members", roles("n", 300, "guest")},
			{"removals of members", roles("n", mostGrants)},
			{"removals of strangers", roles("stranger", 1000)},
		} {
			name := change.name + " in " + account
			status, m := s.measure(request{
				name, "PATCH", "/v1/accounts/" + account + "/members", "olga", asJSON(map[string]any{"members": change.members}),
			}, price)
			worst.raise(m)
			if status >= 300 {
				t.Errorf("%s: answered %d, so the cost is unknown", name, status)
			}
		}
	}
	t.Logf("a unit is %s; %d of %d previews succeeded; the highest: %s (%s)", price, succeeded, len(previews), worst, worst.name)
}
