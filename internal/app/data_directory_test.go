package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWarningsOfOtherUsers(t *testing.T) {
	for _, c := range []struct {
		directory, file os.FileMode
		warnings        []string
	}{
		{0o700, 0o600, nil},
		{0o755, 0o600, nil},
		{0o777, 0o600, []string{"data directory; run chmod 700"}},
		{0o700, 0o644, []string{"sluice.db"}},
		{0o777, 0o666, []string{"data directory; run chmod 700", "sluice.db"}},
	} {
		directory := t.TempDir()
		file := filepath.Join(directory, "sluice.db")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.NoError(t, os.Chmod(file, c.file))
		require.NoError(t, os.Chmod(directory, c.directory))
		var out bytes.Buffer
		warnOfOtherUsers(slog.New(slog.NewTextHandler(&out, nil)), directory)
		require.Equal(t, len(c.warnings), strings.Count(out.String(), "level=WARN"), out.String())
		for _, warning := range c.warnings {
			require.Contains(t, out.String(), warning)
		}
	}
	warnOfOtherUsers(slog.New(slog.DiscardHandler), filepath.Join(t.TempDir(), "missing"))
}
