package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/authzed/spicedb/pkg/schema"
	"github.com/authzed/spicedb/pkg/schemadsl/compiler"
	"github.com/authzed/spicedb/pkg/schemadsl/generator"
	"github.com/authzed/spicedb/pkg/schemadsl/input"

	"github.com/sluice-authz/sluice/internal/authz"
)

// flatten resolves the imports of a schema, checks its types, and returns it as one text without imports, with
// warnings. An error begins with the value of "name", the name of the schema's file.
func flatten(ctx context.Context, text, name string, files fs.FS) (File, error) {
	compiled, err := compile(text, name, compiler.SourceFS(files))
	if err != nil {
		return File{}, err
	}
	if len(compiled.OrderedDefinitions) == 0 {
		return File{}, fmt.Errorf("%s: it declares no definition", name)
	}
	warnings, err := validate(ctx, compiled, name)
	if err != nil {
		return File{}, err
	}
	flat, complete, err := generator.GenerateSchema(ctx, compiled.OrderedDefinitions)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", name, oneLine(err))
	}
	if !complete {
		return File{}, fmt.Errorf("%s: it cannot be written without imports", name)
	}
	// If the text was exported from a store, it may contain the store's Stamp.
	plain, _, _ := SplitStamp(flat + "\n")
	if strings.TrimSpace(plain) == "" {
		return File{}, fmt.Errorf("%s: it declares no definition", name)
	}
	if plain == flat+"\n" {
		lastCompiled.add(plain, compiled) // the same definitions
	}
	return File{Text: plain, Warnings: warnings}, nil
}

// Compiled returns the compiled form of a schema without imports. Callers share it and must not change it. Errors have
// code authz.CodeInvalid.
func Compiled(text string) (*compiler.CompiledSchema, error) {
	if compiled := lastCompiled.find(text); compiled != nil {
		return compiled, nil
	}
	compiled, err := compile(text, "schema")
	if err != nil {
		return nil, authz.Errorf(authz.CodeInvalid, "%s", err.Error())
	}
	lastCompiled.add(text, compiled)
	return compiled, nil
}

// lastCompiled caches the last results of Compiled. A server compiles the same few schemas again and again: the
// product's, the one that it serves, and the stored one. Compiling the product's schema takes tens of milliseconds.
var lastCompiled compiledTexts

// maxCompiledTexts is the number of schemas that compiledTexts keeps.
const maxCompiledTexts = 4

// compiledTexts is a cache of compiled schemas, by their text.
type compiledTexts struct {
	mu   sync.Mutex
	last []compiledText // the newest comes last
}

type compiledText struct {
	text     string
	compiled *compiler.CompiledSchema
}

// find returns nil for an unknown text.
func (c *compiledTexts) find(text string) *compiler.CompiledSchema {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.last {
		if one.text == text {
			return one.compiled
		}
	}
	return nil
}

func (c *compiledTexts) add(text string, compiled *compiler.CompiledSchema) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.last) == maxCompiledTexts {
		c.last = c.last[1:]
	}
	c.last = append(slices.Clone(c.last), compiledText{text, compiled})
}

// compile parses a schema. The error is one line. It begins with the name of the file that has the fault and, if they
// are known, its line and column.
func compile(text, name string, opts ...compiler.Option) (*compiler.CompiledSchema, error) {
	compiled, err := compiler.Compile(
		compiler.InputSchema{Source: input.Source(name), SchemaString: text},
		compiler.AllowUnprefixedObjectType(), opts...,
	)
	if err == nil {
		return compiled, nil
	}
	var located compiler.WithContextError
	if errors.As(err, &located) && located.SourceRange != nil {
		if line, column, lineErr := located.SourceRange.Start().LineAndColumn(); lineErr == nil {
			at := fmt.Sprintf("%s:%d:%d", located.Source, line+1, column+1)
			if name, isReused := strings.CutPrefix(located.BaseMessage, reusedName); isReused {
				return nil, reusedNameError{at: at, name: name}
			}
			return nil, fmt.Errorf("%s: %w", at, oneLine(errors.New(located.BaseMessage)))
		}
	}
	return nil, fmt.Errorf("%s: %w", name, oneLine(err))
}

// reusedName begins the compiler's message about two definitions with the same name. The name comes after it.
const reusedName = "found name reused between multiple definitions and/or caveats: "

// reusedNameError is the error for two definitions with the same name. Its field "at" has the position of the second
// one.
type reusedNameError struct{ at, name string }

func (e reusedNameError) Error() string {
	return fmt.Sprintf("%s: %s is defined twice; choose another name for one definition", e.at, e.name)
}

// caveatName is SpiceDB's pattern for the name of a caveat in a relationship that is written as text. SpiceDB v1.56.0
// also compiles a schema with other names, but its parser rejects relationships with such a caveat.
var caveatName = regexp.MustCompile(`^([a-z][a-z0-9_]{1,61}[a-z0-9]/)*[a-z][a-z0-9_]{1,62}[a-z0-9]$`)

// validate makes checks that the compiler does not make. Every name in an expression must be declared, and as the
// right kind. If one check can evaluate two caveats with a parameter of the same name, the parameters must have the
// same type. validate returns warnings about expressions that grant nothing.
func validate(ctx context.Context, compiled *compiler.CompiledSchema, name string) (warnings []string, err error) {
	types := schema.NewTypeSystem(schema.ResolverForSchema(compiled))
	for _, definition := range compiled.ObjectDefinitions {
		if _, err := types.GetValidatedDefinition(ctx, definition.GetName()); err != nil {
			return nil, fmt.Errorf("%s: definition %s: %w", name, definition.GetName(), oneLine(err))
		}
	}
	for _, caveat := range compiled.CaveatDefinitions {
		if !caveatName.MatchString(caveat.GetName()) {
			return nil, fmt.Errorf(
				"%s: the name of the caveat %s must have 3 to 64 characters: lower-case letters, digits and _; it must begin "+
					"with a letter and not end with _", name, caveat.GetName(),
			)
		}
	}
	graph := newGraph(compiled)
	if err := graph.checkParameters(compiled.ObjectDefinitions); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return graph.warnings(compiled.ObjectDefinitions), nil
}

// foldedError wraps an error. Its text is that of the wrapped error, in one line.
type foldedError struct{ cause error }

func oneLine(err error) error { return foldedError{err} }

func (e foldedError) Error() string { return strings.Join(strings.Fields(e.cause.Error()), " ") }
func (e foldedError) Unwrap() error { return e.cause }
