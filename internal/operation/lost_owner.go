package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Without an actor, the backend itself can replace an owner or administrator whom nobody can reach any more. It must
// give a reason. It can grant only a required role. It can remove a role only from the one owner of a single_owner
// subscription.

// requireReason returns an error with CodeInvalid unless the call has a reason for performing an operation without an
// actor.
func (c Caller) requireReason() error {
	if c.Reason == "" {
		return authz.Errorf(authz.CodeInvalid, "an operation that the backend performs without an actor needs a reason")
	}
	return nil
}

// replaceOwner replaces the one owner of a single_owner subscription. It returns an error with CodeInvalid for another
// role set, and if the person is the owner already.
func (s *Service) replaceOwner(ctx context.Context, by Caller, id, to authz.ID) (Done, error) {
	if err := by.requireReason(); err != nil {
		return Done{}, err
	}
	return s.run(ctx, by, "transfer_subscription", func(ctx context.Context, p *plan) error {
		if _, err := p.head(ctx); err != nil {
			return err
		}
		facts, err := readSubscription(ctx, p, id)
		if err != nil {
			return err
		}
		if !facts.set.Transferred {
			return authz.Errorf(authz.CodeInvalid,
				"%s has the role set %s, which may have several owners; PUT /v1/subscriptions/%s/members/%s adds one",
				facts.object, facts.set.Name, id, to)
		}
		owned := authz.Filter{
			Type: facts.object.Type, ID: id, Relation: authz.Relation(facts.set.Required), SubjectType: user,
		}
		owners, err := p.Find(ctx, owned)
		if err != nil {
			return err
		}
		if len(owners) == 0 {
			p.Forbid(owned)
		}
		if len(owners) == 1 && owners[0].Subject == person(to) {
			return authz.Errorf(authz.CodeInvalid, "%s owns %s already", to, facts.object)
		}
		for _, owner := range owners {
			if err := endOwnership(ctx, p, owner); err != nil {
				return err
			}
		}
		p.Touch(facts.object, owned.Relation, person(to))
		return requireNoOffboarding(ctx, p, to, true)
	})
}

// addOwner makes a person an owner of a subscription, in addition to the existing owners.
func (s *Service) addOwner(
	ctx context.Context, by Caller, id, who authz.ID, roles []string,
) (Member, Done, error) {
	if err := by.requireReason(); err != nil {
		return Member{}, Done{}, err
	}
	build := func(ctx context.Context, p *plan) (Member, error) {
		if _, err := p.head(ctx); err != nil {
			return Member{}, err
		}
		facts, err := readSubscription(ctx, p, id)
		if err != nil {
			return Member{}, err
		}
		wanted, err := onlyRequiredRole(facts.object, facts.set, roles)
		if err != nil {
			return Member{}, err
		}
		if facts.set.Transferred {
			return Member{}, ownerMovesByTransfer(facts)
		}
		change, err := readChange(ctx, p, facts.object, facts.set, who, wanted)
		if err != nil {
			return Member{}, err
		}
		change = change.joining(facts.set)
		if err := requireNoOffboarding(ctx, p, who, len(change.held) == 0); err != nil {
			return Member{}, err
		}
		writeRoleChanges(p, facts.object, facts.set, []roleChange{change})
		return Member{User: who, Roles: change.wanted}, requireKnownBindings(ctx, p, facts.object)
	}
	return runWithResult(ctx, s, by, "put_subscription_member", s.subscriptionMemberResult(by, id, who), build)
}

// addRequiredRole makes a person an owner or administrator of an account, in addition to the existing owners and
// administrators. The person keeps their additional roles.
func (s *Service) addRequiredRole(
	ctx context.Context, by Caller, id, who authz.ID, roles []string, until time.Time,
) (Member, Done, error) {
	if err := by.requireReason(); err != nil {
		return Member{}, Done{}, err
	}
	build := func(ctx context.Context, p *plan) (Member, error) {
		if _, err := p.head(ctx); err != nil {
			return Member{}, err
		}
		account, err := readAccount(ctx, p, id)
		if err != nil {
			return Member{}, err
		}
		wanted, err := onlyRequiredRole(account.object, account.set, roles)
		if err != nil {
			return Member{}, err
		}
		change, err := readChangeUntil(ctx, p, account, who, wanted, until)
		if err != nil {
			return Member{}, err
		}
		change = change.joining(account.set)
		member := Member{User: who, Roles: change.wanted} // the required role is permanent
		return member, changeAccount(ctx, p, account, change)
	}
	return runWithResult(ctx, s, by, "put_account_member", s.accountMemberResult(by, id, who), build)
}

// onlyRequiredRole parses the roles that the backend grants without an actor. It returns an error with CodeInvalid
// unless they are exactly the set's required role.
func onlyRequiredRole(object authz.Object, set authz.RoleSet, names []string) ([]authz.Role, error) {
	if set.Required == "" {
		return nil, authz.Errorf(authz.CodeInvalid,
			"%s has the role set %s, which has no required role, so no role on it can be granted without an actor; "+
				"its subscription has an owner", object, set.Name)
	}
	wanted := []authz.Role{set.Required}
	roles, err := parseRoles(set, names)
	if err == nil && !slices.Equal(roles, wanted) {
		err = authz.Errorf(authz.CodeInvalid,
			"without an actor, only the role %s can be granted on %s, not %s", set.Required, object, list(roles))
	}
	return wanted, err
}
