package operation

import (
	"context"
	"errors"
	"slices"

	"github.com/sluice-authz/sluice/internal/authz"
)

// CreateImporter creates an importer whose creator is the actor. The actor needs the permissions create_importer on the
// account and use on each connection.
func (s *Service) CreateImporter(ctx context.Context, by Caller, in NewImporter) (Importer, Done, error) {
	build := func(ctx context.Context, p *plan) (Importer, error) {
		created := Importer{ID: in.ID, Account: in.Account, Source: in.Source, Destination: in.Destination}
		if err := requirePermission(ctx, p, accountObject(in.Account), "create_importer"); err != nil {
			return created, err
		}
		account, err := readAccount(ctx, p, in.Account)
		if err != nil {
			return created, err
		}
		return created, planImporter(ctx, p, account, in)
	}
	return runWithResult(ctx, s, by, "create_importer", s.importerResult(by, in.ID), build)
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

// SetImporterEnds changes the source and destination of an importer. It needs edit on the importer and use on both
// resulting connections, so that nobody can connect another person's private source to a new destination.
func (s *Service) SetImporterEnds(
	ctx context.Context, by Caller, id authz.ID, in ImporterEnds,
) (Importer, Done, error) {
	build := func(ctx context.Context, p *plan) (Importer, error) {
		object := importerObject(id)
		if err := requirePermission(ctx, p, object, "edit"); err != nil {
			return Importer{}, err
		}
		account, err := readAccountOf(ctx, p, object)
		if err != nil {
			return Importer{}, err
		}
		changed := Importer{ID: id, Account: account.object.ID}
		if changed.Source, err = setImporterEnd(ctx, p, object, "source", in.Source, account); err != nil {
			return Importer{}, err
		}
		changed.Destination, err = setImporterEnd(ctx, p, object, "destination", in.Destination, account)
		return changed, err
	}
	return runWithResult(ctx, s, by, "set_importer_connections", s.importerResult(by, id), build)
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
	if wanted == nil && errors.Is(err, authz.CodeNotFound) { // do not reveal an unnamed connection
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
	build := func(ctx context.Context, p *plan) (Importer, error) {
		object := importerObject(id)
		if err := requirePermission(ctx, p, object, "copy"); err != nil {
			return Importer{}, err
		}
		account, err := readAccountOf(ctx, p, object)
		if err != nil {
			return Importer{}, err
		}
		ends, leftOut, err := readUsableEnds(ctx, p, object)
		if err != nil {
			return Importer{}, err
		}
		in := NewImporter{
			ID:          copied,
			Account:     account.object.ID,
			Source:      ends["source"],
			Destination: ends["destination"],
		}
		importer := Importer{
			ID:          in.ID,
			Account:     in.Account,
			Source:      in.Source,
			Destination: in.Destination,
			LeftOut:     leftOut,
		}
		return importer, planImporter(ctx, p, account, in)
	}
	return runWithResult(ctx, s, by, "copy_importer", s.copyResult(by, id, copied), build)
}

// copyResult reads a copied importer. LeftOut lists the ends that the original has now and the copy lacks. It is nil if
// the actor may not view the original.
func (s *Service) copyResult(by Caller, id, copied authz.ID) result[Importer] {
	read := func(ctx context.Context) (Importer, authz.Token, error) {
		importer, token, err := s.GetImporter(ctx, by, copied)
		if err != nil {
			return importer, token, err
		}
		original, _, err := s.GetImporter(ctx, by, id)
		switch {
		case refused(err):
			return importer, token, nil
		case err != nil:
			return importer, token, err
		}
		isCopied := func(end string) bool { return slices.Contains(importer.ends(), end) }
		importer.LeftOut = slices.DeleteFunc(original.ends(), isCopied)
		return importer, token, nil
	}
	return result[Importer]{Importer{ID: copied}, read}
}

// ends returns the ends that an importer has, including hidden ends.
func (i Importer) ends() []string {
	ends := []string{}
	if i.Source != "" || slices.Contains(i.HiddenEnds, "source") {
		ends = append(ends, "source")
	}
	if i.Destination != "" || slices.Contains(i.HiddenEnds, "destination") {
		ends = append(ends, "destination")
	}
	return ends
}

// readUsableEnds reads the connections of an importer. usable maps an end to its connection if the actor may use it.
// others lists the ends whose connection the actor may not use.
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
