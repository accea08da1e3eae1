package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Handover names the new owner of a removed person's creations, and says what happens to their private connections.
// Private is "disconnect", "leave" or empty. If Private is empty, people who remove themselves also hand over their
// private connections. If Private is empty and somebody else removes a person with private connections, the removal
// fails.
type Handover struct {
	To      authz.ID
	Private string

	// LeavesGroups is set if the person also leaves the groups of the account's subscription.
	LeavesGroups bool

	stage handoverStage
}

// handoverStage says how a removal with a new owner is planned.
type handoverStage int

const (
	// readsSome is the first stage: the first write ends the roles after a bounded number of reads. If the checks of the
	// new owner need more reads, planHandover returns errReadsAll.
	readsSome handoverStage = iota

	// endsAccess only ends the roles.
	endsAccess

	// readsAll reads all creations before the first write.
	readsAll
)

// errReadsAll says that only a read of all creations shows whether the new owner may have them.
var errReadsAll = errors.New("the new owner depends on all creations")

// offboarding returns the offboarding that the actor requested. It returns an error with CodeInvalid if the request is
// malformed.
func (h Handover) offboarding(by Caller, from authz.Object, who authz.ID) (offboarding, error) {
	d := offboarding{who: who, from: from, requestedBy: by.Actor.Subject(), newOwner: h.To}
	switch h.Private {
	case "disconnect":
		d.private = disconnectsPrivate
	case "leave":
	case "":
		if who == by.Actor.Person() {
			d.private = movesPrivate
		}
	default:
		return d, authz.Errorf(authz.CodeInvalid, "private_connections must be disconnect or leave, not %q", h.Private)
	}
	if h.To == who {
		return d, authz.Errorf(
			authz.CodeInvalid, "reassign_to names %s, the person to remove; it must name somebody else", who,
		)
	}
	return d, nil
}

// HandOverAccountMember removes a person from an account, as RemoveAccountMember does, and reassigns the person's
// creations in the account to a new owner. The actor needs assign_roles. If the new owner is not a member whose roles
// allow creating such objects, the error has CodeInvalid. HandOverAccountMember returns the reassigned objects, or nil
// for a replay.
func (s *Service) HandOverAccountMember(
	ctx context.Context, by Caller, id, who authz.ID, to Handover,
) (*Reassigned, Done, error) {
	d, err := to.offboarding(by, accountObject(id), who)
	if err != nil {
		return nil, Done{}, err
	}
	groups := &leaving{who: who, account: id}
	may := func(ctx context.Context, p *plan) (bool, error) {
		if groups.isPending {
			return true, groups.plan(ctx, p)
		}
		gone := false
		if who == by.Actor.Person() {
			var err error
			if gone, err = leavePlace(ctx, p, d.from); err != nil {
				return gone, err
			}
		}
		err := requirePermission(ctx, p, d.from, "assign_roles")
		if gone && refused(err) {
			if to.LeavesGroups { // an earlier call may have been interrupted
				return true, groups.plan(ctx, p)
			}
			return true, nil
		}
		return false, err
	}
	build := func(ctx context.Context, p *plan, d offboarding, to Handover) (*offboarding, error) {
		begun, err := planHandover(ctx, p, d, to)
		if err == nil && to.LeavesGroups {
			err = groups.plan(ctx, p)
		}
		return begun, err
	}
	return s.reassign(ctx, by, "remove_account_member", d, to, may, build)
}

// HandOverSubscriptionMember removes a person from a subscription and all of its accounts, as RemoveSubscriptionMember
// does, and reassigns the person's creations in these accounts to a new owner. On each account with a reassigned
// object, the new owner must be a member, and the actor needs assign_roles. It returns the reassigned objects, or nil
// for a replay.
func (s *Service) HandOverSubscriptionMember(
	ctx context.Context, by Caller, id, who authz.ID, to Handover,
) (*Reassigned, Done, error) {
	d, err := to.offboarding(by, subscriptionObject(id), who)
	if err != nil {
		return nil, Done{}, err
	}
	may := func(ctx context.Context, p *plan) (bool, error) {
		if who == by.Actor.Person() {
			return leavePlace(ctx, p, d.from)
		}
		return false, requirePermission(ctx, p, d.from, "remove_users")
	}
	build := func(ctx context.Context, p *plan, d offboarding, to Handover) (*offboarding, error) {
		facts, err := readSubscription(ctx, p, id)
		if err != nil {
			return nil, err
		}
		held, err := readRoles(ctx, p, facts.object, facts.set, who)
		if err != nil {
			return nil, err
		}
		if facts.set.Transferred && (roleChange{held: held}).had(facts.set.Required) {
			return nil, ownerMovesByTransfer(facts)
		}
		return planHandover(ctx, p, d, to)
	}
	return s.reassign(ctx, by, "remove_subscription_member", d, to, may, build)
}

