package audit_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
)

// blockedSource is a source whose export waits until the test closes letGo. If the test does not close it, the export
// fails when ctx ends.
type blockedSource struct {
	authz.Source
	letGo chan struct{}
}

func (h blockedSource) Export(ctx context.Context, at authz.Token) iter.Seq2[authz.Relationship, error] {
	return func(yield func(authz.Relationship, error) bool) {
		select {
		case <-h.letGo:
			h.Source.Export(ctx, at)(yield)
		case <-ctx.Done():
			yield(authz.Relationship{}, errors.New("interrupted while it was read"))
		}
	}
}

// TestStartDoesNotWaitForSnapshot checks that a server can start before the first snapshot is complete. A change
// during the snapshot must not be lost, even if the log is interrupted before its first entry.
func TestStartDoesNotWaitForSnapshot(t *testing.T) {
	onEveryLog(t, func(t *testing.T, open func() (*audit.Log, error)) {
		log := openLog(t, open)
		engine := embedded(t)
		write(t, engine, "", authz.Touch, relationship(t, "account:acme", "owner", "user:olga"))

		follower := audit.NewFollower(audit.Config{
			Log: log, Source: blockedSource{engine.Client, make(chan struct{})}, Reader: engine, Place: place,
		})
		interrupt := run(t, follower)
		require.NoError(t, follower.WaitForStart(t.Context()))
		write(t, engine, "olga", authz.Touch, relationship(t, "account:acme", "owner", "user:bob"))
		interrupt()
		head, err := log.Head(t.Context())
		require.NoError(t, err)
		require.Zero(t, head.Seq)

		write(t, engine, "bob", authz.Delete, relationship(t, "account:acme", "owner", "user:olga"))
		follow(t, log, engine.Client)
		all := wait(t, log, 4, audit.Query{})
		require.Equal(t, []string{
			"snapshot", "snapshot  touch account:acme#owner@user:olga",
			"change olga touch account:acme#owner@user:bob", "change bob delete account:acme#owner@user:olga",
		}, lines(all))
	})
}
