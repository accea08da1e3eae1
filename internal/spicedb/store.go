package spicedb

import (
	"context"
	"fmt"

	storecmd "github.com/authzed/spicedb/pkg/cmd/datastore"
	"github.com/authzed/spicedb/pkg/datastore"

	"github.com/sluice-authz/sluice/internal/sqlitestore"
)

// The datastores of an embedded SpiceDB.
const (
	Memory      = storecmd.MemoryEngine
	Postgres    = storecmd.PostgresEngine
	CockroachDB = storecmd.CockroachEngine
	SQLite      = sqlitestore.Engine
)

// openStore opens the configured datastore. It first migrates the tables of a database.
func openStore(ctx context.Context, config EmbeddedConfig) (datastore.Datastore, error) {
	if config.Store != nil {
		return config.Store, nil
	}
	switch config.Datastore {
	case "", Memory:
		return newMemory(ctx)
	case SQLite:
		if config.DataDir == "" {
			return nil, fmt.Errorf("the datastore %s needs a directory", config.Datastore)
		}
		return sqlitestore.Open(config.DataDir, sqlitestore.Options{ //nolint:contextcheck // Open waits for nothing
			MustExist: config.MustExist, GCWindow: config.GCWindow, GCInterval: config.GCInterval,
		})
	case Postgres, CockroachDB:
		if config.URI == "" {
			return nil, fmt.Errorf("the datastore %s needs a URI", config.Datastore)
		}
		if err := migrate(ctx, config.Datastore, config.URI); err != nil {
			return nil, err
		}
		options := []storecmd.ConfigOption{
			storecmd.WithEngine(config.Datastore),
			storecmd.WithURI(config.URI),
			storecmd.WithEnableDatastoreMetrics(false),
			storecmd.WithEnableRevisionHeartbeat(true),
		}
		if config.Datastore == Postgres {
			options = append(options, connectionPools()...)
		}
		if config.GCWindow > 0 {
			options = append(options, storecmd.WithGCWindow(config.GCWindow))
		}
		if config.GCInterval > 0 {
			options = append(options, storecmd.WithGCInterval(config.GCInterval))
		}
		return storecmd.NewDatastore(ctx, options...)
	default:
		return nil, fmt.Errorf(
			"%q is not a datastore; datastores are %s, %s, %s, %s", config.Datastore, Memory, SQLite, Postgres, CockroachDB,
		)
	}
}

// connectionPools returns the options for connections to PostgreSQL. By default, SpiceDB opens its maximum of 30
// connections at the start. Each is a process of PostgreSQL, and most would stay idle. With these options, the maximum
// is the same, but connections open when they are needed.
func connectionPools() []storecmd.ConfigOption {
	read, write := storecmd.DefaultReadConnPool(), storecmd.DefaultWriteConnPool()
	read.MinOpenConns, write.MinOpenConns = 2, 1
	return []storecmd.ConfigOption{storecmd.WithReadConnPool(*read), storecmd.WithWriteConnPool(*write)}
}
