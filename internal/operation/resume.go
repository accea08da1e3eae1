package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Resume finishes the deletions and departures that were interrupted, by this server or another. A deletion that was only
// announced, whose object is still stored, is carried out if the person who announced it may still delete the object,
// and else withdrawn.
func (s *Service) Resume(ctx context.Context) error {
	filter := authz.Filter{Type: deletionType, Relation: deletionBy}
	for item, err := range s.engine.Read(ctx, filter, authz.Fully(), authz.Page{}) {
		if err != nil {
			return err
		}
		deletion := item.Relationship
		object := deletedObject(deletion.Resource)
		by := resuming(deletion.Subject)
		s.log.InfoContext(ctx, "finishing an interrupted deletion", "object", object.String(), "by", string(by.Actor))
		if err := s.resume(ctx, by, object, deletion); err != nil {
			return err
		}
	}
	return s.resumeDepartures(ctx)
}

// resuming is the caller who finishes what somebody began.
func resuming(begunBy authz.Subject) Caller {
	by := Caller{Key: "resume"}
	if begunBy.Type == user {
		by.Actor = begunBy.ID
	}
	return by
}

func (s *Service) resume(ctx context.Context, by Caller, object authz.Object, deletion authz.Relationship) error {
	p := newPlan(s.engine, by)
	standing, err := p.findSome(ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place}, 1)
	if err != nil {
		return err
	}
	if len(standing) == 0 {
		_, err = s.sweep(ctx, by, "resume_deletion", deletion)
		return err
	}
	_, err = s.Delete(ctx, by, object)
	if refused(err) {
		return s.withdraw(ctx, by, deletion)
	}
	return err
}

// resumeDepartures finishes the departures that were interrupted.
func (s *Service) resumeDepartures(ctx context.Context) error {
	p := newPlan(s.engine, Caller{})
	found, err := p.findSome(ctx, authz.Filter{Type: departureType, Relation: departureFrom}, 0)
	if err != nil {
		return err
	}
	for _, r := range found {
		d, under, err := p.departure(ctx, r.Resource.ID)
		if err != nil {
			return err
		}
		if !under {
			continue
		}
		by := resuming(d.by)
		s.log.InfoContext(ctx, "finishing an interrupted departure", "user", string(d.who), "from", d.from.String(), "by", d.by.String())
		_, err = s.carryOut(ctx, by, "resume_departure", d)
		switch {
		case errors.Is(err, authz.CodeConflict):
			s.log.WarnContext(ctx, "a departure could not be finished", "user", string(d.who), "from", d.from.String(), "error", err.Error())
		case err != nil:
			return err
		}
	}
	return nil
}
