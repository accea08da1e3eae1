package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

func serviceAccountHolder(id authz.ID) authz.Holder {
	return authz.Holder{Type: serviceAccount, ID: id}
}

// GetAccountServiceAccountRoles returns the roles of a service account on an account. It returns an error with
// CodeNotFound if the service account holds none. The actor needs list_members.
func (s *Service) GetAccountServiceAccountRoles(
	ctx context.Context, by Caller, id, account authz.ID,
) (HolderRoles, authz.Token, error) {
	var roles HolderRoles
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Roles(accountObject(id))); err != nil {
			return err
		}
		facts, err := readAccount(ctx, p, id)
		if err != nil {
			return err
		}
		roles, err = readRolesOfHolder(ctx, p, facts.object, facts.set, serviceAccountHolder(account))
		return err
	})
	return answered(roles, token, err)
}

// PutAccountServiceAccountRoles sets the roles of a service account on an account to exactly these. If an end is given,
// the roles expire then. The service account must belong to the account or its subscription. The actor needs
// assign_roles.
func (s *Service) PutAccountServiceAccountRoles(
	ctx context.Context, by Caller, id, account authz.ID, roles []string, until time.Time,
) (HolderRoles, Done, error) {
	until = fullSecond(until)
	holder := serviceAccountHolder(account)
	build := func(ctx context.Context, p *plan) (HolderRoles, error) {
		if err := s.inFuture(until); err != nil {
			return HolderRoles{}, err
		}
		if err := requirePermission(ctx, p, accountObject(id), "assign_roles"); err != nil {
			return HolderRoles{}, err
		}
		facts, err := readAccount(ctx, p, id)
		if err != nil {
			return HolderRoles{}, err
		}
		change, err := readHolderChange(ctx, p, facts, holder, roles, until)
		if err != nil {
			return HolderRoles{}, err
		}
		if err := requireServiceAccountIn(ctx, p, change, facts.object, facts.subscription.object); err != nil {
			return HolderRoles{}, err
		}
		given := HolderRoles{Holder: holder, Roles: change.wanted, ExpiresAt: change.until}
		return given, changeServiceAccountRoles(ctx, p, change)
	}
	again := result[HolderRoles]{HolderRoles{Holder: holder}, func(ctx context.Context) (HolderRoles, authz.Token, error) {
		return s.GetAccountServiceAccountRoles(ctx, by, id, account)
	}}
	return runWithResult(ctx, s, by, "put_account_service_account_roles", again, build)
}

// RemoveAccountServiceAccountRoles deletes all roles of a service account on an account. The actor needs assign_roles.
func (s *Service) RemoveAccountServiceAccountRoles(ctx context.Context, by Caller, id, account authz.ID) (Done, error) {
	return s.run(ctx, by, "remove_account_service_account_roles", func(ctx context.Context, p *plan) error {
		if err := requirePermission(ctx, p, accountObject(id), "assign_roles"); err != nil {
			return err
		}
		facts, err := readAccount(ctx, p, id)
		if err != nil {
			return err
		}
		holder := serviceAccountHolder(account)
		held, err := readHolderRoles(ctx, p, facts.object, facts.set, holder)
		if err != nil {
			return err
		}
		change := holderChange{object: facts.object, set: facts.set, holder: holder, held: held}
		return changeServiceAccountRoles(ctx, p, change)
	})
}

// PutSubscriptionServiceAccountRoles sets the roles of a service account on its subscription to exactly these. For each
// role that it adds or removes, the actor needs the permission invite_ROLE.
func (s *Service) PutSubscriptionServiceAccountRoles(
	ctx context.Context, by Caller, id, account authz.ID, roles []string,
) (HolderRoles, Done, error) {
	holder := serviceAccountHolder(account)
	build := func(ctx context.Context, p *plan) (HolderRoles, error) {
		change, err := readSubscriptionChange(ctx, p, id, holder, roles, false)
		if err != nil {
			return HolderRoles{}, err
		}
		if err := requireServiceAccountIn(ctx, p, change, change.object); err != nil {
			return HolderRoles{}, err
		}
		return HolderRoles{Holder: holder, Roles: change.wanted}, changeServiceAccountRoles(ctx, p, change)
	}
	again := result[HolderRoles]{HolderRoles{Holder: holder}, func(ctx context.Context) (HolderRoles, authz.Token, error) {
		found, token, err := s.GetServiceAccount(ctx, by, account)
		return HolderRoles{Holder: holder, Roles: found.Roles}, token, err
	}}
	return runWithResult(ctx, s, by, "put_subscription_service_account_roles", again, build)
}

