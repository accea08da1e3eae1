package preview

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// manyPeople is an engine with an account that has many people and many importers. It has no scratch engine.
type manyPeople struct {
	authz.Engine
	t                 *testing.T
	people, importers int
}

func (c manyPeople) Read(
	_ context.Context, f authz.Filter, _ authz.Consistency, _ authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) {
		account := authz.Object{Type: "account", ID: "a"}
		var all []authz.Relationship
		for n := range c.importers {
			importer := authz.Object{Type: "importer", ID: authz.ID(fmt.Sprint(n))}
			all = append(
				all, authz.Relationship{Resource: importer, Relation: "account", Subject: authz.Subject{Object: account}},
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

func (c manyPeople) Scratch(context.Context, string, []authz.Relationship) (authz.Engine, error) {
	c.t.Error("a preview that is too large has begun to work")
	return nil, authz.Errorf(authz.CodeInternal, "no scratch")
}

// TestPreviewBoundsPairsBeforeItsWork checks that a preview with too many objects and people fails before it compares
// anything.
func TestPreviewBoundsPairsBeforeItsWork(t *testing.T) {
	engine := manyPeople{t: t, people: 300, importers: 400}
	p := &Previewer{Engine: engine, Definitions: func(context.Context) ([]authz.Definition, error) { return nil, nil }}
	overlay := NewOverlay(engine)
	overlay.note(authz.Update{Action: authz.Delete, Relationship: authz.Relationship{
		Resource: authz.Object{Type: "account", ID: "a"}, Relation: "user", Subject: authz.Subject{Object: authz.Object{
			Type: person, ID: "0",
		}},
	}})
	_, err := p.Effects(t.Context(), "", overlay)
	require.ErrorIs(t, err, authz.CodeTooLarge)
	require.ErrorContains(t, err, "401 objects and 300 people")
}