// reassign performs an offboarding to a new owner, see offboard, and reports the reassigned objects. If only a read of
// very many creations shows whether the new owner may have them, it first ends the roles in an offboarding of its own.
// A person who leaves would lose the permission to reassign with their roles, so nothing ends first then.
func (s *Service) reassign(
	ctx context.Context, by Caller, operation string, d offboarding, to Handover,
	may func(context.Context, *plan) (gone bool, err error),
	build func(context.Context, *plan, offboarding, Handover) (*offboarding, error),
) (*Reassigned, Done, error) {
	offboard := func(by Caller, d offboarding, stage handoverStage) (performed, error) {
		to.stage = stage
		return s.offboard(ctx, by, operation, d.who, may, func(ctx context.Context, p *plan) (*offboarding, error) {
			return build(ctx, p, d, to)
		})
	}
	done, err := offboard(by, d, readsSome)
	switch {
	case errors.Is(err, errReadsAll) && d.who == by.Actor.Person():
		done, err = offboard(by, d, readsAll)
	case errors.Is(err, errReadsAll):
		removal := offboarding{who: d.who, from: d.from, requestedBy: d.requestedBy}
		if _, err := offboard(by.withoutKey(), removal, endsAccess); err != nil {
			return nil, Done{}, err
		}
		if done, err = offboard(by, d, readsAll); err != nil {
			err = removedFirst(d.who, d.newOwner, err)
		}
	}
	if err != nil {
		return nil, Done{}, err
	}
	report, err := s.reportReassigned(ctx, by, d, done)
	return answered(report, done.Done, err)
}

// hiddenCreations returns the error for a removal that would reassign objects in accounts that the actor may not view.
// The error names none of these accounts.
func hiddenCreations(d offboarding) error {
	return lacks("assign_roles", "%s lacks the permission assign_roles on some accounts where %s created something: "+
		"remove %s without reassign_to", d.requestedBy.ID, d.who, d.who)
}

// planHandover plans the first write of an offboarding to a new owner, which ends all roles of the person. It returns
// nil if the person holds no role and created nothing.
func planHandover(ctx context.Context, p *plan, d offboarding, asked Handover) (*offboarding, error) {
	if err := endRoles(ctx, p, d); err != nil {
		return nil, err
	}
	if asked.stage == endsAccess {
		if len(p.Updates()) == 0 && len(p.withdrawing) == 0 {
			return nil, nil //nolint:nilnil // the person holds no role
		}
		return &d, nil
	}
	if p.isReplay {
		return nil, nil //nolint:nilnil // a replay writes nothing
	}
	first, err := readCreatedFirst(ctx, p, d.who)
	if err != nil {
		return nil, err
	}
	if first.many && asked.stage == readsSome {
		return &d, requireLargeHandover(ctx, p, d, asked, first.types)
	}
	in, err := accountsOfPlace(ctx, p, d.from)
	if err != nil {
		return nil, err
	}
	moving, private, err := typesToMove(ctx, p, d, in)
	if err != nil {
		return nil, err
	}
	if err := requireHandover(ctx, p, d, moving); err != nil {
		return nil, err
	}
	if private > 0 && asked.Private == "" && d.private == "" {
		return nil, authz.Errorf(authz.CodeConflict,
			"%s created %s, which nobody else may take over: private_connections must be disconnect or leave",
			d.who, authz.Count(private, "private connection", "private connections"))
	}
	if len(p.Updates()) > 0 || len(p.withdrawing) > 0 || private > 0 || hasTypes(moving) {
		return &d, nil
	}
	named := false
	err = forEachNamed(ctx, p, d.who, in, func(authz.Relationship) bool {
		named = true
		return false
	})
	if err != nil || !named {
		return nil, err
	}
	return &d, nil
}

