package transfer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/transfer"
)

// interrupting returns a context, and a Progress that cancels it when called the given number of times.
func interrupting(ctx context.Context, after int) (context.Context, transfer.Progress) {
	ctx, cancel := context.WithCancel(ctx)
	return ctx, func(int64, int64) {
		if after--; after <= 0 {
			cancel()
		}
	}
}

// TestInterruptedExport checks that an interrupted export resumes, also after further writes.
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
	require.ErrorContains(t, err, "exists already")
}

// requireAlone requires that a file is the only one in its folder.
func requireAlone(t *testing.T, file string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{file}, left)
}

// target is a Target that records the imported relationships.
type target struct{ relationships []string }

func (t *target) Import(_ context.Context, relationships []string) error {
	t.relationships = append(t.relationships, relationships...)
	return nil
}

func (t *target) apply(context.Context, string) error { return nil }

// long writes a file that takes two batches to import, and returns its relationships.
func long(t *testing.T, file, prefix string) (relationships []string) {
	t.Helper()
	for i := range 15_000 {
		relationships = append(relationships, fmt.Sprintf("document:%s%d#reader@user:u", prefix, i))
	}
	text := "schema: |-\n  definition user {}\nrelationships: |-\n  " + strings.Join(relationships, "\n  ") + "\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return relationships
}

// TestInterruptedImport checks that an interrupted import resumes where it stopped.
func TestInterruptedImport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "company.yaml")
	want := long(t, file, "a")
	var target target
	var before int64
	for run := 0; ; run++ {
		require.Less(t, run, 10)
		ctx, progress := interrupting(t.Context(), 1+run) // a resumed import reports progress for skipped batches too
		written, resumed, err := transfer.Import(
			ctx, &target, "target", file, transfer.Options{Apply: target.apply, Progress: progress},
		)
		require.Equal(t, before, resumed)
		if err == nil {
			require.EqualValues(t, len(want), written)
			require.Greater(t, run, 1)
			break
		}
		require.Greater(t, written, resumed)
		before = written
	}
	require.Equal(t, want, target.relationships, "each relationship must be imported once")
	requireAlone(t, file)
}

// TestExportStartsAgain interrupts an export and repeats it with another store, which does not have the state of the
// first export. The export must start again.
func TestExportStartsAgain(t *testing.T) {
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

// TestExportWithoutItsPart checks that an export starts again if its incomplete file is shorter than its state file
// says. It also checks that an export that fails before the first relationship leaves no file.
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

// partOf returns the incomplete file of an interrupted export.
func partOf(t *testing.T, file string) string {
	t.Helper()
	parts, err := filepath.Glob(file + ".*.part")
	require.NoError(t, err)
	require.Len(t, parts, 1)
	return parts[0]
}

// TestImportOfAnotherFile checks that an import does not resume for another file of the same name and size.
func TestImportOfAnotherFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "company.yaml")
	var target target
	first := long(t, file, "a")
	ctx, progress := interrupting(t.Context(), 1)
	written, _, err := transfer.Import(
		ctx, &target, "target", file, transfer.Options{Apply: target.apply, Progress: progress},
	)
	require.Error(t, err)
	other := long(t, file, "b")
	_, resumed, err := transfer.Import(
		t.Context(), &target, "target", file, transfer.Options{Apply: target.apply, Progress: quiet},
	)
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

// TestResumedImportChecksAgain checks that a resumed import first checks the whole file.
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
	options.Rules = func(context.Context, transfer.Head) (transfer.Rules, error) { return problems{}, nil }
	_, _, err = transfer.Import(t.Context(), &target, "target", file, options)
	require.ErrorContains(t, err, "line 0: wrong")
	require.Len(t, target.relationships, written)
}
