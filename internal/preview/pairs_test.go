package preview

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// manyPeople is an engine with an account that has many people and many importers. It has no scratch engine.
type manyPeople struct {
	authz.Engine
	people, importers int
	creators          int // the creators of the importers
}

func (c manyPeople) Read(
	_ context.Context, f authz.Filter, _ authz.Consistency, _ authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) {
		account := authz.Object{Type: "account", ID: "a"}
		var all []authz.Relationship
		for n := range c.importers {
			importer := authz.Object{Type: "importer", ID: authz.ID(fmt.Sprint(n))}
			creator := authz.Object{Type: person, ID: authz.ID(fmt.Sprint(n % c.creators))}
			all = append(
				all,
				authz.Relationship{Resource: importer, Relation: "account", Subject: authz.Subject{Object: account}},
				authz.Relationship{Resource: importer, Relation: "creator", Subject: authz.Subject{Object: creator}},
			)
		}
		for n := range c.people {
			who := authz.Subject{Object: authz.Object{Type: person, ID: authz.ID(fmt.Sprint(n))}}
			all = append(all, authz.Relationship{Resource: account, Relation: "user", Subject: who})
		}
		for _, r := range all {
			if matches(f, r) && !yield(authz.ReadItem{Relationship: r}, nil) {
				return
			}
		}
	}
}

// errStarted is the error of a preview that starts to compare permissions.
var errStarted = errors.New("no scratch engine")

func (c manyPeople) Scratch(context.Context, string, []authz.Relationship) (authz.Engine, error) {
	return nil, errStarted
}

// previewRemoval previews the removal of a person from the account.
func (c manyPeople) previewRemoval(t *testing.T, permissions int) error {
	t.Helper()
	importer := authz.Definition{Type: "importer"}
	for n := range permissions {
		importer.Permissions = append(importer.Permissions, authz.PermissionInfo{Name: authz.Permission(fmt.Sprint("p", n))})
	}
	p := &Previewer{
		Depends: func(authz.Type, authz.Permission, authz.Type, authz.Relation) bool { return true },
		Engine:  c, Definitions: func(context.Context) ([]authz.Definition, error) { return []authz.Definition{importer}, nil },
	}
	overlay := NewOverlay(c)
	overlay.note(authz.Update{Action: authz.Delete, Relationship: authz.Relationship{
		Resource: authz.Object{Type: "account", ID: "a"}, Relation: "user", Subject: authz.Subject{Object: authz.Object{
			Type: person, ID: "0",
		}},
	}})
	_, err := p.Effects(t.Context(), "", overlay)
	return err
}

// TestPreviewBoundsPairsBeforeItsWork checks that a preview with too many objects and people fails before it compares
// anything.
func TestPreviewBoundsPairsBeforeItsWork(t *testing.T) {
	err := manyPeople{people: 300, importers: 400, creators: 10}.previewRemoval(t, 1)
	require.ErrorIs(t, err, authz.CodeTooLarge)
	require.ErrorContains(t, err, "at most 100000 pairs of an object and a person")
	for _, count := range []string{"300", "400", "401"} { // of people and objects that may be hidden from the actor
		require.NotContains(t, err.Error(), count)
	}
	require.ErrorIs(t, manyPeople{people: 200, importers: 400, creators: 10}.previewRemoval(t, 1), errStarted)
}

// TestPreviewBoundsLookupsBeforeItsWork checks that a preview with too many permissions fails before it compares
// anything. Importers of the same creator need one look-up of each permission.
func TestPreviewBoundsLookupsBeforeItsWork(t *testing.T) {
	err := manyPeople{people: 1, importers: 300, creators: 300}.previewRemoval(t, 20)
	require.ErrorIs(t, err, authz.CodeTooLarge)
	require.ErrorContains(t, err, "at most 10000 look-ups")
	require.ErrorIs(t, manyPeople{people: 1, importers: 300, creators: 200}.previewRemoval(t, 20), errStarted)
}

// TestObjectsWithSameRelationshipsAreAlike checks that objects are alike only if their relationships are equal in every
// field.
func TestObjectsWithSameRelationshipsAreAlike(t *testing.T) {
	node := func(id string) authz.Object { return authz.Object{Type: "node", ID: authz.ID(id)} }
	parent := authz.Relationship{Relation: "parent", Subject: authz.Subject{Object: node("top")}}
	variants := map[string]func(*authz.Relationship){
		"relation":         func(r *authz.Relationship) { r.Relation = "other" },
		"subject":          func(r *authz.Relationship) { r.Subject.ID = "bottom" },
		"subject relation": func(r *authz.Relationship) { r.Subject.Relation = "member" },
		"wildcard":         func(r *authz.Relationship) { r.Subject = authz.Everybody("node") },
		"expiry":           func(r *authz.Relationship) { r.ExpiresAt = time.Unix(1, 0) },
		"caveat":           func(r *authz.Relationship) { r.Caveat = "at_work" },
		"context":          func(r *authz.Relationship) { r.CaveatContext = `{"hour":1}` },
	}
	objects := []authz.Object{node("a"), node("b"), {Type: "leaf", ID: "a"}, node("alone"), node("alone2")}
	var all []authz.Relationship
	for _, object := range objects[:3] {
		one, two := parent, parent
		one.Resource, two.Resource, two.Relation = object, object, "second"
		if all = append(all, one, two); object.ID == "b" {
			all[len(all)-2], all[len(all)-1] = two, one
		}
	}
	for name, change := range variants {
		one := parent
		one.Resource = node(name)
		two := one
		two.Relation = "second"
		change(&one)
		all, objects = append(all, one, two), append(objects, node(name))
	}
	same := alike(objects, all)
	for object, first := range same {
		switch object.ID {
		case "b":
			require.Equal(t, node("a"), first)
		case "alone2":
			require.Equal(t, node("alone"), first)
		default:
			require.Equal(t, object, first)
		}
	}
	require.Len(t, same, len(objects))
	ann, bob := authz.Object{Type: person, ID: "ann"}, authz.Object{Type: person, ID: "bob"}
	require.Equal(t, bob, alike([]authz.Object{ann, bob}, nil)[bob], "a permission can include the person itself")
}
