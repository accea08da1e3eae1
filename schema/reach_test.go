package schema

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const caveats = `
caveat below(limit int) { limit < 5 }
caveat named(limit string) { limit == "a" }
caveat listed(limit list<int>) { limit[0] == 1 }
caveat also_below(limit int) { limit < 50 }
definition user {}
`

// onLines puts each statement of a schema on its own line.
func onLines(text string) string {
	return strings.NewReplacer(
		"{ ", "{\n", " }", "\n}", " relation ", "\nrelation ", " permission ", "\npermission ",
	).Replace(text)
}

// TestParameterOfTwoTypesIsRefused checks that a schema is rejected if one check may evaluate two caveats that have a
// parameter of the same name, but with different types. The error names both caveats.
func TestParameterOfTwoTypesIsRefused(t *testing.T) {
	for name, definitions := range map[string]string{
		"one relation":    `definition doc { relation reader: user with below | user with named }`,
		"one permission":  `definition doc { relation first: user with below relation second: user with named permission read = first + second }`,
		"an intersection": `definition doc { relation first: user with below relation second: user with named permission read = first & (second - first) }`,
		"an arrow": `definition folder { relation owner: user with below permission own = owner }
			definition doc { relation parent: folder relation second: user with named permission read = second + parent->own }`,
		"the relation of an arrow": `definition folder { relation owner: user with below permission own = owner }
			definition doc { relation parent: folder with named permission read = parent->own }`,
		"a function": `definition folder { relation owner: user with below permission own = owner }
			definition doc {
				relation parent: folder relation second: user with named permission read = second + parent.all(own)
			}`,
		"members of a group": `definition group { relation member: user with below | group#member }
			definition doc { relation second: user with named relation reader: group#member permission read = reader + second }`,
		"a wildcard":      `definition doc { relation first: user:* with below relation second: user with named permission read = first + second }`,
		"types of a list": `definition doc { relation first: user with listed relation second: user with named permission read = first + second }`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(t.Context(), caveats+onLines(definitions), "company.zed")
			require.ErrorContains(t, err, "company.zed: definition doc: ")
			require.ErrorContains(t, err, "caveat named")
			require.ErrorContains(t, err, "parameter limit")
			require.Regexp(t, "caveat (below|listed)", err.Error())
			require.NotContains(t, err.Error(), "\n")
		})
	}
	for name, definitions := range map[string]string{
		"the same type":       `definition doc { relation first: user with below relation second: user with also_below permission read = first + second }`,
		"another permission":  `definition doc { relation first: user with below relation second: user with named permission read = first permission write = second }`,
		"a circle":            `definition doc { relation parent: doc relation first: user with below permission read = first + parent->read }`,
		"nobody has a caveat": `definition doc { relation first: user permission read = first }`,
	} {
		t.Run(name, func(t *testing.T) {
			file, err := Parse(t.Context(), caveats+onLines(definitions), "company.zed")
			require.NoError(t, err)
			require.Empty(t, file.Warnings)
		})
	}
}

// TestArrowToMissingPermissionIsWarnedOf checks that the warning about an arrow names the permission that has the
// arrow, the arrow, and the type without the permission that the arrow names.
func TestArrowToMissingPermissionIsWarnedOf(t *testing.T) {
	file, err := Parse(t.Context(), onLines(`definition user {}
definition team { relation member: user }
definition folder { relation owner: user permission view = owner }
definition doc {
	relation parent: folder | team | team#member
	relation owner: user
	permission view = (owner + parent->view) & parent.any(vieww)
}`), "company.zed")
	require.NoError(t, err)
	require.Equal(t, []string{
		"definition doc, permission view: parent->view grants nothing through team, which has no permission or relation view",
		"definition doc, permission view: parent->vieww grants nothing through folder, which has no permission or relation vieww",
		"definition doc, permission view: parent->vieww grants nothing through team, which has no permission or relation vieww",
	}, file.Warnings)
}

// TestProductHasNoWarnings checks that the product's schema has no arrow to a relation or permission that is not
// declared.
func TestProductHasNoWarnings(t *testing.T) {
	text, err := fs.ReadFile(source, rootFile)
	require.NoError(t, err)
	file, err := flatten(t.Context(), string(text), rootFile, source)
	require.NoError(t, err)
	require.Empty(t, file.Warnings, strings.Join(file.Warnings, "\n"))
}
