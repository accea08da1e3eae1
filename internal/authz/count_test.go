package authz_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
)

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 entries", 1: "1 entry", 2: "2 entries", 1000: "1000 entries"} {
		require.Equal(t, want, authz.Count(n, "entry", "entries"))
	}
}

// TestNoTextWritesOneEntries checks the format strings of the whole program. A number with a noun must be formatted
// with authz.Count, so that no text says "1 entries". A limit, for example "at most %d bytes", is allowed, since it
// is always larger than one.
func TestNoTextWritesOneEntries(t *testing.T) {
	counted := regexp.MustCompile(`(?:(\S+ \S+) )?%d ([a-z]+)`)
	limits := regexp.MustCompile(`(?:at most|more than|larger than|deeper than|than the|\d to|as|up to)$`)
	noNouns := []string{
		"when", "is", "are", "must", "exists", "was", "has", "had", "and", "by", "of", "to", "for", "more", "that", "the", "does", "this",
		"hex",
	}
	found := 0
	for _, path := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			literal, ok := node.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			for _, match := range counted.FindAllStringSubmatch(text, -1) {
				found++
				if !limits.MatchString(match[1]) && !slices.Contains(noNouns, match[2]) {
					t.Errorf("%s: %q has a number before a plural: use authz.Count", path, text)
				}
			}
			return true
		})
	}
	require.Greater(t, found, 20, "format strings with a number before a word")
}

// sources returns the paths of the program's Go files, except tests and generated files.
func sources(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, folder := range []string{"api", "client", "cmd", "internal", "schema", "scripts"} {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, ".gen.go") {
				paths = append(paths, path)
			}
			return err
		})
		require.NoError(t, err)
	}
	require.Greater(t, len(paths), 200)
	return paths
}
