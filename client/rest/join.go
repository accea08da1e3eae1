// Package rest is the client generated from the contract. Package client is a more convenient layer on top of it.
package rest

import (
	"net/url"
	"strings"
)

// Join returns the URL of an escaped path below a server's URL, which ends in a slash. The segments "." and ".." are
// ids, so Join escapes them instead of resolving them.
func Join(server *url.URL, path string) (*url.URL, error) {
	segments := strings.Split(strings.TrimPrefix(path, "./"), "/")
	for i, segment := range segments {
		if segment == "." || segment == ".." {
			segments[i] = strings.ReplaceAll(segment, ".", "%2E")
		}
	}
	return server.Parse("./" + strings.Join(segments, "/"))
}
