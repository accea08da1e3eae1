package schema

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStampIsFoundAgain checks that SplitStamp returns the stamp that WithStamp added, for any file name. If the
// definition has any other comment, SplitStamp finds no stamp.
func TestStampIsFoundAgain(t *testing.T) {
	product, err := Flatten()
	require.NoError(t, err)
	for _, file := range []string{"", "company.zed", `a"b\c*.zed`, "x */ definition mallory {}", "new\nline", "{}"} {
		for _, text := range []string{product, tiny} {
			stamp := Stamp{}.Next(1, "", "an older text").Next(3, file, text)
			stamped, err := WithStamp(text, stamp)
			require.NoError(t, err)
			definitions, err := Describe(stamped)
			require.NoError(t, err)
			require.NotContains(t, fmt.Sprint(definitions), stampType)
			require.NotContains(t, fmt.Sprint(definitions), "mallory")
			plain, found, ok := SplitStamp(stamped)
			require.True(t, ok)
			require.Equal(t, stamp, found)
			require.Equal(t, strings.TrimSpace(text), strings.TrimSpace(plain))
			parsed, err := Parse(t.Context(), stamped, "stored")
			require.NoError(t, err)
			require.NotContains(t, parsed.Text, stampType)
		}
	}
	for _, text := range []string{
		tiny + "\ndefinition sluice_schema {}\n", tiny + "\n/** something else */\ndefinition sluice_schema {}\n",
		tiny + "\n/** {\"version\": \"x\"} */\ndefinition sluice_schema {}\n",
	} {
		plain, _, ok := SplitStamp(text)
		require.False(t, ok)
		require.Contains(t, plain, strings.TrimSpace(tiny))
		require.NotContains(t, plain, stampType)
	}
	_, _, ok := SplitStamp(tiny)
	require.False(t, ok)
	_, err = Parse(t.Context(), "definition sluice_schema {}", "stored")
	require.ErrorContains(t, err, "declares no definition")
}

// TestStampRemembersReplacedTexts checks that a stamp lists the hashes of replaced texts, but not that of the current
// text. If there are very many, it lists only the newest ones.
func TestStampRemembersReplacedTexts(t *testing.T) {
	stamp := Stamp{}.Next(1, "", "first").Next(2, "", "second")
	require.True(t, stamp.HasReplaced(Hash("first")))
	require.False(t, stamp.HasReplaced(Hash("second")))
	stamp = stamp.Next(1, "", "first")
	require.False(t, stamp.HasReplaced(Hash("first")))
	require.True(t, stamp.HasReplaced(Hash("second")))
	for i := range 200 {
		stamp = stamp.Next(3, "", fmt.Sprint(i))
	}
	require.Len(t, stamp.Replaced, maxReplaced)
	require.True(t, stamp.HasReplaced(Hash("198")))
}
