package operation

import (
	"context"
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// relationshipsRecord is the relation that records that the relationships of an object are being deleted. The id of the
// record is relationshipsPrefix and the object: the type of the object may contain a slash, but no colon.
const (
	relationshipsRecord authz.Relation = "relationships"
	relationshipsPrefix string         = "relationships/"
)

// deletingRelationships selects the records of all such deletions that are under way. It names the subject, so that the
// datastore can use its index of subjects.
var deletingRelationships = authz.Filter{
	Type: deletionType, Relation: relationshipsRecord, SubjectType: platform.Type, SubjectID: platform.ID,
}

// relationshipsDeletionOf returns the relationship that records that the relationships of an object are being deleted.
func relationshipsDeletionOf(object authz.Object) authz.Relationship {
	return authz.Relationship{
		Resource: authz.Object{Type: deletionType, ID: authz.ID(relationshipsPrefix + object.String())},
		Relation: relationshipsRecord, Subject: only(platform),
	}
}

// objectOfRelationships returns the object whose relationships a deletion deletes. It reports false for a deletion of
// an object of the product.
func objectOfRelationships(deletion authz.Object) (authz.Object, bool) {
	object, found := strings.CutPrefix(string(deletion.ID), relationshipsPrefix)
	typ, id, isObject := strings.Cut(object, ":")
	return authz.Object{Type: authz.Type(typ), ID: authz.ID(id)}, found && isObject
}

// DeleteRelationships deletes every relationship whose resource is an object of a type that is not the product's. The
// actor is only recorded. One write deletes all relationships. If there are more than authz.MaxUpdates, an earlier
// write records the deletion. After an interruption, a repetition of the call, a write of relationships, or Resume
// finishes it.
func (s *Service) DeleteRelationships(ctx context.Context, by Caller, object authz.Object) (Done, error) {
	record := relationshipsDeletionOf(object)
	if len(authz.EncodeID(record.Resource.ID)) > authz.MaxStoredBytes {
		return s.deleteUnrecorded(ctx, by, object)
	}
	underWay := false
	done, err := s.run(ctx, by, "delete_relationships", func(ctx context.Context, p *plan) error {
		if _, err := p.head(ctx); err != nil {
			return err
		}
		recorded, err := p.FindSome(ctx, authz.Exactly(record), 1)
		underWay = len(recorded) > 0
		if err != nil || underWay || p.isReplay {
			return err
		}
		stored, err := p.FindSome(ctx, authz.Filter{Type: object.Type, ID: object.ID}, authz.MaxUpdates+1)
		if err != nil {
			return err
		}
		if len(stored) > p.Room() || slices.ContainsFunc(stored, isForeign) {
			underWay = true
			p.Touch(record.Resource, record.Relation, record.Subject)
			return nil
		}
		for _, r := range stored {
			p.Delete(r)
		}
		return nil
	})
	if err != nil || !underWay {
		return done, err
	}
	_, done.Token, err = job.Run(ctx, s.engine, s.relationshipsDeletion(by, record))
	return done, err
}

// deleteUnrecorded is DeleteRelationships for an object whose id, which another tool stored, is too long for a record
// of the deletion. One write deletes all relationships. If a request is repeated with its idempotency key, it deletes
// them again: callers cannot write relationships of such an object.
func (s *Service) deleteUnrecorded(ctx context.Context, by Caller, object authz.Object) (Done, error) {
	filter := authz.Filter{Type: object.Type, ID: object.ID}
	token, err := s.engine.DeleteAll(ctx, filter, nil, by.metadata("delete_relationships"))
	if err != nil {
		return Done{}, err
	}
	done, err := s.run(ctx, by, "delete_relationships", func(context.Context, *plan) error { return nil })
	if done.Token == "" {
		done.Token = token
	}
	return done, err
}

// isForeign reports whether another tool stored a relationship with an id of its own, which only a filter can name for
// certain.
func isForeign(r authz.Relationship) bool {
	return r.Resource.ID.IsForeign() || r.Subject.ID.IsForeign()
}

// relationshipsDeletionJob deletes all relationships of an object after their deletion is recorded. Its write deletes
// them at once, and requires as a precondition that the record is stored. So if another request has finished the
// deletion, later relationships stay.
type relationshipsDeletionJob struct {
	service *Service
	by      Caller
	record  authz.Relationship
	state   job.State
}

// relationshipsDeletion returns the job that performs a recorded deletion of relationships.
func (s *Service) relationshipsDeletion(by Caller, record authz.Relationship) relationshipsDeletionJob {
	return relationshipsDeletionJob{service: s, by: by, record: record, state: job.Requested}
}

// Record implements job.Job.
func (j relationshipsDeletionJob) Record() authz.Object { return j.record.Resource }

// State implements job.Job.
func (j relationshipsDeletionJob) State() job.State { return j.state }

// Conflict implements job.Job.
func (j relationshipsDeletionJob) Conflict() string {
	return "other requests kept changing what this deletion removes; try again"
}

// Next implements job.Job.
func (j relationshipsDeletionJob) Next(ctx context.Context, _ int) (job.Step, error) {
	p := newPlan(j.service.engine, j.by.withoutKey())
	if _, err := p.head(ctx); err != nil {
		return job.Step{}, err
	}
	recorded, err := p.Find(ctx, authz.Exactly(j.record))
	if err != nil {
		return job.Step{}, err
	}
	step := job.Step{Unit: p.Unit, Metadata: j.by.metadata("delete_relationships")}
	object, isValid := objectOfRelationships(j.record.Resource)
	switch {
	case len(recorded) == 0: // another request has finished the deletion
		j.state = job.Done
	case j.state == job.Requested && isValid:
		p.Require(j.record)
		step.DeleteAll = &authz.Filter{Type: object.Type, ID: object.ID}
		j.state = job.Cleaning
	default:
		p.Require(j.record)
		p.Delete(j.record)
		j.state = job.Done
	}
	step.Then = j
	return step, nil
}
