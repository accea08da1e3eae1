package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
	"github.com/sluice-authz/sluice/internal/tx"
)

// deletionJob deletes an object after its deletion is recorded: first the object's own relationships, which ends all
// access, and then its contents and the references to it. Each write requires as a precondition that the deletion is
// still under way. So if another request has finished the deletion and a new object has the id, the write fails.
//
// On PostgreSQL, a write that began before the cut-off can become visible after the cleanup has read. So each write
// also requires as preconditions that objects emptied by earlier writes still have no relationships. Then either the
// job notices the late write, or the database rejects it: the late write cannot come both before the cut-off and after
// the read.
type deletionJob struct {
	service   *Service
	by        Caller
	operation string
	record    authz.Relationship // stores that the deletion is under way, and who requested it
	state     job.State

	emptied []authz.Object // objects that earlier writes emptied and that no later write has verified
	// deleted are the relationships that the last write deleted by name.
	deleted map[authz.Filter]bool
	// unnamed are relationships that another tool stored with ids that no delete can name, see batch.add.
	unnamed map[authz.Filter]bool
	// passes counts the writes that should have deleted the last relationships. The job fails after very many of them,
	// since another tool then keeps writing relationships.
	passes int
}

// maxObjectsPerWrite is how many objects one write empties. A later write needs two preconditions to verify each of
// them.
const maxObjectsPerWrite = 300

// deletionJob returns the job that performs a recorded deletion.
func (s *Service) deletionJob(by Caller, operation string, record authz.Relationship, state job.State) deletionJob {
	return deletionJob{service: s, by: by, operation: operation, record: record, state: state}
}

// Record implements job.Job.
func (j deletionJob) Record() authz.Object { return j.record.Resource }

// State implements job.Job.
func (j deletionJob) State() job.State { return j.state }

// Conflict implements job.Job.
func (j deletionJob) Conflict() string {
	return "other requests kept creating what this deletion removes; try again"
}

func (j deletionJob) object() authz.Object { return deletedObject(j.record.Resource) }

// in returns the job in the given state.
func (j deletionJob) in(state job.State) deletionJob {
	j.state = state
	return j
}

// step returns the step that writes the plan. The job continues after it.
func (j deletionJob) step(p *plan) job.Step {
	if len(p.Updates()) > 0 {
		j.deleted = make(map[authz.Filter]bool)
	}
	for _, u := range p.Updates() {
		if u.Action == authz.Delete {
			j.deleted[authz.Exactly(u.Relationship)] = true
		}
	}
	return job.Step{Unit: p.Unit, Metadata: j.by.metadata(j.operation), Then: j}
}

// Next implements job.Job.
func (j deletionJob) Next(ctx context.Context, failed int) (job.Step, error) {
	p := newPlan(j.service.engine, j.by.withoutKey())
	p.now = j.service.now()
	if _, err := p.head(ctx); err != nil {
		return job.Step{}, err
	}
	recorded, err := p.Find(ctx, authz.Exactly(j.record))
	if err != nil {
		return job.Step{}, err
	}
	if len(recorded) == 0 { // another request has finished the deletion
		// The service account that requested the deletion may itself be deleted by now. No relationship may name it
		// then.
		if j.record.Subject.Type != serviceAccount {
			j.planDone(p)
		}
		return job.Step{Unit: p.Unit, Metadata: j.by.metadata(j.operation), Then: j.in(job.Done)}, nil
	}
	p.Require(j.record)
	if j.state == job.Requested {
		return j.planCutOff(ctx, p)
	}
	return j.planCleaning(ctx, p, failed > 0)
}

// planCutOff plans to delete the object's own relationships, however many there are. If the actor may no longer delete
// the object, it plans to delete the record instead, which cancels the deletion.
func (j deletionJob) planCutOff(ctx context.Context, p *plan) (job.Step, error) {
	object := j.object()
	isPlaced, err := readIsPlaced(ctx, p, object)
	if err != nil {
		return job.Step{}, err
	}
	if !isPlaced { // an earlier write was the cut-off
		return job.Step{Then: j.in(job.Cleaning)}, nil
	}
	j.operation = deleteOperation(object)
	err = requireDeletePermission(ctx, p, object)
	if refused(err) {
		return j.cancel(err), nil
	}
	step := job.Step{Unit: p.Unit, Metadata: j.by.metadata(j.operation), Then: j.in(job.Cleaning)}
	if err == nil && object.Type == authz.TypeGroup {
		return step, cutOffGroup(ctx, p, object)
	}
	step.DeleteAll = &authz.Filter{Type: object.Type, ID: object.ID}
	return step, err
}

// cancel returns the step that deletes the record of the deletion, because its actor may no longer delete the object.
func (j deletionJob) cancel(cause error) job.Step {
	p := newPlan(j.service.engine, j.by.withoutKey())
	p.Delete(j.record)
	if j.by.Idempotency != nil {
		p.Delete(j.by.done())
	}
	return job.Step{
		Unit: p.Unit, Metadata: j.by.metadata("withdraw_deletion"), Then: j.in(job.Canceled), Cause: cause,
	}
}

