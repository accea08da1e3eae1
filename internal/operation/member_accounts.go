package operation

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// PutMemberAccounts sets the roles of one person on several accounts of a subscription. On each of them, the person
// gets exactly the roles in the account's entry, until a time if that is set. An empty entry removes all roles. The
// actor needs assign_roles on each of these accounts. If the change fits one write, all of it is written or nothing.
// Otherwise it is divided among several writes, see portions.
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
	for id, roles := range accounts {
		member.Accounts[id] = asRoles(roles)
		if len(roles) > 0 && !until.IsZero() {
			member.AccountsExpireAt[id] = until
		}
	}
	divided := newPortions(sortedKeys(accounts))
	done, err := s.run(ctx, by, "put_member_accounts", func(ctx context.Context, p *plan) error {
		p.portions = divided
		if err := s.inFuture(until); err != nil {
			return err
		}
		var orphaned, lowers, last []authz.ID
		var err error
		room := authz.MaxUpdates // for the preconditions of the last write
		for _, accountID := range divided.next() {
			before := len(p.Preconditions())
			account, change, err := readAccountChange(ctx, p, id, accountID, who, accounts[accountID], until)
			if err != nil {
				return atEntry("accounts", accountID, err)
			}
			isOrphaned, err := changeAccountRoles(ctx, p, account, []roleChange{change})
			if err != nil {
				return atEntry("accounts", accountID, err)
			}
			if isOrphaned {
				orphaned = append(orphaned, accountID)
			}
			if change.lowers(account.set) {
				lowers = append(lowers, accountID)
			} else {
				last = append(last, accountID)
				if room -= len(p.Preconditions()) - before; room < 0 {
					return authz.Errorf(authz.CodeTooLarge,
						"a call can give a person roles on at most %d of these accounts; split it", len(last)-1)
				}
			}
			member.Accounts[accountID] = change.wanted
			delete(member.AccountsExpireAt, accountID)
			if end := endAfterChange(p, change); len(change.wanted) > 0 && !end.IsZero() {
				member.AccountsExpireAt[accountID] = end
			}
		}
		divided.arrange(lowers, last)
		if err := lastHolderError(orphaned); err != nil {
			return err
		}
		member.Roles, err = readVisibleRolesAfter(ctx, p, id, who)
		return err
	})
	return answered(member, done, err)
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
