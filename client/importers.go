package client

import (
	"context"

	"github.com/oapi-codegen/nullable"

	"github.com/sluice-authz/sluice/client/rest"
)

// CreateImporter creates an importer in an account.
func (a *Actor) CreateImporter(ctx context.Context, in NewImporter) (Importer, error) {
	return answer[Importer](a.rest.CreateImporter(ctx, nil, in))
}

// GetImporter returns an importer. HiddenEnds lists each end, source or destination, whose connection the actor may not
// view.
func (a *Actor) GetImporter(ctx context.Context, id string) (Importer, error) {
	return answer[Importer](a.rest.GetImporter(ctx, id, nil))
}

// End is the change of one end of an importer, its source or its destination. The zero End leaves the end unchanged.
type End struct{ to nullable.Nullable[string] }

// Connect returns the change that sets an end of an importer to the connection with this id.
func Connect(connection string) End { return End{nullable.NewNullableWithValue(connection)} }

// Detach returns the change that removes an end from an importer.
func Detach() End { return End{nullable.NewNullNullable[string]()} }

// SetImporterConnections changes the ends of an importer.
func (a *Actor) SetImporterConnections(ctx context.Context, id string, source, destination End) (Importer, error) {
	return answer[Importer](a.rest.SetImporterConnections(
		ctx, id, nil, rest.ImporterEnds{Source: source.to, Destination: destination.to},
	))
}

// CopyImporter copies an importer within its account. It leaves out each connection that the actor may not use, and
// lists its end, source or destination, in LeftOut.
func (a *Actor) CopyImporter(ctx context.Context, id, to string) (CopiedImporter, error) {
	return answer[CopiedImporter](a.rest.CopyImporter(ctx, id, nil, rest.Copy{ID: to}))
}

// DeleteImporter deletes an importer.
func (a *Actor) DeleteImporter(ctx context.Context, id string) error {
	return done(a.rest.DeleteImporter(ctx, id, nil))
}
