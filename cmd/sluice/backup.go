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
		Short: "Copy the store of a data directory into a new file",
		Long: `Copy the store of a data directory, in its state at one moment, into a new file. A server may run on
the directory. The copy is read and checked before it gets its name.`,
		Example: `  sluice backup sluice-2026-11-24.db
  sluice backup --data-dir /var/lib/sluice /mnt/backups/sluice.db`,
		Args: oneFile,
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
		Short: "Check a backup and make it the store of a data directory",
		Long: `Check a backup and copy it into a data directory as its store. No server may run on the directory.
Earlier tokens and cursors become invalid, since they may name writes that are not in the backup.
The audit log stays. Changes of the replaced store that it lacks, for example after a killed server,
are added first. The next start adds an entry about the restored store.`,
		Example: `  sluice restore sluice-2026-11-24.db
  sluice restore --replace --data-dir /var/lib/sluice /mnt/backups/sluice.db`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			directory = cmp.Or(directory, app.DefaultDataDir)
			// incomplete is not nil if the audit log did not receive the last changes of the replaced store.
			var incomplete error
			if options.Replace {
				incomplete = app.CompleteAudit(cmd.Context(), directory)
			}
			contents, kept, err := sqlitestore.Restore(cmd.Context(), args[0], directory, options)
			switch {
			case errors.Is(err, sqlitestore.ErrExists):
				return fmt.Errorf("%w; --replace moves it aside", err)
			case errors.Is(err, sqlitestore.ErrUnsealed):
				return fmt.Errorf("%w; --allow-unsealed restores it nevertheless", err)
			case err != nil:
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has %s\n", directory, described(contents))
			if incomplete != nil {
				fmt.Fprintf(
					cmd.ErrOrStderr(),
					"warning: the audit log may lack the last changes before the restore, which are only in %s: %v\n", kept,
					incomplete,
				)
			}
			if kept != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "the replaced store is in %s\n", kept)
			}
			if _, err := os.Stat(filepath.Join(directory, audit.FileName)); err == nil {
				fmt.Fprintf(
					cmd.OutOrStdout(), "the audit log in %s stays; the next start adds an entry about the restored store\n", directory,
				)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&options.Replace, "replace", false, "if there is a store already, move it aside")
	cmd.Flags().BoolVar(
		&options.AllowUnsealed, "allow-unsealed", false,
		"restore a file without the hash at the end of a backup, for example the file of a stopped server",
	)
	dataDirFlag(cmd.Flags(), &directory)
	fromEnvironment(cmd)
	return cmd
}

func described(contents sqlitestore.Contents) string {
	return fmt.Sprintf("%s in %s; the last write was at %s", relationships(contents.Relationships),
		authz.Count(contents.Bytes, "byte", "bytes"), contents.Committed.UTC().Format(time.RFC3339))
}
