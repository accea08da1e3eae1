package httpapi

import (
	"context"
	"net/http"
	"strings"
)

type headKey struct{}

// headAsGet handles HEAD like GET. net/http drops the body of the answer.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, true))
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// sentMethod returns the method that the client sent.
func sentMethod(r *http.Request) string {
	if r.Context().Value(headKey{}) != nil {
		return http.MethodHead
	}
	return r.Method
}

// allowHead adds HEAD to the methods of a path if GET is among them.
func allowHead(methods string) string {
	for method := range strings.SplitSeq(methods, ", ") {
		if method == http.MethodGet {
			return methods + ", " + http.MethodHead
		}
	}
	return methods
}