// requireLargeHandover checks the new owner of very many creations without reading them: the new owner must be able to
// create every type of object that the person created, in every account of the offboarding. Otherwise it returns
// errReadsAll.
func requireLargeHandover(ctx context.Context, p *plan, d offboarding, asked Handover, types []authz.Type) error {
	if asked.Private == "" && d.private == "" && slices.Contains(types, "connection") {
		return authz.Errorf(authz.CodeConflict,
			"%s created more than %d objects: private_connections must be disconnect or leave, also if there are no private "+
				"connections", d.who, maxCreatedReadFirst)
	}
	accounts := []authz.ID{d.from.ID}
	if d.from.Type == "account" {
		// The actor's permission, and the membership of the new owner, are required in any case.
		if err := requireHandover(ctx, p, d, map[authz.ID][]authz.Type{d.from.ID: nil}); err != nil {
			return err
		}
	} else {
		var err error
		if accounts, err = readAccountsOf(ctx, p, d.from.ID); err != nil {
			return err
		}
		if len(accounts) > maxRolesAtOnce {
			return errReadsAll
		}
	}
	moving := make(map[authz.ID][]authz.Type)
	for _, account := range accounts {
		moving[account] = types
	}
	err := requireHandover(ctx, p, d, moving)
	if refused(err) || errors.Is(err, authz.CodeInvalid) {
		return errReadsAll
	}
	return err
}

// typesToMove returns, for each account, the types of objects that the new owner gets, and the number of private
// connections. An account has no types if all of the person's objects there are disconnected.
func typesToMove(
	ctx context.Context, p *plan, d offboarding, in func(authz.ID) bool,
) (moving map[authz.ID][]authz.Type, private int, err error) {
	moving = make(map[authz.ID][]authz.Type)
	err = forEachCreated(ctx, p, d.who, in, make(map[authz.Object]bool), func(c created) (bool, error) {
		if c.private() {
			private++
		}
		types, typ := moving[c.account], c.object().Type
		switch {
		case c.private() && d.private == "":
		case c.private() && d.private == disconnectsPrivate:
			moving[c.account] = types
		case !slices.Contains(types, typ):
			moving[c.account] = append(types, typ)
		}
		return true, nil
	})
	if err == nil && d.from.Type == "account" { // the new owner must be a member even if nothing is reassigned
		moving[d.from.ID] = append([]authz.Type{}, moving[d.from.ID]...)
	}
	return moving, private, err
}

// requireHandover returns an error if the actor may not reassign objects of one of the accounts, or the new owner may
// not receive them.
func requireHandover(ctx context.Context, p *plan, d offboarding, moving map[authz.ID][]authz.Type) error {
	observer := p.observer()
	for _, account := range sortedKeys(moving) {
		if err := requirePermission(ctx, observer, accountObject(account), "assign_roles"); err != nil {
			if errors.Is(err, authz.CodeNotFound) && account != d.from.ID {
				return hiddenCreations(d)
			}
			return err
		}
		if len(moving[account]) == 0 && d.from.Type != "account" {
			continue
		}
		if err := requireNewOwner(ctx, observer, d.newOwner, account, moving[account]); err != nil {
			return err
		}
	}
	requireSome(p, observer.Preconditions())
	return nil
}

// hasTypes reports whether any of the accounts has objects to reassign.
func hasTypes(moving map[authz.ID][]authz.Type) bool {
	for _, types := range moving {
		if len(types) > 0 {
			return true
		}
	}
	return false
}

// requireNewOwner returns an error with CodeInvalid unless the person is a member of the account, with roles that let
// them create objects of these types. It requires the membership and the roles as preconditions. An owner of the
// subscription counts as a member.
func requireNewOwner(ctx context.Context, p *plan, newOwner, id authz.ID, types []authz.Type) error {
	account, err := readAccount(ctx, p, id)
	if err != nil {
		return err
	}
	held, err := readRoles(ctx, p, account.object, account.set, newOwner)
	if err != nil {
		return err
	}
	above, err := readRoles(ctx, p, account.subscription.object, account.subscription.set, newOwner)
	if err != nil {
		return err
	}
	for _, r := range above {
		if r.Relation == authz.Relation(authz.RoleOwner) {
			held = append(held, r)
		}
	}
	if len(held) == 0 {
		return authz.Errorf(
			authz.CodeInvalid, "reassign_to names %s, who is not a member of %s", newOwner, account.object,
		)
	}
	for _, r := range held {
		p.Require(r)
	}
	checks := make([]authz.Check, len(types))
	for i, typ := range types {
		checks[i] = authz.Check{Subject: person(newOwner), Permission: kindOf(typ).creates, Resource: account.object}
	}
	if len(checks) == 0 {
		return nil
	}
	allowed, err := decide(ctx, p, checks)
	for i, typ := range types {
		if err == nil && !allowed[i] {
			err = authz.Errorf(
				authz.CodeInvalid, "reassign_to names %s, whose roles on %s do not let them create %s", newOwner,
				account.object, authz.WithArticle(typ),
			)
		}
	}
	return err
}
