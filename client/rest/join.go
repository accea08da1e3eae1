// Package rest is the client that is generated from the contract. Package client is the pleasant way to it.
package rest

import (
	"net/url"
	"strings"
)

// Join returns the address of an escaped path under that of a server, which ends in a slash. Segments "." and ".." are
// ids like any other: they are escaped, and not resolved.
func Join(server *url.URL, path string) (*url.URL, error) {
	segments := strings.Split(strings.TrimPrefix(path, "./"), "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." {
			segments[i] = strings.ReplaceAll(segment, ".", "%2E")
		}
	}
	return server.Parse("./" + strings.Join(segments, "/"))
}
