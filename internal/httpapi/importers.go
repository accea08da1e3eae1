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
	) (operation.Importer, operation.Done, error)
	SetImporterEnds(
		ctx context.Context, by operation.Caller, id authz.ID, in operation.ImporterEnds,
	) (operation.Importer, operation.Done, error)
	GetImporter(ctx context.Context, by operation.Caller, id authz.ID) (operation.Importer, authz.Token, error)
	CopyImporter(ctx context.Context, by operation.Caller, id, copied authz.ID) (operation.Importer, operation.Done, error)
}

// createImporter decodes POST /v1/importers.
func createImporter(r request) (writeCall, error) {
	body, err := decodeBody[NewImporter](r)
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
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		importer, done, err := on.CreateImporter(ctx, r.caller(), input)
		return showImporter(importer, done.Token), done, err
	}, nil
}

// GetImporter implements ServerInterface.
func (a *productAPI) GetImporter(c *gin.Context, id ID, _ GetImporterParams) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		importer, token, err := a.operations.GetImporter(ctx, callOf(c).caller(), authz.ID(id))
		return showImporter(importer, token), err
	})
}

// setImporterConnections decodes PUT /v1/importers/{id}/connections.
func setImporterConnections(r request) (writeCall, error) {
	body, err := decodeBody[ImporterEnds](r)
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
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		importer, done, err := on.SetImporterEnds(ctx, r.caller(), r.id(), ends)
		return showImporter(importer, done.Token), done, err
	}, nil
}

// end reads the source or destination of an importer. It returns nil if the field is missing, and an empty id for null.
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

// copyImporter decodes POST /v1/importers/{id}/copy.
func copyImporter(r request) (writeCall, error) {
	body, err := decodeBody[Copy](r)
	if err != nil {
		return nil, err
	}
	var in reader
	copied := in.id("id", body.ID)
	if in.err != nil {
		return nil, in.err
	}
	return func(ctx context.Context, on Operations) (any, operation.Done, error) {
		i, done, err := on.CopyImporter(ctx, r.caller(), r.id(), copied)
		return showCopiedImporter(i, done.Token), done, err
	}, nil
}

func showCopiedImporter(i operation.Importer, token authz.Token) CopiedImporter {
	shown := CopiedImporter{
		ID: string(i.ID), Account: nilIfEmpty(i.Account), Source: nilIfEmpty(i.Source),
		Destination: nilIfEmpty(i.Destination), Token: string(token),
	}
	if i.LeftOut != nil {
		leftOut := make([]CopiedImporterLeftOut, len(i.LeftOut))
		for n, end := range i.LeftOut {
			leftOut[n] = CopiedImporterLeftOut(end)
		}
		shown.LeftOut = &leftOut
	}
	return shown
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
