package schema_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sluice-authz/sluice/schema"
	"github.com/sluice-authz/sluice/schema/roletables"
)

const regenerate = "run go generate ./schema and review the difference"

// TestFlattenedSchema checks that the schema file in tests/, which the validation files use, is the current schema.
func TestFlattenedSchema(t *testing.T) {
	text, err := schema.Flatten()
	if err != nil {
		t.Fatal(err)
	}
	if text != readFile(t, filepath.Join("tests", roletables.SchemaFile)) {
		t.Errorf("tests/%s is not the current schema: %s", roletables.SchemaFile, regenerate)
	}
}

// TestVersionIsCurrent checks that a changed schema has a new version, so that an older server can recognize it as
// newer.
func TestVersionIsCurrent(t *testing.T) {
	text, err := schema.Flatten()
	if err != nil {
		t.Fatal(err)
	}
	if schema.NextVersions(text) != readFile(t, "versions.txt") {
		t.Errorf("the last line of versions.txt does not have the hash of the schema: %s", regenerate)
	}
	if schema.Version() < 1 {
		t.Errorf("the schema has version %d", schema.Version())
	}
}

func TestValidationFilesAreCurrent(t *testing.T) {
	files, err := roletables.Validations(os.DirFS("testdata"), roletables.Person, definitions(t))
	if err != nil {
		t.Fatal(err)
	}
	on, err := fs.Glob(os.DirFS("tests"), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Sorted(maps.Keys(files)); !slices.Equal(on, want) {
		t.Errorf("tests/ holds %v, want %v", on, want)
	}
	for name, want := range files {
		if readFile(t, filepath.Join("tests", name)) != want {
			t.Errorf("tests/%s differs from the file that the role tables generate: %s", name, regenerate)
		}
	}
}

func TestDocumentedTablesAreCurrent(t *testing.T) {
	tables, err := roletables.ReadFolder(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	document := readFile(t, roletables.Document)
	want, err := roletables.InsertMarkdown(document, tables)
	if err != nil {
		t.Fatal(err)
	}
	if document != want {
		t.Errorf("%s differs from the tables that the role tables generate: %s", roletables.Document, regenerate)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
