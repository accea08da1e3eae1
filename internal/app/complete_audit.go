package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/spicedb"
	"github.com/sluice-authz/sluice/internal/sqlitestore"
)

// CompleteAudit adds, to the audit log of a data directory, the changes that the log lacks and the store in the
// directory has. The log can lack changes if a server was killed. CompleteAudit does nothing if there is no store or
// no log. No server may have the directory open.
func CompleteAudit(ctx context.Context, directory string) (err error) {
	if _, err := os.Stat(filepath.Join(directory, audit.FileName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var missing spicedb.Acknowledged // Embedded adds the last write of the store
	engine, err := spicedb.Embedded(ctx, spicedb.EmbeddedConfig{
		Options: spicedb.Options{Acknowledged: &missing}, Datastore: spicedb.SQLite, DataDir: directory, MustExist: true,
	})
	switch {
	case errors.Is(err, sqlitestore.ErrNone):
		return nil
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	log, err := audit.OpenFile(ctx, directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	follower := audit.NewFollower(
		audit.Config{Log: log, Source: engine, Reader: engine, Place: operation.Place, Stored: func(through authz.Token) {
			missing.Delivered(through)
			if _, count := missing.Outstanding(); count == 0 {
				cancel()
			}
		}},
	)
	err = follower.FollowOnce(ctx)
	if _, count := missing.Outstanding(); count == 0 {
		return nil
	}
	return err
}
