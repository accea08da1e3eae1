package app

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/transfer"
	"github.com/sluice-authz/sluice/schema"
)

// ImportRules returns the rules for an import into a store. engine is nil if there is no store yet. The rules come
// from the schema in the file, or from the stored schema if the file has none. For the product's schema they include
// the rules of the product. For a file that an export wrote, they accept ids that another tool stored.
func ImportRules(engine Store) transfer.NewRules {
	return func(ctx context.Context, head transfer.Head) (transfer.Rules, error) {
		text := head.Schema
		var read func(context.Context, authz.Object) ([]authz.Relationship, error)
		if engine != nil {
			stored, err := engine.Schema(ctx)
			if err != nil {
				return nil, err
			}
			if stored != "" {
				read = readObjects(engine)
			}
			if text == "" {
				text = stored
			} else if text, err = checkImported(ctx, engine, text); err != nil {
				return nil, err
			}
		}
		if text == "" {
			return importRules{operation.NewImportRules(nil, read), nil}, nil
		}
		plain, _, _ := schema.SplitStamp(text)
		loaded, err := schema.Parse(ctx, plain, "schema")
		if err != nil {
			return nil, err
		}
		definitions, err := schema.Describe(loaded.Text)
		if err != nil {
			return nil, err
		}
		parameters, err := schema.ReadParameters(loaded.Text)
		if err != nil {
			return nil, err
		}
		rules := operation.NewImportRules(definitions, read)
		rules.AcceptForeignIDs = head.IsExport
		return importRules{rules, parameters}, nil
	}
}

// readObjects returns a function that reads the relationships of an object.
func readObjects(engine Store) func(context.Context, authz.Object) ([]authz.Relationship, error) {
	return func(ctx context.Context, object authz.Object) (found []authz.Relationship, err error) {
		for item, err := range engine.Read(ctx, authz.Filter{Type: object.Type, ID: object.ID}, authz.Fully(), authz.Page{}) {
			if authz.CodeOf(err) == authz.CodeInvalid { // the stored schema lacks the type
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			found = append(found, item.Relationship)
		}
		return found, nil
	}
}

// importRules applies the product's rules to the relationships of an import, which are given as text.
type importRules struct {
	*operation.ImportRules

	parameters schema.Parameters
}

// Check implements transfer.Rules.
func (r importRules) Check(line int, text string) error {
	relationship, err := spicedb.ParseRelationship(text)
	if err != nil {
		return err
	}
	if relationship.CaveatContext != "" {
		values, err := authz.ParseContext("caveat_context", relationship.CaveatContext)
		if err != nil {
			return err
		}
		if err := r.parameters.CheckStored(relationship.Caveat, "caveat_context", values); err != nil {
			return err
		}
	}
	if r.Add(line, relationship) && relationship.CaveatContext != "" {
		if err := r.parameters.CheckTypes(relationship.Caveat, relationship.CaveatContext); err != nil {
			r.AddProblem(line, "caveat context", err)
		}
	}
	return nil
}
