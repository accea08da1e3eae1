package tests

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/app"
)

var codeBlock = regexp.MustCompile("(?s)```(sh|json)\n(.*?)```")

// TestTutorial runs the commands of the README's tutorial, one block after the other in the same shell. Their output
// must be equal to the answers in the README.
func TestTutorial(t *testing.T) {
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, tutorial, found := strings.Cut(string(readme), "<!-- tutorial:begin -->")
	require.True(t, found)
	tutorial, _, found = strings.Cut(tutorial, "<!-- tutorial:end -->")
	require.True(t, found)

	config := app.DefaultConfig()
	config.Listen, config.GRPCListen = "127.0.0.1:0", app.Off
	config.Store.Datastore = "memory"
	server, err := app.Start(t.Context(), config)
	require.NoError(t, err)
	// `make run` also builds the demo company before a person starts the tutorial.
	to, err := client.New(server.URL, server.APIKey, client.WithHTTPClient(http.DefaultClient))
	require.NoError(t, err)
	require.NoError(t, app.Demo(t.Context(), to, io.Discard))
	defer func() { require.NoError(t, server.Close(t.Context())) }()

	const separator = "=== end of block ==="
	blocks := codeBlock.FindAllStringSubmatch(tutorial, -1)
	var script strings.Builder
	for _, block := range blocks {
		if block[1] == "sh" {
			script.WriteString(block[2] + "echo '" + separator + "'\n")
		}
	}
	shell := exec.CommandContext(t.Context(), bash, "-eu", "-c", script.String())
	shell.Env = append(os.Environ(), "SLUICE_URL="+server.URL, "SLUICE_KEY="+server.APIKey)
	printed, err := shell.CombinedOutput()
	require.NoError(t, err, string(printed))
	answers := strings.Split(string(printed), separator)

	compared, next := 0, 0
	for _, block := range blocks {
		if block[1] == "sh" {
			next++
			continue
		}
		require.Equal(t, normalized(block[2]), normalized(answers[next-1]))
		compared++
	}
	require.Positive(t, compared)
	for _, answer := range answers[:3] {
		require.NotContains(t, answer, "urn:sluice:problem")
	}
}

var volatile = regexp.MustCompile(`("(?:token|request_id)":)"[^"]*"`)

// normalized returns the lines without empty ones. It replaces tokens and request ids, which differ in each run,
// with "…".
func normalized(lines string) []string {
	var answers []string
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			answers = append(answers, volatile.ReplaceAllString(line, `$1"…"`))
		}
	}
	return answers
}
