package operation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// RelationshipWrite has updates of relationships of types that are not the product's, and their preconditions. Package
// owntype has checked both. No two updates are of the same relationship.
type RelationshipWrite struct {
	Updates       []authz.Update
	Preconditions []authz.Precondition
}

// WriteRelationships writes relationships of types that are not the product's, all of them or none. The actor is only
// recorded: the caller has checked that the relationships may be written. WriteRelationships returns an error with
// CodeConflict that names the first precondition that does not hold, or the first relationship to create that exists.
func (s *Service) WriteRelationships(ctx context.Context, by Caller, write RelationshipWrite) (Done, error) {
	if by.Idempotency != nil && len(write.Updates) == authz.MaxUpdates {
		return Done{}, authz.Errorf(authz.CodeTooLarge,
			"the idempotency key is stored in the same write, so the field \"updates\" can have at most %d entries with it",
			authz.MaxUpdates-1)
	}
	for {
		done, err := s.run(ctx, by, "write_relationships", func(ctx context.Context, p *plan) error {
			if p.isReplay {
				return nil
			}
			return planRelationships(ctx, p, write)
		})
		var deleting *deletingRelationshipsError
		if !errors.As(err, &deleting) {
			return done, err
		}
		for _, record := range deleting.records {
			if _, _, err := job.Run(ctx, s.engine, s.relationshipsDeletion(by, record)); err != nil {
				return Done{}, err
			}
		}
	}
}

// planRelationships plans the updates. It reads only after a precondition failed, to find out which one.
func planRelationships(ctx context.Context, p *plan, write RelationshipWrite) error {
	if p.isRetry {
		if err := explainConflict(ctx, p, write); err != nil {
			return err
		}
	}
	for _, precondition := range write.Preconditions {
		p.AddPrecondition(precondition)
	}
	for i, update := range write.Updates {
		update.Relationship.ExpiresAt = fullSecond(update.Relationship.ExpiresAt)
		if err := checkFuture(p, i, update.Relationship.ExpiresAt); err != nil {
			return err
		}
		if update.Action != authz.Delete {
			p.Forbid(deletingRelationships)
		}
		p.Update(update.Action, update.Relationship)
	}
	return checkSize(p)
}

// checkFuture returns an error with CodeInvalid if the relationship of an update would have expired already, or would
// end after the year 9999. Zero stands for never.
func checkFuture(p *plan, index int, ends time.Time) error {
	switch {
	case ends.UTC().Year() > 9999:
		return authz.Errorf(authz.CodeInvalid, "the field \"updates[%d].expires_at\" must be before the year 10000; "+
			"leave it out for a relationship that does not end", index)
	case ends.IsZero(), ends.After(p.now):
		return nil
	}
	return authz.Errorf(authz.CodeInvalid, "the field \"updates[%d].expires_at\" must be in the future, not %s", index,
		ends.Format(time.RFC3339))
}

// deletingRelationshipsError says that the deletion of all relationships of objects is under way. A write waits until
// it ends, so that an interrupted deletion which is resumed later does not delete what the write has written.
type deletingRelationshipsError struct{ records []authz.Relationship }

// Error implements error.
func (e *deletingRelationshipsError) Error() string {
	return fmt.Sprintf("the relationships of %s are being deleted", e.records[0].Resource)
}

// explainConflict returns the error for a write whose preconditions do not hold at the plan's snapshot, or nil if they
// hold there.
func explainConflict(ctx context.Context, p *plan, write RelationshipWrite) error {
	if _, err := p.head(ctx); err != nil {
		return err
	}
	records, err := p.FindSome(ctx, deletingRelationships, 0)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		return &deletingRelationshipsError{records}
	}
	filters := make([]authz.Filter, 0, len(write.Preconditions)+len(write.Updates))
	for _, precondition := range write.Preconditions {
		filters = append(filters, precondition.Filter)
	}
	var created []int
	for i, update := range write.Updates {
		if update.Action == authz.Create {
			created = append(created, i)
			filters = append(filters, authz.Exactly(update.Relationship))
		}
	}
	found, err := p.FindSomeOfEach(ctx, filters, 1)
	if err != nil {
		return err
	}
	for i, precondition := range write.Preconditions {
		if isStored := len(found[i]) > 0; isStored == precondition.Absent {
			return preconditionError(i, precondition)
		}
	}
	for n, i := range created {
		if len(found[len(write.Preconditions)+n]) > 0 {
			return authz.Errorf(authz.CodeConflict,
				"the field \"updates[%d].relationship\": %s exists already; touch writes it in either case", i,
				authz.Echo(write.Updates[i].Relationship.String()))
		}
	}
	return nil
}

// preconditionError returns the error for a precondition of the request that does not hold.
func preconditionError(index int, precondition authz.Precondition) error {
	if precondition.Absent {
		return authz.Errorf(authz.CodeConflict,
			"the field \"preconditions[%d].must_not_match\": a relationship that matches is stored", index)
	}
	return authz.Errorf(
		authz.CodeConflict, "the field \"preconditions[%d].must_match\": no relationship that matches is stored", index,
	)
}
