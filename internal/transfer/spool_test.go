package transfer

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpoolIsBounded checks that Spool stops reading an endless pipe, and leaves no file.
func TestSpoolIsBounded(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	_, err := spool(strings.NewReader("12345"), 4)
	require.ErrorContains(t, err, "more than 4 bytes")
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, entries)
	file, err := spool(strings.NewReader("1234"), 4)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}
