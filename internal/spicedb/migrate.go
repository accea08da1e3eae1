package spicedb

import (
	"context"
	"fmt"
	"strings"

	spicedbcmd "github.com/authzed/spicedb/pkg/cmd"
	headcmd "github.com/authzed/spicedb/pkg/migrate"
)

// migrate brings the tables of a database up to date, as `spicedb datastore migrate head` does. It changes nothing where
// they are.
func migrate(ctx context.Context, engine, uri string) error {
	command := spicedbcmd.NewMigrateCommand("spicedb")
	spicedbcmd.RegisterMigrateFlags(command)
	command.SetContext(ctx)
	flags := map[string]string{
		"datastore-engine": engine,
		// The command expands environment variables in the URI, whose dollar signs stand for themselves here.
		"datastore-conn-uri": strings.ReplaceAll(uri, "$", "%24"),
	}
	for name, value := range flags {
		if err := command.Flags().Set(name, value); err != nil {
			return err
		}
	}
	// RunE alone: what runs before it is for SpiceDB's own process (its log, its limits, a look for new releases).
	if err := command.RunE(command, []string{headcmd.Head}); err != nil {
		return fmt.Errorf("cannot bring the tables of the %s database up to date (`spicedb datastore migrate head` does the same): %w", engine, err)
	}
	return nil
}
