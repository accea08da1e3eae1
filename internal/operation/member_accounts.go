package operation

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// maxUpdatesOfMembership is a bound for one change of a person's roles on several accounts: the highest number of
// updates, and of preconditions, that the write needs besides those for each account. It covers the person's
// membership of the subscription, an idempotency key and an offboarding.
const maxUpdatesOfMembership = 15

// PutMemberAccounts sets the roles of one person on several accounts of a subscription. On each account, the person
// gets exactly the roles in the account's entry. If the entry has an end, the roles expire then. An empty entry
// removes all roles. The actor needs assign_roles on each of these accounts. A change that fits one write is
// atomic. A larger change takes several writes, see portions.
func (s *Service) PutMemberAccounts(
	ctx context.Context, by Caller, id, who authz.ID, accounts map[authz.ID][]string, until time.Time,
) (Member, Done, error) {
	if len(accounts) == 0 {
		return Member{}, Done{}, authz.Errorf(authz.CodeInvalid, "accounts must name at least one account")
	}
	until = fullSecond(until)
	member := Member{
		User: who, Accounts: make(map[authz.ID]Roles, len(accounts)), AccountsExpireAt: make(map[authz.ID]time.Time),
	}
	divided := newPortionsOfAccounts(sortedKeys(accounts))
	build := func(ctx context.Context, p *plan) (Member, error) {
		p.portions = divided
		if err := s.inFuture(until); err != nil {
			return Member{}, err
		}
		var orphaned, lowers, last []authz.ID
		var err error
		room := authz.MaxUpdates - maxUpdatesOfMembership // for the preconditions of the last write
		for _, accountID := range divided.next() {
			before := len(p.Preconditions())
			account, change, err := readAccountChange(ctx, p, id, accountID, who, accounts[accountID], until)
			if err != nil {
				return Member{}, atEntry("accounts", accountID, err)
			}
			isOrphaned, err := changeAccountRoles(ctx, p, account, []roleChange{change})
			if err != nil {
				return Member{}, atEntry("accounts", accountID, err)
			}
			if isOrphaned {
				orphaned = append(orphaned, accountID)
			}
			if change.lowers(account.set) {
				lowers = append(lowers, accountID)
			} else {
				last = append(last, accountID)
				if room -= len(p.Preconditions()) - before; room < 0 {
					divided.arrange(lowers, last)
					if err := divided.checkFits(p, maxUpdatesOfMembership); err != nil {
						return Member{}, err
					}
				}
			}
			member.Accounts[accountID] = change.wanted
			delete(member.AccountsExpireAt, accountID)
			if len(change.wanted) > 0 && !change.until.IsZero() {
				member.AccountsExpireAt[accountID] = change.until
			}
		}
		divided.arrange(lowers, last)
		if err := lastHolderError(orphaned); err != nil {
			return Member{}, err
		}
		member.Roles, err = readVisibleRolesAfter(ctx, p, id, who)
		return member, err
	}
	return runWithResult(
		ctx, s, by, "put_member_accounts", s.memberAccountsResult(by, id, who, sortedKeys(accounts)), build,
	)
}

// memberAccountsResult reads the roles of a person on a subscription and on some of its accounts. It omits roles that
// the actor may not list.
func (s *Service) memberAccountsResult(by Caller, id, who authz.ID, accounts []authz.ID) result[Member] {
	return result[Member]{Member{User: who}, func(ctx context.Context) (Member, authz.Token, error) {
		member := Member{User: who, Accounts: make(map[authz.ID]Roles), AccountsExpireAt: make(map[authz.ID]time.Time)}
		token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
			subscription := subscriptionObject(id)
			facts := []visibility.Fact{rolesFact(by, subscription, who)}
			for _, accountID := range accounts {
				facts = append(facts, rolesFact(by, accountObject(accountID), who))
			}
			shown, err := viewOf(p).MayKnowEach(ctx, facts)
			if err != nil {
				return err
			}
			if !slices.Contains(shown, true) {
				return notFoundError(p, subscription)
			}
			if shown[0] {
				facts, err := readSubscription(ctx, p, id)
				if err != nil {
					return err
				}
				held, err := readRoles(ctx, p, subscription, facts.set, who)
				if err != nil {
					return err
				}
				member.Roles = rolesOf(held)
			}
			for i, accountID := range accounts {
				if !shown[i+1] {
					continue
				}
				account, err := readAccount(ctx, p, accountID)
				if err != nil {
					return err
				}
				if account.subscription.object != subscription { // a later account with the same id
					continue
				}
				held, err := readRoles(ctx, p, account.object, account.set, who)
				if err != nil {
					return err
				}
				member.Accounts[accountID] = rolesOf(held)
				if end := lastEnd(held); !end.IsZero() {
					member.AccountsExpireAt[accountID] = end
				}
			}
			return nil
		})
		return answered(member, token, err)
	}}
}

// readAccountChange reads the change that gives a person exactly these roles on an account, which must belong to the
// subscription. It needs assign_roles on the account.
func readAccountChange(
	ctx context.Context, p *plan, subscription, id, who authz.ID, roles []string, until time.Time,
) (account accountFacts, change roleChange, err error) {
	if err := requirePermission(ctx, p, accountObject(id), "assign_roles"); err != nil {
		return account, change, err
	}
	if account, err = readAccount(ctx, p, id); err != nil {
		return account, change, err
	}
	if account.subscription.object.ID != subscription {
		if _, err := readPermissions(ctx, p, subscriptionObject(subscription)); err != nil {
			return account, change, err
		}
		return account, change, authz.Errorf(
			authz.CodeInvalid, "%s does not belong to %s", account.object, subscriptionObject(subscription),
		)
	}
	if account.set, err = withCustomRoles(ctx, p, account.object, account.set, roles); err != nil {
		return account, change, err
	}
	wanted, err := account.set.Parse(roles)
	if err != nil {
		return account, change, err
	}
	if change, err = readChangeUntil(ctx, p, account, who, wanted, until); err != nil {
		return account, change, err
	}
	change, err = limitEnd(ctx, p, account, change)
	return account, change, err
}