// RemoveSubscriptionServiceAccountRoles deletes all roles of a service account on its subscription. For each of them,
// the actor needs the permission invite_ROLE.
func (s *Service) RemoveSubscriptionServiceAccountRoles(
	ctx context.Context, by Caller, id, account authz.ID,
) (Done, error) {
	return s.run(ctx, by, "remove_subscription_service_account_roles", func(ctx context.Context, p *plan) error {
		change, err := readSubscriptionChange(ctx, p, id, serviceAccountHolder(account), nil, true)
		if err != nil {
			return err
		}
		return changeServiceAccountRoles(ctx, p, change)
	})
}

// readSubscriptionChange returns the change after which a service account holds the named roles on a subscription, or
// no roles if removes is set. It returns an error unless the actor may list the members of the subscription, and may
// give and remove each changed role.
func readSubscriptionChange(
	ctx context.Context, p *plan, id authz.ID, holder authz.Holder, roles []string, removes bool,
) (holderChange, error) {
	change := holderChange{object: subscriptionObject(id), holder: holder}
	if err := requirePermission(ctx, p, change.object, kindOf(change.object.Type).list); err != nil {
		return change, err
	}
	facts, err := readSubscription(ctx, p, id)
	if err != nil {
		return change, err
	}
	change.set = facts.set
	if !removes {
		if change.wanted, err = parseHolderRoles(facts.set, roles, holder); err != nil {
			return change, err
		}
	}
	if change.held, err = readHolderRoles(ctx, p, facts.object, facts.set, holder); err != nil {
		return change, err
	}
	return change, requireMayChangeHolder(ctx, p, change)
}

// requireMayChangeHolder returns an error unless the actor may give and remove each changed role on a subscription.
func requireMayChangeHolder(ctx context.Context, p *plan, change holderChange) error {
	for _, role := range change.set.Names() {
		if !change.changes(role) {
			continue
		}
		if err := requirePermission(ctx, p, change.object, authz.Permission("invite_"+role)); err != nil {
			return err
		}
	}
	return nil
}

// requireServiceAccountIn requires as a precondition that the service account of a change belongs to one of the
// places. If it does not, the error has CodeNotFound. So does the error if the service account holds no role on the
// object of the change, and the actor may not view the service account.
func requireServiceAccountIn(ctx context.Context, p *plan, change holderChange, places ...authz.Object) error {
	object := change.holder.Object()
	place, err := readPlaceOf(ctx, p, object)
	if err != nil {
		return err
	}
	if !slices.Contains(places, place) {
		return notFoundError(p, object)
	}
	if len(change.held) > 0 {
		return nil
	}
	return viewOf(p).Require(ctx, visibility.Existence(object))
}

// changeServiceAccountRoles plans a change of the roles of a service account on one object. If the service account gets
// its first role there or loses its last one, the plan withdraws its open invitations to the object. An expired role
// leaves such invitations behind, and a new role must not make them valid again.
func changeServiceAccountRoles(ctx context.Context, p *plan, change holderChange) error {
	if len(change.held) == 0 || len(change.wanted) == 0 {
		rows, err := p.Find(ctx, authz.Filter{
			Type: invitationType, Relation: invitedBy, SubjectType: change.holder.Type, SubjectID: change.holder.ID,
		})
		if err != nil {
			return err
		}
		open, err := filterOpen(ctx, p, handlesIn(rows))
		if err != nil {
			return err
		}
		for _, stored := range open {
			if stored.To == change.object {
				p.DeleteFirst(deletedWith(stored))
			}
		}
	}
	change.write(p)
	return nil
}
