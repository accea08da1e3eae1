package transfer_test

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/sluice-authz/sluice/internal/ownfile"
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

// some relationships, sorted as SpiceDB exports them.
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

// TestBetweenStores: what is exported from one is in the other, and the file is a validation YAML.
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

// TestNumbersOfContexts holds that a number that a double does not hold exactly stops an import before it writes, with its line;
// and that a large number which another tool has stored is exported as the number that is imported again.
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
	foreign := enginetest.ForeignRelationship(t, "document:a#reader@user:u[among]", map[string]any{"some": []any{float64(1 << 63), 1e300, -0.5, 7.0}})
	require.NoError(t, engine.Load(t.Context(), foreign))
	before, _ := contentOf(t, engine)
	require.Len(t, before, 1)
	require.Contains(t, before[0], "[9223372036854775808,100000000000000005250476025520442024870446858110815915491585411551180245798890819578637137508044786404")
	require.Contains(t, before[0], ",-0.5,7]")
	require.NoError(t, engine.Import(t.Context(), before))
	after, _ := contentOf(t, engine)
	require.Equal(t, before, after)
}

// interrupting ends the context after some progress.
func interrupting(ctx context.Context, after int) (context.Context, transfer.Progress) {
	ctx, cancel := context.WithCancel(ctx)
	return ctx, func(int64, int64) {
		if after--; after <= 0 {
			cancel()
		}
	}
}

// TestInterruptedExport: an export that is interrupted goes on where it ended, also after further writes.
func TestInterruptedExport(t *testing.T) {
	want := some(4500)
	source := filled(t, "sqlite", want)
	whole := filepath.Join(t.TempDir(), "whole.yaml")
	_, _, err := transfer.Export(t.Context(), source, whole, quiet)
	require.NoError(t, err)

	file := filepath.Join(t.TempDir(), "interrupted.yaml")
	var before int64
	for run := 0; ; run++ {
		require.Less(t, run, 10)
		ctx, progress := interrupting(t.Context(), 2)
		written, resumed, err := transfer.Export(ctx, source, file, progress)
		require.Equal(t, before, resumed)
		if err == nil {
			require.EqualValues(t, len(want), written)
			require.Positive(t, run)
			break
		}
		require.NoFileExists(t, file)
		require.Greater(t, written, resumed)
		before = written
		require.NoError(t, source.Import(t.Context(), []string{fmt.Sprintf("document:later#reader@user:u%d", run)}))
	}
	require.Equal(t, read(t, whole), read(t, file))
	requireAlone(t, file)

	_, _, err = transfer.Export(t.Context(), source, file, quiet)
	require.ErrorContains(t, err, "there is a file")
}

// requireAlone requires that no notes are left beside a file.
func requireAlone(t *testing.T, file string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{file}, left)
}

// target keeps what is imported into it.
type target struct{ relationships []string }

func (t *target) Import(_ context.Context, relationships []string) error {
	t.relationships = append(t.relationships, relationships...)
	return nil
}

func (t *target) apply(context.Context, string) error { return nil }

// long writes a file that is imported in two parts, and returns what is in it.
func long(t *testing.T, file, prefix string) (relationships []string) {
	t.Helper()
	for i := range 15_000 {
		relationships = append(relationships, fmt.Sprintf("document:%s%d#reader@user:u", prefix, i))
	}
	text := "schema: |-\n  definition user {}\nrelationships: |-\n  " + strings.Join(relationships, "\n  ") + "\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return relationships
}

// TestInterruptedImport: an import that is interrupted goes on where it ended.
func TestInterruptedImport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "company.yaml")
	want := long(t, file, "a")
	var target target
	var before int64
	for run := 0; ; run++ {
		require.Less(t, run, 10)
		ctx, progress := interrupting(t.Context(), 1+run) // it passes over what it has done
		written, resumed, err := transfer.Import(ctx, &target, "target", file, transfer.Options{Apply: target.apply, Progress: progress})
		require.Equal(t, before, resumed)
		if err == nil {
			require.EqualValues(t, len(want), written)
			require.Greater(t, run, 1)
			break
		}
		require.Greater(t, written, resumed)
		before = written
	}
	require.Equal(t, want, target.relationships, "each was imported once")
	requireAlone(t, file)
}

