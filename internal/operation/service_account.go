package operation

import (
	"context"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// ServiceAccount is a service account as operations show it: a program that holds roles, as a person does.
type ServiceAccount struct {
	ID authz.ID

	// Place is the account or subscription that the service account belongs to. A service account of an account holds
	// roles only there. One of a subscription holds roles on the subscription and on its accounts. The id is empty if
	// the actor may not view the subscription.
	Place authz.Object
	Title authz.ID

	// Roles are its roles on Place. ExpiresAt is when the last of them ends; zero if one of them is permanent.
	Roles     Roles
	ExpiresAt time.Time
}

// ServiceAccounts is a page of service accounts; NextCursor is empty at the end.
type ServiceAccounts struct {
	ServiceAccounts []ServiceAccount
	NextCursor      string
}

func serviceAccountObject(id authz.ID) authz.Object {
	return authz.Object{Type: serviceAccount, ID: id}
}

func serviceAccountHolder(id authz.ID) authz.Holder {
	return authz.Holder{Type: serviceAccount, ID: id}
}

// managesServiceAccounts has the permission on an account or subscription that an actor needs to create service
// accounts in it. In the schema, actors with this permission have the permission manage on these service accounts.
var managesServiceAccounts = map[authz.Type]authz.Permission{"account": "assign_roles", "subscription": "manage_roles"}

// CreateServiceAccount creates a service account in an account or subscription, and gives it roles there. The actor
// needs assign_roles on the account, or manage_roles on the subscription and the permission invite_ROLE for each role.
func (s *Service) CreateServiceAccount(
	ctx context.Context, by Caller, in ServiceAccount, roles []string,
) (ServiceAccount, Done, error) {
	build := func(ctx context.Context, p *plan) (ServiceAccount, error) {
		created := in
		if err := requirePermission(ctx, p, in.Place, managesServiceAccounts[in.Place.Type]); err != nil {
			return created, err
		}
		object := serviceAccountObject(in.ID)
		if err := claimID(ctx, p, object); err != nil {
			return created, err
		}
		p.Create(object, kindOf(serviceAccount).place, only(in.Place))
		p.Create(object, titleOf, titleSubject(in.Title))
		if len(roles) == 0 {
			created.Roles = Roles{}
			return created, nil
		}
		place, err := readChangedPlace(ctx, p, in.Place)
		if err != nil {
			return created, err
		}
		change, err := readHolderChange(ctx, p, place, serviceAccountHolder(in.ID), roles, time.Time{})
		if err != nil {
			return created, err
		}
		created.Roles, created.ExpiresAt = change.wanted, change.until
		change.write(p)
		return created, nil
	}
	return runWithResult(ctx, s, by, "create_service_account", s.serviceAccountResult(by, in.ID), build)
}

// GetServiceAccount returns a service account that the actor may view, with its roles on the account or subscription
// that it belongs to.
func (s *Service) GetServiceAccount(
	ctx context.Context, by Caller, id authz.ID,
) (ServiceAccount, authz.Token, error) {
	var account ServiceAccount
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		object := serviceAccountObject(id)
		if err := viewOf(p).Require(ctx, visibility.Existence(object)); err != nil {
			return err
		}
		place, err := readPlaceOf(ctx, p, object)
		if err != nil {
			return err
		}
		facts, err := readRolePlace(ctx, p, place)
		if err != nil {
			return err
		}
		held, err := readHolderRoles(ctx, p, place, facts.set, serviceAccountHolder(id))
		if err != nil {
			return err
		}
		titles, err := readTitles(ctx, p, object)
		if err != nil {
			return err
		}
		account = ServiceAccount{
			ID: id, Place: place, Title: titles[0], Roles: rolesOf(held), ExpiresAt: lastEnd(held),
		}
		return hideSubscription(ctx, p, &account.Place)
	})
	return answered(account, token, err)
}

// ServiceAccounts returns a page of the service accounts that belong to an account or subscription. The actor needs
// list_members on the account, or list_users on the subscription. The page has no roles.
func (s *Service) ServiceAccounts(
	ctx context.Context, by Caller, place authz.Object, page Page,
) (ServiceAccounts, authz.Token, error) {
	var accounts ServiceAccounts
	token, err := s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Roles(place)); err != nil {
			return err
		}
		found, next, err := readTitledPage(ctx, p, serviceAccount, place, page)
		accounts = ServiceAccounts{NextCursor: next}
		for _, account := range found {
			accounts.ServiceAccounts = append(
				accounts.ServiceAccounts, ServiceAccount{ID: account.id, Place: place, Title: account.title},
			)
		}
		return err
	})
	return answered(accounts, token, err)
}

func (s *Service) serviceAccountResult(by Caller, id authz.ID) result[ServiceAccount] {
	named := ServiceAccount{ID: id}
	return result[ServiceAccount]{named, func(ctx context.Context) (ServiceAccount, authz.Token, error) {
		return s.GetServiceAccount(ctx, by, id)
	}}
}
