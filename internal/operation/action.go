package operation

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
)

// Action is an operation of the product with its arguments: one of AddAdministrator, GiveAccountRoles,
// GiveSubscriptionRoles, TransferOwnership, TurnOnFeature, ShareWith, AdmitTo and AddCapability. Explanations suggest
// actions; the HTTP API renders each as a call.
//
//sumtype:decl
type Action interface {
	// perform performs the action through a service. If the action names several people, perform names only Person. It
	// leaves out the people in Grant.Others, since a simulation runs on a copy of the data that may lack them.
	perform(ctx context.Context, s *Service, by Caller) error
}

// AddAdministrator makes a person an administrator of the platform.
type AddAdministrator struct{ Person authz.ID }

// GiveAccountRoles sets the roles of a person on an account. The roles end at Until; zero means that they are
// permanent.
type GiveAccountRoles struct {
	Account, Person authz.ID
	Roles           []authz.Role
	Until           time.Time
}

// GiveSubscriptionRoles sets the roles of a person on a subscription.
type GiveSubscriptionRoles struct {
	Subscription, Person authz.ID
	Roles                []authz.Role
}

// TransferOwnership makes a person the one owner of a subscription.
type TransferOwnership struct{ Subscription, To authz.ID }

// TurnOnFeature turns on one more feature of a subscription. Features lists this feature and those that are on already.
type TurnOnFeature struct {
	Subscription authz.ID
	Features     []authz.Feature
}

// ShareWith shares a connection with its whole account, or with the people in Users. Person is the one of them to whom
// the action gives access.
type ShareWith struct {
	Connection, Person authz.ID
	Visibility         Visibility
	Users              []authz.ID
}

// AdmitTo opens a workspace to its whole account, or admits the people in Users. Person is the one of them to whom the
// action gives access.
type AdmitTo struct {
	Workspace, Person authz.ID
	Open              bool
	Users             []authz.ID
}

// AddCapability adds a capability to a connector. Capabilities lists this capability and those that the connector has.
type AddCapability struct {
	Connector    authz.ID
	Capabilities []string
}

func (a AddAdministrator) perform(ctx context.Context, s *Service, by Caller) error {
	_, err := s.AddPlatformAdministrator(ctx, by, a.Person)
	return err
}

func (a GiveAccountRoles) perform(ctx context.Context, s *Service, by Caller) error {
	_, _, err := s.PutAccountMember(ctx, by, a.Account, a.Person, texts(a.Roles), a.Until)
	return err
}

func (a GiveSubscriptionRoles) perform(ctx context.Context, s *Service, by Caller) error {
	_, _, err := s.PutSubscriptionMember(ctx, by, a.Subscription, a.Person, texts(a.Roles))
	return err
}

func (a TransferOwnership) perform(ctx context.Context, s *Service, by Caller) error {
	_, err := s.TransferSubscription(ctx, by, a.Subscription, a.To)
	return err
}

func (a TurnOnFeature) perform(ctx context.Context, s *Service, by Caller) error {
	_, _, err := s.PutFeatures(ctx, by, a.Subscription, texts(a.Features))
	return err
}

func (a ShareWith) perform(ctx context.Context, s *Service, by Caller) error {
	sharing := Sharing{Visibility: string(a.Visibility)}
	if len(a.Users) > 0 {
		sharing.Users = []authz.ID{a.Person}
	}
	_, _, err := s.ShareConnection(ctx, by, a.Connection, sharing)
	return err
}

func (a AdmitTo) perform(ctx context.Context, s *Service, by Caller) error {
	access := Access{Open: a.Open}
	if len(a.Users) > 0 {
		access.Users = []authz.ID{a.Person}
	}
	_, _, err := s.SetWorkspaceAccess(ctx, by, a.Workspace, access)
	return err
}

func (a AddCapability) perform(ctx context.Context, s *Service, by Caller) error {
	_, _, err := s.PutConnector(ctx, by, a.Connector, a.Capabilities)
	return err
}
