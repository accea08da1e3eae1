package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client/sluicetest"
)

var anyBlock = regexp.MustCompile("(?s)```(zed|sh|json|yaml)\n(.*?)```")

// TestExtendingAsPrinted starts a server with the schema in docs/extending.md, and runs the commands of the page.
func TestExtendingAsPrinted(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/extending.md")
	require.NoError(t, err)
	tutorial, rest, found := strings.Cut(string(page), "<!-- tutorial:end -->")
	require.True(t, found)

	blocks := anyBlock.FindAllStringSubmatch(tutorial, -1)
	require.Equal(t, "zed", blocks[0][1])
	folder := t.TempDir()
	file := filepath.Join(folder, "theirs.zed")
	require.NoError(t, os.WriteFile(file, []byte(blocks[0][2]), 0o600))
	server := sluicetest.Start(t, sluicetest.WithSchema(file))
	conn, err := dialSpiceDB(server.SpiceDB, server.SpiceDBKey)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })

	var functions, printed string
	compared := 0
	for _, block := range blocks[1:] {
		switch text := block[2]; {
		case block[1] == "json":
			require.Equal(t, normalized(text), normalized(printed))
			compared++
		case strings.HasPrefix(text, "sluice serve"):
		case strings.HasPrefix(text, "call() "):
			functions = text
		default:
			shell := exec.CommandContext(t.Context(), bash, "-eu", "-c", functions+text)
			shell.Env = append(os.Environ(), "SLUICE_URL="+server.URL, "SLUICE_KEY="+server.Key)
			output, err := shell.CombinedOutput()
			require.NoError(t, err, string(output))
			require.NotContains(t, string(output), "urn:sluice:problem")
			printed = string(output)
		}
	}
	require.Equal(t, 2, compared)
	require.Empty(t, readRelationships(t, conn, &v1.RelationshipFilter{ResourceType: "dashboard"}))

	// A server with an empty store loads the validation file that the page shows.
	validation := anyBlock.FindStringSubmatch(rest)
	require.Equal(t, "yaml", validation[1])
	file = filepath.Join(folder, "theirs.yaml")
	require.NoError(t, os.WriteFile(file, []byte(validation[2]), 0o600))
	loaded := sluicetest.Start(t, sluicetest.WithSchema(file))
	may, err := loaded.Client.Permissions(t.Context(), "peter", "dashboard:revenue")
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"view": true, "edit": true, "delete": false}, may)
	_, err = loaded.Client.As("olga").PutAccountMember(t.Context(), "sales", "peter", "guest")
	require.NoError(t, err)
}
