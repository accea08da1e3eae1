package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// CreateSubscription creates a subscription with its owner. It has no actor.
func (s *Service) CreateSubscription(
	ctx context.Context, by Caller, in NewSubscription,
) (Subscription, Done, error) {
	set, err := authz.ParseRoleSet(in.RoleSet, "subscription")
	if err != nil {
		return Subscription{}, Done{}, err
	}
	features, err := parseFeatures(in.Features)
	if err != nil {
		return Subscription{}, Done{}, err
	}
	build := func(ctx context.Context, p *plan) (Subscription, error) {
		object := subscriptionObject(in.ID)
		if err := claimID(ctx, p, object); err != nil {
			return Subscription{}, err
		}
		if err := requireNoOffboarding(ctx, p, in.Owner, true); err != nil {
			return Subscription{}, err
		}
		p.Create(object, "platform", only(platform))
		for _, row := range flagRows(object, authz.Relation(set.Name)) {
			p.Create(object, row.Relation, row.Subject)
		}
		p.Create(object, authz.Relation(set.Required), person(in.Owner))
		setFeatures(p, object, nil, features)
		return Subscription{ID: in.ID, RoleSet: set.Name, Features: features}, nil
	}
	return runWithResult(ctx, s, by, "create_subscription", s.subscriptionResult(by, in.ID), build)
}

// PutFeatures turns exactly these features of a subscription on, and all others off. It has no actor. Turning a
// feature off ends no role that needs the feature; it only prevents new grants of this role.
func (s *Service) PutFeatures(
	ctx context.Context, by Caller, id authz.ID, names []string,
) (Subscription, Done, error) {
	features, err := parseFeatures(names)
	if err != nil {
		return Subscription{}, Done{}, err
	}
	build := func(ctx context.Context, p *plan) (Subscription, error) {
		facts, err := readSubscription(ctx, p, id)
		if err != nil {
			return Subscription{}, err
		}
		flags, err := readFlags(ctx, p, facts.object)
		if err != nil {
			return Subscription{}, err
		}
		setFeatures(p, facts.object, flags, features)
		return Subscription{ID: id, RoleSet: facts.set.Name, Features: features}, nil
	}
	return runWithResult(ctx, s, by, "put_features", s.subscriptionResult(by, id), build)
}

// parseFeatures returns the features of these names, in the order of authz.Features.
func parseFeatures(names []string) ([]authz.Feature, error) {
	for _, name := range names {
		if _, err := authz.ParseFeature(name); err != nil {
			return nil, err
		}
	}
	features := []authz.Feature{}
	for _, feature := range authz.Features {
		if slices.Contains(names, string(feature)) {
			features = append(features, feature)
		}
	}
	return features, nil
}

// setFeatures plans that exactly these features are on. flags are the present flags of the subscription. The write
// requires the present state of each feature as a precondition, so that two concurrent changes do not mix.
func setFeatures(p *plan, object authz.Object, flags []authz.Relation, features []authz.Feature) {
	set := func(relation authz.Relation, on bool) {
		row := authz.Relationship{Resource: object, Relation: relation, Subject: everybody}
		if was := slices.Contains(flags, relation); was {
			p.Require(row)
		} else {
			p.Forbid(authz.Exactly(row))
		}
		if on {
			p.Touch(object, relation, everybody)
		} else if slices.Contains(flags, relation) {
			p.Delete(row)
		}
	}
	for _, feature := range authz.Features {
		set(authz.Relation(feature), slices.Contains(features, feature))
	}
	set(membersCreateAccounts, !slices.Contains(features, authz.FeatureUserPermissions))
}

// GetSubscription returns a subscription that the actor may view.
func (s *Service) GetSubscription(ctx context.Context, by Caller, id authz.ID) (Subscription, authz.Token, error) {
	var subscription Subscription
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Existence(subscriptionObject(id))); err != nil {
			return err
		}
		facts, err := readSubscription(ctx, p, id)
		subscription = Subscription{ID: id, RoleSet: facts.set.Name, Features: facts.features}
		return err
	})
	return answered(subscription, token, err)
}

