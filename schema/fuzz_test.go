package schema

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sluice-authz/sluice/internal/authz"
)

// inMemory returns an in-memory folder, the same one for every name. The tests use it instead of folders on the disk.
func inMemory(string) fs.FS {
	return withProduct{fstest.MapFS{"tiny.zed": &fstest.MapFile{Data: []byte(tiny)}}}
}

func FuzzFlatten(f *testing.F) {
	for _, seed := range []string{
		tiny, extension, dashboard, "use import\nimport \"tiny.zed\"", "use import\nimport \"sluice/platform.zed\"",
		"use expiration\ndefinition user { relation a: user:* with expiration\n permission b = a & a->a }",
		"use partial\npartial view { relation viewer: user }\ndefinition user { ...view }",
		"caveat c(a int, b map<string>) { a > 1 && b.x == \"\" }\ndefinition user { relation one: user with c }",
		"/** */definition user {} //", "definition user { permission aaa = nil + (nil - nil) }",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		flat, err := flatten(t.Context(), text, "fuzz.zed", inMemory("."))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of more than one line: %q", err)
			}
			return
		}
		if _, err := Describe(flat.Text); err != nil {
			t.Errorf("the flattened text is not a schema: %v\n%s", err, flat.Text)
		}
	})
}

func FuzzDescribe(f *testing.F) {
	f.Add(tiny)
	f.Add(dashboard)
	f.Add("definition a/b { permission ccc = self }")
	f.Add("use self\ndefinition user { permission ccc = self }")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Describe(text); err != nil && authz.CodeOf(err) != authz.CodeInvalid {
			t.Errorf("%v, want an error with code invalid", err)
		}
	})
}

func FuzzParseYAML(f *testing.F) {
	f.Add([]byte("schema: |-\n  definition user {}\nrelationships: |-\n  user:a#b@user:c\n"))
	f.Add([]byte("schemaFile: tiny.zed\nassertions:\n  assertTrue: [\"page:a#reader@user:b with {}\"]\n"))
	f.Add([]byte("schemaFile: sluice/../x\nvalidation:\n  page:a#reader:\n    - '[user:a] is <page:a#reader>'\n"))
	f.Add([]byte("schema: &a [*a]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = parseYAML(t.Context(), content, "fuzz.yaml", inMemory)
	})
}
