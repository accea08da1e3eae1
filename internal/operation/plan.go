package operation

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-authz/sluice/internal/authz"
)

const user authz.Type = "user"

// plan is one attempt at an operation: what it found, what it will write, and what must still be so when it is
// written.
//
// The first check of an actor's permission reads the newest state; everything after it reads the same snapshot. What
// a decision rested on is restated as preconditions: as the schema has no exclusions, an allowed decision rests only on
// relationships that exist, so requiring all those that it can have rested on (see witness) keeps it true.
type plan struct {
	engine   authz.Engine
	by       Caller
	now      time.Time // the attempt began
	snapshot authz.Token
	repeated bool // an attempt before this one failed at a precondition
	halved   int  // how often the room of a departure's write was halved, see room

	// patience is how long one attempt to write may take before it counts as failed; zero means as long as the request.
	patience time.Duration

	updates       []authz.Update
	preconditions []authz.Precondition
	arriving      []authz.ID  // who is given a first role on something
	ending        []endShares // shares to end, see endRest
	withdrawing   []withdrawal
	first         [][]authz.Relationship // to be deleted, each group in one write but not in the same, see splitDeletes
	granted       []explicitGrant
	memberships   int         // how many end with a role on an account
	settled       bool        // see settleMemberships
	departing     []departure // carried out after the write
	unfinished    []departure // carried out before the operation is planned again, see errUnderWay
	reassigns     []reassignment
	portions      *portions // how the changes are divided among writes; nil if they are in one
	lowered       int       // how many updates that write something only take access away, see roleChange.lowers
	deletesFirst  bool      // what does not fit one write is deleted in writes before it, see splitDeletes
	restated      map[authz.Precondition]bool
	reads         map[authz.Filter][]authz.Relationship
	witnessed     map[authz.Object]bool

	// mayRead is how many relationships are read at most, and rows how many were. Zero means any number: what removes access
	// reads as many as there are.
	mayRead int64
	rows    atomic.Int64
}

// maxRead is how many relationships an answer to a question about the product is made of at most.
const maxRead = 500_000

func newPlan(engine authz.Engine, by Caller) *plan {
	return &plan{
		engine: engine, by: by, now: time.Now(),
		restated:  make(map[authz.Precondition]bool),
		reads:     make(map[authz.Filter][]authz.Relationship),
		witnessed: make(map[authz.Object]bool),
	}
}

func (p *plan) actor() authz.Subject { return person(p.by.Actor) }

func person(id authz.ID) authz.Subject {
	return authz.Subject{Object: authz.Object{Type: user, ID: id}}
}

func (p *plan) at() authz.Consistency {
	if p.snapshot == "" {
		return authz.Fully()
	}
	return authz.AtSnapshot(p.snapshot)
}

// find returns the relationships that match. Within one plan the same question has the same answer.
func (p *plan) find(ctx context.Context, filter authz.Filter) ([]authz.Relationship, error) {
	if found, ok := p.reads[filter]; ok {
		return found, nil
	}
	found, err := p.findSome(ctx, filter, 0)
	if err == nil {
		p.reads[filter] = found
	}
	return found, err
}

// maxParallel is how many questions one plan asks at a time.
const maxParallel = 16

