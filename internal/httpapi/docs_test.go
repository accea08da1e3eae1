package httpapi_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// loadedAddress matches the addresses that a page or a style sheet makes a browser load.
var loadedAddress = regexp.MustCompile(`(?:src|href)="([^"]*)"|url\(["']?([^"')]*)|@import`)

// TestDocs follows every address that the documentation page loads. Each must be on this server and need no key.
func TestDocs(t *testing.T) {
	w := serve(t)
	page, err := url.Parse(w.url + "/docs")
	require.NoError(t, err)
	visit := func(at *url.URL) (header http.Header, body string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.String(), nil)
		require.NoError(t, err)
		response, err := w.client.Do(request)
		require.NoError(t, err)
		defer func() { require.NoError(t, response.Body.Close()) }()
		content, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode, at)
		require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
		return response.Header, string(content)
	}

	header, body := visit(page)
	require.Contains(t, header.Get("Content-Type"), "text/html")
	policy := header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotRegexp(t, `https?:|\*|'unsafe-eval'|script-src[^;]*unsafe`, policy)
	require.NotRegexp(t, `<script>|<style| on[a-z]+=`, body, "the policy forbids inline scripts, so the page must have none")

	kinds := map[string]string{".css": "text/css", ".js": "text/javascript", ".yaml": "application/yaml"}
	seen := 0
	for _, match := range loadedAddress.FindAllStringSubmatch(body, -1) {
		at, err := page.Parse(match[1])
		require.NoError(t, err)
		if at.Scheme == "data" {
			continue
		}
		require.Equal(t, page.Host, at.Host)
		header, content := visit(at)
		seen++
		require.Contains(t, header.Get("Content-Type"), kinds[at.Path[strings.LastIndex(at.Path, "."):]], at)
		if strings.HasSuffix(at.Path, ".css") {
			for _, loaded := range loadedAddress.FindAllStringSubmatch(content, -1) {
				require.True(t, strings.HasPrefix(loaded[2], "data:"), loaded[0])
			}
		}
		if strings.HasSuffix(at.Path, "/start.js") {
			require.Contains(t, content, `url: "openapi.yaml"`)
			require.Contains(t, content, "validatorUrl: null", "otherwise Swagger UI calls an external validator")
		}
	}
	require.Equal(t, 4, seen)
}

// TestDocsCompressed asserts that the server sends Swagger UI in an encoding that the client accepts.
func TestDocsCompressed(t *testing.T) {
	w := serve(t)
	for _, path := range []string{"/docs/swagger-ui.js", "/docs/swagger-ui.css"} {
		plain := w.do(t, request{method: http.MethodGet, path: path})
		require.Empty(t, plain.header.Get("Content-Encoding"))
		gzipped := w.do(
			t,
			request{method: http.MethodGet, path: path, header: http.Header{"Accept-Encoding": {"br, gzip"}}},
		)
		require.Equal(t, "gzip", gzipped.header.Get("Content-Encoding"))
		reader, err := gzip.NewReader(strings.NewReader(gzipped.body))
		require.NoError(t, err)
		unpacked, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Equal(t, plain.body, string(unpacked))
	}
	for _, tt := range []struct {
		accepted string
		gzipped  bool
	}{
		{"gzip", true},
		{"GZIP;q=1", true},
		{"x-gzip", true},
		{"br, gzip;q=0.001", true},
		{"*", true},
		{"deflate;q=1, *;q=0.5", true},
		{"identity;q=0.5, gzip", true},
		{"br , gzip ; q=0.8", true},
		{"", false},
		{"gzip;q=0", false},
		{"gzip;q=0.000", false},
		{"gzip; Q=0", false},
		{"*;q=0", false},
		{"gzip;q=0, *", false},
		{"gzipped", false},
		{"br", false},
		{"identity", false},
		{"identity, gzip;q=0.5", false},
		{"gzip;q=high", false},
		{"gzip;q=-1", false},
		{"gzip;q=NaN", false},
	} {
		answer := w.do(t, request{
			method: http.MethodGet, path: "/docs/swagger-ui.css", header: http.Header{"Accept-Encoding": {tt.accepted}},
		})
		require.Equal(t, tt.gzipped, answer.header.Get("Content-Encoding") == "gzip", tt.accepted)
		require.Equal(t, "Accept-Encoding", answer.header.Get("Vary"))
	}
	for _, path := range []string{"/docs/", "/docs/index.html", "/docs/../v1/role-sets", "/docs/swagger-ui.js/"} {
		require.Equal(t, http.StatusUnauthorized, w.do(t, request{method: http.MethodGet, path: path}).status, path)
	}
}

// TestUnchangedStaticFilesAreNotSentAgain asserts that the server answers 304 without a body if the client has the
// current version of a static file, in the encoding that it requests.
func TestUnchangedStaticFilesAreNotSentAgain(t *testing.T) {
	w := serve(t)
	tags := make(map[string]string)
	for _, path := range staticPaths {
		for _, encoding := range []string{"identity", "gzip"} {
			ask := func(method, tag string) response {
				header := http.Header{"Accept-Encoding": {encoding}}
				if tag != "" {
					header.Set("If-None-Match", tag)
				}
				return w.do(t, request{method: method, path: path, header: header})
			}
			first := ask(http.MethodGet, "")
			require.Equal(t, http.StatusOK, first.status)
			require.Equal(t, "no-cache", first.header.Get("Cache-Control"))
			tag := first.header.Get("ETag")
			require.Regexp(t, `^"[A-Za-z0-9_-]{16}"$`, tag)
			if same, known := tags[tag]; known {
				require.Equal(t, same, first.body, "%s: two contents have one tag", path)
			}
			tags[tag] = first.body
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				for _, sent := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
					again := ask(method, sent)
					require.Equal(t, http.StatusNotModified, again.status, "%s %s", path, sent)
					require.Empty(t, again.body)
					require.Equal(t, tag, again.header.Get("ETag"))
					require.Empty(t, again.header.Get("Content-Length"))
					require.Empty(t, again.header.Get("Content-Encoding"))
				}
			}
			require.Equal(t, http.StatusOK, ask(http.MethodGet, `"other"`).status)
		}
	}
}

var staticPaths = []string{"/docs", "/docs/start.js", "/docs/swagger-ui.js", "/docs/swagger-ui.css", "/openapi.yaml"}

// TestStaticFilesArePreparedOnce asserts that a request for a static file allocates little more than an empty request.
func TestStaticFilesArePreparedOnce(t *testing.T) {
	w := open(t)
	for _, path := range staticPaths {
		ask := func() {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			response := &discarded{header: make(http.Header)}
			w.handler.ServeHTTP(response, request)
			require.Equal(t, http.StatusOK, response.status, path)
		}
		ask()
		require.Less(t, allocated(func() {
			for range 10 {
				ask()
			}
		}), uint64(10*64<<10), path)
	}
}

// discarded is a ResponseWriter that drops the answer.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header            { return d.header }
func (d *discarded) WriteHeader(status int)         { d.status = status }
func (d *discarded) Write(data []byte) (int, error) { return len(data), nil }

// allocated returns the number of bytes that are allocated while do runs.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
