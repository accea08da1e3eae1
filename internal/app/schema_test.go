package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/schema"
)

const pages = `definition user {}

definition page {
	relation owner: user
	relation reader: user
	permission read = owner + reader
}
`

// TestSchemaVersions starts servers of several versions on one store. Each step has the expected log lines or error
// of the start, and the schema that must be stored afterwards.
func TestSchemaVersions(t *testing.T) {
	edited := func(old, replacement string) string {
		require.Contains(t, pages, old)
		return strings.Replace(pages, old, replacement, 1)
	}
	narrower := edited("read = owner + reader", "read = owner")
	wider := edited("relation reader: user", "relation reader: user\n\trelation guest: user")
	other := edited("read = owner + reader", "read = reader")
	type step struct {
		name   string
		start  server
		apply  string // run `schema apply` with this text instead of a start
		logged []string
		fails  string
		stored string
	}
	at := func(version int, text string) server { return server{text: text, version: version} }
	custom := func(version int, text string) server {
		return server{text: text, version: version, file: "/etc/company.zed"}
	}
	for name, steps := range map[string][]step{
		"versions": {
			{name: "the first", start: at(1, pages), stored: pages},
			{
				name: "a newer one changes an expression", start: at(2, narrower), stored: narrower,
				logged: []string{"applied the schema", `page#read from \"owner + reader\" to \"owner\"`},
			},
			{
				name: "the older one serves beside it", start: at(1, pages), stored: narrower,
				logged: []string{
					"level=WARN", "newer version", `page#read from \"owner\" to \"owner + reader\"`, "version=1", "stored_version=2",
				},
			},
			{
				name: "a newer one adds a relation", start: at(3, wider), stored: wider,
				logged: []string{"adds relation page#guest"},
			},
			{name: "the older one would remove it", start: at(2, narrower), stored: wider, logged: []string{"newer version"}},
			{
				name: "an older one that the store never had", start: at(2, other), stored: wider,
				logged: []string{"newer version"},
			},
			{name: "the same one again", start: at(3, wider), stored: wider},
			{name: "the operator goes back", apply: narrower, stored: narrower},
		},
		"a schema of one's own": {
			{name: "the first", start: custom(1, pages), stored: pages},
			{
				name: "without --schema", start: at(1, narrower),
				fails: "is from --schema company.zed, but this start has no --schema", stored: pages,
			},
			{name: "a newer version without --schema", start: at(2, narrower), fails: "--schema company.zed", stored: pages},
			{name: "its next text", start: custom(1, narrower), stored: narrower, logged: []string{"applied the schema"}},
			{
				name: "a server that still has the one before", start: custom(1, pages), stored: narrower,
				logged: []string{"has replaced the one of this server"},
			},
			{name: "an older server", start: custom(0, other), stored: narrower, logged: []string{"newer version"}},
			{name: "the operator goes back", apply: pages, stored: pages},
			{name: "and a server with it", start: custom(1, pages), stored: pages},
		},
	} {
		t.Run(name, func(t *testing.T) {
			engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, engine.Close()) })
			for _, s := range steps {
				var logged bytes.Buffer
				if s.apply != "" {
					file := ""
					if name != "versions" {
						file = "company.zed"
					}
					_, err = ApplySchema(t.Context(), engine, s.apply, file, true)
				} else {
					err = s.start.applySchema(t.Context(), engine, slog.New(slog.NewTextHandler(&logged, nil)))
				}
				if s.fails == "" {
					require.NoError(t, err, s.name)
				} else {
					require.ErrorContains(t, err, s.fails, s.name)
				}
				for _, part := range s.logged {
					require.Contains(t, logged.String(), part, s.name)
				}
				if len(s.logged) == 0 {
					require.Empty(t, logged.String(), s.name)
				}
				text, err := engine.Schema(t.Context())
				require.NoError(t, err)
				_, _, found := schema.SplitStamp(text)
				require.True(t, found, s.name)
				changes, err := DiffSchema(t.Context(), engine, s.stored)
				require.NoError(t, err)
				require.Empty(t, changes, s.name)
			}
		})
	}
}

// TestSchemaChangedByAnotherProgram checks two cases. If another program has changed the stored schema but not its
// stamp, a server must keep that schema. If the stored schema has no stamp, and the change to the server's schema is
// not breaking, a server must apply its own schema.
func TestSchemaChangedByAnotherProgram(t *testing.T) {
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	own := server{text: pages, version: 1}
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	require.NoError(t, own.applySchema(t.Context(), engine, log))
	text, err := engine.Schema(t.Context())
	require.NoError(t, err)
	changed := strings.Replace(text, "read = owner + reader", "read = owner", 1)
	require.NotEqual(t, text, changed)
	require.NoError(t, engine.ApplySchema(t.Context(), changed))
	require.NoError(t, own.applySchema(t.Context(), engine, log))
	require.Contains(t, logged.String(), "another program has changed the stored schema")
	after, err := engine.Schema(t.Context())
	require.NoError(t, err)
	require.Equal(t, changed, after)

	plain, _, _ := schema.SplitStamp(changed)
	require.NoError(t, engine.ApplySchema(t.Context(), plain))
	require.NoError(t, own.applySchema(t.Context(), engine, log))
	after, err = engine.Schema(t.Context())
	require.NoError(t, err)
	require.Equal(t, text, after)
}

// TestImportSchema checks that an import stores the stamp of the file. If the stored schema is newer, the import must
// keep it.
func TestImportSchema(t *testing.T) {
	engine, err := spicedb.Embedded(t.Context(), spicedb.EmbeddedConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	narrower := strings.Replace(pages, "read = owner + reader", "read = owner", 1)
	old, err := schema.WithStamp(pages, schema.Stamp{}.Next(2, "company.zed", pages))
	require.NoError(t, err)
	newer, err := schema.WithStamp(narrower, schema.Stamp{}.Next(3, "company.zed", narrower))
	require.NoError(t, err)
	for _, step := range []struct {
		text    string
		applied bool
		stored  string
		version int
	}{
		{old, true, pages, 2},
		{newer, true, narrower, 3},
		{old, false, narrower, 3},
		{pages, false, narrower, 3},
		{narrower, true, narrower, 3},
	} {
		applied, err := ImportSchema(t.Context(), engine, step.text)
		require.NoError(t, err)
		require.Equal(t, step.applied, applied)
		text, err := engine.Schema(t.Context())
		require.NoError(t, err)
		_, stamp, found := schema.SplitStamp(text)
		require.True(t, found)
		require.Equal(t, step.version, stamp.Version)
		require.Equal(t, "company.zed", stamp.File)
		changes, err := DiffSchema(t.Context(), engine, step.stored)
		require.NoError(t, err)
		require.Empty(t, changes)
	}
}
