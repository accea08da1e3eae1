package spicedb

import (
	"context"
	"fmt"
	"strings"
	"time"

	spicedbcmd "github.com/authzed/spicedb/pkg/cmd"
	headcmd "github.com/authzed/spicedb/pkg/migrate"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrate updates the tables of a database, as the command `spicedb datastore migrate head` does. It changes nothing if
// they are current.
func migrate(ctx context.Context, engine, uri string) error {
	command := spicedbcmd.NewMigrateCommand("spicedb")
	spicedbcmd.RegisterMigrateFlags(command)
	command.SetContext(ctx)
	flags := map[string]string{
		"datastore-engine": engine,
		// The command expands environment variables in the URI, so the dollar signs of the URI are escaped.
		"datastore-conn-uri": strings.ReplaceAll(uri, "$", "%24"),
	}
	for name, value := range flags {
		if err := command.Flags().Set(name, value); err != nil {
			return err
		}
	}
	if engine == Postgres {
		unlock, err := lockDatabase(ctx, uri)
		if err != nil {
			return fmt.Errorf("cannot reach the %s database: %w", engine, err)
		}
		defer unlock()
	}
	// Call only RunE. The other steps of the command are for SpiceDB's own process: its log, its limits, and a check
	// for new releases.
	if err := command.RunE(command, []string{headcmd.Head}); err != nil {
		return fmt.Errorf(
			"cannot migrate the tables of the %s database (`spicedb datastore migrate head` does the same): %w", engine,
			err,
		)
	}
	return nil
}

// migrationLock is the number of an advisory lock. It prevents servers that start together from migrating
// concurrently, since concurrent SpiceDB migrations fail.
const migrationLock = 0x51_c1_ce

// lockDatabase waits until no other server migrates the database, and returns a function that releases the lock. It
// polls, because a session that waits for a lock would block PostgreSQL from building indexes concurrently.
func lockDatabase(ctx context.Context, uri string) (unlock func(), err error) {
	config, err := pgxpool.ParseConfig(uri) // SpiceDB parses the URI in the same way
	if err != nil {
		return nil, err
	}
	connection, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = connection.Close(context.WithoutCancel(ctx)) }
	for {
		var locked bool
		if err := connection.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", migrationLock).Scan(&locked); err != nil {
			unlock()
			return nil, err
		}
		if locked {
			return unlock, nil
		}
		select {
		case <-ctx.Done():
			unlock()
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
