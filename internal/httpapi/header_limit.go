package httpapi

import (
	"fmt"
	"net/http"

	"github.com/sluice-authz/sluice/internal/authz"
)

// MaxHeaderBytes is how large the headers of a request may be together, in bytes.
const MaxHeaderBytes = 64 << 10

// ReadHeaderBytes is how many bytes of headers net/http reads. It is more than a request may have, so that over HTTP/2,
// too, it is a handler that refuses a request, with a problem document.
const ReadHeaderBytes = 4 * MaxHeaderBytes

// limitHeaders refuses requests whose headers are larger than MaxHeaderBytes, before anything else happens.
func limitHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if headerBytes(r) <= MaxHeaderBytes {
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
		_, _ = w.Write(body) // to a client that is gone, if it fails
	})
}

func headersTooLarge() string {
	return fmt.Sprintf("the headers of the request are larger than %d bytes", MaxHeaderBytes)
}

// headerBytes is how many bytes the first line and the headers of a request have in HTTP/1.1.
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
