// Command gen writes the Go file that lists the permissions that custom roles can grant. It runs in the folder schema/,
// after the command grants.
package main

import (
	"fmt"
	"os"

	"github.com/sluice-authz/sluice/schema/rolegrants"
)

func main() {
	text, err := rolegrants.Generate()
	if err == nil {
		err = os.WriteFile(rolegrants.File, []byte(text), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
