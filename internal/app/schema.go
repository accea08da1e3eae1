package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/owntype"
	"github.com/sluice-authz/sluice/schema"
)

// loadSchema reads the schema to serve: that of the file, or the product's schema if file is empty.
func loadSchema(ctx context.Context, file string) (schema.File, error) {
	if file == "" {
		text, err := schema.Flatten()
		return schema.File{Text: text}, err
	}
	loaded, err := schema.Load(ctx, file)
	if err != nil {
		return loaded, fmt.Errorf("--schema: %w", err)
	}
	return loaded, nil
}

// servedSchema is the schema that a server serves.
type servedSchema struct {
	schema.File
	schema.Summary
}

// readSchema reads the schema to serve, and logs its warnings.
func (s *Server) readSchema(ctx context.Context) (served servedSchema, err error) {
	if served.File, err = loadSchema(ctx, s.config.Schema); err != nil {
		return served, err
	}
	for _, warning := range served.Warnings {
		s.log.WarnContext(ctx, "a part of the schema is probably a mistake", "warning", warning)
	}
	served.Summary, err = schema.Summarize(served.Text)
	return served, err
}

// ownTypes returns the rules for relationships that callers write themselves.
func (s servedSchema) ownTypes() (*owntype.Rules, error) {
	product, err := schema.ProductTypes()
	if err != nil {
		return nil, err
	}
	caveats, err := schema.ReadParameters(s.Text)
	if err != nil {
		return nil, err
	}
	return owntype.New(s.Definitions, product, caveats), nil
}

// stored is the schema in a store, with its stamp: a comment that names the version and the source of the schema.
type stored struct {
	empty   bool
	text    string // the schema with its stamp
	stamp   schema.Stamp
	stamped bool // the schema has a readable stamp
}

func readStored(ctx context.Context, store authz.SchemaStore) (stored, error) {
	text, err := store.Schema(ctx)
	if err != nil {
		return stored{}, err
	}
	_, stamp, found := schema.SplitStamp(text)
	return stored{empty: text == "", text: text, stamp: stamp, stamped: found}, nil
}

// diff lists the changes from the stored schema to a text, apart from the stamp.
func (s stored) diff(ctx context.Context, store authz.SchemaStore, text string) ([]authz.SchemaChange, error) {
	if s.stamped {
		var err error
		if text, err = schema.WithStamp(text, s.stamp); err != nil {
			return nil, err
		}
	}
	return store.DiffSchema(ctx, text)
}

// DiffSchema lists what applying a schema would change.
func DiffSchema(ctx context.Context, store authz.SchemaStore, text string) ([]authz.SchemaChange, error) {
	s, err := readStored(ctx, store)
	if err != nil {
		return nil, err
	}
	return s.diff(ctx, store, text)
}

// ApplySchema applies a schema, also an older one, and returns the changes. file is its file name, or empty for the
// product's schema. A breaking change is an error, and nothing is applied, unless allowBreaking is set. ApplySchema
// also completes the flags that a server of an earlier version has stored, see CompleteFlags.
func ApplySchema(
	ctx context.Context, engine authz.Engine, text, file string, allowBreaking bool,
) ([]authz.SchemaChange, error) {
	s, err := readStored(ctx, engine)
	if err != nil {
		return nil, err
	}
	changes, err := s.apply(ctx, engine, text, s.stamp.Next(schema.Version(), baseName(file), text), allowBreaking)
	if err != nil {
		return nil, err
	}
	added, err := CompleteFlags(ctx, engine)
	return append(changes, flagsChange(added)...), err
}

func baseName(file string) string {
	if file == "" {
		return ""
	}
	return filepath.Base(file)
}

// apply writes a schema with its stamp, unless both are stored already.
func (s stored) apply(
	ctx context.Context, engine authz.Engine, text string, stamp schema.Stamp, allowBreaking bool,
) (changes []authz.SchemaChange, err error) {
	if !s.empty {
		renamed, err := s.renameRelations(ctx, engine, text, allowBreaking)
		if err != nil {
			return nil, err
		}
		// After a rename, nothing is stored under the old names, so removing them breaks nothing.
		if changes, err = s.check(ctx, engine, text, allowBreaking || len(renamed) > 0); err != nil {
			return nil, err
		}
		completed, err := s.upgradeFlags(ctx, engine, text)
		if err != nil {
			return nil, err
		}
		changes = slices.Concat(renamed, changes, completed)
		if len(changes) == 0 && s.stamped && !s.stamp.Unfinished && s.stamp.Version == stamp.Version &&
			s.stamp.File == stamp.File && s.stamp.Hash == stamp.Hash {
			return nil, nil
		}
	}
	stamped, err := schema.WithStamp(text, stamp)
	if err != nil {
		return nil, err
	}
	return changes, engine.ApplySchema(ctx, stamped)
}

// check lists the changes that applying a text would make. A breaking change is an error unless it is allowed.
func (s stored) check(
	ctx context.Context, store authz.SchemaStore, text string, allowBreaking bool,
) ([]authz.SchemaChange, error) {
	changes, err := s.diff(ctx, store, text)
	if err != nil {
		return nil, err
	}
	if breaking := breakingOf(changes); len(breaking) > 0 && !allowBreaking {
		return nil, fmt.Errorf(
			"the stored schema differs, and a change may break its users (%s): `sluice schema diff` shows how, and "+
				"`sluice schema apply --allow-breaking` applies the new schema nevertheless",
			strings.Join(breaking, "; "),
		)
	}
	return changes, nil
}

// server describes a server's schema: its text, its --schema file, and the version of the product's schema.
type server struct {
	text    string
	file    string
	version int
}

