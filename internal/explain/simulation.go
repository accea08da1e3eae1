package explain

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// simulation is a temporary in-memory engine that can revert its writes. Nothing that is written into it is stored in
// the datastore.
type simulation struct {
	authz.Engine
	stored map[authz.Relationship]authz.Relationship // what the engine has; the keys are results of identity
	// undo has the updates that revert the writes since the last rollBack or commit. Its keys are results of
	// identity.
	undo map[authz.Relationship]authz.Update
}

func (i *inquiry) simulate(ctx context.Context, relationships []authz.Relationship) (*simulation, error) {
	scratch, err := i.engine.Scratch(ctx, "", relationships)
	if err != nil {
		return nil, err
	}
	r := &simulation{
		Engine: scratch,
		stored: make(map[authz.Relationship]authz.Relationship, len(relationships)),
		undo:   make(map[authz.Relationship]authz.Update),
	}
	for _, relationship := range relationships {
		r.stored[identity(relationship)] = relationship
	}
	return r, nil
}

// identity returns the relationship without its caveat and expiration. SpiceDB stores at most one relationship with
// the same identity.
func identity(r authz.Relationship) authz.Relationship {
	r.ExpiresAt, r.Caveat, r.CaveatContext = time.Time{}, "", ""
	return r
}

// Write implements authz.Engine. It also records how to revert the write.
func (r *simulation) Write(ctx context.Context, write authz.Write) (authz.Token, error) {
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

// rollBack reverts all writes since the last rollBack or commit.
func (r *simulation) rollBack(ctx context.Context) error {
	if len(r.undo) == 0 {
		return nil
	}
	_, err := r.Write(ctx, authz.Write{Updates: slices.Collect(maps.Values(r.undo))})
	r.commit()
	return err
}

// commit makes the writes since the last rollBack or commit permanent.
func (r *simulation) commit() { clear(r.undo) }

// evaluate applies the updates to the last committed state, and returns the decision about the check. One write both
// reverts earlier uncommitted writes and applies the updates, so a series of evaluations needs only one write for
// each.
func (r *simulation) evaluate(ctx context.Context, check authz.Check, updates []authz.Update) (authz.State, error) {
	stale := maps.Clone(r.undo)
	for _, update := range updates {
		delete(stale, identity(update.Relationship))
	}
	if len(stale)+len(updates) > authz.MaxUpdates {
		if err := r.rollBack(ctx); err != nil {
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
