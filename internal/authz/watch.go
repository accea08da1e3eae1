package authz

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Change describes what one transaction changed.
type Change struct {
	// Revision identifies the transaction. If Watch delivers the transaction again, it has the same Revision.
	Revision string

	// At is the time of the transaction by the store's clock. It is zero if the store does not report the time.
	At time.Time

	// Updates are the changed relationships; each Action is Touch or Delete. They do not include relationships that
	// expired, or that the transaction wrote without changing them.
	Updates []Update

	// Schema reports that the transaction changed the schema.
	Schema bool

	// Metadata is the metadata that the transaction stored, or empty. It has several elements if the store merged
	// overlapping transactions.
	Metadata []map[string]any

	// Token makes Watch continue after the transaction.
	Token Token
}

// ErrHistoryLost is the cause of a CodeInvalid if the store no longer has the changes after a token. If the engine
// knows why, the cause is ErrOtherStore or ErrWentBack, which both wrap ErrHistoryLost.
var (
	ErrHistoryLost = errors.New("the store no longer has the changes after this token")
	ErrOtherStore  = fmt.Errorf("%w: the token belongs to another store", ErrHistoryLost)
	ErrWentBack    = fmt.Errorf("%w: the store went back to an earlier state", ErrHistoryLost)
)

// Source reads all relationships and follows their changes. Its errors are those of an Engine.
type Source interface {
	// Head returns the stored schema and a token of the newest revision. If no schema is stored, the error has
	// CodeNotFound.
	Head(ctx context.Context) (schema string, token Token, err error)

	// Export yields every relationship at a revision, in no particular order.
	Export(ctx context.Context, at Token) iter.Seq2[Relationship, error]

	// Watch yields the changes after a revision until ctx ends. It yields a transaction after the transactions on
	// which it depends, and may yield a transaction more than once. A Change without Updates and without Schema means
	// that all changes up to its Token have been delivered. The first Change is always of this kind; it shows that
	// the store still has the changes after the revision.
	Watch(ctx context.Context, after Token) iter.Seq2[Change, error]
}
