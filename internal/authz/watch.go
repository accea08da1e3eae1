package authz

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Change is the changes of one transaction.
type Change struct {
	// Revision identifies the transaction. It is the same each time the transaction is delivered.
	Revision string

	// At is the time of the transaction by the store's clock, or zero if the store does not say.
	At time.Time

	// Updates are Touch and Delete. They do not include expired relationships, or relationships that the write left
	// unchanged.
	Updates []Update

	// Schema reports that the transaction changed the schema.
	Schema bool

	// Metadata is the metadata that the transaction stored, or empty. It has several elements if the store merged
	// overlapping transactions.
	Metadata []map[string]any

	// Token continues Watch after the transaction.
	Token Token
}

// ErrHistoryLost is the cause of a CodeInvalid if the store no longer has the changes after a token. If the reason is
// known, the cause is ErrOtherStore or ErrWentBack.
var (
	ErrHistoryLost = errors.New("the store no longer has the changes after this token")
	ErrOtherStore  = fmt.Errorf("%w: the token is of another store", ErrHistoryLost)
	ErrWentBack    = fmt.Errorf("%w: the store went back to an earlier state", ErrHistoryLost)
)

// Source reads all relationships and follows their changes. Its errors are those of an Engine.
type Source interface {
	// Head returns the stored schema and a token of the newest revision. The error is CodeNotFound if there is no
	// schema.
	Head(ctx context.Context) (schema string, token Token, err error)

	// Export yields every relationship at a revision, in no particular order.
	Export(ctx context.Context, at Token) iter.Seq2[Relationship, error]

	// Watch yields the changes after a revision until ctx ends. A transaction follows the transactions that it depends
	// on. A transaction may be delivered more than once. A Change without Updates and Schema means that all changes up
	// to its Token have been delivered. The first Change is of this kind, and shows that the store has the changes
	// after the revision.
	Watch(ctx context.Context, after Token) iter.Seq2[Change, error]
}
