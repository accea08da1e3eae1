package operation

import (
	"context"
	"errors"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CreateImporter creates an importer whose creator is the actor. The actor needs the permissions create_importer on the
// account and use on each connection.
func (s *Service) CreateImporter(ctx context.Context, by Caller, in NewImporter) (Importer, Done, error) {
	done, err := s.run(ctx, by, "create_importer", func(ctx context.Context, p *plan) error {
		if err := requirePermission(ctx, p, accountObject(in.Account), "create_importer"); err != nil {
			return err
		}
		account, err := readAccount(ctx, p, in.Account)
		if err != nil {
			return err
		}
		return planImporter(ctx, p, account, in)
	})
	return answered(
		Importer{ID: in.ID, Account: in.Account, Source: in.Source, Destination: in.Destination}, done, err,
	)
}

// planImporter plans a new importer with its ends, source and destination.
func planImporter(ctx context.Context, p *plan, account accountFacts, in NewImporter) error {
	object := importerObject(in.ID)
	if err := claimID(ctx, p, object); err != nil {
		return err
	}
	p.Create(object, "account", only(account.object))
	p.Create(object, "creator", p.actor())
	if err := connectEnd(ctx, p, object, "source", in.Source, account); err != nil {
		return err
	}
	return connectEnd(ctx, p, object, "destination", in.Destination, account)
}

// connectEnd plans that one end of the importer is the connection, if id is not empty. The actor needs use on it.
func connectEnd(
	ctx context.Context, p *plan, importer authz.Object, end authz.Relation, id authz.ID, account accountFacts,
) error {
	if id == "" {
		return nil
	}
	connection := connectionObject(id)
	if err := requirePermission(ctx, p, connection, "use"); err != nil {
		return err
	}
	if err := requireInAccount(ctx, p, connection, account); err != nil {
		return err
	}
	p.Touch(importer, end, only(connection))
	return nil
}

// requireInAccount returns an error with CodeInvalid unless the object is in the account. It requires as a precondition
// that the object stays there.
func requireInAccount(ctx context.Context, p *plan, object authz.Object, account accountFacts) error {
	place, err := readPlaceOf(ctx, p, object)
	if err != nil {
		return err
	}
	if place != account.object {
		return authz.Errorf(
			authz.CodeInvalid, "%s is not in %s; objects that refer to each other must be in the same account",
			object, account.object,
		)
	}
	return nil
}

// SetImporterEnds changes an importer's connections. It needs edit on the importer and use on both connections that the
// importer has afterwards, so that nobody can connect another person's private source to a new destination.
func (s *Service) SetImporterEnds(
	ctx context.Context, by Caller, id authz.ID, in ImporterEnds,
) (Importer, Done, error) {
	importer := Importer{ID: id}
	done, err := s.run(ctx, by, "set_importer_connections", func(ctx context.Context, p *plan) error {
		object := importerObject(id)
		if err := requirePermission(ctx, p, object, "edit"); err != nil {
			return err
		}
		account, err := readAccountOf(ctx, p, object)
		if err != nil {
			return err
		}
		changed := Importer{ID: id, Account: account.object.ID}
		if changed.Source, err = setImporterEnd(ctx, p, object, "source", in.Source, account); err != nil {
			return err
		}
		if changed.Destination, err = setImporterEnd(ctx, p, object, "destination", in.Destination, account); err != nil {
			return err
		}
		importer = changed
		return nil
	})
	return answered(importer, done, err)
}

// setImporterEnd plans one end of an importer and returns the connection that it has afterwards.
func setImporterEnd(
	ctx context.Context, p *plan, importer authz.Object, end authz.Relation, wanted *authz.ID, account accountFacts,
) (authz.ID, error) {
	held, err := p.Find(ctx, authz.Filter{Type: importer.Type, ID: importer.ID, Relation: end})
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
		p.Forbid(authz.Filter{Type: importer.Type, ID: importer.ID, Relation: end})
	}
	for _, r := range held {
		p.Require(r)
		if r.Subject.ID != result {
			p.Delete(r)
		}
	}
	err = connectEnd(ctx, p, importer, end, result, account)
	if wanted == nil && errors.Is(err, authz.CodeNotFound) { // do not reveal a connection that the actor did not name
		err = lacks(
			"use", "%s lacks the permission use on the %s of %s, which the call leaves unchanged", p.by.Actor, end,
			importer,
		)
	}
	if err != nil {
		return "", err
	}
	return result, nil
}

// CopyImporter copies an importer within its account; the actor becomes the copy's creator. It leaves out each
// connection that the actor may not use, and reports its end, source or destination, in LeftOut.
func (s *Service) CopyImporter(ctx context.Context, by Caller, id, copied authz.ID) (Importer, Done, error) {
	importer := Importer{ID: copied}
	done, err := s.run(ctx, by, "copy_importer", func(ctx context.Context, p *plan) error {
		object := importerObject(id)
		if err := requirePermission(ctx, p, object, "copy"); err != nil {
			return err
		}
		account, err := readAccountOf(ctx, p, object)
		if err != nil {
			return err
		}
		ends, leftOut, err := readUsableEnds(ctx, p, object)
		if err != nil {
			return err
		}
		if p.isReplay { // show the ends of the copy, since those of the original may have changed
			if _, err := readPermissions(ctx, p, importerObject(copied)); err != nil {
				return err
			}
			if ends, _, err = readUsableEnds(ctx, p, importerObject(copied)); err != nil {
				return err
			}
		}
		in := NewImporter{
			ID:          copied,
			Account:     account.object.ID,
			Source:      ends["source"],
			Destination: ends["destination"],
		}
		importer = Importer{
			ID:          in.ID,
			Account:     in.Account,
			Source:      in.Source,
			Destination: in.Destination,
			LeftOut:     leftOut,
		}
		return planImporter(ctx, p, account, in)
	})
	return answered(importer, done, err)
}

// readUsableEnds reads the connections of an importer. usable has, by end, those that the actor may use. others has the
// ends with a connection that the actor may not use.
func readUsableEnds(
	ctx context.Context, p *plan, importer authz.Object,
) (usable map[authz.Relation]authz.ID, others []string, err error) {
	usable, others = make(map[authz.Relation]authz.ID), []string{}
	for _, end := range []authz.Relation{"source", "destination"} {
		held, err := p.Find(ctx, authz.Filter{Type: importer.Type, ID: importer.ID, Relation: end})
		if err != nil {
			return nil, nil, err
		}
		for _, r := range held {
			switch err := requirePermission(ctx, p, r.Subject.Object, "use"); {
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
