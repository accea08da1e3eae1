package explain

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// rehearsal is a scratch whose writes can be undone.
type rehearsal struct {
	authz.Engine
	stored map[authz.Relationship]authz.Relationship // by what identifies it
	undo   []authz.Update                            // of the writes since the last undoing, in their order
}

func (i *inquiry) rehearse(ctx context.Context, relationships []authz.Relationship) (*rehearsal, error) {
	scratch, err := i.engine.Scratch(ctx, "", relationships)
	if err != nil {
		return nil, err
	}
	r := &rehearsal{Engine: scratch, stored: make(map[authz.Relationship]authz.Relationship, len(relationships))}
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
		if before, there := r.stored[id]; there {
			r.undo = append(r.undo, authz.Update{Action: authz.Touch, Relationship: before})
		} else {
			r.undo = append(r.undo, authz.Update{Action: authz.Delete, Relationship: id})
		}
		if update.Action == authz.Delete {
			delete(r.stored, id)
		} else {
			r.stored[id] = update.Relationship
		}
	}
	return token, nil
}

// restore undoes every write since the last time.
func (r *rehearsal) restore(ctx context.Context) error {
	undo := r.undo
	r.undo = nil
	var updates []authz.Update
	for _, update := range undo { // of several writes to one relationship, the first knows what was before
		id := identity(update.Relationship)
		if !slices.ContainsFunc(updates, func(u authz.Update) bool { return identity(u.Relationship) == id }) {
			updates = append(updates, update)
		}
	}
	if len(updates) == 0 {
		return nil
	}
	_, err := r.Write(ctx, authz.Write{Updates: updates})
	r.undo = nil
	return err
}

// attempt reports the answer to the check after the updates, which are undone.
func (r *rehearsal) attempt(ctx context.Context, check authz.Check, updates []authz.Update) (authz.State, error) {
	if _, err := r.Write(ctx, authz.Write{Updates: updates}); err != nil {
		return authz.Denied, err
	}
	decision, _, err := r.Check(ctx, check, authz.Fully())
	return decision.State, errors.Join(err, r.restore(ctx))
}