// TestExportBeginsAnew where the state that it began with is gone: here, since it is one of another store.
func TestExportBeginsAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "company.yaml")
	ctx, progress := interrupting(t.Context(), 2)
	_, _, err := transfer.Export(ctx, filled(t, "memory", some(2500)), file, progress)
	require.Error(t, err)
	written, resumed, err := transfer.Export(t.Context(), filled(t, "memory", some(10)), file, quiet)
	require.NoError(t, err)
	require.Zero(t, resumed)
	require.EqualValues(t, 16, written)
	require.Equal(t, 16, strings.Count(read(t, file), "#reader@"))
}

// TestExportWithoutItsPart: where the file is gone that its note tells of, the export begins anew; where nothing has come of it,
// it leaves nothing.
func TestExportWithoutItsPart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "company.yaml")
	source := filled(t, "sqlite", some(3000))
	ctx, progress := interrupting(t.Context(), 2)
	_, _, err := transfer.Export(ctx, source, file, progress)
	require.Error(t, err)
	require.NoError(t, os.Truncate(partOf(t, file), 100))
	written, resumed, err := transfer.Export(t.Context(), source, file, quiet)
	require.NoError(t, err)
	require.Zero(t, resumed)
	require.EqualValues(t, 3006, written)
	require.Equal(t, 3006, strings.Count(read(t, file), "#reader@"))
	require.NotContains(t, read(t, file), "\x00")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = transfer.Export(ctx, source, file+".other", quiet)
	require.Error(t, err)
	requireAlone(t, file)

	require.NoError(t, os.WriteFile(file+".other.state", []byte("{"), 0o600))
	_, _, err = transfer.Export(t.Context(), source, file+".other", quiet)
	require.ErrorContains(t, err, "remove it to start again")
	require.FileExists(t, file+".other.state")
	parts, err := filepath.Glob(file + ".other.*.part")
	require.NoError(t, err)
	require.Empty(t, parts)
}

// partOf returns the file that an interrupted export of a file has written.
func partOf(t *testing.T, file string) string {
	t.Helper()
	parts, err := filepath.Glob(file + ".*.part")
	require.NoError(t, err)
	require.Len(t, parts, 1)
	return parts[0]
}

// TestExportAndImportRefuseFilesThatOthersPrepared: neither follows a link or resumes from a file that others may write.
func TestExportAndImportRefuseFilesThatOthersPrepared(t *testing.T) {
	source := filled(t, "memory", some(3000))
	interrupted := func(t *testing.T) (file string) {
		file = filepath.Join(t.TempDir(), "company.yaml")
		ctx, progress := interrupting(t.Context(), 2)
		_, _, err := transfer.Export(ctx, source, file, progress)
		require.Error(t, err)
		return file
	}
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	for name, prepare := range map[string]func(t *testing.T, file string) (prepared string){
		"the part is a link": func(t *testing.T, file string) string {
			part := partOf(t, file)
			require.NoError(t, os.Remove(part))
			require.NoError(t, os.Symlink(victim, part))
			return part
		},
		"the part has a second name": func(t *testing.T, file string) string {
			require.NoError(t, os.Link(partOf(t, file), file+".second"))
			return partOf(t, file)
		},
		"others may write the part": func(t *testing.T, file string) string {
			require.NoError(t, os.Chmod(partOf(t, file), 0o622))
			return partOf(t, file)
		},
		"others may read the note": func(t *testing.T, file string) string {
			require.NoError(t, os.Chmod(file+".state", 0o644))
			return file + ".state"
		},
		"the note is a link": func(t *testing.T, file string) string {
			require.NoError(t, os.Rename(file+".state", file+".elsewhere"))
			require.NoError(t, os.Symlink(file+".elsewhere", file+".state"))
			return file + ".state"
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := interrupted(t)
			prepared := prepare(t, file)
			_, _, err := transfer.Export(t.Context(), source, file, quiet)
			require.ErrorIs(t, err, ownfile.ErrForeign)
			require.ErrorContains(t, err, prepared)
			require.NoFileExists(t, file)
			require.Equal(t, "precious", read(t, victim))
		})
	}

	t.Run("a note that names another file", func(t *testing.T) {
		file := interrupted(t)
		state := read(t, file+".state")
		part := filepath.Base(partOf(t, file))
		for _, other := range []string{"../victim", "victim", "company.yaml.part", "company.yaml./1.part"} {
			require.NoError(t, os.WriteFile(file+".state", []byte(strings.Replace(state, part, other, 1)), 0o600))
			_, resumed, err := transfer.Export(t.Context(), source, file, quiet)
			require.NoError(t, err)
			require.Zero(t, resumed)
			require.NoError(t, os.Remove(file))
		}
	})

	t.Run("files under the old fixed names", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "company.yaml")
		for _, suffix := range []string{".part", ".state.new", ".new"} {
			require.NoError(t, os.Symlink(victim, file+suffix))
		}
		_, _, err := transfer.Export(t.Context(), source, file, quiet)
		require.NoError(t, err)
		require.Equal(t, "precious", read(t, victim))
	})

	t.Run("import", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "company.yaml")
		long(t, file, "a")
		var target target
		ctx, progress := interrupting(t.Context(), 1)
		_, _, err := transfer.Import(ctx, &target, "target", file, transfer.Options{Apply: target.apply, Progress: progress})
		require.Error(t, err)
		states, err := filepath.Glob(file + ".into-*.state")
		require.NoError(t, err)
		require.Len(t, states, 1)
		require.NoError(t, os.Chmod(states[0], 0o660))
		before := len(target.relationships)
		_, _, err = transfer.Import(t.Context(), &target, "target", file, transfer.Options{Apply: target.apply, Progress: quiet})
		require.ErrorIs(t, err, ownfile.ErrForeign)
		require.Len(t, target.relationships, before)
	})
}

