package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/job"
)

// membershipBatch is how many reasons for memberships (see membershipType) one write deletes.
const membershipBatch = 50

// readReasons reads up to membershipBatch reasons for memberships that name the deleted account. A deleted subscription
// has none to read, since all of its memberships end. It leaves out reasons that no delete can name, see batch.add.
func (j deletionJob) readReasons(ctx context.Context, p *plan) ([]authz.Relationship, error) {
	account := j.object()
	if account.Type != "account" {
		return nil, nil
	}
	reasons := authz.Filter{Type: membershipType, SubjectType: account.Type, SubjectID: account.ID}
	found, err := p.FindSome(ctx, reasons, membershipBatch+len(j.deleted)+len(j.unnamed))
	found = slices.DeleteFunc(found, func(r authz.Relationship) bool {
		return j.deleted[authz.Exactly(r)] || j.unnamed[authz.Exactly(r)]
	})
	return found[:min(len(found), membershipBatch)], err
}

// planMemberships plans to delete the reasons, and to end each membership that has no other reason. If these updates do
// not fit one write, it plans the first part, and the next step reads the remaining reasons again.
func (j deletionJob) planMemberships(
	ctx context.Context, p *plan, reasons []authz.Relationship,
) (job.Step, error) {
	if err := endReasons(ctx, p, reasons); err != nil {
		return job.Step{}, err
	}
	if _, err := p.Split(); err != nil {
		return job.Step{}, err
	}
	return j.step(p), beforeCommit(p)
}

// endReasons plans to delete the reasons, and the memberships that have no other reason. The accounts in the reasons
// are deleted, so nobody holds a role on them.
func endReasons(ctx context.Context, p *plan, reasons []authz.Relationship) error {
	var changes []*membershipChange
	for _, r := range reasons {
		p.Delete(r)
		who := memberOf(r.Resource)
		if who == "" { // another tool wrote this reason
			continue
		}
		roles, err := p.Find(ctx, authz.Filter{Type: "subscription", SubjectType: user, SubjectID: who})
		if err != nil {
			return err
		}
		for _, role := range roles {
			if membershipOf(who, role.Resource) != r.Resource {
				continue
			}
			facts, err := readMultiOwner(ctx, p, role.Resource)
			if err != nil {
				return err
			}
			if facts != nil {
				changes = append(changes, &membershipChange{who: who, subscription: *facts})
			}
		}
	}
	return settleChanges(ctx, p, changes)
}
