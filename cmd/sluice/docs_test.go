package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// TestConfigurationListsEveryFlagOfServe checks that the configuration page names each flag of serve.
func TestConfigurationListsEveryFlagOfServe(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	newServe().Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !f.Hidden {
			require.Regexp(t, "(?m)^\\| .*`--"+f.Name+"[` ]", string(page))
		}
	})
}

var (
	shellBlock    = regexp.MustCompile("(?s)```sh\n(.*?)```")
	shellVariable = regexp.MustCompile(`\$\{?([A-Z][A-Z0-9_]*)`)
)

// TestCommandsOfTheDocumentationDefineTheirVariables checks that a page sets each variable of its commands in an
// earlier or the same command, or explains it.
func TestCommandsOfTheDocumentationDefineTheirVariables(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	found := 0
	for _, page := range append(pages, "../../README.md") {
		content, err := os.ReadFile(page)
		require.NoError(t, err)
		text := string(content)
		for _, block := range shellBlock.FindAllStringIndex(text, -1) {
			for _, variable := range shellVariable.FindAllStringSubmatch(text[block[0]:block[1]], -1) {
				found++
				before := text[:block[1]]
				if !regexp.MustCompile(`(?m)(^|export )` + variable[1] + `=`).MatchString(before) {
					require.True(t, strings.Contains(before, "`"+variable[1]+"`"), "%s: nothing says what $%s is", page, variable[1])
				}
			}
		}
	}
	require.Greater(t, found, 10)
}
