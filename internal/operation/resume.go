package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Resume finishes the deletions and offboardings that were interrupted, by this server or another. If the object of a
// deletion is still stored, Resume performs the deletion if the person who requested it may still delete the object,
// and cancels it otherwise.
func (s *Service) Resume(ctx context.Context) error {
	filter := authz.Filter{Type: deletionType, Relation: deletionRequestedBy}
	for item, err := range s.engine.Read(ctx, filter, authz.Fully(), authz.Page{}) {
		if err != nil {
			return err
		}
		deletion := item.Relationship
		object := deletedObject(deletion.Resource)
		by := resumingCaller(deletion.Subject)
		s.log.InfoContext(ctx, "finishing an interrupted deletion", "object", object.String(), "by", string(by.Actor))
		if err := s.resumeDeletion(ctx, by, object, deletion); err != nil {
			return err
		}
	}
	return s.resumeOffboardings(ctx)
}

// resumingCaller returns the caller who finishes an operation that a person, or the backend itself, requested.
func resumingCaller(begunBy authz.Subject) Caller {
	by := Caller{Key: "resume"}
	if begunBy.Type == user {
		by.Actor = begunBy.ID
	}
	return by
}

// resumeDeletion finishes or cancels one deletion.
func (s *Service) resumeDeletion(
	ctx context.Context, by Caller, object authz.Object, deletion authz.Relationship,
) error {
	p := newPlan(s.engine, by)
	standing, err := p.FindSome(
		ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place}, 1,
	)
	if err != nil {
		return err
	}
	if len(standing) == 0 {
		_, err = s.cleanUp(ctx, by, "resume_deletion", deletion)
		return err
	}
	_, err = s.Delete(ctx, by, object)
	if refused(err) {
		return s.cancelDeletion(ctx, by, deletion)
	}
	return err
}

// resumeOffboardings finishes the interrupted offboardings. It logs one that ends with CodeConflict and continues
// with the next.
func (s *Service) resumeOffboardings(ctx context.Context) error {
	p := newPlan(s.engine, Caller{})
	found, err := p.FindSome(ctx, authz.Filter{Type: offboardingType, Relation: offboardingFrom}, 0)
	if err != nil {
		return err
	}
	for _, r := range found {
		d, under, err := readOffboarding(ctx, p, r.Resource.ID)
		if err != nil {
			return err
		}
		if !under {
			continue
		}
		by := resumingCaller(d.requestedBy)
		s.log.InfoContext(
			ctx, "finishing an interrupted offboarding", "user", string(d.who), "from", d.from.String(), "by",
			d.requestedBy.String(),
		)
		_, err = s.runOffboarding(ctx, by, "resume_offboarding", d)
		switch {
		case errors.Is(err, authz.CodeConflict):
			s.log.WarnContext(
				ctx, "an offboarding could not be finished", "user", string(d.who), "from", d.from.String(), "error",
				err.Error(),
			)
		case err != nil:
			return err
		}
	}
	return nil
}
