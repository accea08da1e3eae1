package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// TestEveryCommandChecksItsArguments runs every command with too many arguments and, if it takes arguments, with none.
// The error says what the command expects.
func TestEveryCommandChecksItsArguments(t *testing.T) {
	var paths [][]string
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if !cmd.HasSubCommands() && cmd.Name() != "help" {
			paths = append(paths, strings.Fields(cmd.CommandPath())[1:])
		}
	}
	root := newRoot()
	root.InitDefaultCompletionCmd()
	walk(root)
	require.Greater(t, len(paths), 15)
	for _, path := range paths {
		cmd, _, err := root.Find(path)
		require.NoError(t, err)
		takesArguments := regexp.MustCompile(` [A-Z]`).MatchString(cmd.Use)
		expects := "takes no arguments, only flags"
		if takesArguments {
			expects = ", for example: sluice " + strings.Join(path, " ")
			_, stderr, code := sluice(t, path...)
			require.Equal(t, 2, code, path)
			require.Contains(t, stderr, expects)
			require.Contains(t, stderr, "given: 0 arguments")
		}
		if strings.Contains(cmd.Use, "...") { // any number of arguments
			continue
		}
		_, stderr, code := sluice(t, append(path[:len(path):len(path)], "a", "b", "c", "d")...)
		require.Equal(t, 2, code, path)
		require.Contains(t, stderr, expects)
		require.Contains(t, stderr, "; given: ")
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
}
