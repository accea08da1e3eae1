package authz

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Change is what one transaction changed.
type Change struct {
	// Revision names the transaction. It is the same whenever the transaction is told, and no other has it.
	Revision string

	// At is when the transaction was made, by the clock of the store; zero if the store does not say.
	At time.Time

	// Updates are Touch and Delete. What expired is not among them, nor what a write left as it was.
	Updates []Update

	// Schema reports that the transaction changed the schema.
	Schema bool

	// Metadata is what was written with the transaction: nothing for one that came without, several where the store made
	// one of transactions that overlapped.
	Metadata []map[string]any

	// Token names the state from which Watch continues behind the transaction.
	Token Token
}

// ErrHistoryLost is the cause of a CodeInvalid that Watch returns when the store does not have what happened after a
// token. It is one of the two others if that is known.
var (
	ErrHistoryLost = errors.New("the store no longer has the changes after this token")
	ErrOtherStore  = fmt.Errorf("%w: the token is of another store", ErrHistoryLost)
	ErrWentBack    = fmt.Errorf("%w: it went back to an earlier state", ErrHistoryLost)
)

// Source tells what is stored, and what changes. Its errors are those of an Engine.
type Source interface {
	// Head returns the stored schema and a token of the newest state. The error is CodeNotFound if there is no schema.
	Head(ctx context.Context) (schema string, token Token, err error)

	// Export yields every relationship of a state, in no order.
	Export(ctx context.Context, at Token) iter.Seq2[Relationship, error]

	// Watch yields what changes after a state, each transaction after all those that it rests on, until ctx ends. A
	// transaction can come again. A Change without Updates and Schema says only that everything up to its Token has been
	// told; the first one is such, and says that the store has what happened after the state.
	Watch(ctx context.Context, after Token) iter.Seq2[Change, error]
}