// TestImportOfAnotherFile: what was imported of a file is not left out of another one of the same name and size.
func TestImportOfAnotherFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "company.yaml")
	var target target
	first := long(t, file, "a")
	ctx, progress := interrupting(t.Context(), 1)
	written, _, err := transfer.Import(ctx, &target, "target", file, transfer.Options{Apply: target.apply, Progress: progress})
	require.Error(t, err)
	other := long(t, file, "b")
	_, resumed, err := transfer.Import(t.Context(), &target, "target", file, transfer.Options{Apply: target.apply, Progress: quiet})
	require.NoError(t, err)
	require.Zero(t, resumed)
	require.Equal(t, slices.Concat(first[:written], other), target.relationships)
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(content)
}

func TestImportRefuses(t *testing.T) {
	target := store(t, "memory")
	for name, c := range map[string]struct{ file, says string }{
		"nothing":                    {"", "has to begin with schema"},
		"relationships first":        {"relationships: |-\n  document:a#reader@user:b\n", "has to begin with schema"},
		"a schema elsewhere":         {"schemaFile: company.zed\n", "line 1: a schema in another file"},
		"a schema in quotes":         {"schema: \"definition user {}\"\n", "line 1: schema has to be a block"},
		"no YAML":                    {"{]\n", "line 1"},
		"a schema that is none":      {"schema: |-\n  definition\n", "parse error"},
		"a relationship that is not": {"schema: |-\n  definition user {}\nassertions:\n  assertTrue:\n    - a\nrelationships: |-\n  // a remark\n\n  user:a\n", `"user:a" is no relationship`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := transfer.ImportFrom(t.Context(), target, strings.NewReader(c.file), checked(target.ApplySchema))
			require.ErrorContains(t, err, c.says)
			require.False(t, errors.Is(err, authz.CodeInternal))
		})
	}
}

// TestImportChecksBeforeItWrites: one wrong line of a file keeps all of it out, is named, and shows escaped ids.
func TestImportChecksBeforeItWrites(t *testing.T) {
	target := store(t, "memory")
	file := filepath.Join(t.TempDir(), "company.yaml")
	for line, says := range map[string]string{
		"document:a#reader":             "line 6: ",
		"document:a#reader@user:tom@x":  `escaped it is "document:a#reader@user:tom=40x"`,
		"document:a b#reader@user:tom":  `escaped it is "document:a=20b#reader@user:tom"`,
		"document:a#reader@user:\u00fc": `escaped it is "document:a#reader@user:=C3=BC"`,
	} {
		text := "schema: |-\n  definition user {}\nrelationships: |-\n  document:z#reader@user:u\n\n  " + line + "\n"
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		applied := false
		apply := func(context.Context, string) error { applied = true; return nil }
		_, _, err := transfer.Import(t.Context(), target, "target", file, checked(apply))
		require.ErrorContains(t, err, "line 6: ")
		require.ErrorContains(t, err, says)
		require.False(t, applied)
		_, err = transfer.ImportFrom(t.Context(), target, strings.NewReader(text), checked(apply))
		require.ErrorContains(t, err, "line 6: ", "from a pipe")
		require.ErrorContains(t, err, says)
		require.False(t, applied)
	}
}