// planCleaning plans the next write after the cut-off. In a retry, it first plans to delete relationships that became
// visible late in emptied objects.
func (j deletionJob) planCleaning(ctx context.Context, p *plan, isRetry bool) (job.Step, error) {
	reasons, err := j.readReasons(ctx, p)
	if err != nil {
		return job.Step{}, err
	}
	if len(reasons) > 0 {
		return j.planMemberships(ctx, p, reasons)
	}
	if j.object().Type == authz.TypeGroup {
		if step, found, err := j.planGroup(ctx, p); err != nil || found {
			return step, err
		}
	}
	verified, later := j.emptied, []authz.Object(nil)
	if len(verified) > maxObjectsPerWrite {
		verified, later = verified[:maxObjectsPerWrite], verified[maxObjectsPerWrite:]
	}
	if isRetry {
		if verified, err = untaken(ctx, p, verified); err != nil {
			return job.Step{}, err
		}
		if step, found, err := j.planAgain(ctx, p, verified, later); err != nil || found {
			return step, err
		}
	}
	b := newBatch(p, j)
	complete, err := b.addObject(ctx, j.object())
	switch {
	case err != nil:
		return job.Step{}, err
	case b.deleteAll != nil:
		return b.step(j.emptied), nil
	case b.isEmpty() && len(b.waitFor) > 0:
		return job.Step{WaitFor: b.waitFor}, nil
	case b.isEmpty():
		return j.planEnd(p, verified, later), nil
	case complete:
		if b.job.passes++; b.job.passes == tx.MaxAttempts {
			return job.Step{}, authz.Errorf(authz.CodeConflict, "%s", j.Conflict())
		}
	}
	forbidRelationships(p, verified)
	return b.step(union(later, b.emptied)), nil
}

// planAgain plans to delete relationships that became visible late in emptied objects. It reports whether it found any.
func (j deletionJob) planAgain(
	ctx context.Context, p *plan, emptied, later []authz.Object,
) (step job.Step, found bool, err error) {
	if j.passes++; j.passes == tx.MaxAttempts {
		return job.Step{}, false, authz.Errorf(authz.CodeConflict, "%s", j.Conflict())
	}
	b := newBatch(p, j)
	for _, object := range emptied {
		complete, err := b.addObject(ctx, object)
		if err != nil {
			return job.Step{}, false, err
		}
		if !complete {
			break
		}
	}
	if b.isEmpty() {
		return job.Step{}, false, nil
	}
	for _, object := range emptied { // otherwise the write could change a new object that now has this id
		p.Forbid(placeFilter(object))
	}
	return b.step(union(emptied, later, b.emptied)), true, nil
}

// planEnd plans the write that stores that the deletion is done, after everything is deleted. If too many objects
// remain to be verified, it plans a write that only verifies some of them.
func (j deletionJob) planEnd(p *plan, verified, later []authz.Object) job.Step {
	forbidRelationships(p, verified)
	if len(later) > 0 {
		p.Update(authz.Touch, j.record)
		j.emptied = later
		return j.step(p)
	}
	forbidRelationships(p, []authz.Object{j.object()})
	j.planDone(p)
	p.Delete(j.record)
	return job.Step{Unit: p.Unit, Metadata: j.by.metadata(j.operation), Then: j.in(job.Done)}
}

// planDone plans to store for a day that the deletion is done, so that the person or service account that requested it
// can repeat the call. It stores nothing for the backend, which does not repeat calls.
func (j deletionJob) planDone(p *plan) {
	if !isActorType(j.record.Subject.Type) {
		return
	}
	done := j.record
	done.Relation, done.ExpiresAt = deletionDone, j.service.now().Add(rememberFor)
	p.Update(authz.Touch, done)
}

// forbidRelationships requires as preconditions that no relationship has one of the objects as resource or subject.
func forbidRelationships(p *plan, objects []authz.Object) {
	for _, object := range objects {
		p.Forbid(authz.Filter{Type: object.Type, ID: object.ID})
		p.Forbid(authz.Filter{SubjectType: object.Type, SubjectID: object.ID})
	}
}

// placeFilter selects the relationship of an object to its parent: the account, workspace, subscription or platform
// that contains it.
func placeFilter(object authz.Object) authz.Filter {
	return authz.Filter{Type: object.Type, ID: object.ID, Relation: kindOf(object.Type).place}
}

// readIsPlaced reports whether the relationship of an object to its parent is stored. The cut-off of a deletion deletes
// this relationship.
func readIsPlaced(ctx context.Context, p *plan, object authz.Object) (bool, error) {
	found, err := p.FindSome(ctx, placeFilter(object), 1)
	return len(found) > 0, err
}

// untaken returns those emptied objects whose id no new object has.
func untaken(ctx context.Context, p *plan, emptied []authz.Object) ([]authz.Object, error) {
	var found []authz.Object
	for _, object := range emptied {
		isPlaced, err := readIsPlaced(ctx, p, object)
		if err != nil {
			return nil, err
		}
		if !isPlaced {
			found = append(found, object)
		}
	}
	return found, nil
}

// union returns the objects of all lists, each once, in their order.
func union(lists ...[]authz.Object) []authz.Object {
	var all []authz.Object
	known := make(map[authz.Object]bool)
	for _, object := range slices.Concat(lists...) {
		if !known[object] {
			known[object] = true
			all = append(all, object)
		}
	}
	return all
}
