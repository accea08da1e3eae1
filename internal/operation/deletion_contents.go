package operation

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// batch collects the updates of one write of a deletion. It deletes an object's contents before the relationship to the
// object's parent. So after an interruption, the deletion finds the remaining contents again.
type batch struct {
	*plan
	job       deletionJob
	emptied   []authz.Object // objects whose relationships the write deletes completely
	waitFor   []job.Job      // jobs that must end before the rest can be deleted
	deleteAll *authz.Filter  // selects what the write deletes instead of the updates
}

func newBatch(p *plan, j deletionJob) *batch {
	j.unnamed = maps.Clone(j.unnamed)
	if j.unnamed == nil {
		j.unnamed = make(map[authz.Filter]bool)
	}
	return &batch{plan: p, job: j}
}

func (b *batch) isEmpty() bool { return b.deleteAll == nil && len(b.Updates()) == 0 }

// step returns the step that writes the batch. Later writes verify that the emptied objects still have no
// relationships.
func (b *batch) step(emptied []authz.Object) job.Step {
	j := b.job
	j.emptied = emptied
	step := j.step(b.plan)
	step.DeleteAll = b.deleteAll
	return step
}

// add adds the delete of a relationship. It returns false if the batch is full. It skips a relationship that the last
// write deleted and that is still stored: another tool stored it with an id that no delete can name.
func (b *batch) add(r authz.Relationship) bool {
	switch key := authz.Exactly(r); {
	case b.job.unnamed[key] || isPlanned(b.plan, r):
	case b.job.deleted[key]:
		b.job.unnamed[key] = true
	case len(b.Updates()) == authz.MaxUpdates:
		return false
	default:
		r.ExpiresAt = time.Time{}
		b.Delete(r)
	}
	return true
}

// addAll makes the write delete all relationships that match the filter, if the batch is empty. It always returns
// false: such a write can hold nothing else, and a batch that is not empty must be written first.
func (b *batch) addAll(filter authz.Filter) (complete bool) {
	if len(b.Updates()) == 0 {
		b.deleteAll = &filter
	}
	return false
}

// addObject adds all relationships of an object: first those that give access to it, then its contents, and last the
// relationship to its parent. It returns false if the batch is full before the object is complete.
func (b *batch) addObject(ctx context.Context, object authz.Object) (complete bool, err error) {
	if kindOf(object.Type).hasUnboundedMembers {
		people := authz.Filter{Type: object.Type, ID: object.ID, SubjectType: user}
		found, err := b.FindSome(ctx, people, 1)
		if err != nil {
			return false, err
		}
		if len(found) > 0 {
			return b.addAll(people), nil
		}
	}
	if complete, err := b.addContents(ctx, object); err != nil || !complete {
		return false, err
	}
	if complete, err := b.addOwn(ctx, object); err != nil || !complete {
		return false, err
	}
	return len(b.emptied) < maxObjectsPerWrite, nil
}

// addOwn adds the relationships whose resource is the object. The relationship to its parent comes last.
func (b *batch) addOwn(ctx context.Context, object authz.Object) (complete bool, err error) {
	own := authz.Filter{Type: object.Type, ID: object.ID}
	var places []authz.Relationship
	hasAny, isSkipped := false, false
	for r, err := range b.read(ctx, own) {
		if err != nil {
			return false, err
		}
		hasAny = true
		if leadsToContainer(r) {
			places = append(places, r)
			continue
		}
		if !b.add(r) {
			return false, nil
		}
		isSkipped = isSkipped || !isPlanned(b.plan, r)
	}
	for _, r := range places {
		if !b.add(r) {
			return false, nil
		}
		isSkipped = isSkipped || !isPlanned(b.plan, r)
	}
	if isSkipped {
		return b.addAll(own), nil
	}
	if hasAny {
		b.emptied = append(b.emptied, object)
	}
	return true, nil
}

// leadsToContainer reports whether the resource of a relationship is deleted together with its subject. A role binding
// is deleted with its place, and also with its role. An invitation is deleted with its place, and also with a custom
// role that it offers: the invitee must not get another role that is created with the same id.
func leadsToContainer(r authz.Relationship) bool {
	return r.Relation == kindOf(r.Resource.Type).place ||
		r.Resource.Type == authz.TypeRoleBinding && r.Relation == bindingRole ||
		r.Resource.Type == invitationType && r.Subject.Type == authz.TypeCustomRole
}

// addContents adds every relationship whose subject is the object: its contents, with their own contents, and the
// references to it. It returns false if the batch is full.
func (b *batch) addContents(ctx context.Context, object authz.Object) (complete bool, err error) {
	referring := authz.Filter{SubjectType: object.Type, SubjectID: object.ID}
	if object.Type == serviceAccount {
		if complete, err := b.addRolesOf(ctx, object); err != nil || !complete {
			return false, err
		}
	}
	// byType collects the types of references that only a filter can delete: types that the product does not define,
	// and types with ids that no delete can name.
	var byType []authz.Type
	for r, err := range b.read(ctx, referring) {
		if err != nil {
			return false, err
		}
		_, isProduct := kinds[r.Resource.Type]
		complete = true
		switch {
		case object.Type == serviceAccount && (isProduct || r.Resource.Type == deletionType):
			complete, err = b.addOfServiceAccount(ctx, r)
		case !isProduct: // see byType
		case leadsToContainer(r):
			complete, err = b.addObject(ctx, r.Resource)
		default:
			complete = b.add(r)
		}
		if err != nil || !complete {
			return false, err
		}
		if !isPlanned(b.plan, r) && !slices.Contains(byType, r.Resource.Type) {
			byType = append(byType, r.Resource.Type)
		}
	}
	if len(byType) > 0 {
		return b.addAll(authz.Filter{Type: byType[0], SubjectType: object.Type, SubjectID: object.ID}), nil
	}
	return true, nil
}

// read yields the stored relationships that match.
func (b *batch) read(ctx context.Context, filter authz.Filter) iter.Seq2[authz.Relationship, error] {
	return func(yield func(authz.Relationship, error) bool) {
		for item, err := range b.engine.Read(ctx, filter, b.Consistency(), authz.Page{}) {
			if !yield(item.Relationship, err) || err != nil {
				return
			}
		}
	}
}
