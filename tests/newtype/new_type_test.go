// Package newtype tests how many changes are needed to add a type of resource.
package newtype

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/testsize"
)

// edits lists the changes by hand that add the type dashboard to analytics accounts. Each change inserts a text into
// a file: before the last occurrence of mark, or at the end if mark is empty.
var edits = []struct{ file, mark, text string }{
	{"schema/content.zed", "", `
/** A dashboard over an account's data. */
definition dashboard {
    relation account: account

    /** May see the dashboard. */
    permission view = account->as_viewer

    /** May delete the dashboard. */
    permission delete = account->as_editor
}
`},
	{"schema/account.zed", "}\n", `
    /** May create dashboards in the account. */
    permission create_dashboard = as_editor
`},
	{"schema/testdata/role-tables/analytics.csv", "", `account,create_dashboard,,y,n,n
dashboard,view,,y,y,n
dashboard,delete,,y,n,n
`},
	{"internal/authz/simple_type.go", "}\n\n// SimpleTypesIn", `	{
		Name: "dashboard", Place: "account", RoleSets: []RoleSetName{Analytics},
		Create: "create_dashboard", Remove: "delete", Example: "sales",
	},
`},
}

// TestNewTypeNeedsOneEntry adds the type dashboard to a copy of the repository. In the copy, it generates the code,
// builds the server, and runs the tests of the schema and of operations. Then it uses dashboards through the API.
func TestNewTypeNeedsOneEntry(t *testing.T) {
	if !testsize.IsLong() {
		t.Skip("it compiles the server again; make test-long runs it")
	}
	t.Parallel()
	directory := copyRepository(t)
	in := func(name string, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), name, args...)
		command.Dir = directory
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
		return string(out)
	}
	in("git", "init", "--quiet")
	in("git", "add", "--all")
	for _, edit := range edits {
		insert(t, filepath.Join(directory, edit.file), edit.mark, edit.text)
	}
	t.Logf("by hand:\n%s", in("git", "diff"))
	in("git", "add", "--all")
	in("go", "generate", "./api", "./schema")
	t.Logf("generated:\n%s", in("git", "diff", "--stat"))
	binary := filepath.Join(directory, "sluice")
	in("go", "build", "-o", binary, "./cmd/sluice")
	in("go", "vet", "./client", "./internal/operation", "./internal/httpapi")
	// TestLoad is left out, since it loads a schema that also defines the type dashboard.
	in("go", "test", "-skip", "^TestLoad$", "./schema", "./internal/operation")

	s := start(t, binary)
	s.must("backend", "POST", "subscriptions", `{"id": "s", "role_set": "multi_owner", "owner": "olga", "features": ["dashboards", "user_permissions"]}`, 201)
	s.must("olga", "POST", "accounts", `{"id": "n", "subscription": "s", "role_set": "analytics"}`, 201)
	s.must("olga", "PUT", "accounts/n/members/edda", `{"roles": ["editor"]}`, 200)
	s.must("olga", "PUT", "accounts/n/members/vera", `{"roles": ["viewer"]}`, 200)
	s.must("olga", "PUT", "accounts/n/members/rita", `{"roles": ["report_user"]}`, 200)

	s.must("vera", "POST", "dashboards", `{"id": "sales", "account": "n"}`, 403)
	made := s.must("edda", "POST", "dashboards", `{"id": "sales", "account": "n"}`, 201)
	require.Equal(t, "n", made["account"])
	s.must("edda", "POST", "dashboards", `{"id": "sales", "account": "n"}`, 409)

	for _, who := range []string{"olga", "edda", "vera"} {
		require.Equal(t, "sales", s.must(who, "GET", "dashboards/sales", "", 200)["id"])
	}
	s.must("rita", "GET", "dashboards/sales", "", 404)
	s.must("otto", "GET", "dashboards/sales", "", 404)

	listed := func(who string) string {
		list, err := json.Marshal(s.must("", "GET", "accounts/n/dashboards?actor="+who+"", "", 200))
		require.NoError(t, err)
		return string(list)
	}
	require.Contains(t, listed("edda"), `"id":"sales"`)
	require.Contains(t, listed("vera"), `"id":"sales"`)
	// rita's role report_user does not grant view on the account.
	s.must("", "GET", "accounts/n/dashboards?actor=rita", "", 404)

	for question, allowed := range map[string]bool{
		"edda view": true, "edda delete": true, "vera view": true, "vera delete": false, "rita view": false, "otto view": false,
	} {
		who, permission, _ := strings.Cut(question, " ")
		answer := s.must("", "POST", "check", `{"subject": "user:`+who+`", "permission": "`+permission+
			`", "resource": "dashboard:sales", "consistency": "fully_consistent"}`, 200)
		require.Equal(t, allowed, answer["allowed"], question)
	}
	shown, err := exec.CommandContext(
		t.Context(), binary, "get", "dashboard:sales", "--actor", "vera", "--url", s.url, "--key", s.key,
	).CombinedOutput()
	require.NoError(t, err, string(shown))
	require.Contains(t, string(shown), "sales")

	s.must("vera", "DELETE", "dashboards/sales", "", 403)
	s.must("edda", "DELETE", "dashboards/sales", "", 200)
	s.must("edda", "GET", "dashboards/sales", "", 404)

	// The deletion of an account deletes its dashboards.
	s.must("edda", "POST", "dashboards", `{"id": "costs", "account": "n"}`, 201)
	s.must("olga", "DELETE", "accounts/n", "", 200)
	s.must("edda", "GET", "dashboards/costs", "", 404)
}

