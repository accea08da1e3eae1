// Package schema contains the product's schema: the definitions that are built into Sluice. There is one .zed file
// for each area; root.zed imports them all. The package flattens these files into the text that SpiceDB stores. It
// also loads schemas of users, which may import the product's files, and lists the declarations of a schema.
package schema

import (
	"context"
	"embed"
	"io/fs"
	"sync"
)

//go:generate go run ./grants
//go:generate go run ./roletables/gen
//go:generate go run ./rolegrants/gen

// source has the product's .zed files. root.zed imports the others.
//
//go:embed *.zed
var source embed.FS

const rootFile = "root.zed"

// Flatten returns the product's schema as one text without imports. SpiceDB's WriteSchema accepts this text. It
// includes the comments that document the definitions. An error means that the .zed files of this package are
// invalid.
func Flatten() (string, error) { return flattened() }

var flattened = sync.OnceValues(func() (string, error) {
	text, err := fs.ReadFile(source, rootFile)
	if err != nil {
		return "", err
	}
	file, err := flatten(context.Background(), string(text), rootFile, source)
	return file.Text, err
})
