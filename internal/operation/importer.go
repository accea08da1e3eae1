package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CreateImporter creates an importer, of which the actor is the creator. It needs use on each connection.
func (s *Service) CreateImporter(ctx context.Context, by Caller, in NewImporter) (Importer, authz.Token, error) {
	token, err := s.run(ctx, by, "create_importer", func(ctx context.Context, p *plan) error {
		if err := p.allow(ctx, accountObject(in.Account), "create_importer"); err != nil {
			return err
		}
		account, err := p.account(ctx, in.Account)
		if err != nil {
			return err
		}
		return p.createImporter(ctx, account, in)
	})
	return answered(Importer{ID: in.ID, Account: in.Account, Source: in.Source, Destination: in.Destination}, token, err)
}

func (p *plan) createImporter(ctx context.Context, account accountFacts, in NewImporter) error {
	object := importerObject(in.ID)
	if err := p.claim(ctx, object); err != nil {
		return err
	}
	p.create(object, "account", only(account.object))
	p.create(object, "creator", p.actor())
	if err := p.connect(ctx, object, "source", in.Source, account); err != nil {
		return err
	}
	return p.connect(ctx, object, "destination", in.Destination, account)
}

// connect plans that one end of the importer is the connection, if there is one. The actor must be allowed to use it.
func (p *plan) connect(ctx context.Context, importer authz.Object, end authz.Relation, id authz.ID, account accountFacts) error {
	if id == "" {
		return nil
	}
	connection := connectionObject(id)
	if err := p.allow(ctx, connection, "use"); err != nil {
		return err
	}
	if err := p.inAccount(ctx, connection, account); err != nil {
		return err
	}
	p.touch(importer, end, only(connection))
	return nil
}

// inAccount returns an error with CodeInvalid unless the object is in the account, and restates that it is.
func (p *plan) inAccount(ctx context.Context, object authz.Object, account accountFacts) error {
	place, err := p.placeOf(ctx, object)
	if err != nil {
		return err
	}
	if place != account.object {
		return authz.Errorf(authz.CodeInvalid, "%s does not belong to %s: everything that refers to one another is in one account", object, account.object)
	}
	return nil
}

// SetImporterEnds changes an importer's connections. It needs edit on the importer, and use on both connections that it
// has afterwards, so that nobody leads somebody else's private source somewhere else.
func (s *Service) SetImporterEnds(ctx context.Context, by Caller, id authz.ID, in ImporterEnds) (Importer, authz.Token, error) {
	importer := Importer{ID: id}
	token, err := s.run(ctx, by, "set_importer_connections", func(ctx context.Context, p *plan) error {
		object := importerObject(id)
		if err := p.allow(ctx, object, "edit"); err != nil {
			return err
		}
		account, err := p.accountOf(ctx, object)
		if err != nil {
			return err
		}
		changed := Importer{ID: id, Account: account.object.ID}
		if changed.Source, err = p.setEnd(ctx, object, "source", in.Source, account); err != nil {
			return err
		}
		if changed.Destination, err = p.setEnd(ctx, object, "destination", in.Destination, account); err != nil {
			return err
		}
		importer = changed
		return nil
	})
	return answered(importer, token, err)
}

// setEnd plans one end of an importer and returns the connection that it has afterwards.
func (p *plan) setEnd(ctx context.Context, importer authz.Object, end authz.Relation, wanted *authz.ID, account accountFacts) (authz.ID, error) {
	held, err := p.find(ctx, authz.Filter{Type: importer.Type, ID: importer.ID, Relation: end})
	if err != nil {
		return "", err
	}
	var result authz.ID
	for _, r := range held {
		result = r.Subject.ID
	}
	if wanted != nil {
		result = *wanted
	}
	if len(held) == 0 {
		p.forbid(authz.Filter{Type: importer.Type, ID: importer.ID, Relation: end})
	}
	for _, r := range held {
		p.require(r)
		if r.Subject.ID != result {
			p.delete(r)
		}
	}
	err = p.connect(ctx, importer, end, result, account)
	if wanted == nil && errors.Is(err, authz.CodeNotFound) { // an end that the actor did not name is not named to them
		err = lacks("use", "%s lacks the permission use on the %s of %s, which stays as it is", p.by.Actor, end, importer)
	}
	if err != nil {
		return "", err
	}
	return result, nil
}

// CopyImporter creates a copy of an importer in the same account, of which the actor is the creator. The copy takes
// along the connections that the actor may use; LeftOut names the ends that it does not.
func (s *Service) CopyImporter(ctx context.Context, by Caller, id, copied authz.ID) (Importer, authz.Token, error) {
	importer := Importer{ID: copied}
	token, err := s.run(ctx, by, "copy_importer", func(ctx context.Context, p *plan) error {
		object := importerObject(id)
		if err := p.allow(ctx, object, "copy"); err != nil {
			return err
		}
		account, err := p.accountOf(ctx, object)
		if err != nil {
			return err
		}
		ends, leftOut, err := p.usableEnds(ctx, object)
		if err != nil {
			return err
		}
		if by.replayed() { // the ends are those of the copy; those of the original may have changed since
			if _, err := p.permissions(ctx, importerObject(copied)); err != nil {
				return err
			}
			if ends, _, err = p.usableEnds(ctx, importerObject(copied)); err != nil {
				return err
			}
		}
		in := NewImporter{ID: copied, Account: account.object.ID, Source: ends["source"], Destination: ends["destination"]}
		importer = Importer{ID: in.ID, Account: in.Account, Source: in.Source, Destination: in.Destination, LeftOut: leftOut}
		return p.createImporter(ctx, account, in)
	})
	return answered(importer, token, err)
}

// usableEnds reads the connections of an importer that the actor may use, by end, and names the ends that they may not use.
func (p *plan) usableEnds(ctx context.Context, importer authz.Object) (usable map[authz.Relation]authz.ID, others []string, err error) {
	usable, others = make(map[authz.Relation]authz.ID), []string{}
	for _, end := range []authz.Relation{"source", "destination"} {
		held, err := p.find(ctx, authz.Filter{Type: importer.Type, ID: importer.ID, Relation: end})
		if err != nil {
			return nil, nil, err
		}
		for _, r := range held {
			switch err := p.allow(ctx, r.Subject.Object, "use"); {
			case err == nil:
				usable[end] = r.Subject.ID
			case refused(err):
				others = append(others, string(end))
			default:
				return nil, nil, err
			}
		}
	}
	return usable, others, nil
}