// checked are options that check each relationship alone.
func checked(apply transfer.Apply) transfer.Options {
	rules := func(context.Context, string) (transfer.Rules, error) { return alone{}, nil }
	return transfer.Options{Apply: apply, Rules: rules, Progress: quiet}
}

// alone are rules for each relationship alone.
type alone struct{}

func (alone) Check(_ int, text string) error {
	_, err := spicedb.ParseRelationship(text)
	return err
}

func (alone) Problems(context.Context) ([]error, error) { return nil, nil }

// problems are rules that everything breaks.
type problems struct{ alone }

func (problems) Problems(context.Context) ([]error, error) {
	var errs []error
	for line := range 12 {
		errs = append(errs, fmt.Errorf("line %d: wrong", line))
	}
	return errs, nil
}

// TestImportNamesTenProblems: nothing is written if a rule is broken, and the error has the first ten problems.
func TestImportNamesTenProblems(t *testing.T) {
	var target target
	text := "schema: |-\n  definition user {}\nrelationships: |-\n  document:z#reader@user:u\n"
	options := transfer.Options{Apply: target.apply, Progress: quiet}
	options.Rules = func(context.Context, string) (transfer.Rules, error) { return problems{}, nil }
	_, err := transfer.ImportFrom(t.Context(), &target, strings.NewReader(text), options)
	require.ErrorContains(t, err, "line 9: wrong\nand 2 more")
	require.NotContains(t, err.Error(), "line 10")
	require.Empty(t, target.relationships)
}

// TestImportReadsTimesAsRequestsDo: the T and the Z of an expiration may be in lower case, and it may have an offset.
func TestImportReadsTimesAsRequestsDo(t *testing.T) {
	engine := store(t, "memory")
	text := "schema: |-\n  " + strings.ReplaceAll(documents, "\n", "\n  ") + "\nrelationships: |-\n" +
		"  document:a#reader@user:a[expiration:2901-02-03t04:05:06z]\n" +
		"  document:b#reader@user:b[expiration:2901-02-03T06:05:06.000+02:00]\n"
	_, err := transfer.ImportFrom(t.Context(), engine, strings.NewReader(text), checked(engine.ApplySchema))
	require.NoError(t, err)
	stored, _ := contentOf(t, engine)
	require.Equal(t, []string{
		"document:a#reader@user:a[expiration:2901-02-03T04:05:06Z]",
		"document:b#reader@user:b[expiration:2901-02-03T04:05:06Z]",
	}, stored)
	for _, wrong := range []string{"tomorrow", "2901-02-30T04:05:06Z", "2901-02-03 04:05:06Z"} {
		_, err := spicedb.ParseRelationship("document:a#reader@user:a[expiration:" + wrong + "]")
		require.ErrorIs(t, err, authz.CodeInvalid, wrong)
	}
}

// TestResumedImportChecksAgain: an import that goes on where it ended checks the whole file first.
func TestResumedImportChecksAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "company.yaml")
	long(t, file, "a")
	var target target
	ctx, progress := interrupting(t.Context(), 1)
	options := checked(target.apply)
	options.Progress = progress
	_, _, err := transfer.Import(ctx, &target, "target", file, options)
	require.Error(t, err)
	written := len(target.relationships)
	require.Positive(t, written)
	options = transfer.Options{Apply: target.apply, Progress: quiet}
	options.Rules = func(context.Context, string) (transfer.Rules, error) { return problems{}, nil }
	_, _, err = transfer.Import(t.Context(), &target, "target", file, options)
	require.ErrorContains(t, err, "line 0: wrong")
	require.Len(t, target.relationships, written)
}

// TestSpoolIsPrivate: what comes from a pipe is in a file that has no name any more.
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
