package app

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// flagBatch is the number of flags that one write completes. Each of them also needs a precondition.
const flagBatch = authz.MaxUpdates / 2

// CompleteFlags completes the flags of the product: relations that store a yes or no as a relationship with `user:*`.
// To each flag without `service_account:*`, it adds this subject. Versions of Sluice without service accounts stored
// such flags. CompleteFlags returns how many flags it has completed. An interrupted call can be repeated.
func CompleteFlags(ctx context.Context, engine authz.Engine) (added int, err error) {
	text, err := engine.Schema(ctx)
	if err != nil || text == "" {
		return 0, err
	}
	flags, err := schema.FlagsIn(text)
	if err != nil {
		return 0, err
	}
	for _, flag := range flags {
		completed, err := completeFlag(ctx, engine, flag)
		added += completed
		if err != nil {
			return added, err
		}
	}
	return added, nil
}

// completeFlag adds `service_account:*` to the flag of each object that lacks it. It makes one write for each batch.
func completeFlag(ctx context.Context, engine authz.Engine, flag schema.RelationName) (added int, err error) {
	for {
		lacking, err := objectsLacking(ctx, engine, flag)
		if err != nil || len(lacking) == 0 {
			return added, err
		}
		write := authz.Write{Metadata: map[string]any{"operation": "complete_flags"}}
		for _, object := range lacking[:min(flagBatch, len(lacking))] {
			row := authz.Relationship{Resource: object, Relation: flag.Relation, Subject: authz.Everybody("service_account")}
			write.Updates = append(write.Updates, authz.Update{Action: authz.Touch, Relationship: row})
			row.Subject = authz.Everybody("user")
			write.Preconditions = append(write.Preconditions, authz.Precondition{Filter: authz.Exactly(row)})
		}
		switch _, err := engine.Write(ctx, write); {
		case errors.Is(err, authz.ErrPrecondition): // one of the objects was deleted meanwhile
		case err != nil:
			return added, err
		default:
			added += len(write.Updates)
		}
	}
}

// objectsLacking returns the objects that have a flag for `user:*` and not for `service_account:*`.
func objectsLacking(ctx context.Context, engine authz.Engine, flag schema.RelationName) ([]authz.Object, error) {
	complete := make(map[authz.Object]bool)
	var lacking []authz.Object
	for _, of := range []authz.Type{"service_account", "user"} {
		filter := authz.Filter{Type: flag.Type, Relation: flag.Relation, SubjectType: of, SubjectWildcard: true}
		for item, err := range engine.Read(ctx, filter, authz.Fully(), authz.Page{}) {
			if err != nil {
				return nil, err
			}
			object := item.Relationship.Resource
			switch {
			case of == "service_account":
				complete[object] = true
			case !complete[object]:
				lacking = append(lacking, object)
			}
		}
	}
	return lacking, nil
}

// upgradeFlags completes the flags if the stored schema declares a flag for `user:*` alone, or if an earlier call was
// interrupted. It first applies the schema text with a stamp that is marked as unfinished. If upgradeFlags is
// interrupted, this stamp makes the next start continue. It returns the change that it made.
func (s stored) upgradeFlags(ctx context.Context, engine authz.Engine, text string) ([]authz.SchemaChange, error) {
	flags, err := schema.FlagsIn(text)
	if err != nil {
		return nil, err
	}
	older, err := schema.HasOlderFlags(s.text, flags)
	if err != nil || !older && !s.stamp.Unfinished {
		return nil, err
	}
	stamp := s.stamp
	stamp.Unfinished = true
	unfinished, err := schema.WithStamp(text, stamp)
	if err != nil {
		return nil, err
	}
	if err := engine.ApplySchema(ctx, unfinished); err != nil {
		return nil, err
	}
	added, err := CompleteFlags(ctx, engine)
	return flagsChange(added), err
}

func flagsChange(added int) []authz.SchemaChange {
	if added == 0 {
		return nil
	}
	return []authz.SchemaChange{{Text: "service accounts are added to " + authz.Count(added, "flag", "flags")}}
}
