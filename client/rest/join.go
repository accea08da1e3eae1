// Package rest is a client generated from the contract, api/openapi.yaml. Package client is a more convenient layer
// on top of it.
package rest

import (
	"net/url"
	"strings"
)

// Join appends a percent-encoded path to a server's URL, which ends in a slash. A segment "." or ".." of the path is
// an id, so Join encodes it instead of resolving it.
func Join(server *url.URL, path string) (*url.URL, error) {
	segments := strings.Split(strings.TrimPrefix(path, "./"), "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." {
			segments[i] = strings.ReplaceAll(segment, ".", "%2E")
		}
	}
	return server.Parse("./" + strings.Join(segments, "/"))
}
