package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// loadSchema reads the schema to serve: the product's, or the file's if there is one.
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

// ApplySchema applies the schema and returns what it changed. Unless breaking changes are allowed, one that may break what
// rests on the stored schema is refused, and nothing is applied.
func ApplySchema(ctx context.Context, engine authz.Engine, text string, allowBreaking bool) ([]authz.SchemaChange, error) {
	stored, err := engine.Schema(ctx)
	if err != nil {
		return nil, err
	}
	if stored == "" {
		return nil, engine.ApplySchema(ctx, text)
	}
	changes, err := engine.DiffSchema(ctx, text)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	if breaking := breakingOf(changes); len(breaking) > 0 && !allowBreaking {
		return nil, fmt.Errorf("the stored schema differs in a way that can break what rests on it (%s): look at `sluice schema diff`, and run `sluice schema apply --allow-breaking` if that is what you want",
			strings.Join(breaking, "; "))
	}
	return changes, engine.ApplySchema(ctx, text)
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

// holdsProduct reports whether the definitions include everything that operations write.
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

// Schema returns the schema to serve, flattened for SpiceDB: the product's, or the file's if there is one.
func Schema(ctx context.Context, file string) (schema.File, error) { return loadSchema(ctx, file) }
