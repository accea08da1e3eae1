package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// renameBatch is the number of relationships that one write renames. Each of them needs two updates.
const renameBatch = authz.MaxUpdates / 2

// renameRelations renames stored relationships if an earlier version of the product's schema had other names for
// their relations. It returns the renamed relations. Until all are renamed, the stored schema has both names, and its
// stamp still names the earlier version.
func (s stored) renameRelations(
	ctx context.Context, engine authz.Engine, text string, allowBreaking bool,
) (renamed []authz.SchemaChange, err error) {
	renames, err := schema.RenamesIn(s.text, text)
	if err != nil || len(renames) == 0 {
		return nil, err
	}
	both, err := schema.WithOldNames(ctx, text, renames)
	if err != nil {
		return nil, err
	}
	if _, err := s.check(ctx, engine, both, allowBreaking); err != nil {
		return nil, err
	}
	if s.stamped {
		if both, err = schema.WithStamp(both, s.stamp); err != nil {
			return nil, err
		}
	}
	if err := engine.ApplySchema(ctx, both); err != nil {
		return nil, err
	}
	for _, rename := range renames {
		moved, err := renameRelation(ctx, engine, rename)
		if err != nil {
			return nil, err
		}
		renamed = append(renamed, authz.SchemaChange{Text: fmt.Sprintf("%s#%s is renamed to %s#%s, with %s",
			rename.From.Type, rename.From.Relation, rename.To.Type, rename.To.Relation,
			authz.Count(moved, "relationship", "relationships"))})
	}
	return renamed, nil
}

// renameRelation renames the relationships of one relation in batches. It returns how many it renamed.
func renameRelation(ctx context.Context, engine authz.Engine, rename schema.Rename) (moved int, err error) {
	old := authz.Filter{Type: rename.From.Type, Relation: rename.From.Relation}
	for {
		var updates []authz.Update
		var preconditions []authz.Precondition
		for item, err := range engine.Read(ctx, old, authz.Fully(), authz.Page{Limit: renameBatch}) {
			if err != nil {
				return moved, err
			}
			from := item.Relationship
			to := from
			to.Resource.Type, to.Relation = rename.To.Type, rename.To.Relation
			updates = append(updates,
				authz.Update{Action: authz.Touch, Relationship: to},
				authz.Update{Action: authz.Delete, Relationship: from})
			preconditions = append(preconditions, authz.Precondition{Filter: authz.Exactly(from)})
		}
		if len(updates) == 0 {
			return moved, nil
		}
		_, err := engine.Write(ctx, authz.Write{
			Updates: updates, Preconditions: preconditions, Metadata: map[string]any{"operation": "rename_relations"},
		})
		switch {
		case errors.Is(err, authz.ErrPrecondition): // another server moved or deleted some of the relationships
		case err != nil:
			return moved, err
		default:
			moved += len(preconditions)
		}
	}
}
