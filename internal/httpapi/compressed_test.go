package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buffer.String()
}

func TestCompressedBodiesAreDecodedWithinTheLimit(t *testing.T) {
	w := serve(t)
	check := `{"subject":"user:alice","permission":"view","resource":"importer:i1"}`
	large := check + strings.Repeat(" ", 1<<20)
	for name, tt := range map[string]struct {
		encoding []string
		body     string
		status   int
		words    string
	}{
		"gzip":                 {[]string{"gzip"}, gzipped(t, check), 200, ""},
		"gzip in other case":   {[]string{"GZip"}, gzipped(t, check), 200, ""},
		"x-gzip":               {[]string{"x-gzip"}, gzipped(t, check), 200, ""},
		"identity":             {[]string{"identity"}, check, 200, ""},
		"two members":          {[]string{"gzip"}, gzipped(t, check[:20]) + gzipped(t, check[20:]), 200, ""},
		"a decompression bomb": {[]string{"gzip"}, gzipped(t, strings.Repeat(" ", 1<<24)), 413, "1048576"},
		"one byte too many":    {[]string{"gzip"}, gzipped(t, large[:1<<20+1]), 413, "1048576"},
		"the largest body":     {[]string{"gzip"}, gzipped(t, large[:1<<20]), 200, ""},
		"many empty members":   {[]string{"gzip"}, strings.Repeat(gzipped(t, ""), 1<<16), 413, "1048576"},
		"not gzip":             {[]string{"gzip"}, check, 400, "not valid gzip"},
		"truncated":            {[]string{"gzip"}, gzipped(t, check)[:30], 400, "not valid gzip"},
		"a wrong checksum": {
			[]string{"gzip"},
			strings.Replace(gzipped(t, check), gzipped(t, check)[len(gzipped(t, check))-8:], "12345678", 1), 400,
			"not valid gzip",
		},
		"br":              {[]string{"br"}, check, 415, "gzip"},
		"deflate":         {[]string{"deflate"}, check, 415, "gzip"},
		"gzip twice":      {[]string{"gzip, gzip"}, gzipped(t, gzipped(t, check)), 415, "gzip"},
		"two headers":     {[]string{"gzip", "br"}, gzipped(t, check), 415, "gzip"},
		"a long encoding": {[]string{strings.Repeat("x", 2000)}, check, 415, "gzip"},
	} {
		got := w.do(t, request{
			method: "POST", path: "/v1/check", key: checkKey, body: tt.body,
			header: http.Header{"Content-Encoding": tt.encoding},
		})
		if tt.status == 200 {
			require.Equal(t, 200, got.status, "%s: %s", name, got.body)
			continue
		}
		got.wantProblem(
			t, tt.status, map[int]string{400: "invalid", 413: "too_large", 415: "unsupported"}[tt.status], tt.words,
		)
		if tt.status == 415 && (got.header.Get("Accept-Encoding") != "gzip" || len(got.body) > 600) {
			t.Errorf("%s: %v %s", name, got.header, got.body)
		}
	}
	// Calls without a body accept a compressed empty object, and a compressed body without content.
	for body, status := range map[string]int{
		"": 200, gzipped(t, ""): 200, gzipped(t, "{}"): 200, gzipped(t, `{"a":1}`): 400, "{}": 400,
	} {
		got := w.do(t, request{
			method: "DELETE", path: "/v1/importers/i1", key: operateKey, actor: "bob", body: body,
			header: http.Header{"Content-Encoding": {"gzip"}},
		})
		require.Equal(t, status, got.status, "%q: %s", body, got.body)
	}
	w.do(t, request{
		method: "DELETE", path: "/v1/importers/i1", key: operateKey, actor: "bob",
		header: http.Header{"Content-Encoding": {"br"}},
	}).wantProblem(t, 415, "unsupported")
	w.do(
		t, request{method: "POST", path: "/v1/check", body: check, header: http.Header{"Content-Encoding": {"br"}}},
	).wantProblem(t, 401, "unauthenticated")
}
