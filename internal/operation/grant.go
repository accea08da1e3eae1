package operation

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// Grant is an operation by which a person may come to a permission that they lack, as a call of the API.
type Grant struct {
	Method, Path string
	Body         map[string]any

	// On is the object that the operation is about.
	On authz.Object

	// Needs are the permissions that the approver needs, on the object NeedsOn. An operation of the
	// Backend needs none, but a key with the scope provision.
	Needs   []authz.Permission
	NeedsOn authz.Object
	Backend bool

	// Holders are the relations of which a subject may perform the operation, the nearest first.
	Holders []Holder

	// Effect is what the operation writes, as far as the person's permissions rest on it.
	Effect []authz.Update

	// Roles are those that the person holds afterwards, if the operation gives roles.
	Roles []authz.Role

	// Others are the people whom Body names beside the person, since the operation would else end what they have.
	Others []authz.ID

	// Requires is the feature without which the operation is refused, and that the subscription lacks; Before is the
	// operation that turns it on.
	Requires authz.Feature
	Before   *Grant

	perform func(ctx context.Context, s *Service, by Caller) error
}

// Holder is everybody in a relation of an object. Who may list the people of ListedOn may know who they are.
type Holder struct {
	Object   authz.Object
	Relation authz.Relation
	ListedOn authz.Object
}

// Equals reports whether two grants are the same call with the same effect.
func (g Grant) Equals(other Grant) bool {
	return g.Method == other.Method && g.Path == other.Path && slices.Equal(g.Roles, other.Roles) && slices.Equal(g.Effect, other.Effect)
}

// Perform performs the operation through a service whose engine need not hold the people whom Body names besides.
func (g Grant) Perform(ctx context.Context, s *Service, actor authz.ID) error {
	if g.Backend {
		actor = ""
	}
	return g.perform(ctx, s, Caller{Actor: actor})
}

// Grants returns the operations that could give the person more on an object or on what it is in, at a state: those on
// the object's own people first, then those on its account, its subscription and the platform. They follow the rules of
// the role sets, but whether one gives what is wanted is for the engine to say. There are none for an object that does not
// exist.
func (s *Service) Grants(ctx context.Context, who authz.ID, object authz.Object, at authz.Token) ([]Grant, error) {
	p := newPlan(s.engine, Caller{}, tx.AtSnapshot(at))
	grants, err := grantsOn(ctx, p, who, object)
	if errors.Is(err, authz.CodeNotFound) {
		return nil, nil
	}
	return grants, err
}

// grantsOn returns the operations for Grants; its errors are those of reading.
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

// readAccountAround reads the account that an object is, or is in.
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
		Method: "PUT", Path: path("platform", "administrators", string(who)), On: platform, Backend: true,
		Effect: []authz.Update{touching(platform, authz.Relation(authz.RoleAdministrator), person(who))},
		perform: func(ctx context.Context, s *Service, by Caller) error {
			_, err := s.AddPlatformAdministrator(ctx, by, who)
			return err
		},
	}
}

// path is the path of a call, with the ids in it percent-encoded.
func path(segments ...string) string {
	path := "/v1"
	for _, segment := range segments {
		path += "/" + url.PathEscape(segment)
	}
	return path
}

func touching(resource authz.Object, relation authz.Relation, subject authz.Subject) authz.Update {
	return authz.Update{Action: authz.Touch, Relationship: authz.Relationship{Resource: resource, Relation: relation, Subject: subject}}
}

func deleting(resource authz.Object, relation authz.Relation, subject authz.Subject) authz.Update {
	u := touching(resource, relation, subject)
	u.Action = authz.Delete
	return u
}

// Writes reports whether operations write the relationships of objects of the type. The application writes those
// of all other types itself.
func Writes(t authz.Type) bool {
	_, product := kinds[t]
	return product || t == deletionType
}

// Visible returns the permission without which an object of the type does not exist for a person.
func Visible(t authz.Type) authz.Permission { return kindOf(t).visible }

// Place returns the relation in which an object of a type holds what it is in; none for a type that is in nothing.
func Place(t authz.Type) authz.Relation { return kinds[t].place }

// Listing returns the permission on an object that lets a person know who holds which role on it; none for a type that has
// no roles.
func Listing(t authz.Type) authz.Permission { return kinds[t].list }
