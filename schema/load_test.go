package schema

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write creates files in a new folder and returns the path of the folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	extension = "use import\nimport \"sluice/root.zed\"\nimport \"parts/dashboard.zed\"\n"
	dashboard = `
/** A page of figures. */
definition dashboard {
	relation account: account

	/** May see the dashboard. */
	permission view = account->view
}
`
	tiny = "definition user {}\n\ndefinition page {\n\trelation reader: user\n}\n"
)

func TestLoad(t *testing.T) {
	dir := write(t, map[string]string{
		"tiny.zed":                 tiny,
		"ours/root.zed":            extension,
		"ours/parts/dashboard.zed": dashboard,
		"tests/inline.yaml":        "schema: |-\n  definition user {}\n  definition page {\n    relation reader: user\n  }\nrelationships: |-\n  page:one#reader@user:ann\n",
		"tests/beside.yml":         "schemaFile: ../ours/root.zed\nrelationships: |-\n  dashboard:d1#account@account:acme\n  account:acme#guest@user:bob[expiration:2030-01-02T03:04:05Z]\n",
		"tests/product.yaml":       "schemaFile: sluice/root.zed\n",
		"tests/caveat.yaml":        "schema: |-\n  caveat weekday(day int) { day < 6 }\n  definition user {}\n  definition page {\n    relation reader: user with weekday\n  }\nrelationships: |-\n  page:one#reader@user:ann[weekday:{\"day\":3}]\n",
	})
	product, err := Flatten()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		file          string
		want          []string
		relationships int
	}{
		{"tiny.zed", []string{tiny}, 0},
		{"ours/root.zed", []string{"May see the dashboard.", "definition account {", "May see the account."}, 0},
		{"tests/inline.yaml", []string{tiny}, 1},
		{"tests/beside.yml", []string{"definition dashboard {", "definition account {"}, 2},
		{"tests/product.yaml", []string{product}, 0},
		{"tests/caveat.yaml", []string{"relation reader: user with weekday"}, 1},
	} {
		t.Run(test.file, func(t *testing.T) {
			file, err := Load(t.Context(), filepath.Join(dir, test.file))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(file.Text, want) {
					t.Errorf("%q is not in\n%s", want, file.Text)
				}
			}
			if strings.Contains(file.Text, "import \"") {
				t.Error("the flattened text has an import")
			}
			if len(file.Relationships) != test.relationships {
				t.Errorf("%d relationships, want %d", len(file.Relationships), test.relationships)
			}
		})
	}
}

func TestLoadKeepsCaveatsAndExpirations(t *testing.T) {
	dir := write(t, map[string]string{"v.yaml": `
schema: |-
  use expiration
  caveat weekday(day int) { day < 6 }
  definition user {}
  definition page {
    relation reader: user with weekday and expiration
  }
relationships: |-
  page:one#reader@user:ann[weekday:{"day":3}][expiration:2030-01-02T03:04:05Z]
  page:one#reader@user:bob[weekday:{"day":3}][expiration:2030-01-02t05:04:05.25+02:00]
`})
	file, err := Load(t.Context(), filepath.Join(dir, "v.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := file.Relationships[0]
	if got.GetOptionalCaveat().GetContext().AsMap()["day"] != 3.0 || got.GetOptionalExpiresAt().AsTime().Year() != 2030 {
		t.Errorf("got %v", got)
	}
	want := time.Date(2030, 1, 2, 3, 4, 5, 250_000_000, time.UTC)
	if got := file.Relationships[1].GetOptionalExpiresAt().AsTime(); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	if _, err := Load(t.Context(), filepath.Join(t.TempDir(), "gone.zed")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading a file that does not exist: %v, want fs.ErrNotExist", err)
	}
	for name, test := range map[string]struct{ file, content, want string }{
		"empty":             {"a.zed", "", "a.zed: it declares no definition"},
		"syntax":            {"a.zed", "definition user {}\n\ndefinition page {\n\trelation\n}\n", "a.zed:4:10"},
		"unknown name":      {"a.zed", "definition user {\n\tpermission see = nobody\n}\n", "nobody"},
		"missing import":    {"a.zed", "use import\nimport \"gone.zed\"", "gone.zed"},
		"import from above": {"a.zed", "use import\nimport \"../gone.zed\"", "must stay within"},
		"no product file":   {"a.zed", "use import\nimport \"sluice/gone.zed\"", "sluice/gone.zed"},
		"a type of the product": {
			"a.zed", "use import\nimport \"sluice/root.zed\"\n\ndefinition group {}\n",
			"a.zed:4:1: group is a type of the product; choose another name for this definition",
		},
		"a short name of a caveat": {"a.zed", "definition user {}\ncaveat ip(a int) { a > 1 }", "the caveat ip must have 3 to 64"},
		"capitals in the name of a caveat": {
			"a.zed", "definition user {}\ncaveat InHours(a int) { a > 1 }", "the caveat InHours must have",
		},
		"an underscore at the end of the name of a caveat": {
			"a.zed", "definition user {}\ncaveat abc_(a int) { a > 1 }", "the caveat abc_ must have",
		},
		"a name twice":      {"a.zed", "definition page {}\ndefinition page {}", "a.zed:2:1: page is defined twice"},
		"inline":            {"a.yaml", "schema: |-\n  definition user {", "a.yaml (schema):1:"},
		"YAML":              {"a.yaml", "schema: [", "a.yaml: "},
		"both":              {"a.yaml", "schema: definition user {}\nschemaFile: a.zed", "both schema and schemaFile"},
		"neither":           {"a.yaml", "relationships: ''", "neither schema nor schemaFile"},
		"missing reference": {"a.yaml", "schemaFile: gone.zed", "gone.zed"},
		"obsolete":          {"a.yaml", "schema: definition user {}\nvalidation_tuples: [a]", "obsolete"},
		"bad relationship":  {"a.yaml", "schema: definition user {}\nrelationships: nonsense", "nonsense"},
		"inexact number": {
			"a.yaml", "schema: definition user {}\nrelationships: 'page:a#see@user:b[most:{\"n\":9007199254740993}]'",
			`the field "caveat_context.n" holds the number 9007199254740993`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(t.Context(), filepath.Join(write(t, map[string]string{test.file: test.content}), test.file))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, test.want)
			}
		})
	}
}
