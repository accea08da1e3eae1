package authz_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

// TestErrorsRepeatAHundredBytes checks that an error truncates every string that %q formats, and no other part of its
// message.
func TestErrorsRepeatAHundredBytes(t *testing.T) {
	for _, long := range []string{strings.Repeat("x", 1<<20), strings.Repeat("é", 1<<19), strings.Repeat("€", 101)} {
		for _, value := range []any{long, authz.ID(long), authz.Permission(long)} {
			message := authz.Errorf(authz.CodeInvalid, "%q is wrong", value).Message
			require.LessOrEqual(t, len(message), authz.MaxEcho+len(`"…" is wrong`))
			require.True(t, utf8.ValidString(message))
			require.Contains(t, message, long[:90])
			require.Contains(t, message, `…" is wrong`)
		}
	}
	exact := strings.Repeat("x", authz.MaxEcho)
	require.Equal(t, `"`+exact+`" is wrong`, authz.Errorf(authz.CodeInvalid, "%q is wrong", exact).Message)
	names := strings.Repeat("name, ", 100)
	require.Equal(t, "one of "+names, authz.Errorf(authz.CodeInvalid, "one of %s", names).Message)
	require.LessOrEqual(t, len(authz.Echo(strings.Repeat("\x80", 200))), authz.MaxEcho+len("…"))
}

// TestLongNamesAreRefusedBeforeASearch checks that a name which is too long is rejected with few allocations, and
// without a cause that makes the caller search for similar names.
func TestLongNamesAreRefusedBeforeASearch(t *testing.T) {
	name := strings.Repeat("a", authz.MaxNameBytes)
	parse := map[string]func(string) error{
		"type":       func(s string) error { _, err := authz.ParseType(s); return err },
		"relation":   func(s string) error { _, err := authz.ParseRelation(s); return err },
		"permission": func(s string) error { _, err := authz.ParsePermission(s); return err },
	}
	for kind, parse := range parse {
		require.NoError(t, parse(name), kind)
		require.ErrorIs(t, parse(name+"a"), authz.CodeInvalid, kind)
		for _, long := range []string{strings.Repeat("a", 1<<20), strings.Repeat("abc/", 1<<18) + "abc"} {
			var err error
			allocations := testing.AllocsPerRun(1, func() { err = parse(long) })
			require.ErrorIs(t, err, authz.CodeInvalid, kind)
			require.Less(t, allocations, 20.0, kind)
			var bad *authz.BadName
			require.NotErrorAs(t, err, &bad, kind)
			require.Less(t, len(err.Error()), 300, kind)
		}
	}
	require.NoError(t, parse["type"]("prefix/"+name))
	require.Error(t, parse["relation"]("prefix/"+name))
}
