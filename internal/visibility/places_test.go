package visibility_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// ownRules returns the rules for a schema that adds two own types: dashboard and folder.
func ownRules() visibility.Rules {
	own := rules
	own.IsOwn = func(t authz.Type) bool { return t == "dashboard" || t == "folder" }
	return own
}

var (
	sales = object("dashboard", "sales")
	top   = object("folder", "top")
)

// TestPeopleOfOwnObjects checks the facts that show the people of an object of an own type: its existence, and the
// roles on all objects to which its relationships lead.
func TestPeopleOfOwnObjects(t *testing.T) {
	t.Parallel()
	type facts = []visibility.Fact
	in := func(o authz.Object) authz.Subject { return authz.Subject{Object: o} }
	seeSales, inAcme := visibility.Existence(sales), visibility.Roles(acme)
	group := relationship(sales, "viewer", subject("group", "g"))
	for name, test := range map[string]struct {
		relationships []authz.Relationship
		want          facts
	}{
		"in no account":   {[]authz.Relationship{relationship(sales, "creator", bob), group}, facts{seeSales}},
		"in an account":   {[]authz.Relationship{relationship(sales, "home", in(acme))}, facts{seeSales, inAcme}},
		"shows an object": {[]authz.Relationship{relationship(sales, "shows", in(daily))}, facts{seeSales, inAcme}},
		"people of a role": {
			[]authz.Relationship{relationship(sales, "viewer", authz.Subject{Object: acme, Relation: "owner"})},
			facts{seeSales, inAcme},
		},
		"in two places": {
			[]authz.Relationship{relationship(sales, "home", in(acme)), relationship(sales, "home", in(one))},
			facts{seeSales, inAcme, visibility.Roles(one)},
		},
		"in a folder": {
			[]authz.Relationship{relationship(sales, "folder", in(top)), relationship(top, "home", in(acme))},
			facts{seeSales, inAcme},
		},
		"in a cycle": {
			[]authz.Relationship{relationship(sales, "folder", in(top)), relationship(top, "shows", in(sales))},
			facts{seeSales},
		},
		"shows an object that is in no account": {
			[]authz.Relationship{relationship(sales, "shows", in(object("importer", "gone")))},
			facts{seeSales, visibility.Existence(object("importer", "gone"))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := ownRules()
			all := append(
				slices.Clone(test.relationships), relationship(daily, "account", in(acme)), relationship(acme, "subscription", in(one)),
			)
			places := own.Places(all)
			require.ElementsMatch(t, test.want, own.PeopleOf(sales, places))
			require.ElementsMatch(t, test.want, own.Access(sales, places))
			require.ElementsMatch(
				t, test.want, own.Relationship(olga, relationship(sales, "editor", bob), places), "a person's relation",
			)

			// A View that reads the containing objects itself must return the same facts.
			read := func(_ context.Context, object authz.Object) (found []authz.Relationship, complete bool, err error) {
				for _, r := range all {
					if r.Resource == object && own.LeadsToPlace(r) {
						found = append(found, r)
					}
				}
				return found, true, nil
			}
			v := visibility.New(own, visibility.Reader{Subject: olga}, saysYesTo().check).WithPlaces(read)
			require.NoError(t, v.ReadPlaces(t.Context(), sales))
			require.ElementsMatch(t, test.want, v.FactsOf(relationship(sales, "editor", bob)))
		})
	}
}

// TestPeopleOfUnreadPlacesAreHidden checks that a View hides the people of an object of an own type if it cannot read
// all objects that contain it.
func TestPeopleOfUnreadPlacesAreHidden(t *testing.T) {
	t.Parallel()
	all := saysYesTo("view dashboard:sales", "view folder:top", "list_members account:acme")
	for i := range 20 {
		all.yes[fmt.Sprintf("view folder:f%d", i)] = true
	}
	inAcme := relationship(sales, "home", authz.Subject{Object: acme})
	chain := func(_ context.Context, object authz.Object) ([]authz.Relationship, bool, error) {
		next := authz.Object{Type: "folder", ID: "f0"}
		if object.Type == "folder" {
			var n int
			_, _ = fmt.Sscanf(string(object.ID), "f%d", &n)
			next.ID = authz.ID(fmt.Sprintf("f%d", n+1))
		}
		return []authz.Relationship{relationship(object, "folder", authz.Subject{Object: next})}, true, nil
	}
	for name, test := range map[string]struct {
		read visibility.PlaceReader
		want bool
	}{
		"all read": {func(context.Context, authz.Object) ([]authz.Relationship, bool, error) {
			return []authz.Relationship{inAcme}, true, nil
		}, true},
		"too many": {func(context.Context, authz.Object) ([]authz.Relationship, bool, error) {
			return []authz.Relationship{inAcme}, false, nil
		}, false},
		"too deep":  {chain, false},
		"no reader": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := visibility.New(ownRules(), visibility.Reader{Subject: olga}, all.check).WithPlaces(test.read)
			known, err := v.MayKnowRole(t.Context(), bob, sales)
			require.NoError(t, err)
			require.Equal(t, test.want, known)
			known, err = v.MaySeeRelationship(t.Context(), relationship(sales, "editor", bob))
			require.NoError(t, err)
			require.Equal(t, test.want, known)
			known, err = v.MayKnowRole(t.Context(), olga, sales)
			require.NoError(t, err)
			require.True(t, known, "the reader's own relation")
		})
	}
}
