package explain

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// rehearsal is a scratch whose writes can be undone.
type rehearsal struct {
	authz.Engine
	stored map[authz.Relationship]authz.Relationship // by what identifies it
	undo   map[authz.Relationship]authz.Update       // of what was written since the last restore, by what identifies it
}

func (i *inquiry) rehearse(ctx context.Context, relationships []authz.Relationship) (*rehearsal, error) {
	scratch, err := i.engine.Scratch(ctx, "", relationships)
	if err != nil {
		return nil, err
	}
	r := &rehearsal{
		Engine: scratch,
		stored: make(map[authz.Relationship]authz.Relationship, len(relationships)),
		undo:   make(map[authz.Relationship]authz.Update),
	}
	for _, relationship := range relationships {
		r.stored[identity(relationship)] = relationship
	}
	return r, nil
}

// identity is a relationship without what a touch replaces.
func identity(r authz.Relationship) authz.Relationship {
	r.ExpiresAt, r.Caveat, r.CaveatContext = time.Time{}, "", ""
	return r
}

// Write implements authz.Engine.
func (r *rehearsal) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
	token, err := r.Engine.Write(ctx, write)
	if err != nil {
		return token, err
	}
	for _, update := range write.Updates {
		id := identity(update.Relationship)
		before, there := r.stored[id]
		if _, changed := r.undo[id]; !changed {
			r.undo[id] = authz.Update{Action: authz.Delete, Relationship: id}
			if there {
				r.undo[id] = authz.Update{Action: authz.Touch, Relationship: before}
			}
		}
		if update.Action == authz.Delete {
			delete(r.stored, id)
		} else {
			r.stored[id] = update.Relationship
		}
	}
	return token, nil
}

// restore undoes every write since the last time, or since what was written was kept.
func (r *rehearsal) restore(ctx context.Context) error {
	if len(r.undo) == 0 {
		return nil
	}
	_, err := r.Write(ctx, authz.Write{Updates: slices.Collect(maps.Values(r.undo))})
	r.keep()
	return err
}

// keep leaves what was written as it is.
func (r *rehearsal) keep() { clear(r.undo) }

// attempt reports the answer to the check after the updates, in place of what was written since the last restore. Like that,
// one attempt after the other is one write each.
func (r *rehearsal) attempt(ctx context.Context, check authz.Check, updates []authz.Update) (authz.State, error) {
	stale := maps.Clone(r.undo)
	for _, update := range updates {
		delete(stale, identity(update.Relationship))
	}
	if len(stale)+len(updates) > authz.MaxUpdates {
		if err := r.restore(ctx); err != nil {
			return authz.Denied, err
		}
		clear(stale)
	}
	write := authz.Write{Updates: slices.AppendSeq(slices.Clone(updates), maps.Values(stale))}
	if _, err := r.Write(ctx, write); err != nil {
		return authz.Denied, err
	}
	for id := range stale {
		delete(r.undo, id)
	}
	decision, _, err := r.Check(ctx, check, authz.Fully())
	return decision.State, err
}
