package operation

import (
	"context"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/visibility"
)

// references are the ids that an object names in each relation, sorted. A relation that holds `user:*` has no ids.
type references map[authz.Relation][]authz.ID

// GetImporter returns an importer that the actor may view. HiddenEnds lists "source" or "destination" if the actor may
// not view the connection there.
func (s *Service) GetImporter(ctx context.Context, by Caller, id authz.ID) (Importer, authz.Token, error) {
	importer := Importer{ID: id}
	token, err := s.getObject(ctx, by, importerObject(id), func(named references, hidden []authz.Relation) {
		importer.Account = first(named["account"])
		importer.Source, importer.Destination = first(named["source"]), first(named["destination"])
		for _, end := range []authz.Relation{"source", "destination"} {
			if slices.Contains(hidden, end) {
				importer.HiddenEnds = append(importer.HiddenEnds, string(end))
			}
		}
	})
	return answered(importer, token, err)
}

// GetConnection returns a connection that the actor may view, with the people that it is shared with. It leaves out
// people who no longer hold a role on the account, neither directly nor through a group.
func (s *Service) GetConnection(ctx context.Context, by Caller, id authz.ID) (Connection, authz.Token, error) {
	connection := Connection{ID: id, Visibility: Private}
	token, err := s.getObject(ctx, by, connectionObject(id), func(named references, hidden []authz.Relation) {
		connection.Account, connection.Connector = first(named["account"]), first(named["connector"])
		connection.Users = named["shared_with"]
		connection.Group = shownGroup(first(named["member_of"]))
		if len(named["shared"]) > 0 || slices.Contains(hidden, "shared") {
			connection.Visibility = Shared
		}
	})
	return answered(connection, token, err)
}

// GetWorkspace returns a workspace that the actor may view, with its members. It leaves out people who no longer hold a
// role on the account, neither directly nor through a group.
func (s *Service) GetWorkspace(ctx context.Context, by Caller, id authz.ID) (Workspace, authz.Token, error) {
	workspace := Workspace{ID: id}
	token, err := s.getObject(ctx, by, workspaceObject(id), func(named references, hidden []authz.Relation) {
		workspace.Account, workspace.Users = first(named["account"]), named["member"]
		workspace.Open = len(named["open"]) > 0 || slices.Contains(hidden, "open")
	})
	return answered(workspace, token, err)
}

// GetConnector returns a connector that the actor may view, one of the catalogue or of an account.
func (s *Service) GetConnector(ctx context.Context, by Caller, id authz.ID) (Connector, authz.Token, error) {
	connector := Connector{ID: id, Capabilities: []string{}}
	token, err := s.getObject(ctx, by, connectorObject(id), func(named references, _ []authz.Relation) {
		connector.Account = first(named["account"])
		for _, o := range capabilities {
			if _, offered := named[o.relation]; offered {
				connector.Capabilities = append(connector.Capabilities, o.name)
			}
		}
	})
	return answered(connector, token, err)
}

// GetPart returns an object that has only a parent, see Part. The ID of the Parent is empty if the actor may not view
// it.
func (s *Service) GetPart(ctx context.Context, by Caller, object authz.Object) (Part, authz.Token, error) {
	place := kindOf(object.Type).place
	part := Part{Type: object.Type, ID: object.ID, Parent: authz.Object{Type: authz.Type(place)}}
	token, err := s.getObject(ctx, by, object, func(named references, _ []authz.Relation) {
		part.Parent.ID = first(named[place])
	})
	return answered(part, token, err)
}

// first returns the first of the ids, or an empty id if there are none.
func first(ids []authz.ID) authz.ID {
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}

// getObject reads an object that the actor may view, and calls show. It passes the ids that the object names, and the
// relations whose objects the actor may not view. It returns an error with CodeNotFound if the actor may not view the
// object.
func (s *Service) getObject(
	ctx context.Context, by Caller, object authz.Object, show func(named references, hidden []authz.Relation),
) (authz.Token, error) {
	return s.read(ctx, by, func(ctx context.Context, p *plan) error {
		if err := viewOf(p).Require(ctx, visibility.Existence(object)); err != nil {
			return err
		}
		rows, err := p.Find(ctx, authz.Filter{Type: object.Type, ID: object.ID})
		if err != nil {
			return err
		}
		if len(rows) == 0 { // a key with the scope inspect may view ids that no object has
			return notFoundError(p, object)
		}
		if rows, err = withoutFormerMembers(ctx, p, rows); err != nil {
			return err
		}
		shown, err := mayNameEach(ctx, p, rows)
		if err != nil {
			return err
		}
		named := make(references)
		var hidden []authz.Relation
		for i, r := range rows {
			switch {
			case !shown[i]:
				hidden = append(hidden, r.Relation)
			case r.Subject.Wildcard:
				named[r.Relation] = []authz.ID{}
			default:
				named[r.Relation] = append(named[r.Relation], r.Subject.ID)
			}
		}
		for _, ids := range named {
			slices.Sort(ids)
		}
		show(named, hidden)
		return nil
	})
}

// mayNameEach reports, for each of one object's relationships, whether an answer about the object may name its subject.
// If this decision fails, the subject is hidden.
func mayNameEach(ctx context.Context, p *plan, rows []authz.Relationship) ([]bool, error) {
	subjects := make([]authz.Subject, len(rows))
	for i, r := range rows {
		subjects[i] = r.Subject
	}
	return hidingViewOf(p, readerOf(p)).MayNameEach(ctx, subjects)
}
