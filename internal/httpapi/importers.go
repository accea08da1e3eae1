package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/oapi-codegen/nullable"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
)

type importerOperations interface {
	CreateImporter(
		ctx context.Context, by operation.Caller, in operation.NewImporter,
	) (operation.Importer, authz.Token, error)
	SetImporterEnds(
		ctx context.Context, by operation.Caller, id authz.ID, in operation.ImporterEnds,
	) (operation.Importer, authz.Token, error)
	GetImporter(ctx context.Context, by operation.Caller, id authz.ID) (operation.Importer, authz.Token, error)
	CopyImporter(ctx context.Context, by operation.Caller, id, copied authz.ID) (operation.Importer, authz.Token, error)
}

// CreateImporter implements ServerInterface.
func (s *server) CreateImporter(c *gin.Context, _ CreateImporterParams) {
	s.answer(c, http.StatusCreated, func(ctx context.Context) (any, error) {
		body, err := decode[NewImporter](c)
		if err != nil {
			return nil, err
		}
		var in reader
		input := operation.NewImporter{
			ID: in.id("id", body.ID), Account: in.id("account", body.Account),
			Source: in.optionalID("source", body.Source), Destination: in.optionalID("destination", body.Destination),
		}
		if in.err != nil {
			return nil, in.err
		}
		importer, token, err := s.Operations.CreateImporter(ctx, callOf(c).caller(), input)
		return showImporter(importer, token), err
	})
}

// GetImporter implements ServerInterface.
func (s *server) GetImporter(c *gin.Context, id ID, _ GetImporterParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		importer, token, err := s.Operations.GetImporter(ctx, callOf(c).caller(), authz.ID(id))
		return showImporter(importer, token), err
	})
}

// SetImporterConnections implements ServerInterface.
func (s *server) SetImporterConnections(c *gin.Context, id ID, _ SetImporterConnectionsParams) {
	s.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		body, err := decode[ImporterEnds](c)
		if err != nil {
			return nil, err
		}
		var in reader
		ends := operation.ImporterEnds{
			Source: in.end("source", body.Source), Destination: in.end("destination", body.Destination),
		}
		if in.err != nil {
			return nil, in.err
		}
		importer, token, err := s.Operations.SetImporterEnds(ctx, callOf(c).caller(), authz.ID(id), ends)
		return showImporter(importer, token), err
	})
}

// end reads the source or destination of an importer. It returns nil if the field is left out, and an empty id for
// null.
func (r *reader) end(field string, value nullable.Nullable[string]) *authz.ID {
	switch {
	case !value.IsSpecified():
		return nil
	case value.IsNull():
		return new(authz.ID(""))
	default:
		return new(r.id(field, value.MustGet()))
	}
}

// CopyImporter implements ServerInterface.
func (s *server) CopyImporter(c *gin.Context, id ID, _ CopyImporterParams) {
	s.answer(c, http.StatusCreated, func(ctx context.Context) (any, error) {
		body, err := decode[Copy](c)
		if err != nil {
			return nil, err
		}
		var in reader
		copied := in.id("id", body.ID)
		if in.err != nil {
			return nil, in.err
		}
		i, token, err := s.Operations.CopyImporter(ctx, callOf(c).caller(), authz.ID(id), copied)
		leftOut := make([]CopiedImporterLeftOut, len(i.LeftOut))
		for n, end := range i.LeftOut {
			leftOut[n] = CopiedImporterLeftOut(end)
		}
		return CopiedImporter{
			ID: string(i.ID), Account: nilIfEmpty(i.Account), Source: nilIfEmpty(i.Source), Destination: nilIfEmpty(
				i.Destination,
			),
			LeftOut: leftOut, Token: string(token),
		}, err
	})
}

// DeleteImporter implements ServerInterface.
func (s *server) DeleteImporter(c *gin.Context, id ID, _ DeleteImporterParams) {
	s.delete(c, "importer", id)
}

func showImporter(i operation.Importer, token authz.Token) Importer {
	shown := Importer{
		ID: string(i.ID), Account: nilIfEmpty(i.Account), Source: nilIfEmpty(i.Source), Destination: nilIfEmpty(
			i.Destination,
		),
		Token: string(token),
	}
	if len(i.HiddenEnds) > 0 {
		ends := make([]ImporterHiddenEnds, len(i.HiddenEnds))
		for n, end := range i.HiddenEnds {
			ends[n] = ImporterHiddenEnds(end)
		}
		shown.HiddenEnds = &ends
	}
	return shown
}
