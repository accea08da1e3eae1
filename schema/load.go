package schema

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
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

	// Warnings are lines about parts that are valid and probably a mistake, such as an arrow to a permission that does not
	// exist.
	Warnings []string
}

// Load reads a schema from a .zed file, or from a validation YAML (.yaml, .yml) with its relationships. Imports are
// relative to the folder of the file that holds the schema; those that begin with ImportPrefix are the product's, as
// is a schemaFile that does. The error is one line that names the file.
func Load(ctx context.Context, name string) (File, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return File{}, err
	}
	folder := func(relative string) fs.FS {
		return withProduct{os.DirFS(filepath.Join(filepath.Dir(name), filepath.FromSlash(relative)))}
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return parseYAML(ctx, content, name, folder)
	}
	return flatten(ctx, string(content), name, folder("."))
}

// parseYAML reads a validation YAML. folder opens a folder named relative to that of the YAML.
func parseYAML(ctx context.Context, content []byte, name string, folder func(string) fs.FS) (File, error) {
	parsed, err := validationfile.DecodeValidationFile([]byte(CanonicalExpirations(string(content))))
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", name, oneLine(err))
	}
	file, err := schemaOf(ctx, parsed, name, folder)
	if err != nil {
		return File{}, err
	}
	for line := range strings.SplitSeq(parsed.Relationships.RelationshipsString, "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "//") {
			continue
		}
		if err := CheckContext(line); err != nil {
			return File{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, relationship := range parsed.Relationships.Relationships {
		file.Relationships = append(file.Relationships, tuple.ToV1Relationship(relationship))
	}
	return file, nil
}

// schemaOf flattens the schema that a validation YAML holds or refers to.
func schemaOf(
	ctx context.Context, parsed *validationfile.ValidationFile, name string, folder func(string) fs.FS,
) (File, error) {
	inline, reference := parsed.Schema.Schema, parsed.SchemaFile
	switch {
	case len(parsed.NamespaceConfigs)+len(parsed.ValidationTuples) > 0: //nolint:staticcheck // read to be refused
		return File{}, fmt.Errorf(
			"%s: namespace_configs and validation_tuples are obsolete: write schema and relationships", name,
		)
	case inline != "" && reference != "":
		return File{}, fmt.Errorf("%s: it has both schema and schemaFile: write one of them", name)
	case inline != "":
		return flatten(ctx, inline, name+" (schema)", folder("."))
	case reference == "":
		return File{}, fmt.Errorf("%s: it has neither schema nor schemaFile", name)
	}
	files := folder(path.Dir(reference))
	if strings.HasPrefix(reference, ImportPrefix) {
		files = source
	}
	text, err := fs.ReadFile(files, path.Base(reference))
	if err != nil {
		return File{}, fmt.Errorf("%s: schemaFile %q: %w", name, reference, oneLine(err))
	}
	return flatten(ctx, string(text), reference, files)
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

// Parse reads a schema without imports, as SpiceDB stores it, with the same checks as Load. The error is one line that
// begins with name.
func Parse(ctx context.Context, text, name string) (File, error) {
	return flatten(ctx, text, name, withProduct{empty{}})
}

// empty is a folder without files.
type empty struct{}

// Open implements fs.FS.
func (empty) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
