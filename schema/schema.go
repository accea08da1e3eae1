// Package schema holds the product's schema, one .zed file for an area, composed by root.zed. It flattens the files
// into the one text that SpiceDB stores, loads schemas of a user's own that may import it, and lists what a schema
// declares.
package schema

import (
	"context"
	"embed"
	"io/fs"
	"sync"
)

//go:generate go run ./roletables/gen

//go:embed *.zed
var source embed.FS

const rootFile = "root.zed"

// Source returns the product's .zed files. root.zed composes the others.
func Source() fs.FS { return source }

// Flatten returns the product's schema as one text without imports, as SpiceDB's WriteSchema takes it, with the
// comments that document definitions, relations and permissions. An error means that the .zed files of this very
// package are wrong.
func Flatten() (string, error) { return flattened() }

var flattened = sync.OnceValues(func() (string, error) {
	text, err := fs.ReadFile(source, rootFile)
	if err != nil {
		return "", err
	}
	file, err := flatten(context.Background(), string(text), rootFile, source)
	return file.Text, err
})
