package operation

import (
	"context"

	"github.com/sluice-authz/sluice/internal/authz"
)

// roleTypes are the types of objects that store roles of service accounts. A service account can hold roles on many
// accounts.
var roleTypes = []authz.Type{"subscription", "account", authz.TypeRoleBinding}

// rolesOfServiceAccount returns a filter for the roles of a service account on all objects of a type.
func rolesOfServiceAccount(account authz.Object, on authz.Type) authz.Filter {
	return authz.Filter{Type: on, SubjectType: account.Type, SubjectID: account.ID}
}

// cutOffServiceAccount plans the cut-off of a service account. It deletes the relationships whose resource is the
// service account, so that no operation succeeds in its name. It also deletes the roles that fit the write. Later
// writes delete the other roles.
func cutOffServiceAccount(ctx context.Context, p *plan, account authz.Object) error {
	own, err := p.FindSome(ctx, authz.Filter{Type: account.Type, ID: account.ID}, 0)
	if err != nil {
		return err
	}
	for _, r := range own {
		p.Delete(r)
	}
	for _, on := range roleTypes {
		room := p.Room()
		if room <= 0 {
			return nil
		}
		roles, err := p.FindSome(ctx, rolesOfServiceAccount(account, on), room)
		if err != nil {
			return err
		}
		for _, r := range roles {
			p.Delete(r)
		}
	}
	return nil
}

// addRolesOf makes the write delete roles of a service account that the cut-off left. It returns false if there were
// any.
func (b *batch) addRolesOf(ctx context.Context, account authz.Object) (complete bool, err error) {
	for _, on := range roleTypes {
		filter := rolesOfServiceAccount(account, on)
		found, err := b.FindSome(ctx, filter, 1)
		if err != nil {
			return false, err
		}
		if len(found) > 0 {
			return b.addAll(filter), nil
		}
	}
	return true, nil
}

// addOfServiceAccount adds the deletion of a relationship whose subject is a service account that is being deleted.
// Invitations that the service account sent, and its private connections, are deleted as a whole. Its other creations
// remain without a creator. Deletions and offboardings that it requested must end first.
func (b *batch) addOfServiceAccount(ctx context.Context, r authz.Relationship) (complete bool, err error) {
	switch {
	case r.Resource.Type == invitationType:
		return b.addObject(ctx, r.Resource)
	case r.Resource.Type == "connection" && r.Relation == creator:
		shared := authz.Filter{Type: r.Resource.Type, ID: r.Resource.ID, Relation: sharedWithTheWhole}
		found, err := b.FindSome(ctx, shared, 1)
		if err != nil {
			return false, err
		}
		if len(found) == 0 {
			b.Forbid(shared)
			return b.addPrivateConnection(ctx, r.Resource)
		}
	case r.Resource.Type == deletionType && r.Relation == deletionRequestedBy:
		b.waitFor = append(b.waitFor, b.job.service.resumedDeletion(r))
		return false, nil
	case r.Resource.Type == offboardingType && r.Relation == offboardingRequestedBy:
		d, under, err := readOffboarding(ctx, b.plan, r.Resource.ID)
		if err != nil {
			return false, err
		}
		if under {
			by := resumingCaller(d.requestedBy)
			b.waitFor = append(b.waitFor, b.job.service.offboardingJob(by, b.job.operation, d))
			return false, nil
		}
	}
	return b.add(r), nil
}

// addPrivateConnection adds a private connection of a service account that is being deleted. The relationship to the
// service account comes last, so that the deletion finds the connection again after an interruption.
func (b *batch) addPrivateConnection(ctx context.Context, connection authz.Object) (complete bool, err error) {
	if complete, err := b.addContents(ctx, connection); err != nil || !complete {
		return false, err
	}
	own, err := b.FindSome(ctx, authz.Filter{Type: connection.Type, ID: connection.ID}, authz.MaxUpdates+1)
	if err != nil {
		return false, err
	}
	left := 0
	for _, r := range own {
		if r.Relation == creator || r.Relation == kindOf(connection.Type).place {
			left++
		} else if !b.add(r) {
			return false, nil
		}
	}
	if len(b.Updates())+left > authz.MaxUpdates {
		return false, nil
	}
	return b.addOwn(ctx, connection)
}
