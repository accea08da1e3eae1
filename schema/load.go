package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/authzed/spicedb/pkg/validationfile"
)

// ImportPrefix is the folder in which a user's schema finds the product's: a file that says
// import "sluice/root.zed" declares all of the product's definitions beside its own.
const ImportPrefix = "sluice/"

// File is what a schema file of a user's own holds.
type File struct {
	// Text is the schema without imports, as SpiceDB's WriteSchema takes it.
	Text string

	// Relationships are those of a validation YAML, with their caveats and expirations. Ids are in the form in which
	// SpiceDB stores them.
	Relationships []*v1.Relationship
}

// Load reads a schema from a .zed file, or from a validation YAML (.yaml, .yml) with its relationships. Imports are
// relative to the folder of the file that holds the schema; those that begin with ImportPrefix are the product's.
// The error is one line that names the file.
func Load(path string) (File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	dir := filepath.Dir(path)
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return parseYAML(content, path, dir)
	}
	text, err := flatten(string(content), path, withProduct{os.DirFS(dir)})
	return File{Text: text}, err
}

func parseYAML(content []byte, path, dir string) (File, error) {
	parsed, err := validationfile.DecodeValidationFile(content)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, oneLine(err))
	}
	text, err := yamlSchema(parsed, path, dir)
	if err != nil {
		return File{}, err
	}
	file := File{Text: text}
	for _, relationship := range parsed.Relationships.Relationships {
		file.Relationships = append(file.Relationships, tuple.ToV1Relationship(relationship))
	}
	return file, nil
}

// yamlSchema flattens the schema that a validation YAML holds or refers to.
func yamlSchema(parsed *validationfile.ValidationFile, path, dir string) (string, error) {
	inline, reference := parsed.Schema.Schema, parsed.SchemaFile
	switch {
	case len(parsed.NamespaceConfigs) > 0 || len(parsed.ValidationTuples) > 0:
		return "", fmt.Errorf("%s: namespace_configs and validation_tuples are obsolete: write schema and relationships", path)
	case inline != "" && reference != "":
		return "", fmt.Errorf("%s: it has both schema and schemaFile: write one of them", path)
	case inline != "":
		return flatten(inline, path, withProduct{os.DirFS(dir)})
	case reference == "":
		return "", fmt.Errorf("%s: it has neither schema nor schemaFile", path)
	}
	if name, ok := strings.CutPrefix(reference, ImportPrefix); ok {
		text, err := fs.ReadFile(source, name)
		if err != nil {
			return "", fmt.Errorf("%s: schemaFile %q: %w", path, reference, err)
		}
		return flatten(string(text), reference, source)
	}
	file := filepath.Join(dir, reference)
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: schemaFile %q: %w", path, reference, errors.Unwrap(err))
	}
	return flatten(string(text), file, withProduct{os.DirFS(filepath.Dir(file))})
}

// withProduct is a folder of the user's in which the product's files stand under ImportPrefix.
type withProduct struct{ user fs.FS }

// Open implements fs.FS.
func (w withProduct) Open(name string) (fs.File, error) {
	if product, ok := strings.CutPrefix(name, ImportPrefix); ok {
		return source.Open(product)
	}
	return w.user.Open(name)
}
