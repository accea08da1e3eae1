package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/authzed/authzed-go/proto/authzed/api/v1"
	"github.com/authzed/spicedb/pkg/tuple"
	"github.com/authzed/spicedb/pkg/validationfile"

	"github.com/sluice-authz/sluice/internal/authz"
)

// importPrefix begins the path of a product's file in an import of a user's schema. The product's files are those of
// this package: import "sluice/root.zed" adds all built-in definitions.
const importPrefix = "sluice/"

// File is the content of a user's schema file.
type File struct {
	// Text is the schema without imports, in the form of SpiceDB's WriteSchema.
	Text string

	// Relationships are the relationships of a validation YAML, with caveats and expirations. Their ids have SpiceDB's
	// encoding.
	Relationships []*v1.Relationship

	// Warnings describe expressions that are valid but probably a mistake, for example an arrow to a permission that
	// does not exist.
	Warnings []string
}

// Load reads a schema from a .zed file, or from a validation YAML (.yaml, .yml) with its relationships. The path of
// an import or schemaFile is relative to the folder of the file that has it. If it begins with importPrefix, it names
// a file of the product. The error is one line that names the file.
func Load(ctx context.Context, name string) (File, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return File{}, err
	}
	folder := func(relative string) fs.FS {
		return withProduct{os.DirFS(filepath.Join(filepath.Dir(name), filepath.FromSlash(relative)))}
	}
	var file File
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		file, err = parseYAML(ctx, content, name, folder)
	default:
		file, err = flatten(ctx, string(content), name, folder("."))
	}
	return file, nameProduct(err)
}

// nameProduct replaces the error about a name that is defined twice, if the name is a type of the product. The new
// error says this, because the user's file may be older than the product's type. nameProduct returns any other error
// unchanged.
func nameProduct(err error) error {
	var reused reusedNameError
	if !errors.As(err, &reused) {
		return err
	}
	product, productErr := ProductTypes()
	if productErr != nil || !slices.Contains(product, authz.Type(reused.name)) {
		return err
	}
	return fmt.Errorf("%s: %s is a type of the product; choose another name for this definition", reused.at, reused.name)
}

// parseYAML reads a validation YAML. The function folder opens a folder; its argument is relative to the folder of
// the YAML.
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

// schemaOf returns the flattened schema of a validation YAML, which is in the YAML itself or in its schemaFile.
func schemaOf(
	ctx context.Context, parsed *validationfile.ValidationFile, name string, folder func(string) fs.FS,
) (File, error) {
	inline, reference := parsed.Schema.Schema, parsed.SchemaFile
	switch {
	case len(parsed.NamespaceConfigs)+len(parsed.ValidationTuples) > 0: //nolint:staticcheck // obsolete, see below
		return File{}, fmt.Errorf(
			"%s: namespace_configs and validation_tuples are obsolete; use schema and relationships", name,
		)
	case inline != "" && reference != "":
		return File{}, fmt.Errorf("%s: it has both schema and schemaFile; use one of them", name)
	case inline != "":
		return flatten(ctx, inline, name+" (schema)", folder("."))
	case reference == "":
		return File{}, fmt.Errorf("%s: it has neither schema nor schemaFile", name)
	}
	files := folder(path.Dir(reference))
	if strings.HasPrefix(reference, importPrefix) {
		files = source
	}
	text, err := fs.ReadFile(files, path.Base(reference))
	if err != nil {
		return File{}, fmt.Errorf("%s: schemaFile %q: %w", name, reference, oneLine(err))
	}
	return flatten(ctx, string(text), reference, files)
}

// withProduct is a user's folder that also has the product's files, under importPrefix.
type withProduct struct{ user fs.FS }

// Open implements fs.FS.
func (w withProduct) Open(name string) (fs.File, error) {
	if product, ok := strings.CutPrefix(name, importPrefix); ok {
		return source.Open(product)
	}
	return w.user.Open(name)
}

// Parse reads a schema in the form that SpiceDB stores: without imports of the user's own files. It makes the same
// checks as Load. The error is one line that begins with the value of "name".
func Parse(ctx context.Context, text, name string) (File, error) {
	return flatten(ctx, text, name, withProduct{empty{}})
}

// empty is a folder without files.
type empty struct{}

// Open implements fs.FS.
func (empty) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
