package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/transfer"
)

func TestImportRefuses(t *testing.T) {
	target := store(t, "memory")
	for name, c := range map[string]struct{ file, says string }{
		"empty":                    {"", "line 1: the file must begin with schema"},
		"relationships first":      {"relationships: |-\n  document:a#reader@user:b\n", "line 1: the file must begin with schema"},
		"a schema in another file": {"schemaFile: company.zed\n", "line 1: schemaFile is not supported"},
		"a schema in quotes":       {"schema: \"definition user {}\"\n", "line 1: schema must be a block"},
		"not YAML":                 {"{]\n", "line 1"},
		"an invalid schema":        {"schema: |-\n  definition\n", "parse error"},
		"an invalid relationship": {
			"schema: |-\n  definition user {}\nassertions:\n  assertTrue:\n    - a\nrelationships: |-\n  // a remark\n\n  user:a\n",
			`"user:a" is not a relationship`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := transfer.ImportFrom(t.Context(), target, strings.NewReader(c.file), checked(target.ApplySchema))
			require.ErrorContains(t, err, c.says)
			require.False(t, errors.Is(err, authz.CodeInternal))
		})
	}
}

// TestImportChecksBeforeItWrites checks that one invalid line prevents the whole import. The error names the line and
// shows the escaped id.
func TestImportChecksBeforeItWrites(t *testing.T) {
	target := store(t, "memory")
	file := filepath.Join(t.TempDir(), "company.yaml")
	for line, says := range map[string]string{
		"document:a#reader":             "line 6: ",
		"document:a#reader@user:tom@x":  `with escapes it is "document:a#reader@user:tom=40x"`,
		"document:a b#reader@user:tom":  `with escapes it is "document:a=20b#reader@user:tom"`,
		"document:a#reader@user:\u00fc": `with escapes it is "document:a#reader@user:=C3=BC"`,
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

// checked returns options whose rules check each relationship by itself.
func checked(apply transfer.Apply) transfer.Options {
	rules := func(context.Context, transfer.Head) (transfer.Rules, error) { return alone{}, nil }
	return transfer.Options{Apply: apply, Rules: rules, Progress: quiet}
}

// alone is a Rules that checks each relationship by itself.
type alone struct{}

func (alone) Check(_ int, text string) error {
	_, err := spicedb.ParseRelationship(text)
	return err
}

func (alone) Problems(context.Context) ([]error, error) { return nil, nil }

// problems is a Rules whose Problems returns twelve errors for every file.
type problems struct{ alone }

func (problems) Problems(context.Context) ([]error, error) {
	var errs []error
	for line := range 12 {
		errs = append(errs, fmt.Errorf("line %d: wrong", line))
	}
	return errs, nil
}

// TestImportNamesTenProblems checks that an import with problems writes nothing, and that its error has only the
// first ten.
func TestImportNamesTenProblems(t *testing.T) {
	var target target
	text := "schema: |-\n  definition user {}\nrelationships: |-\n  document:z#reader@user:u\n"
	options := transfer.Options{Apply: target.apply, Progress: quiet}
	options.Rules = func(context.Context, transfer.Head) (transfer.Rules, error) { return problems{}, nil }
	_, err := transfer.ImportFrom(t.Context(), &target, strings.NewReader(text), options)
	require.ErrorContains(t, err, "line 9: wrong\nand 2 more")
	require.NotContains(t, err.Error(), "line 10")
	require.Empty(t, target.relationships)
}

// TestImportReadsTimesAsRequestsDo checks that an expiration in a file may have a lower-case t and z, or an offset,
// as in requests.
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
	for _, wrong := range []string{
		"tomorrow", "2901-02-30T04:05:06Z", "2901-02-03 04:05:06Z", "2901-02-03T04:05:06,5Z", "0000-01-01T00:00:00Z",
		"0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01",
	} {
		_, err := spicedb.ParseRelationship("document:a#reader@user:a[expiration:" + wrong + "]")
		require.ErrorIs(t, err, authz.CodeInvalid, wrong)
	}
}

// TestImportRejectsSecondBlocks checks that no part of a file is ignored without an error.
func TestImportRejectsSecondBlocks(t *testing.T) {
	for _, second := range []string{"relationships: |-\n  document:z#reader@user:v\n", "schema: |-\n  definition user {}\n"} {
		var target target
		text := "schema: |-\n  definition user {}\nrelationships: |-\n  document:z#reader@user:u\n" + second
		_, err := transfer.ImportFrom(t.Context(), &target, strings.NewReader(text), checked(target.apply))
		name, _, _ := strings.Cut(second, ":")
		require.ErrorContains(t, err, "line 5: the file has a second "+name)
		require.Empty(t, target.relationships)
	}
}