// findAll asks several questions at once; p.reads has the answers.
func (p *plan) findAll(ctx context.Context, filters []authz.Filter) error {
	answers := make([][]authz.Relationship, len(filters))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, filter := range filters {
		if _, ok := p.reads[filter]; ok {
			answers[i] = p.reads[filter]
			continue
		}
		group.Go(func() (err error) {
			answers[i], err = p.findSome(ctx, filter, 0)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, filter := range filters {
		p.reads[filter] = answers[i]
	}
	return nil
}

// findSome returns at most limit of the relationships that match; 0 means all.
func (p *plan) findSome(ctx context.Context, filter authz.Filter, limit int) ([]authz.Relationship, error) {
	var found []authz.Relationship
	for item, err := range p.engine.Read(ctx, filter, p.at(), authz.Page{Limit: limit}) {
		if err != nil {
			return nil, err
		}
		if p.mayRead > 0 && p.rows.Add(1) > p.mayRead {
			return nil, authz.Errorf(authz.CodeTooLarge, "the answer rests on more than %d relationships", p.mayRead)
		}
		found = append(found, item.Relationship)
	}
	return found, nil
}

// grants is which of the permissions that were asked for the actor has on an object.
type grants struct {
	actor   authz.ID
	object  authz.Object
	allowed map[authz.Permission]bool
}

// need returns an error with CodeForbidden that names the permission, unless the actor has it.
func (g grants) need(permission authz.Permission) error {
	if g.allowed[permission] {
		return nil
	}
	return lacks(permission, "%s lacks the permission %s on %s", g.actor, permission, g.object)
}

// lacks returns an error with CodeForbidden that names the permission.
func lacks(permission authz.Permission, format string, args ...any) *authz.Error {
	err := authz.Errorf(authz.CodeForbidden, format, args...)
	err.Permission = permission
	return err
}

// permissions asks which of the permissions the actor has on an object, and restates what the answer rests on. If
// the actor may not even see the object, the error is CodeNotFound, just as if there were no such object.
func (p *plan) permissions(ctx context.Context, object authz.Object, permissions ...authz.Permission) (grants, error) {
	visible := kindOf(object.Type).visible
	asked := append([]authz.Permission{visible}, permissions...)
	checks := make([]authz.Check, len(asked))
	for i, permission := range asked {
		checks[i] = authz.Check{Subject: p.actor(), Permission: permission, Resource: object}
	}
	results, token, err := p.engine.CheckBulk(ctx, checks, p.at())
	if err != nil {
		return grants{}, err
	}
	if p.snapshot == "" {
		p.snapshot = token
	}
	g := grants{actor: p.by.Actor, object: object, allowed: make(map[authz.Permission]bool, len(asked))}
	for i, result := range results {
		if result.Err != nil {
			return grants{}, result.Err
		}
		g.allowed[asked[i]] = result.Decision.Allowed()
	}
	if !g.allowed[visible] {
		return grants{}, p.notFound(object)
	}
	return g, p.witness(ctx, object)
}

// allow returns an error unless the actor has the permission: CodeNotFound if they may not see the object, else
// CodeForbidden.
func (p *plan) allow(ctx context.Context, object authz.Object, permission authz.Permission) error {
	g, err := p.permissions(ctx, object, permission)
	if err != nil {
		return err
	}
	return g.need(permission)
}

func (p *plan) notFound(object authz.Object) *authz.Error {
	if p.by.Actor == "" {
		return authz.Errorf(authz.CodeNotFound, "there is no %s", object)
	}
	return authz.Errorf(authz.CodeNotFound, "there is no %s, or the actor may not see it", object)
}

// witness restates what a decision about the actor and the object can have rested on: the relationships in which
// the object holds the actor or something other than a person, and the same of every place that the object is in.
func (p *plan) witness(ctx context.Context, object authz.Object) error {
	if p.witnessed[object] {
		return nil
	}
	p.witnessed[object] = true
	kind := kindOf(object.Type)
	filters := []authz.Filter{{Type: object.Type, ID: object.ID}}
	if kind.crowded {
		filters[0].SubjectType, filters[0].SubjectID = user, p.by.Actor
		if kind.place != "" {
			filters = append(filters,
				authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user, SubjectWildcard: true},
				authz.Filter{Type: object.Type, ID: object.ID, Relation: kind.place})
		}
	}
	if err := p.findAll(ctx, filters); err != nil {
		return err
	}
	for _, filter := range filters {
		for _, r := range p.reads[filter] {
			if r.Subject.Type == user && !r.Subject.Wildcard && r.Subject.ID != p.by.Actor {
				continue
			}
			p.require(r)
			if r.Relation == kind.place {
				if err := p.witness(ctx, r.Subject.Object); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// require makes the write depend on a relationship being there.
func (p *plan) require(r authz.Relationship) {
	p.precondition(authz.Precondition{Filter: authz.Exactly(r)})
}

// forbid makes the write depend on no relationship matching.
func (p *plan) forbid(filter authz.Filter) {
	p.precondition(authz.Precondition{Filter: filter, Absent: true})
}

func (p *plan) precondition(c authz.Precondition) {
	if !p.restated[c] {
		p.restated[c] = true
		p.preconditions = append(p.preconditions, c)
	}
}

// requireSome adds as many of the preconditions as one write holds beside a departure. Beyond that, decisions about very many
// accounts hold for the state that they were read from.
func (p *plan) requireSome(preconditions []authz.Precondition) {
	for _, c := range preconditions {
		if len(p.preconditions) < authz.MaxUpdates-mostOfRoles {
			p.precondition(c)
		}
	}
}

func (p *plan) create(resource authz.Object, relation authz.Relation, subject authz.Subject) {
	p.update(authz.Create, authz.Relationship{Resource: resource, Relation: relation, Subject: subject})
}

func (p *plan) touch(resource authz.Object, relation authz.Relation, subject authz.Subject) {
	p.update(authz.Touch, authz.Relationship{Resource: resource, Relation: relation, Subject: subject})
}

func (p *plan) delete(r authz.Relationship) {
	r.ExpiresAt = time.Time{}
	p.update(authz.Delete, r)
}

// update adds an update; SpiceDB refuses a write that holds two for one relationship, so a repeated one is dropped.
func (p *plan) update(action authz.Action, r authz.Relationship) {
	if i := p.planned(r); i >= 0 {
		p.updates[i] = authz.Update{Action: action, Relationship: r}
		return
	}
	p.updates = append(p.updates, authz.Update{Action: action, Relationship: r})
}

// planned returns the index of the update of a relationship, and -1 if the plan has none.
func (p *plan) planned(r authz.Relationship) int {
	return slices.IndexFunc(p.updates, func(u authz.Update) bool {
		return u.Relationship.Resource == r.Resource && u.Relationship.Relation == r.Relation && u.Relationship.Subject == r.Subject
	})
}

// claim makes the write depend on an object's id being free: nothing is stored about it, and no deletion of an
// object of that id is under way. Most ids are free, so it looks only after a precondition failed; the error is
// CodeConflict if the id is taken.
//
// A preview does not tell that an id is taken by an object that the actor may not view. The error is CodeInvalid for an id
// that nobody can choose.
func (p *plan) claim(ctx context.Context, object authz.Object) error {
	if err := mayBeNew(object); err != nil {
		return err
	}
	if err := p.hideUnseen(ctx, object); err != nil {
		return err
	}
	taken := authz.Filter{Type: object.Type, ID: object.ID}
	deleting := authz.Filter{Type: deletionType, ID: deletionOf(object).ID, Relation: deletionBy}
	p.forbid(taken)
	p.forbid(deleting)
	if !p.repeated {
		return nil
	}
	found, err := p.findSome(ctx, taken, 1)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return authz.Errorf(authz.CodeConflict, "%s exists already", object)
	}
	if found, err = p.find(ctx, deleting); err != nil {
		return err
	}
	if len(found) > 0 {
		return authz.Errorf(authz.CodeConflict, "%s is still being deleted; try again shortly", object)
	}
	return nil
}

// hider is the engine of a preview: it can read as if nothing were stored about some objects.
type hider interface{ Hide(objects ...authz.Object) }

// hideUnseen makes a preview go on as if an id were free, unless the actor may view the object that has it. It does nothing for
// an operation that is performed, where a second object of the id would be the first one.
func (p *plan) hideUnseen(ctx context.Context, object authz.Object) error {
	engine, previews := p.engine.(hider)
	if !previews || p.by.Actor == "" {
		return nil
	}
	if visible := kindOf(object.Type).visible; visible != "" {
		seen, err := p.decide(ctx, []authz.Check{p.asks(visible, object)})
		if err != nil || seen[0] {
			return err
		}
	}
	engine.Hide(object, deletionOf(object))
	return nil
}

// metadata is what SpiceDB keeps with the transaction.
func (c Caller) metadata(operation string) map[string]any {
	metadata := map[string]any{"actor": string(c.Actor), "key": c.Key, "operation": operation, "request_id": c.RequestID}
	if c.Reason != "" {
		metadata["reason"] = c.Reason
	}
	return metadata
}
