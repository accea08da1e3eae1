package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// offboardingJob performs an offboarding after its first write. It checks no permission, since this was done when the
// actor requested the offboarding. Each write requires as a precondition that the offboarding is still under way. The
// job ends roles, then deletes invitations that the offboarding closed, then shares, and then reassigns or deletes
// creations. Each write works on the first of these groups that is not empty. Then the job finishes the deletions of
// private connections. If the person is erased, it then deletes all other relationships of the person. The last write
// deletes the record.
//
// A write that the person began before their roles ended may become visible later, see deletionJob. So the last write
// requires as a precondition that no object has the person as creator. It cannot require this if the person also
// created objects in accounts that the offboarding does not cover.
type offboardingJob struct {
	offboarding

	service   *Service
	by        Caller
	operation string
	state     job.State
	cause     error // why the job is canceled

	halved     int            // see fitsOffboarding
	rest       []authz.Filter // relationships of an erased person that the next writes delete
	reassigned []reassignment // objects that the writes so far have reassigned

	// elsewhere are objects with a relationship to the person, in accounts that the offboarding does not cover. The
	// steps share it, so that later steps do not read these objects again. An object cannot move to another account.
	elsewhere map[authz.Object]bool
}

// offboardingJob returns the job that continues an offboarding whose record is stored. If the record is not stored
// yet, the caller changes the state to job.Requested.
func (s *Service) offboardingJob(by Caller, operation string, d offboarding) offboardingJob {
	return offboardingJob{
		offboarding: d, service: s, by: by, operation: operation, state: job.Cleaning,
		elsewhere: make(map[authz.Object]bool),
	}
}

// Record implements job.Job.
func (j offboardingJob) Record() authz.Object { return offboardingObject(j.who) }

// State implements job.Job.
func (j offboardingJob) State() job.State { return j.state }

// Conflict implements job.Job.
func (j offboardingJob) Conflict() string {
	return "other requests kept changing what this removal depends on; repeat the call to finish it"
}

// in returns the job in the given state.
func (j offboardingJob) in(state job.State) offboardingJob {
	j.state = state
	return j
}

// Next implements job.Job.
func (j offboardingJob) Next(ctx context.Context, failed int) (job.Step, error) {
	p := newPlan(j.service.engine, j.by.withoutKey())
	p.now = j.service.now()
	p.LimitWriteTime(maxWriteTime)
	p.halved, p.now = j.halved+failed, j.service.now()
	if _, err := p.head(ctx); err != nil {
		return job.Step{}, err
	}
	stored, under, err := readOffboarding(ctx, p, j.who)
	if err != nil {
		return job.Step{}, err
	}
	if j.state == job.Requested {
		return j.planRecord(p, under), nil
	}
	if !under || stored != j.offboarding { // the offboarding has ended, or another one of the same person has begun
		return job.Step{Unit: p.Unit, Then: j.in(job.Done)}, nil
	}
	for _, row := range j.relationships() {
		p.Require(row)
	}
	if j.state == job.Canceling {
		return j.planCancel(ctx, p)
	}
	if failed > 0 {
		j.rest = nil // read again which relationships are left
	}
	step, err := j.planCleaning(ctx, p)
	if err == nil {
		err = beforeCommit(p)
	}
	return step, err
}

// planRecord plans the write that stores the record. If an offboarding of the same person is under way, it plans
// nothing, and the next attempt of the operation finds that offboarding.
func (j offboardingJob) planRecord(p *plan, under bool) job.Step {
	if under {
		return job.Step{Unit: p.Unit, Then: j.in(job.Done)}
	}
	p.Forbid(authz.Filter{Type: offboardingType, ID: j.who})
	startOffboarding(p, j.offboarding)
	return job.Step{Unit: p.Unit, Metadata: j.by.metadata("end_shares"), Then: j.in(job.Cleaning)}
}

// planCleaning plans the next write after the cut-off.
func (j offboardingJob) planCleaning(ctx context.Context, p *plan) (job.Step, error) {
	if len(j.rest) > 0 {
		return j.planRest(p), nil
	}
	var orphaned places
	if !j.keepsRoles {
		var err error
		fits := func() bool { return fitsOffboarding(p, maxUpdatesPerPlace) }
		if orphaned, err = deleteRoles(ctx, p, j.offboarding, fits); err != nil {
			return job.Step{}, err
		}
	}
	// An account or subscription would lose its last owner or administrator: since the first write, its other holder
	// lost the role, or the person got it.
	if err := orphaned.err(); err != nil {
		j.cause = err
		return job.Step{Then: j.in(job.Canceling)}, nil
	}
	if err := settleMemberships(ctx, p); err != nil {
		return job.Step{}, err
	}
	if more, err := p.Split(); more || err != nil {
		return j.writes(p), err
	}
	if len(p.Updates()) == 0 {
		if err := deleteClosedInvitations(ctx, p, j.who); err != nil {
			return job.Step{}, err
		}
	}
	if len(p.Updates()) == 0 {
		if err := planCleanup(ctx, p, j.offboarding, j.elsewhere); err != nil {
			return job.Step{}, err
		}
	}
	if len(p.Updates()) > 0 {
		return j.writes(p), nil
	}
	return j.planEnd(ctx, p)
}

