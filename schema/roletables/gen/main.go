// Command gen writes the files generated from the schema and the role tables: the flattened schema, its version, the
// validation files, and the tables in the documentation. It runs in the folder schema/.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluice-authz/sluice/schema"
	"github.com/sluice-authz/sluice/schema/roletables"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	text, err := schema.Flatten()
	if err != nil {
		return err
	}
	if err := os.WriteFile("versions.txt", []byte(schema.NextVersions(text)), 0o600); err != nil {
		return err
	}
	definitions, err := schema.Describe(text)
	if err != nil {
		return err
	}
	files, err := roletables.Validations(os.DirFS("testdata"), roletables.Person, definitions)
	if err != nil {
		return err
	}
	files[roletables.SchemaFile] = text
	for name, content := range files {
		if err := os.WriteFile(filepath.Join("tests", name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	tables, err := roletables.ReadFolder(os.DirFS("testdata"))
	if err != nil {
		return err
	}
	old, err := os.ReadFile(roletables.Document)
	if err != nil {
		return err
	}
	updated, err := roletables.InsertMarkdown(string(old), tables)
	if err != nil {
		return err
	}
	return os.WriteFile(roletables.Document, []byte(updated), 0o600)
}
