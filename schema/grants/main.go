// Command grants writes the .zed file that is generated from the marks of grantable permissions. It runs in the folder
// schema/, before the command roletables/gen, which embeds the file.
package main

import (
	"fmt"
	"os"

	"github.com/sluice-authz/sluice/schema"
)

func main() {
	text, err := schema.CustomPermissions(os.DirFS("."))
	if err == nil {
		err = os.WriteFile(schema.GrantsFile, []byte(text), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "grants:", err)
		os.Exit(1)
	}
}
