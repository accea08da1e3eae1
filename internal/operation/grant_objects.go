package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// objectGrants are the operations that open an object itself, or the workspace that it is in, to the person.
func objectGrants(
	ctx context.Context, p *plan, who authz.ID, object authz.Object, account accountFacts,
) (grants []Grant, err error) {
	switch {
	case object.Type == "connection":
		sharing, err := sharingGrants(ctx, p, who, object, account)
		if err != nil {
			return nil, err
		}
		capabilities, err := capabilityGrants(ctx, p, object)
		return append(sharing, capabilities...), err
	case object.Type == "workspace":
		return workspaceGrants(ctx, p, who, object, account)
	case kindOf(object.Type).place == "workspace":
		workspace, err := readPlaceOf(ctx, p, object)
		if err != nil {
			return nil, err
		}
		return workspaceGrants(ctx, p, who, workspace, account)
	}
	return grants, nil
}

// sharingGrants share a private connection with the person by name, or with its account.
func sharingGrants(
	ctx context.Context, p *plan, who authz.ID, object authz.Object, account accountFacts,
) (grants []Grant, err error) {
	connection, err := readConnection(ctx, p, object, account)
	if err != nil || connection.Visibility == Shared {
		return nil, err
	}
	grant := Grant{
		Method: "PUT", Path: path("connections", string(object.ID), "sharing"), On: object,
		Needs: []authz.Permission{"share"}, NeedsOn: object, Holders: []Holder{{object, "creator", account.object}},
	}
	share := func(in Sharing) func(context.Context, *Service, Caller) error {
		return func(ctx context.Context, s *Service, by Caller) error {
			_, _, err := s.ShareConnection(ctx, by, object.ID, in)
			return err
		}
	}
	if account.privateConnections() && !slices.Contains(connection.Users, who) {
		named := grant
		if named.Others, err = filterNameable(ctx, p, connection.Users, account, authz.RoleGuest); err != nil {
			return nil, err
		}
		named.Body = map[string]any{"visibility": string(Private), "users": with(named.Others, who)}
		named.Effect = []authz.Update{touching(object, "shared_with", person(who))}
		named.perform = share(Sharing{Visibility: string(Private), Users: []authz.ID{who}})
		grants = append(grants, named)
	}
	grant.Body = map[string]any{"visibility": string(Shared)}
	grant.Effect = []authz.Update{touching(object, "shared", only(account.object))}
	grant.perform = share(Sharing{Visibility: string(Shared)})
	grants = append(grants, grant)
	return grants, nil
}

// capabilityGrants let the connector of a connection offer more, if it is one of the catalogue.
func capabilityGrants(
	ctx context.Context, p *plan, connection authz.Object,
) (grants []Grant, err error) {
	found, err := p.Find(ctx, authz.Filter{Type: connection.Type, ID: connection.ID, Relation: "connector"})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	connector := found[0].Subject.Object
	marks, err := readFlags(ctx, p, connector)
	if err != nil || !slices.Contains(marks, "catalogue") {
		return nil, err
	}
	for _, added := range capabilities {
		if slices.Contains(marks, added.relation) {
			continue
		}
		var names []string
		for _, o := range capabilities {
			if o == added || slices.Contains(marks, o.relation) {
				names = append(names, o.name)
			}
		}
		grants = append(grants, Grant{
			Method: "PUT", Path: path("connectors", string(connector.ID)), Body: map[string]any{"capabilities": names},
			On: connector, Backend: true,
			Effect: []authz.Update{touching(connector, added.relation, everybody)},
			perform: func(ctx context.Context, s *Service, by Caller) error {
				_, _, err := s.PutConnector(ctx, by, connector.ID, names)
				return err
			},
		})
	}
	return grants, nil
}

// workspaceGrants let the person into a restricted workspace, or everybody in its account.
func workspaceGrants(
	ctx context.Context, p *plan, who authz.ID, workspace authz.Object, account accountFacts,
) (grants []Grant, err error) {
	found, err := p.Find(ctx, authz.Filter{Type: workspace.Type, ID: workspace.ID})
	if err != nil {
		return nil, err
	}
	var members []authz.ID
	for _, r := range found {
		switch r.Relation {
		case "open":
			return nil, nil
		case "member":
			members = append(members, r.Subject.ID)
		}
	}
	grant := Grant{
		Method: "PUT", Path: path("workspaces", string(workspace.ID), "access"), On: workspace,
		Needs: []authz.Permission{"manage_workspaces"}, NeedsOn: account.object,
		Holders: append(holdersOf(account.object, account.set), subscriptionHolders(account.subscription)...),
	}
	access := func(in Access) func(context.Context, *Service, Caller) error {
		return func(ctx context.Context, s *Service, by Caller) error {
			_, _, err := s.SetWorkspaceAccess(ctx, by, workspace.ID, in)
			return err
		}
	}
	if !slices.Contains(members, who) {
		named := grant
		if named.Others, err = filterNameable(ctx, p, members, account, ""); err != nil {
			return nil, err
		}
		named.Body = map[string]any{"open": false, "users": with(named.Others, who)}
		named.Effect = []authz.Update{touching(workspace, "member", person(who))}
		named.perform = access(Access{Users: []authz.ID{who}})
		grants = append(grants, named)
	}
	grant.Body = map[string]any{"open": true}
	grant.Effect = []authz.Update{touching(workspace, "open", only(account.object))}
	grant.perform = access(Access{Open: true})
	grants = append(grants, grant)
	return grants, nil
}

// filterNameable returns those of the people who are named that name would accept again.
func filterNameable(ctx context.Context, p *plan, people []authz.ID, account accountFacts, excluded authz.Role) ([]authz.ID, error) {
	var still []authz.ID
	for _, who := range people {
		held, err := readRoles(ctx, p, account.object, account.set, who)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(held, func(r authz.Relationship) bool { return r.Relation != authz.Relation(excluded) }) {
			still = append(still, who)
		}
	}
	return still, nil
}

// with returns the names of the people and one more, sorted.
func with(people []authz.ID, who authz.ID) []string {
	return texts(slices.Sorted(slices.Values(append(slices.Clone(people), who))))
}
