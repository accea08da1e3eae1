package schema_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

func TestSourceIsComposedByRoot(t *testing.T) {
	root, err := os.ReadFile("root.zed")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.zed")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file != "root.zed" && !strings.Contains(string(root), `import "`+file+`"`) {
			t.Errorf("root.zed does not import %s", file)
		}
	}
}

func TestDescribe(t *testing.T) {
	const text = `
use expiration

// A caveat is no definition.
caveat weekday(day int) { day < 6 }

definition user {}

/**
 * A page
 *   of a book.
 */
definition page {
	relation reader: user | user with expiration
	/* Nobody asks for it. */
	permission as_reader = reader
	/** May read  the page. */
	permission read = as_reader
	// May turn
	// the page.
	permission turn = read
	permission bare = read
}
`
	got, err := schema.Describe(text)
	if err != nil {
		t.Fatal(err)
	}
	want := authz.Definition{
		Type: "page", Doc: "A page of a book.", Relations: []authz.Relation{"reader"},
		Permissions: []authz.PermissionInfo{
			{Name: "as_reader", Doc: "Nobody asks for it.", Internal: true},
			{Name: "read", Doc: "May read the page."},
			{Name: "turn", Doc: "May turn the page."},
			{Name: "bare"},
		},
	}
	if len(got) != 2 || got[0].Type != "user" {
		t.Fatalf("got %+v, want the definitions user and page", got)
	}
	if !sameDefinition(got[1], want) {
		t.Errorf("got %+v, want %+v", got[1], want)
	}
}

func TestDescribeRefuses(t *testing.T) {
	for _, text := range []string{"definition", "definition a {}", "use import\nimport \"root.zed\"", "permission x = y"} {
		if _, err := schema.Describe(text); authz.CodeOf(err) != authz.CodeInvalid {
			t.Errorf("%q: %v, want an error with code invalid", text, err)
		}
	}
}

func sameDefinition(a, b authz.Definition) bool {
	return a.Type == b.Type && a.Doc == b.Doc && slices.Equal(a.Relations, b.Relations) && slices.Equal(
		a.Permissions, b.Permissions,
	)
}

// TestProductTypesAreReserved checks that authz.IsProductType returns true for every type of the product's schema.
func TestProductTypesAreReserved(t *testing.T) {
	types, err := schema.ProductTypes()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range types {
		if !authz.IsProductType(typ) {
			t.Errorf("authz.IsProductType(%q) is false, want true", typ)
		}
	}
	if authz.IsProductType("dashboard") {
		t.Error(`authz.IsProductType("dashboard") is true, want false`)
	}
}
