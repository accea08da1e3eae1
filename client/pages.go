package client

import (
	"iter"
	"net/http"

	"github.com/sluice-authz/sluice/client/rest"
)

// pageSize is the number of entries per page: the API's maximum.
var pageSize = 1000

// pages yields the entries of all pages of a list. If a page cannot be read, the sequence ends with its error.
func pages[T any](fetch func(cursor string) (entries []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			entries, next, err := fetch(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, entry := range entries {
				if !yield(entry, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			cursor = next
		}
	}
}

// done returns the error of a call, if there is one. The answer of the call has no content.
func done(response *http.Response, err error) error {
	_, err = answer[rest.Done](response, err)
	return err
}

// list returns a copy of the names that is never nil, so that it is an array in JSON and not null.
func list(names []string) []string { return append([]string{}, names...) }

func rolesByID(roles RolesByID) rest.RolesByID {
	out := make(rest.RolesByID, len(roles))
	for id, names := range roles {
		out[id] = list(names)
	}
	return out
}