// copyRepository copies the files of the working tree to a temporary folder, whether they are committed or not.
func copyRepository(t *testing.T) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	names, err := list.Output()
	require.NoError(t, err)
	directory := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // the file is deleted, but the deletion is not committed
		}
		require.NoError(t, err)
		target := filepath.Join(directory, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o750))
		require.NoError(t, os.WriteFile(target, content, 0o600))
	}
	return directory
}

// insert writes a text into a file: before the last occurrence of mark, or at the end if mark is empty.
func insert(t *testing.T, path, mark, text string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	at := strings.LastIndex(string(content), mark)
	require.NotEqual(t, -1, at, "%s has no %q", path, mark)
	require.NoError(t, os.WriteFile(path, []byte(string(content[:at])+text+string(content[at:])), 0o600))
}

// server is a running server that stores its data in memory.
type server struct {
	t        *testing.T
	url, key string
}

var (
	urlLine = regexp.MustCompile(`Sluice listens on (\S+)`)
	keyLine = regexp.MustCompile(`API key, made for this run:\s+(\S+)`)
)

func start(t *testing.T, binary string) server {
	t.Helper()
	process := exec.CommandContext(
		t.Context(), binary, "serve", "--datastore", "memory", "--listen", "127.0.0.1:0", "--grpc-listen", "off",
		"--shutdown-delay", "0s",
	)
	process.Dir = t.TempDir()
	var log bytes.Buffer
	process.Stderr = &log
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	t.Cleanup(func() { _ = process.Wait() }) // t.Context has ended, which kills the process
	var greeting strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ready") {
		greeting.WriteString(lines.Text() + "\n")
	}
	url, key := urlLine.FindStringSubmatch(greeting.String()), keyLine.FindStringSubmatch(greeting.String())
	if url == nil || key == nil {
		_ = process.Wait()
		t.Fatalf("the server does not start:\n%s\n%s", greeting.String(), log.String())
	}
	return server{t, url[1], key[1]}
}

// must sends a request, and checks the status of the answer. If actor is empty, the request has no actor.
func (s server) must(actor, method, path, body string, status int) map[string]any {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/v1/"+path, strings.NewReader(body))
	require.NoError(s.t, err)
	request.Header.Set("Authorization", "Bearer "+s.key)
	if actor != "" && actor != "backend" {
		request.Header.Set("Sluice-Actor", actor)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	require.NoError(s.t, json.NewDecoder(response.Body).Decode(&answer))
	require.Equal(s.t, status, response.StatusCode, "%s %s by %s: %v", method, path, actor, answer)
	return answer
}
