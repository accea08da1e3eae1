package operation

import (
	"context"
	"regexp"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CreateConnection creates a connection with the actor as creator. An empty Visibility means private if the account can
// have private connections, and otherwise shared with the account.
func (s *Service) CreateConnection(ctx context.Context, by Caller, in NewConnection) (Connection, Done, error) {
	build := func(ctx context.Context, p *plan) (Connection, error) {
		created := Connection{ID: in.ID, Account: in.Account, Connector: in.Connector}
		if err := requirePermission(ctx, p, accountObject(in.Account), "create_connection"); err != nil {
			return created, err
		}
		account, err := readAccount(ctx, p, in.Account)
		if err != nil {
			return created, err
		}
		if created.Visibility, err = account.visibility(in.Visibility); err != nil {
			return created, err
		}
		if err := requireUsableConnector(ctx, p, connectorObject(in.Connector), account); err != nil {
			return created, err
		}
		object := connectionObject(in.ID)
		if err := claimID(ctx, p, object); err != nil {
			return created, err
		}
		p.Create(object, "account", only(account.object))
		p.Create(object, "creator", p.actor())
		p.Create(object, "connector", only(connectorObject(in.Connector)))
		if created.Visibility == Shared {
			p.Create(object, "shared", only(account.object))
		}
		return created, nil
	}
	return runWithResult(ctx, s, by, "create_connection", s.connectionResult(by, in.ID), build)
}

// visibility parses the visibility of a connection of the account. An empty one means the account's default.
func (f accountFacts) visibility(wanted string) (Visibility, error) {
	switch Visibility(wanted) {
	case Shared:
		return Shared, nil
	case Private:
		if !f.privateConnections() {
			return "", authz.Errorf(
				authz.CodeInvalid,
				"connections of %s cannot be private; those of team accounts in multi_owner subscriptions can",
				f.object,
			)
		}
		return Private, nil
	case "":
		if f.privateConnections() {
			return Private, nil
		}
		return Shared, nil
	}
	return "", authz.Errorf(authz.CodeInvalid, "visibility must be %q or %q, not %q", Private, Shared, wanted)
}

// requireUsableConnector returns an error unless the connector is in the catalogue or was built by the account.
func requireUsableConnector(ctx context.Context, p *plan, connector authz.Object, account accountFacts) error {
	if err := requirePermission(ctx, p, connector, "view"); err != nil {
		return err
	}
	own, err := p.Find(ctx, authz.Filter{Type: connector.Type, ID: connector.ID, Relation: "account"})
	if err != nil || len(own) == 0 {
		return err
	}
	return requireInAccount(ctx, p, connector, account)
}

// ShareConnection sets who may see a connection: the whole account or, with Private, exactly the members in Users.
// Each of them must hold a role on the account other than guest.
func (s *Service) ShareConnection(
	ctx context.Context, by Caller, id authz.ID, in Sharing,
) (Connection, Done, error) {
	in.Users = slices.Compact(slices.Sorted(slices.Values(in.Users)))
	build := func(ctx context.Context, p *plan) (Connection, error) {
		object := connectionObject(id)
		if err := requirePermission(ctx, p, object, "share"); err != nil {
			return Connection{}, err
		}
		account, err := readAccountOf(ctx, p, object)
		if err != nil {
			return Connection{}, err
		}
		if in.Visibility == "" {
			return Connection{}, authz.Errorf(authz.CodeInvalid, "visibility must be given: %q or %q", Private, Shared)
		}
		visibility, err := account.visibility(in.Visibility)
		if err != nil {
			return Connection{}, err
		}
		if visibility == Shared && len(in.Users) > 0 {
			return Connection{}, authz.Errorf(
				authz.CodeInvalid,
				`the field "users" is allowed only with visibility %q; everybody in the account sees a shared connection`,
				Private,
			)
		}
		connection, err := readShownConnection(ctx, p, object, account)
		if err != nil {
			return Connection{}, err
		}
		connection.Visibility, connection.Users = visibility, in.Users
		shared := authz.Relationship{Resource: object, Relation: "shared", Subject: only(account.object)}
		if visibility == Shared {
			p.Touch(object, shared.Relation, shared.Subject)
		} else {
			p.Delete(shared)
		}
		return connection, setNamedPeople(ctx, p, object, "shared_with", account, in.Users, authz.RoleGuest)
	}
	return runWithResult(ctx, s, by, "share_connection", s.connectionResult(by, id), build)
}

// setNamedPeople plans that the relation of the object has exactly these people as subjects. Each new person must hold
// a role on the account other than the excluded one. Otherwise setNamedPeople returns an error with CodeInvalid that
// lists the people without such a role. A person who is a subject already may hold the excluded role, or a role through
// a group. If one write cannot hold all updates, earlier writes delete the people who are no longer wanted.
func setNamedPeople(
	ctx context.Context, p *plan, object authz.Object, relation authz.Relation, account accountFacts,
	people []authz.ID, excluded authz.Role,
) error {
	named, err := p.Find(ctx, authz.Filter{Type: object.Type, ID: object.ID, Relation: relation})
	if err != nil {
		return err
	}
	for _, r := range named {
		if !slices.Contains(people, r.Subject.ID) {
			p.Delete(r)
			p.AllowSplit()
		}
	}
	var strangers []authz.ID
	for _, who := range people {
		held, err := readRoles(ctx, p, account.object, account.set, who)
		if err != nil {
			return err
		}
		stays := slices.ContainsFunc(named, func(r authz.Relationship) bool { return r.Subject.ID == who })
		held = slices.DeleteFunc(
			slices.Clone(held),
			func(r authz.Relationship) bool { return !stays && r.Relation == authz.Relation(excluded) },
		)
		if len(held) == 0 && stays {
			through, err := readGroupRoles(ctx, p, account.object, who)
			if err != nil {
				return err
			}
			if len(through) > 0 {
				p.Require(through[0].membership)
				held = append(held, through[0].role)
			}
		}
		if len(held) == 0 {
			strangers = append(strangers, who)
			continue
		}
		p.Require(held[0])
		p.Touch(object, relation, person(who))
	}
	if len(strangers) > 0 {
		return authz.Errorf(
			authz.CodeInvalid, "the field users accepts members of %s who are not guests; it does not accept %s",
			account.object, list(strangers),
		)
	}
	return nil
}

// readShownConnection reads a connection as GetConnection shows it to the actor: without the account and the connector
// if the actor may not view them.
func readShownConnection(ctx context.Context, p *plan, object authz.Object, account accountFacts) (Connection, error) {
	c, err := readConnection(ctx, p, object, account)
	if err != nil {
		return Connection{}, err
	}
	shown, err := mayNameEach(ctx, p, []authz.Relationship{
		{Resource: object, Relation: "account", Subject: only(account.object)},
		{Resource: object, Relation: "connector", Subject: only(connectorObject(c.Connector))},
	})
	if err != nil {
		return Connection{}, err
	}
	if !shown[0] {
		c.Account = ""
	}
	if !shown[1] {
		c.Connector = ""
	}
	return c, nil
}

// readConnection reads the connection as stored before the plan's write, and shows it to the actor as GetConnection
// does.
func readConnection(ctx context.Context, p *plan, object authz.Object, account accountFacts) (Connection, error) {
	c := Connection{ID: object.ID, Account: account.object.ID, Visibility: Private}
	found, err := p.Find(ctx, authz.Filter{Type: object.Type, ID: object.ID})
	if err != nil {
		return c, err
	}
	found, err = withoutFormerMembers(ctx, p, found)
	for _, r := range found {
		switch r.Relation {
		case "connector":
			c.Connector = r.Subject.ID
		case "shared":
			c.Visibility = Shared
		case "shared_with":
			c.Users = append(c.Users, r.Subject.ID)
		case "member_of":
			c.Group = shownGroup(r.Subject.ID)
		}
	}
	return c, err
}

// GroupConnection moves a connection into a group of its account. The group is created when it is first used.
func (s *Service) GroupConnection(ctx context.Context, by Caller, id, group authz.ID) (Connection, Done, error) {
	return s.regroup(ctx, by, "group_connection", "group", id, &group)
}

// UngroupConnection removes a connection from its group, if it is in one.
func (s *Service) UngroupConnection(ctx context.Context, by Caller, id authz.ID) (Connection, Done, error) {
	return s.regroup(ctx, by, "ungroup_connection", "ungroup", id, nil)
}

// regroup moves a connection into a group, or out of its group if group is nil.
func (s *Service) regroup(
	ctx context.Context, by Caller, operation string, permission authz.Permission, id authz.ID, group *authz.ID,
) (Connection, Done, error) {
	build := func(ctx context.Context, p *plan) (Connection, error) {
		object := connectionObject(id)
		if err := requirePermission(ctx, p, object, permission); err != nil {
			return Connection{}, err
		}
		account, err := readAccountOf(ctx, p, object)
		if err != nil {
			return Connection{}, err
		}
		connection, err := readShownConnection(ctx, p, object, account)
		if err != nil {
			return Connection{}, err
		}
		held, err := p.Find(ctx, authz.Filter{Type: object.Type, ID: id, Relation: "member_of"})
		if err != nil {
			return Connection{}, err
		}
		for _, r := range held {
			p.Require(r)
			p.Delete(r)
		}
		if connection.Group = ""; group == nil {
			return connection, nil
		}
		if len(held) == 0 {
			p.Forbid(authz.Filter{Type: object.Type, ID: id, Relation: "member_of"})
		}
		connection.Group = *group
		grouped, err := ensureGroup(ctx, p, *group, account)
		if err != nil {
			return Connection{}, err
		}
		p.Touch(object, "member_of", only(grouped))
		return connection, nil
	}
	return runWithResult(ctx, s, by, operation, s.connectionResult(by, id), build)
}

// groupIn returns the object that stores a group of an account if the id of the group is taken outside the account.
func groupIn(account, id authz.ID) authz.Object {
	return authz.Object{Type: "connection_group", ID: id + "/" + digest(string(account))}
}

// digestEnd matches the end of the ids that groupIn returns.
var digestEnd = regexp.MustCompile(`/[A-Za-z0-9_-]{43}$`)

// shownGroup returns the id under which an account knows a stored group.
func shownGroup(stored authz.ID) authz.ID {
	return authz.ID(digestEnd.ReplaceAllString(string(stored), ""))
}

// ensureGroup plans that the group exists in the account, and returns the object that stores it. An account may use any
// id for its groups: nobody may view the groups of other accounts, so the answer must not depend on their ids.
func ensureGroup(ctx context.Context, p *plan, id authz.ID, account accountFacts) (authz.Object, error) {
	group := authz.Object{Type: "connection_group", ID: id}
	if shownGroup(id) != id { // an id of this form always gets a digest, since shownGroup removes one
		group = groupIn(account.object.ID, id)
	}
	for {
		found, err := p.FindSome(ctx, authz.Filter{Type: group.Type, ID: group.ID}, 0)
		if err != nil {
			return group, err
		}
		if i := slices.IndexFunc(found, func(r authz.Relationship) bool {
			return r.Relation == "account" && r.Subject.Object == account.object
		}); i >= 0 {
			p.Require(found[i])
			return group, nil
		}
		if own := groupIn(account.object.ID, id); len(found) > 0 && group != own {
			group = own
			continue
		}
		if err := mayBeNew(authz.Object{Type: group.Type, ID: id}); err != nil {
			return group, err
		}
		p.Forbid(authz.Filter{Type: group.Type, ID: group.ID})
		p.Create(group, "account", only(account.object))
		return group, nil
	}
}
