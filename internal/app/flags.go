package app

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/schema"
)

// flagBatch is how many flags one write adds. Each has a precondition.
const flagBatch = authz.MaxUpdates / 2

// CompleteFlags adds `service_account:*` to each flag of the product that is stored only for `user:*`. Versions of
// Sluice without service accounts stored such flags. It returns how many it added. An interrupted call can be repeated.
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

// completeFlag adds `service_account:*` to one flag of each object, each batch in one write.
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

// upgradeFlags applies a text with an unfinished stamp and completes the flags, if the stored schema declares a flag
// for `user:*` alone, or if an earlier call was interrupted. The stamp makes the next start continue. It returns the
// change that it made.
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
