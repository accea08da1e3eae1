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

// GetImporter returns an importer. If the actor may not view the source connection, Source is empty and HiddenEnds
// contains "source". The same applies to the destination.
func (a *Actor) GetImporter(ctx context.Context, id string) (Importer, error) {
	return answer[Importer](a.rest.GetImporter(ctx, id, nil))
}

// End is a change to one connection of an importer: to its source or its destination. The zero End changes nothing.
type End struct{ to nullable.Nullable[string] }

// Connect returns a change that replaces the source or the destination by the connection with this id.
func Connect(connection string) End { return End{nullable.NewNullableWithValue(connection)} }

// Detach returns a change that removes the source or the destination from an importer.
func Detach() End { return End{nullable.NewNullNullable[string]()} }

// SetImporterConnections changes the source connection of an importer, its destination connection, or both. Connect
// and Detach return such a change.
func (a *Actor) SetImporterConnections(ctx context.Context, id string, source, destination End) (Importer, error) {
	return answer[Importer](a.rest.SetImporterConnections(
		ctx, id, nil, rest.ImporterEnds{Source: source.to, Destination: destination.to},
	))
}

// CopyImporter copies an importer within its account. If the actor may not use the source connection, the copy has no
// source, and LeftOut contains "source". The same applies to the destination.
func (a *Actor) CopyImporter(ctx context.Context, id, to string) (CopiedImporter, error) {
	return answer[CopiedImporter](a.rest.CopyImporter(ctx, id, nil, rest.Copy{ID: to}))
}

// DeleteImporter deletes an importer.
func (a *Actor) DeleteImporter(ctx context.Context, id string) error {
	return done(a.rest.DeleteImporter(ctx, id, nil))
}
