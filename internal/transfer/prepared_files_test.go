package transfer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/ownfile"
	"github.com/sluice-authz/sluice/internal/transfer"
)

// TestExportAndImportRefuseFilesThatOthersPrepared checks that an export or import does not follow a link, and does
// not resume from a file that other users may read or write.
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
		"the incomplete file is a link": func(t *testing.T, file string) string {
			part := partOf(t, file)
			require.NoError(t, os.Remove(part))
			require.NoError(t, os.Symlink(victim, part))
			return part
		},
		"the incomplete file has a second hard link": func(t *testing.T, file string) string {
			require.NoError(t, os.Link(partOf(t, file), file+".second"))
			return partOf(t, file)
		},
		"others may write the incomplete file": func(t *testing.T, file string) string {
			require.NoError(t, os.Chmod(partOf(t, file), 0o622))
			return partOf(t, file)
		},
		"others may read the state file": func(t *testing.T, file string) string {
			require.NoError(t, os.Chmod(file+".state", 0o644))
			return file + ".state"
		},
		"the state file is a link": func(t *testing.T, file string) string {
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

	t.Run("a state file that names another file", func(t *testing.T) {
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
		_, _, err = transfer.Import(
			t.Context(), &target, "target", file, transfer.Options{Apply: target.apply, Progress: quiet},
		)
		require.ErrorIs(t, err, ownfile.ErrForeign)
		require.Len(t, target.relationships, before)
	})
}
