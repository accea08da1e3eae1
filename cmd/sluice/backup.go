package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/sqlitestore"
)

func newBackup() *cobra.Command {
	var directory string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store of a data directory, as it is at one moment, into a new file",
		Long: `Copy the store of a data directory, as it is at one moment, into a new file. A server may
run on it meanwhile. The copy is read whole and checked before it gets its name.`,
		Example: `  sluice backup sluice-2026-11-24.db
  sluice backup --data-dir /var/lib/sluice /mnt/backups/sluice.db`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			directory = cmp.Or(directory, app.DefaultDataDir)
			contents, err := sqlitestore.Backup(cmd.Context(), directory, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s has %s\n", args[0], described(contents))
			return err
		},
	}
	dataDirFlag(cmd.Flags(), &directory)
	fromEnvironment(cmd)
	return cmd
}

func newRestore() *cobra.Command {
	var directory string
	var options sqlitestore.RestoreOptions
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Check a backup, and make it the store of a data directory",
		Long: `Check a backup, and make a copy of it the store of a data directory, on which no server may
run. Tokens and cursors from before are refused then, since they may name what is not in the backup.
The audit log stays: changes of the replaced store that it lacks, as after a killed server, are
added first, and the next start writes into it that the store went back.`,
		Example: `  sluice restore sluice-2026-11-24.db
  sluice restore --replace --data-dir /var/lib/sluice /mnt/backups/sluice.db`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			directory = cmp.Or(directory, app.DefaultDataDir)
			var incomplete error // of the audit log, which must have what is only in the store that is put aside
			if options.Replace {
				incomplete = app.CompleteAudit(cmd.Context(), directory)
			}
			contents, kept, err := sqlitestore.Restore(cmd.Context(), args[0], directory, options)
			switch {
			case errors.Is(err, sqlitestore.ErrExists):
				return fmt.Errorf("%w; --replace puts it aside", err)
			case errors.Is(err, sqlitestore.ErrUnsealed):
				return fmt.Errorf("%w; --allow-unsealed restores it without that proof", err)
			case err != nil:
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has %s\n", directory, described(contents))
			if incomplete != nil {
				fmt.Fprintf(
					cmd.ErrOrStderr(),
					"warning: the audit log may lack the last changes before the restore, which are in %s alone: %v\n", kept,
					incomplete,
				)
			}
			if kept != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "what was there is kept in %s\n", kept)
			}
			if _, err := os.Stat(filepath.Join(directory, audit.FileName)); err == nil {
				fmt.Fprintf(
					cmd.OutOrStdout(), "the audit log in %s stays, and says at the next start that the store went back\n", directory,
				)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&options.Replace, "replace", false, "where there is a store already, put it aside")
	cmd.Flags().BoolVar(
		&options.AllowUnsealed, "allow-unsealed", false,
		"restore a file without the hash that a backup ends with, such as the file of a stopped server",
	)
	dataDirFlag(cmd.Flags(), &directory)
	fromEnvironment(cmd)
	return cmd
}

func described(contents sqlitestore.Contents) string {
	return fmt.Sprintf("%s in %s; the last write was at %s", relationships(contents.Relationships),
		authz.Count(contents.Bytes, "byte", "bytes"), contents.Committed.UTC().Format(time.RFC3339))
}