// writes returns the step that writes the plan. The job continues after it.
func (j offboardingJob) writes(p *plan) job.Step {
	j.halved = max(0, p.halved-1)
	j.reassigned = append(j.reassigned[:len(j.reassigned):len(j.reassigned)], p.reassigned...)
	return job.Step{Unit: p.Unit, Metadata: j.by.metadata(j.operation), Then: j}
}

// planEnd plans the steps after all roles, invitations, shares and creations are deleted or reassigned.
func (j offboardingJob) planEnd(ctx context.Context, p *plan) (job.Step, error) {
	disconnected, err := j.readDisconnected(ctx, p)
	if err != nil || len(disconnected) > 0 {
		return job.Step{WaitFor: disconnected}, err
	}
	if j.erases() {
		var waitFor []job.Job
		if waitFor, j.rest, err = j.readRest(ctx, p); err != nil || len(waitFor) > 0 {
			return job.Step{WaitFor: waitFor}, err
		}
		if len(j.rest) > 0 {
			return j.planRest(p), nil
		}
	}
	if err := requireNothingLeft(ctx, p, j.offboarding); err != nil {
		return job.Step{}, err
	}
	if err := endOffboarding(ctx, p, j.offboarding); err != nil {
		return job.Step{}, err
	}
	return job.Step{Unit: p.Unit, Metadata: j.by.metadata(j.operation), Then: j.in(job.Done)}, nil
}

// endOffboarding plans that an offboarding is no longer under way.
func endOffboarding(ctx context.Context, p *plan, d offboarding) error {
	closed, err := readWithdrawals(ctx, p, d.who)
	for _, row := range append(d.relationships(), closed...) {
		p.Delete(row)
	}
	return err
}

// requireNothingLeft requires as preconditions that the offboarding has nothing left to delete or reassign.
func requireNothingLeft(ctx context.Context, p *plan, d offboarding) error {
	if d.erases() {
		p.Forbid(authz.Filter{SubjectType: user, SubjectID: d.who})
		return nil
	}
	if closed, err := readWithdrawals(ctx, p, d.who); err != nil || len(closed) > 0 {
		err = errors.Join(err, requireNoneInvited(ctx, p, d.who))
		if err != nil {
			return err
		}
	}
	if !d.reassigns() {
		return nil
	}
	for _, typ := range createdTypes() {
		rows, err := p.FindSome(ctx, creatorRows(typ, d.who), 1)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			p.Forbid(creatorRows(typ, d.who))
		}
	}
	return nil
}

// planCancel plans the next write of an offboarding that is canceled. Its earlier writes remain. It first deletes the
// invitations that the offboarding closed, so that they do not open again.
func (j offboardingJob) planCancel(ctx context.Context, p *plan) (job.Step, error) {
	step := job.Step{Unit: p.Unit, Metadata: j.by.metadata("cancel_offboarding"), Then: j}
	if err := deleteClosedInvitations(ctx, p, j.who); err != nil || len(p.Updates()) > 0 {
		return step, err
	}
	if err := endOffboarding(ctx, p, j.offboarding); err != nil {
		return step, err
	}
	if j.by.Idempotency != nil {
		p.Delete(j.by.done())
	}
	step.Then, step.Cause = j.in(job.Canceled), j.cause
	return step, nil
}

// readDisconnected returns unfinished deletions of connections that the requester of the offboarding started and
// whose cut-off is written. The deletions of the person's private connections are among them.
func (j offboardingJob) readDisconnected(ctx context.Context, p *plan) ([]job.Job, error) {
	requested := authz.Filter{
		Type: deletionType, Relation: deletionRequestedBy, SubjectType: j.requestedBy.Type, SubjectID: j.requestedBy.ID,
	}
	under, err := p.FindSome(ctx, requested, 0)
	if err != nil {
		return nil, err
	}
	var deletions []job.Job
	for _, record := range under {
		object := deletedObject(record.Resource)
		if object.Type != "connection" {
			continue
		}
		if isPlaced, err := readIsPlaced(ctx, p, object); err != nil {
			return nil, err
		} else if isPlaced {
			continue
		}
		deletions = append(deletions, j.service.deletionJob(j.by, j.operation, record, job.Cleaning))
	}
	return deletions, nil
}
