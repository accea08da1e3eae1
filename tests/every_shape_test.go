package tests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/testsize"
)

// mostProcessorTime is the limit of processor time for one answer. Under the race detector, the limit is ten times
// as long.
const mostProcessorTime = 30 * time.Second

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var process syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &process))
	return time.Duration(process.Utime.Nano() + process.Stime.Nano())
}

// startWithShapes starts a server that stores the graphs of docShapes. Each graph is in an account with its name.
func startWithShapes(t *testing.T) *app.Server {
	t.Helper()
	config := configuration()
	config.RequestTimeout = time.Minute // the machine may be busy; the test measures processor time
	config.Schema = filepath.Join(t.TempDir(), "shapes.zed")
	require.NoError(t, os.WriteFile(config.Schema, []byte(shapesSchema), 0o600))
	server := start(t, config)
	conn, err := dialSpiceDB(server.GRPCAddress, server.GRPCKey)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	s := newScene(t, &backend{url: server.URL, spicedb: conn})
	s.must(http.MethodPost, "subscriptions", map[string]any{"id": "initech", "role_set": "multi_owner", "owner": "olga"})
	for _, shape := range docShapes {
		account := map[string]any{"id": shape.name, "subscription": "initech", "role_set": "team"}
		s.as("olga").must(http.MethodPost, "accounts", account)
		for chunk := range slices.Chunk(shape.rows(), 1000) {
			write(t, conn, chunk...)
		}
	}
	return server
}

// TestEveryEndpointAnswersEveryShape calls every endpoint that checks permissions, about all graphs of docShapes.
// Each decision must be right, or too_large for a large graph. The processor time of each answer must be below a
// limit. In `make test`, only some of the calls about large graphs are made.
func TestEveryEndpointAnswersEveryShape(t *testing.T) { // not parallel: processor time of other tests would count
	server := startWithShapes(t)
	answered, tooLarge := 0, 0
	ofLarge := len(shapePermissions) * testsize.Of(2, 1) // about a large graph, one of this number of calls is made
	for _, shape := range docShapes {
		t.Run(shape.name, func(t *testing.T) {
			q := shapeQuestions{
				url: server.URL, shape: shape,
				right: holdersOf(shape.rows(), "user:olga"), after: holdersOf(shape.rows(), "user:olga", "user:newbie"),
			}
			calls := endlessCalls
			if shape.name == "ladders" { // for many checks in one request, this graph takes seconds
				calls = manyCalls()
			}
			for i, c := range calls {
				for j, may := range shapePermissions {
					isSame := j > 0 && !strings.Contains(c.body, "$MAY") // the call names no permission
					isLeftOut := shape.isLarge && (i+j)%ofLarge > 0
					if !isSame && !isLeftOut && !isLongPreview(c, shape) {
						q.ask(t, c, may)
					}
				}
			}
			answered += q.answered
			tooLarge += q.tooLarge
		})
	}
	t.Logf("%d decisions, and %d times too_large", answered, tooLarge)
	require.Greater(t, answered, 1000)
	require.Greater(t, tooLarge, 1000)
}

// isLongPreview reports whether a call is a preview that needs more than ten seconds of processor time. Only
// `make test-long` makes these calls. The previews of the other large shapes need less.
func isLongPreview(c endlessCall, shape docShape) bool {
	return !testsize.IsLong() && c.path == "/v1/preview" && (shape.name == "ladders" || shape.name == "shares")
}

// shapeQuestions calls endpoints about one graph, and counts the decisions.
type shapeQuestions struct {
	url                string
	shape              docShape
	right, after       holders // the people with each permission, before and after the previewed operation
	answered, tooLarge int
}

// ask calls an endpoint about a permission, and requires that every decision is right.
func (q *shapeQuestions) ask(t *testing.T, c endlessCall, may string) {
	t.Helper()
	name := fmt.Sprintf("%s %s (%d bytes) about %s", c.path, c.accept, len(c.body), may)
	alice := q.shape.user("alice")
	expected := c.expected(q.shape, may, q.right, q.after)
	c.body = strings.NewReplacer(
		"user:alice", alice, `"id":"alice"`, `"id":"`+strings.TrimPrefix(alice, "user:")+`"`,
		"accounts/sales/members/alice", "accounts/"+q.shape.name+"/members/newbie",
	).Replace(c.body)
	before := processorTime(t)
	status, text, err := c.ask(t.Context(), q.url, q.shape.at(0), may)
	took := processorTime(t) - before
	require.NoError(t, err, name)
	require.Contains(t, []int{http.StatusOK, http.StatusRequestEntityTooLarge}, status, "%s: %s", name, text)
	most := mostProcessorTime
	if raceDetector {
		most *= 10
	}
	require.Less(t, took, most, name)
	if took > mostProcessorTime/10 {
		t.Logf("%s: %s", name, took)
	}
	found := verdictsOf(t, text)
	for of, verdict := range found {
		switch {
		// The test does not compare effects on the account.
		case c.path == "/v1/preview" && of != "" && !strings.HasPrefix(of, "doc:"):
		case verdict == tooLarge && q.shape.isLarge:
			q.tooLarge++
		default:
			q.answered++
			require.Equal(t, expected[of] == "yes", verdict == "yes", "%s: %s of %q in %s", name, verdict, of, text)
			require.Contains(t, []string{"yes", "no"}, verdict, "%s: %s", name, text)
		}
	}
	for of := range expected {
		// SpiceDB cannot decide whether olga may see this effect.
		if c.path == "/v1/preview" && q.shape.isLarge && found[of] == "" {
			q.tooLarge++
			continue
		}
		require.True(t, found[of] != "" || found[""] == tooLarge, "%s: no verdict of %q: %s", name, of, text)
	}
}

// manyCalls returns endlessCalls. For each bulk call, it adds the same call with a thousand checks.
func manyCalls() []endlessCall {
	all := slices.Clone(endlessCalls)
	for _, c := range endlessCalls {
		for _, list := range testsize.Of([]string{`"checks":[`}, []string{`"checks":[`, `"evaluations":[`}) {
			if before, items, found := strings.Cut(c.body, list); found {
				items = strings.TrimSuffix(items, "]}")
				var many []string
				for i := range 500 {
					many = append(many, strings.Replace(items, "u7", fmt.Sprint("u", i), 1))
				}
				c.body = before + list + strings.Join(many, ",") + "]}"
				all = append(all, c)
			}
		}
	}
	return all
}
