package httpapi

import (
	"fmt"
	"net/http"

	"github.com/sluice-authz/sluice/internal/authz"
)

// maxHeaderBytes is the largest total size of the headers of a request in bytes.
const maxHeaderBytes = 64 << 10

// ReadHeaderBytes is how many header bytes net/http reads. It is higher than maxHeaderBytes, so that a handler can
// reject larger headers with a problem document, also over HTTP/2.
const ReadHeaderBytes = 4 * maxHeaderBytes

// limitHeaders rejects requests with headers above maxHeaderBytes before any other handler runs.
func limitHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if headerBytes(r) <= maxHeaderBytes {
			next.ServeHTTP(w, r)
			return
		}
		body, id := outerProblem(http.StatusRequestHeaderFieldsTooLarge, authz.CodeTooLarge, headersTooLarge())
		header := w.Header()
		header.Set(requestIDHeader, id)
		header.Set("Content-Type", "application/problem+json")
		header.Set("Connection", "close")
		header["X-Content-Type-Options"], header["Cache-Control"] = noSniffing, noStore
		w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		_, _ = w.Write(body) // Write fails only if the client disconnected
	})
}

func headersTooLarge() string {
	return fmt.Sprintf("the headers of the request are larger than %d bytes", maxHeaderBytes)
}

// headerBytes returns the size of the first line and the headers of a request in HTTP/1.1.
func headerBytes(r *http.Request) int {
	const separators = len(": \r\n")
	size := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + separators
		}
	}
	return size
}
