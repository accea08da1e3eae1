// Command grants generates the .zed file with the permissions that custom roles can grant: see
// schema.CustomPermissions. It runs in the folder schema/, before the command roletables/gen, which embeds the
// generated file.
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
