package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// Resume finishes the deletions, offboardings and withdrawals that this server or another one interrupted. It cancels a
// deletion if its cut-off is not written and the person who requested it may no longer delete the object. Resume logs a
// job that it cancels or that ends with CodeConflict, and continues with the next.
func (s *Service) Resume(ctx context.Context) error {
	deletions, err := s.readDeletions(ctx)
	if err != nil {
		return err
	}
	offboardings, err := s.readOffboardings(ctx)
	if err != nil {
		return err
	}
	relationships, err := s.readRelationshipsDeletions(ctx)
	if err != nil {
		return err
	}
	withdrawals, err := s.readGroupWithdrawals(ctx)
	if err != nil {
		return err
	}
	for _, interrupted := range slices.Concat(deletions, offboardings, relationships, withdrawals) {
		record := interrupted.Record().String()
		s.log.InfoContext(ctx, "finishing an interrupted job", "job", record)
		ended, _, err := job.Run(ctx, s.engine, interrupted)
		switch {
		case errors.Is(err, authz.CodeConflict), ended != nil && ended.State() == job.Canceled:
			s.log.WarnContext(ctx, "a job could not be finished", "job", record, "error", err.Error())
		case err != nil:
			return err
		}
	}
	return nil
}

// readDeletions reads the deletions that are under way.
func (s *Service) readDeletions(ctx context.Context) ([]job.Job, error) {
	p := newPlan(s.engine, Caller{})
	found, err := p.FindSome(ctx, authz.Filter{Type: deletionType, Relation: deletionRequestedBy}, 0)
	jobs := make([]job.Job, len(found))
	for i, record := range found {
		jobs[i] = s.resumedDeletion(record)
	}
	return jobs, err
}

// resumedDeletion returns the job that finishes a deletion which is under way.
func (s *Service) resumedDeletion(record authz.Relationship) deletionJob {
	return s.deletionJob(resumingCaller(record.Subject), "resume_deletion", record, job.Requested)
}

// readRelationshipsDeletions reads the deletions of relationships that are under way.
func (s *Service) readRelationshipsDeletions(ctx context.Context) ([]job.Job, error) {
	p := newPlan(s.engine, Caller{})
	found, err := p.FindSome(ctx, deletingRelationships, 0)
	jobs := make([]job.Job, len(found))
	for i, record := range found {
		jobs[i] = s.relationshipsDeletion(resumingCaller(record.Subject), record)
	}
	return jobs, err
}

// readOffboardings reads the offboardings that are under way.
func (s *Service) readOffboardings(ctx context.Context) ([]job.Job, error) {
	p := newPlan(s.engine, Caller{})
	found, err := p.FindSome(ctx, authz.Filter{Type: offboardingType, Relation: offboardingFrom}, 0)
	if err != nil {
		return nil, err
	}
	var jobs []job.Job
	for _, r := range found {
		d, under, err := readOffboarding(ctx, p, r.Resource.ID)
		if err != nil {
			return nil, err
		}
		if under {
			jobs = append(jobs, s.offboardingJob(resumingCaller(d.requestedBy), "resume_offboarding", d))
		}
	}
	return jobs, nil
}

// resumingCaller returns the caller who finishes a job that a person, a service account or the backend itself
// requested.
func resumingCaller(requestedBy authz.Subject) Caller {
	by := Caller{Key: "resume"}
	if requestedBy.Object != platform {
		by.Actor = authz.ActorOf(requestedBy.Object)
	}
	return by
}
