package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// objectGrants returns the actions that give a person access to the object itself or to its workspace.
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

// sharingGrants returns the actions that share a private connection with a person, or with its account.
func sharingGrants(
	ctx context.Context, p *plan, who authz.ID, object authz.Object, account accountFacts,
) (grants []Grant, err error) {
	connection, err := readConnection(ctx, p, object, account)
	if err != nil || connection.Visibility == Shared {
		return nil, err
	}
	grant := Grant{
		On: object, Needs: []authz.Permission{"share"}, NeedsOn: object,
		Holders: []Holder{{object, "creator", account.object}},
	}
	if account.privateConnections() && !slices.Contains(connection.Users, who) {
		named := grant
		if named.Others, err = filterNameable(ctx, p, connection.Users, account, authz.RoleGuest); err != nil {
			return nil, err
		}
		users := with(named.Others, who)
		named.Action = ShareWith{Connection: object.ID, Person: who, Visibility: Private, Users: users}
		named.Effect = []authz.Update{touching(object, "shared_with", person(who))}
		grants = append(grants, named)
	}
	grant.Action = ShareWith{Connection: object.ID, Person: who, Visibility: Shared}
	grant.Effect = []authz.Update{touching(object, "shared", only(account.object))}
	grants = append(grants, grant)
	return grants, nil
}

// capabilityGrants returns the actions that add a capability to the connector of a connection, if the connector is part
// of the catalogue.
func capabilityGrants(ctx context.Context, p *plan, connection authz.Object) (grants []Grant, err error) {
	found, err := p.Find(ctx, authz.Filter{Type: connection.Type, ID: connection.ID, Relation: "connector"})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	connector := found[0].Subject.Object
	flags, err := readFlags(ctx, p, connector)
	if err != nil || !slices.Contains(flags, "catalogue") {
		return nil, err
	}
	for _, added := range capabilities {
		if slices.Contains(flags, added.relation) {
			continue
		}
		var names []string
		for _, c := range capabilities {
			if c == added || slices.Contains(flags, c.relation) {
				names = append(names, c.name)
			}
		}
		var effect []authz.Update
		for _, row := range flagRows(connector, added.relation) {
			effect = append(effect, authz.Update{Action: authz.Touch, Relationship: row})
		}
		grants = append(grants, Grant{
			Action: AddCapability{Connector: connector.ID, Capabilities: names}, On: connector, Backend: true,
			Effect: effect,
		})
	}
	return grants, nil
}

// workspaceGrants returns the actions that admit a person to a restricted workspace, or open it to its account.
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
		On: workspace, Needs: []authz.Permission{"manage_workspaces"}, NeedsOn: account.object,
		Holders: append(holdersOf(account.object, account.set), subscriptionHolders(account.subscription)...),
	}
	if !slices.Contains(members, who) {
		named := grant
		if named.Others, err = filterNameable(ctx, p, members, account, ""); err != nil {
			return nil, err
		}
		named.Action = AdmitTo{Workspace: workspace.ID, Person: who, Users: with(named.Others, who)}
		named.Effect = []authz.Update{touching(workspace, "member", person(who))}
		grants = append(grants, named)
	}
	grant.Action = AdmitTo{Workspace: workspace.ID, Person: who, Open: true}
	grant.Effect = []authz.Update{touching(workspace, "open", only(account.object))}
	grants = append(grants, grant)
	return grants, nil
}

// filterNameable returns the people who hold a role on the account other than the excluded one. An operation fails if
// it shares with any other person.
func filterNameable(
	ctx context.Context, p *plan, people []authz.ID, account accountFacts, excluded authz.Role,
) ([]authz.ID, error) {
	var nameable []authz.ID
	for _, who := range people {
		held, err := readRoles(ctx, p, account.object, account.set, who)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(held, func(r authz.Relationship) bool { return r.Relation != authz.Relation(excluded) }) {
			nameable = append(nameable, who)
		}
	}
	return nameable, nil
}

// with returns the people and one more, sorted.
func with(people []authz.ID, who authz.ID) []authz.ID {
	return slices.Sorted(slices.Values(append(slices.Clone(people), who)))
}