// SubscriptionAccounts returns a page of the subscription's accounts that the actor may view, with the actor's roles
// there. It returns an error with CodeNotFound if the actor may view neither the subscription nor an account of it.
func (s *Service) SubscriptionAccounts(
	ctx context.Context, by Caller, id authz.ID, page Page,
) (Accounts, authz.Token, error) {
	var accounts Accounts
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		hidden := viewOf(p).Require(ctx, visibility.Existence(subscriptionObject(id)))
		if hidden != nil && authz.CodeOf(hidden) != authz.CodeNotFound {
			return hidden
		}
		ids, err := readAccountsOf(ctx, p, id)
		if err != nil {
			return err
		}
		accounts, err = readVisibleAccounts(ctx, p, ids, by.Actor.Object(), page.of("subscription accounts", id))
		if err == nil && len(accounts.Accounts) == 0 && page.Cursor == "" {
			return hidden
		}
		return err
	})
	return answered(accounts, token, err)
}

// UserAccounts returns a page of all accounts that a person may view, with their roles there. If the person is not
// the actor, the call must have no actor and needs a key with the scope inspect, see the parameter inspect.
func (s *Service) UserAccounts(
	ctx context.Context, by Caller, who authz.ID, inspect bool, page Page,
) (Accounts, authz.Token, error) {
	if who != by.Actor.Person() && (!inspect || by.Actor != "") {
		return Accounts{}, "", authz.Errorf(
			authz.CodeForbidden,
			"only %s may list these accounts, or a key with the scope inspect without Sluice-Actor", who,
		)
	}
	var accounts Accounts
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if _, err := p.head(ctx); err != nil {
			return err
		}
		query := authz.ResourceQuery{Subject: person(who), Permission: "view", Type: "account"}
		var ids []authz.ID
		for found, err := range p.engine.LookupResources(ctx, query, p.Consistency(), authz.Page{}) {
			if err != nil {
				return err
			}
			ids = append(ids, found.ID)
		}
		slices.Sort(ids)
		var err error
		accounts, err = readVisibleAccounts(ctx, p, ids, person(who).Object, page.of("user accounts", who))
		return err
	})
	return answered(accounts, token, err)
}

// readAccountsOf reads the ids of a subscription's accounts, sorted.
func readAccountsOf(ctx context.Context, p *plan, id authz.ID) ([]authz.ID, error) {
	found, err := p.Find(
		ctx,
		authz.Filter{
			Type:         "account",
			Relation:     "subscription",
			SubjectType:  "subscription",
			SubjectID:    id,
			SubjectPlain: true,
		},
	)
	if err != nil {
		return nil, err
	}
	ids := make([]authz.ID, len(found))
	for i, r := range found {
		ids[i] = r.Resource.ID
	}
	slices.Sort(ids)
	return ids, nil
}

// TransferSubscription makes another person the one owner of a single_owner subscription. The previous owner keeps
// their other roles. Without an actor, the backend replaces the owner and must give a reason.
func (s *Service) TransferSubscription(ctx context.Context, by Caller, id, to authz.ID) (Done, error) {
	if by.Actor == "" {
		return s.replaceOwner(ctx, by, id, to)
	}
	return s.run(ctx, by, "transfer_subscription", func(ctx context.Context, p *plan) error {
		return planTransfer(ctx, p, subscriptionObject(id), to)
	})
}

// planTransfer plans that the actor transfers a subscription that they own to another person.
func planTransfer(ctx context.Context, p *plan, object authz.Object, to authz.ID) error {
	if err := requirePermission(ctx, p, object, "transfer_ownership"); err != nil {
		return err
	}
	if to == p.by.Actor.Person() {
		return authz.Errorf(authz.CodeInvalid, "%s owns %s already", to, object)
	}
	owner := authz.Relationship{Resource: object, Relation: authz.Relation(authz.RoleOwner), Subject: p.actor()}
	if err := endOwnership(ctx, p, owner); err != nil {
		return err
	}
	p.Touch(object, owner.Relation, person(to))
	return requireNoOffboarding(ctx, p, to, true)
}

// endOwnership plans that a person stops being the owner of a subscription. If they hold no other role on it, they
// are no longer a member.
func endOwnership(ctx context.Context, p *plan, owner authz.Relationship) error {
	object, who := owner.Resource, owner.Subject.ID
	p.Require(owner)
	p.Delete(owner)
	held, err := readHeld(ctx, p, object, authz.Person(who))
	if err != nil || len(held) > 1 {
		return err
	}
	return withdrawFirst(ctx, p, who, object)
}
