// Package docs holds the documentation, and the test of its links.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notSlug = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// TestLinks checks the relative links in Markdown pages: the file of each link must exist, and must have the heading
// that the link names.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	top, err := filepath.Glob("../*.md")
	require.NoError(t, err)
	for _, page := range append(pages, top...) {
		for _, found := range link.FindAllStringSubmatch(read(t, page), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, found[1])
				continue
			}
			if anchor != "" && !hasHeading(read(t, file), anchor) {
				t.Errorf("%s links to %s, which has no such heading", page, found[1])
			}
		}
	}
}

// TestPackagesAreListed checks that CONTRIBUTING.md says what every package under internal/ contains.
func TestPackagesAreListed(t *testing.T) {
	packages, err := filepath.Glob("../internal/*")
	require.NoError(t, err)
	require.NotEmpty(t, packages)
	text := read(t, "../CONTRIBUTING.md")
	for _, directory := range packages {
		require.Contains(t, text, "`internal/"+filepath.Base(directory)+"/`")
	}
}

// TestIndexNamesEveryPage checks that docs/README.md, the index, links to each page of this folder.
func TestIndexNamesEveryPage(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	index := read(t, "README.md")
	for _, page := range pages {
		if page != "README.md" && !strings.Contains(index, "("+page) {
			t.Errorf("docs/README.md does not link to %s", page)
		}
	}
}

func hasHeading(page, anchor string) bool {
	for _, found := range heading.FindAllStringSubmatch(page, -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(found[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(content)
}
