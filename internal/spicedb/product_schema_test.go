package spicedb_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/schema"
)

// TestSpiceDBTakesTheSchema checks that SpiceDB stores the flattened text and returns the same text with its comments.
func TestSpiceDBTakesTheSchema(t *testing.T) {
	text, err := schema.Flatten()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := engine.ApplySchema(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	stored, err := engine.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := schema.Describe(stored)
	if err != nil {
		t.Fatal(err)
	}
	byType := func(a, b authz.Definition) int { return strings.Compare(string(a.Type), string(b.Type)) }
	want, err := schema.Describe(text)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(want, byType)
	slices.SortFunc(got, byType)
	if !slices.EqualFunc(got, want, sameDefinition) {
		t.Errorf("the stored schema has the definitions %+v, want %+v", got, want)
	}
}

func sameDefinition(a, b authz.Definition) bool {
	return a.Type == b.Type && a.Doc == b.Doc && slices.Equal(a.Relations, b.Relations) && slices.Equal(
		a.Permissions, b.Permissions,
	)
}
