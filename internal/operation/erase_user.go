package operation

import (
	"context"
	"maps"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// EraseUser deletes every relationship of a person. It has no actor. It deletes the person's private connections; other
// creations remain without a creator. If the person is the last owner or administrator of a subscription or account,
// EraseUser returns an error with CodeConflict that lists all of these.
func (s *Service) EraseUser(ctx context.Context, by Caller, who authz.ID) (Done, error) {
	backend := func(ctx context.Context, p *plan) (bool, error) {
		_, err := p.head(ctx)
		return false, err
	}
	done, err := s.offboard(ctx, by, "erase_user", who, backend, func(ctx context.Context, p *plan) (*offboarding, error) {
		d := offboarding{who: who, from: platform, requestedBy: only(platform), private: disconnectsPrivate}
		named, err := p.FindSome(ctx, authz.Filter{SubjectType: user, SubjectID: who}, 1)
		if err != nil || len(named) == 0 {
			return nil, err
		}
		return &d, endRoles(ctx, p, d)
	})
	return done.Done, err
}

// readRest reads the relationships that still name an erased person after their roles and creations are gone. It
// returns filters that select the relationships to delete, and the jobs to finish first: deletions and offboardings
// that the person requested, and offboardings that reassign creations to the person.
func (j offboardingJob) readRest(ctx context.Context, p *plan) (waitFor []job.Job, rest []authz.Filter, err error) {
	filters := make(map[authz.Filter]bool)
	var latest []authz.Filter
	others := make(map[authz.ID]bool) // people whose offboarding names the person
	about := authz.Filter{SubjectType: user, SubjectID: j.who}
	for item, err := range p.engine.Read(ctx, about, p.Consistency(), authz.Page{}) {
		if err != nil {
			return nil, nil, err
		}
		r := item.Relationship
		switch {
		case r.Resource.Type == deletionType && r.Relation == deletionRequestedBy:
			waitFor = append(waitFor, j.service.resumedDeletion(r))
		case r.Resource.Type == offboardingType:
			others[r.Resource.ID] = true
		// Delete the whole invitation, since it is malformed without the person.
		case r.Resource.Type == invitationType:
			filters[authz.Filter{Type: invitationType, ID: r.Resource.ID}] = true
			latest = append(latest, authz.Filter{
				Type: inviteeType, Relation: inviteeLatest, SubjectType: invitationType, SubjectID: r.Resource.ID,
			})
		default:
			named := authz.Filter{Type: r.Resource.Type, Relation: r.Relation, SubjectType: user, SubjectID: j.who}
			filters[named] = true
		}
	}
	for _, who := range sortedKeys(others) {
		other, under, err := readOffboarding(ctx, p, who)
		if err != nil {
			return nil, nil, err
		}
		if under {
			waitFor = append(waitFor, j.service.offboardingJob(resumingCaller(other.requestedBy), j.operation, other))
		} else { // Another tool wrote a part of a record.
			filters[authz.Filter{Type: offboardingType, ID: who, SubjectType: user, SubjectID: j.who}] = true
		}
	}
	for _, typ := range []authz.Type{inviteeType, removedType} { // objects with the person's id
		filter := authz.Filter{Type: typ, ID: j.who}
		found, err := p.FindSome(ctx, filter, 1)
		if err != nil {
			return nil, nil, err
		}
		if len(found) > 0 {
			filters[filter] = true
		}
	}
	// Relationships that refer to an invitation come first, since a retry can find them only while the invitation is
	// stored.
	return waitFor, slices.AppendSeq(latest, maps.Keys(filters)), nil
}

// planRest plans to delete the relationships that the next filter selects.
func (j offboardingJob) planRest(p *plan) job.Step {
	filter := j.rest[0]
	j.rest = j.rest[1:]
	return job.Step{Unit: p.Unit, DeleteAll: &filter, Metadata: j.by.metadata(j.operation), Then: j}
}