// applySchema applies a server's schema at its start if it is newer than the stored one. Otherwise the server uses
// the stored schema. applySchema returns an error if the change is breaking. It also returns an error if the stored
// schema came from a --schema file and this server has no --schema.
func (own server) applySchema(ctx context.Context, engine authz.Engine, log *slog.Logger) error {
	s, err := readStored(ctx, engine)
	if err != nil {
		return err
	}
	if s.empty {
		_, err := s.apply(ctx, engine, own.text, s.stamp.Next(own.version, baseName(own.file), own.text), false)
		return err
	}
	changes, err := s.diff(ctx, engine, own.text)
	if err != nil {
		return err
	}
	hash, differs := schema.Hash(own.text), len(changes) > 0
	if differs && s.stamped && s.stamp.File != "" && own.file == "" {
		return fmt.Errorf(
			"the stored schema is from --schema %s, but this start has no --schema: add it, or run "+
				"`sluice schema diff` and `sluice schema apply` to use the product's schema",
			s.stamp.File,
		)
	}
	beside := ""
	switch {
	case !s.stamped || own.version > s.stamp.Version:
	case own.version < s.stamp.Version:
		beside = "the stored schema has a newer version"
	case s.stamp.HasReplaced(hash):
		beside = "the stored schema has replaced the one of this server"
	case differs && s.stamp.Hash == hash:
		beside = "another program has changed the stored schema"
	}
	if beside != "" {
		if differs {
			log.WarnContext(ctx, beside+": serving with the stored schema; `sluice schema apply` replaces it",
				"version", own.version, "stored_version", s.stamp.Version, "differences", texts(changes))
		}
		return nil
	}
	changes, err = s.apply(ctx, engine, own.text, s.stamp.Next(own.version, baseName(own.file), own.text), false)
	if err == nil && len(changes) > 0 {
		log.InfoContext(ctx, "applied the schema", "version", own.version, "changes", texts(changes))
	}
	return err
}

// ImportSchema applies the schema of an imported file, with the stamp that the file has. If the stored schema is
// newer, ImportSchema changes nothing and returns false.
func ImportSchema(ctx context.Context, engine authz.Engine, text string) (applied bool, err error) {
	s, loaded, next, err := readImported(ctx, engine, text)
	if err != nil || next == nil {
		return false, err
	}
	_, err = s.apply(ctx, engine, loaded, *next, false)
	return err == nil, err
}

// checkImported returns the schema that a store has after an import, or the error of the import.
func checkImported(ctx context.Context, store authz.SchemaStore, text string) (string, error) {
	s, loaded, next, err := readImported(ctx, store, text)
	switch {
	case err != nil:
		return "", err
	case next == nil:
		return store.Schema(ctx)
	case s.empty:
		return loaded, nil
	}
	_, err = s.check(ctx, store, loaded, false)
	return loaded, err
}

// readImported reads the schema of an imported file without its stamp. It returns the stamp to store, or nil if the
// stored schema is newer.
func readImported(
	ctx context.Context, store authz.SchemaStore, text string,
) (s stored, loaded string, next *schema.Stamp, err error) {
	plain, from, found := schema.SplitStamp(text)
	file, err := schema.Parse(ctx, plain, "schema")
	if err != nil {
		return s, "", nil, err
	}
	if s, err = readStored(ctx, store); err != nil {
		return s, "", nil, err
	}
	stamp := from
	if !found { // the version of the file is unknown: use the version of the store
		stamp = s.stamp.Next(s.stamp.Version, s.stamp.File, file.Text)
	}
	older := found && s.stamped && from.Version < s.stamp.Version
	if older || s.stamped && from.Version <= s.stamp.Version && s.stamp.HasReplaced(stamp.Hash) {
		return s, file.Text, nil, nil
	}
	if s.stamped && found {
		stamp = s.stamp.Next(from.Version, from.File, file.Text)
		stamp.Hash = from.Hash
	}
	return s, file.Text, &stamp, nil
}

func texts(changes []authz.SchemaChange) []string {
	out := make([]string, 0, len(changes))
	for _, change := range changes {
		out = append(out, change.Text)
	}
	return out
}

func breakingOf(changes []authz.SchemaChange) []string {
	var breaking []string
	for _, change := range changes {
		if change.Breaking {
			breaking = append(breaking, change.Text)
		}
	}
	return breaking
}

// holdsProduct reports whether the definitions have every type, relation and permission of the product.
func holdsProduct(served []authz.Definition) bool {
	text, err := schema.Flatten()
	if err != nil {
		return false
	}
	product, err := schema.Describe(text)
	if err != nil {
		return false
	}
	relations := make(map[authz.Type]map[authz.Relation]bool)
	permissions := make(map[authz.Type]map[authz.Permission]bool)
	for _, d := range served {
		relations[d.Type], permissions[d.Type] = make(map[authz.Relation]bool), make(map[authz.Permission]bool)
		for _, r := range d.Relations {
			relations[d.Type][r] = true
		}
		for _, p := range d.Permissions {
			permissions[d.Type][p.Name] = true
		}
	}
	for _, d := range product {
		if _, ok := relations[d.Type]; !ok {
			return false
		}
		for _, r := range d.Relations {
			if !relations[d.Type][r] {
				return false
			}
		}
		for _, p := range d.Permissions {
			if !permissions[d.Type][p.Name] {
				return false
			}
		}
	}
	return true
}

// Schema returns the schema to serve, flattened for SpiceDB: that of the file, or the product's schema if file is
// empty.
func Schema(ctx context.Context, file string) (schema.File, error) { return loadSchema(ctx, file) }
