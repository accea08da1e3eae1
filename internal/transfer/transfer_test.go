package transfer_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/enginetest"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/transfer"
	"github.com/sluice-authz/sluice/schema"
)

const documents = `use expiration

caveat on_day(allowed string, today string) {
	allowed == today
}

definition user {}

/** a document has readers */
definition document {
	relation reader: user | user:* | user with on_day | user with expiration | document#reader

	permission read = reader
}`

// some returns relationships, sorted as SpiceDB exports them.
func some(count int) []string {
	all := []string{
		`document:a=3A|b/c#reader@user:*`,
		`document:caveated#reader@user:tom[on_day:{"allowed":"mon: day # \"x\""}]`,
		`document:expiring#reader@user:last[expiration:9999-12-31T23:59:59Z]`,
		`document:expiring#reader@user:tom[expiration:2901-02-03T04:05:06Z]`,
		`document:expiring#reader@user:ulf[expiration:2262-04-11T23:47:17Z]`,
		`document:set#reader@document:a=3A|b/c#reader`,
	}
	for i := range count {
		all = append(all, fmt.Sprintf("document:%07d#reader@user:u%d", i, i%7))
	}
	return all
}

var stores = map[string]func(t *testing.T) spicedb.EmbeddedConfig{
	"memory": func(*testing.T) spicedb.EmbeddedConfig { return spicedb.EmbeddedConfig{} },
	"sqlite": func(t *testing.T) spicedb.EmbeddedConfig {
		return spicedb.EmbeddedConfig{Datastore: spicedb.SQLite, DataDir: t.TempDir()}
	},
	"postgres": func(t *testing.T) spicedb.EmbeddedConfig {
		return spicedb.EmbeddedConfig{Datastore: spicedb.Postgres, URI: enginetest.Postgres(t)}
	},
}

func store(t *testing.T, kind string) *spicedb.Client {
	t.Helper()
	engine, err := spicedb.Embedded(t.Context(), stores[kind](t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine.Client
}

func filled(t *testing.T, kind string, relationships []string) *spicedb.Client {
	t.Helper()
	engine := store(t, kind)
	require.NoError(t, engine.ApplySchema(t.Context(), documents))
	require.NoError(t, engine.Import(t.Context(), relationships))
	return engine
}

func quiet(int64, int64) {}

func contentOf(t *testing.T, source transfer.Source) (relationships []string, schema string) {
	t.Helper()
	schema, at, err := source.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, source.ExportTexts(t.Context(), at, "", func(batch []string, _ string) error {
		relationships = append(relationships, batch...)
		return nil
	}))
	slices.Sort(relationships)
	return relationships, schema
}

// TestBetweenStores exports from one kind of store and imports into another. It checks that the file is a validation
// YAML.
func TestBetweenStores(t *testing.T) {
	want := some(1500)
	slices.Sort(want)
	for from, to := range map[string]string{"memory": "sqlite", "sqlite": "postgres", "postgres": "memory"} {
		t.Run(from+" to "+to, func(t *testing.T) {
			source := filled(t, from, want)
			var file bytes.Buffer
			require.NoError(t, transfer.ExportTo(t.Context(), source, &file, quiet))

			path := filepath.Join(t.TempDir(), "company.yaml")
			require.NoError(t, os.WriteFile(path, file.Bytes(), 0o600))
			loaded, err := schema.Load(t.Context(), path)
			require.NoError(t, err)
			require.Len(t, loaded.Relationships, len(want))

			target := store(t, to)
			_, original := contentOf(t, source)
			for range 2 { // the second time changes nothing
				count, err := transfer.ImportFrom(t.Context(), target, &file, checked(target.ApplySchema))
				require.NoError(t, err)
				require.EqualValues(t, len(want), count)
				got, text := contentOf(t, target)
				require.Equal(t, want, got)
				require.Equal(t, original, text)
				file.Reset()
				require.NoError(t, transfer.ExportTo(t.Context(), target, &file, quiet))
			}
		})
	}
}

// TestNumbersOfContexts checks numbers in caveat contexts. If a double cannot hold a number exactly, an import must
// fail before it writes, and the error must name the line. A large number that another tool has stored must be
// unchanged after an export and an import.
func TestNumbersOfContexts(t *testing.T) {
	const numbers = `
  caveat among(amount double, some list<double>) {
    amount in some
  }
  definition user {}
  definition document {
    relation reader: user with among
  }`
	engine := store(t, "memory")
	require.NoError(t, engine.ApplySchema(t.Context(), numbers))
	file := filepath.Join(t.TempDir(), "company.yaml")
	text := "schema: |-" + numbers + "\nrelationships: |-\n  document:b#reader@user:u[among]\n" + `  document:b#reader@user:v[among:{"some":[9007199254740993]}]` + "\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	for _, importing := range []func() error{
		func() error {
			_, _, err := transfer.Import(t.Context(), engine, "numbers", file, checked(engine.ApplySchema))
			return err
		},
		func() error {
			_, err := transfer.ImportFrom(t.Context(), engine, strings.NewReader(text), checked(engine.ApplySchema))
			return err
		},
	} {
		err := importing()
		require.ErrorIs(t, err, authz.CodeInvalid)
		require.ErrorContains(t, err, "line 11: ")
		require.ErrorContains(t, err, `document:b#reader@user:v[among:`)
		require.ErrorContains(t, err, `"caveat_context.some[0]" holds the number 9007199254740993`)
		relationships, _ := contentOf(t, engine)
		require.Empty(t, relationships)
	}
	foreign := enginetest.ForeignRelationship(
		t, "document:a#reader@user:u[among]", map[string]any{"some": []any{float64(1 << 63), 1e300, -0.5, 7.0}},
	)
	require.NoError(t, engine.Load(t.Context(), foreign))
	before, _ := contentOf(t, engine)
	require.Len(t, before, 1)
	require.Contains(
		t,
		before[0],
		"[9223372036854775808,100000000000000005250476025520442024870446858110815915491585411551180245798890819578637137508044786404",
	)
	require.Contains(t, before[0], ",-0.5,7]")
	require.NoError(t, engine.Import(t.Context(), before))
	after, _ := contentOf(t, engine)
	require.Equal(t, before, after)
}

// TestSpoolIsPrivate checks that Spool copies its input into a file without a name, which only the current user may
// read.
func TestSpoolIsPrivate(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	file, err := transfer.Spool(strings.NewReader("secret"))
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, entries)
	content, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Equal(t, "secret", string(content))
	require.NoError(t, file.Close())
}
