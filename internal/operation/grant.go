package operation

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// Grant is an action that may give a person a missing permission, with its requirements and its updates.
type Grant struct {
	// Action is nil for a change of relationships that no operation of the product makes.
	Action Action

	// On is the object that the action changes.
	On authz.Object

	// Needs are the permissions on the object NeedsOn that an approver needs. If Backend is set, only the backend can
	// perform the action: Needs is empty, and the call needs a key with the scope provision.
	Needs   []authz.Permission
	NeedsOn authz.Object
	Backend bool

	// Holders are the relations whose subjects may perform the action. Relations of the object itself come first, then
	// relations of the objects that contain it.
	Holders []Holder

	// Effect holds the updates of the action that the person's permissions may depend on.
	Effect []authz.Update

	// Roles are the roles that the person holds after the action, if the action gives roles.
	Roles []authz.Role

	// Others are the people who have access already. The action replaces the whole list of people, so it must list them
	// too.
	Others []authz.ID

	// Requires is a feature that the action needs and that the subscription lacks, or empty. Before is the grant that
	// turns it on.
	Requires authz.Feature
	Before   *Grant
}

// Holder is a relation of an object, and stands for the subjects of the relation. Only somebody who may list the people
// of the object ListedOn may know who these subjects are.
type Holder struct {
	Object   authz.Object
	Relation authz.Relation
	ListedOn authz.Object
}

// Equals reports whether two grants are the same action with the same effect.
func (g Grant) Equals(other Grant) bool {
	return g.IsSameOperation(other) && slices.Equal(g.Roles, other.Roles) && slices.Equal(g.Effect, other.Effect)
}

// IsSameOperation reports whether two grants perform the same operation on the same object, perhaps with other
// arguments.
func (g Grant) IsSameOperation(other Grant) bool {
	return g.On == other.On && reflect.TypeOf(g.Action) == reflect.TypeOf(other.Action)
}

// Perform performs the action through a service. It names no people in Others, see Action.perform.
func (g Grant) Perform(ctx context.Context, s *Service, actor authz.Actor) error {
	if g.Backend {
		actor = ""
	}
	return g.Action.perform(ctx, s, Caller{Actor: actor})
}

// Grants returns the actions that could give a person more permissions on an object, at a snapshot: first the actions
// on the object itself, then those on its workspace, account and subscription and on the platform. The actions follow
// the rules of the role sets. The caller must evaluate whether an action gives the wanted permission. Grants returns
// none for an object that does not exist.
func (s *Service) Grants(ctx context.Context, who authz.ID, object authz.Object, at authz.Token) ([]Grant, error) {
	p := newPlan(s.engine, Caller{}, tx.AtSnapshot(at))
	grants, err := grantsOn(ctx, p, who, object)
	if errors.Is(err, authz.CodeNotFound) {
		return nil, nil
	}
	return grants, err
}

// grantsOn returns the actions for Grants. If the object does not exist, the error is CodeNotFound.
func grantsOn(ctx context.Context, p *plan, who authz.ID, object authz.Object) (grants []Grant, err error) {
	var subscription subscriptionFacts
	switch object.Type {
	case platform.Type:
	case "subscription":
		if subscription, err = readSubscription(ctx, p, object.ID); err != nil {
			return nil, err
		}
	default:
		account, err := readAccountAround(ctx, p, object)
		if err != nil {
			return nil, err
		}
		subscription = account.subscription
		onObject, err := objectGrants(ctx, p, who, object, account)
		if err != nil {
			return nil, err
		}
		onAccount, err := accountGrants(ctx, p, who, account)
		if err != nil {
			return nil, err
		}
		grants = append(onObject, onAccount...)
	}
	if subscription.object.ID != "" {
		onSubscription, err := subscriptionGrants(ctx, p, who, subscription)
		if err != nil {
			return nil, err
		}
		grants = append(grants, onSubscription...)
	}
	return append(grants, administratorGrant(who)), nil
}

// readAccountAround reads the account of an object. For an account, this is the object itself.
func readAccountAround(ctx context.Context, p *plan, object authz.Object) (accountFacts, error) {
	if object.Type == "account" {
		return readAccount(ctx, p, object.ID)
	}
	if kindOf(object.Type).place == "" {
		return accountFacts{}, notFoundError(p, object)
	}
	return readAccountOf(ctx, p, object)
}

func administratorGrant(who authz.ID) Grant {
	return Grant{
		Action: AddAdministrator{who}, On: platform, Backend: true,
		Effect: []authz.Update{touching(platform, authz.Relation(authz.RoleAdministrator), person(who))},
	}
}

func touching(resource authz.Object, relation authz.Relation, subject authz.Subject) authz.Update {
	return authz.Update{
		Action:       authz.Touch,
		Relationship: authz.Relationship{Resource: resource, Relation: relation, Subject: subject},
	}
}

func deleting(resource authz.Object, relation authz.Relation, subject authz.Subject) authz.Update {
	u := touching(resource, relation, subject)
	u.Action = authz.Delete
	return u
}

// Writes reports whether only operations write the relationships of objects of the type. The application itself writes
// those of other types.
func Writes(t authz.Type) bool {
	_, product := kinds[t]
	return product || t == deletionType
}

// Place returns the relation from an object of the type to the object that contains it, or an empty relation.
func Place(t authz.Type) authz.Relation { return kinds[t].place }
