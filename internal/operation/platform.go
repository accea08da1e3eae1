package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// AddPlatformAdministrator makes a person an administrator of the platform. It has no actor.
func (s *Service) AddPlatformAdministrator(ctx context.Context, by Caller, who authz.ID) (Done, error) {
	return s.run(ctx, by, "add_platform_administrator", func(ctx context.Context, p *plan) error {
		p.Touch(platform, authz.Relation(authz.RoleAdministrator), person(who))
		return requireNoOffboarding(ctx, p, who, true)
	})
}

// RemovePlatformAdministrator removes a person's role as administrator of the platform, and withdraws all open
// invitations that this person received or sent. The person's roles on subscriptions and accounts stay. The call has no
// actor.
func (s *Service) RemovePlatformAdministrator(ctx context.Context, by Caller, who authz.ID) (Done, error) {
	return s.run(ctx, by, "remove_platform_administrator", func(ctx context.Context, p *plan) error {
		if _, err := p.head(ctx); err != nil {
			return err
		}
		row := authz.Relationship{
			Resource: platform,
			Relation: authz.Relation(authz.RoleAdministrator),
			Subject:  person(who),
		}
		held, err := p.Find(ctx, authz.Exactly(row))
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return finishRemoval(ctx, p, who)
		}
		p.Require(row)
		p.Delete(row)
		return withdrawInvitations(ctx, p, []authz.ID{who}, platform, platform)
	})
}

// capability is a feature that connections of a connector may have.
type capability struct {
	name     string
	relation authz.Relation
}

// capabilities are those that a connector can declare, with the relation that stores each.
var capabilities = []capability{
	{"views", "capability_views"},
	{"financial_settings", "capability_financial_settings"},
	{"postgres_database", "capability_postgres_database"},
}

// PutConnector puts a connector with exactly these capabilities into the catalogue. It has no actor. It returns an
// error with CodeConflict if an account built the connector.
func (s *Service) PutConnector(
	ctx context.Context, by Caller, id authz.ID, offered []string,
) (Connector, Done, error) {
	for _, name := range offered {
		if !slices.ContainsFunc(capabilities, func(o capability) bool { return o.name == name }) {
			return Connector{}, Done{}, authz.Errorf(
				authz.CodeInvalid,
				"%q is not a capability of connectors; capabilities are views, financial_settings, postgres_database",
				name,
			)
		}
	}
	connector := Connector{ID: id, Capabilities: []string{}}
	for _, o := range capabilities {
		if slices.Contains(offered, o.name) {
			connector.Capabilities = append(connector.Capabilities, o.name)
		}
	}
	build := func(ctx context.Context, p *plan) (Connector, error) {
		object := connectorObject(id)
		own := authz.Filter{Type: object.Type, ID: id, Relation: "account"}
		found, err := p.Find(ctx, own)
		if err != nil {
			return Connector{}, err
		}
		if len(found) > 0 {
			return Connector{}, authz.Errorf(
				authz.CodeConflict, "%s was built by an account and cannot be put into the catalogue", object,
			)
		}
		if id.IsForeign() {
			stored, err := p.Find(ctx, authz.Filter{Type: object.Type, ID: id, Relation: "catalogue"})
			if err != nil {
				return Connector{}, err
			}
			if len(stored) == 0 {
				return Connector{}, mayBeNew(object)
			}
		}
		p.Forbid(own)
		p.Forbid(authz.Filter{Type: deletionType, ID: deletionOf(object).ID, Relation: deletionRequestedBy})
		for _, row := range flagRows(object, "catalogue") {
			p.Update(authz.Touch, row)
		}
		for _, o := range capabilities {
			action := authz.Delete
			if slices.Contains(connector.Capabilities, o.name) {
				action = authz.Touch
			}
			for _, row := range flagRows(object, o.relation) {
				p.Update(action, row)
			}
		}
		return connector, nil
	}
	return runWithResult(ctx, s, by, "put_connector", s.connectorResult(by, id), build)
}
