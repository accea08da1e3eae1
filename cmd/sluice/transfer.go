package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/sqlitestore"
	"github.com/sluice-authz/sluice/internal/transfer"
)

// pipe is the file name for standard output or standard input.
const pipe = "-"

func newExport() *cobra.Command {
	var store app.StoreConfig
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the schema and all relationships of a SpiceDB into a file, as a validation YAML",
		Long: `Write the schema and all relationships of a SpiceDB at one moment into a validation YAML. 'sluice
import', 'sluice serve --schema' and zed read such files. The file - is standard output. To export
the store of a running server, use SpiceDB's own API (--spicedb-endpoint). If the command is
interrupted, run it again: it resumes if the store still has the state that it began with.`,
		Example: `  sluice export company.yaml
  sluice export company.yaml --spicedb-endpoint 127.0.0.1:50051 --spicedb-token "$KEY" --spicedb-insecure
  sluice export - | sluice import - --datastore postgres --datastore-uri postgres://localhost:5432/spicedb`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, err := app.OpenStore(cmd.Context(), store)
			if err != nil {
				return err
			}
			bar, progress := progressBar(cmd, -1)
			err = errors.Join(runExport(cmd, app.ExportSource(engine), args[0], progress), engine.Close())
			_ = bar.Finish()
			return err
		},
	}
	storeFlags(cmd.Flags(), &store)
	fromEnvironment(cmd)
	return cmd
}

func runExport(cmd *cobra.Command, source transfer.Source, file string, progress transfer.Progress) error {
	if file == pipe {
		return transfer.ExportTo(cmd.Context(), source, cmd.OutOrStdout(), progress)
	}
	written, resumed, err := transfer.Export(cmd.Context(), source, file, progress)
	if err != nil {
		return again(cmd.Context(), err)
	}
	return report(cmd, "exported", written, resumed)
}

func newImport() *cobra.Command {
	var store app.StoreConfig
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Write the schema and the relationships of a validation YAML into a SpiceDB",
		Long: `Write the schema and the relationships of a validation YAML, for example of 'sluice export', into a
SpiceDB. The file - is standard input, which is first copied into a temporary file. Before it
writes, the command checks each relationship against the schema and, with the product's schema,
against the product's rules: an account has a role set and a subscription, a required role has a
holder, no object refers to another account. An error names the line and the rule. With --dry-run
the command only checks. It rejects a schema that could break stored relationships. It adds
relationships to the stored ones. If the command is interrupted, run it again: it resumes.`,
		Example: `  sluice import company.yaml --dry-run
  sluice import company.yaml
  sluice import company.yaml --spicedb-endpoint spicedb:50051 --spicedb-token "$SPICEDB_TOKEN" --spicedb-ca ca.pem
  sluice import company.yaml --datastore postgres --datastore-uri postgres://localhost:5432/spicedb`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dryRun {
				return validateImport(cmd, store, args[0])
			}
			size := int64(-1)
			if args[0] != pipe {
				info, err := os.Stat(args[0])
				if err != nil {
					return err
				}
				size = info.Size()
				if err := transfer.Check(args[0]); err != nil { // check the file before a store is created
					return err
				}
			}
			engine, err := app.MakeStore(cmd.Context(), store)
			if err != nil {
				return err
			}
			bar, progress := progressBar(cmd, size)
			err = errors.Join(runImport(cmd, engine, store, args[0], progress), engine.Close())
			_ = bar.Finish()
			return err
		},
	}
	cmd.Flags().BoolVar(
		&dryRun, "dry-run", false, "check the file against the schema, the rules and the stored data, and write nothing",
	)
	storeFlags(cmd.Flags(), &store)
	fromEnvironment(cmd)
	return cmd
}

// validateImport checks an import without writing. If there is no store, it checks only the file.
func validateImport(cmd *cobra.Command, store app.StoreConfig, file string) (err error) {
	in, err := openImport(cmd, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	engine, err := app.OpenStore(cmd.Context(), store)
	switch {
	case errors.Is(err, sqlitestore.ErrNone):
		engine = nil
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, engine.Close()) }()
	}
	count, err := transfer.CheckAll(cmd.Context(), in, app.ImportRules(engine))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(
		cmd.OutOrStdout(), "%s has %s that can be imported; nothing was written\n", file, relationships(count),
	)
	return err
}

func openImport(cmd *cobra.Command, file string) (*os.File, error) {
	if file == pipe {
		return transfer.Spool(cmd.InOrStdin())
	}
	return os.Open(file)
}

func runImport(
	cmd *cobra.Command, engine app.Store, store app.StoreConfig, file string, progress transfer.Progress,
) error {
	options := transfer.Options{Rules: app.ImportRules(engine), Progress: progress}
	options.Apply = func(ctx context.Context, schema string) error {
		applied, err := app.ImportSchema(ctx, engine, schema)
		if err == nil && !applied {
			fmt.Fprintln(cmd.ErrOrStderr(), "the store keeps its schema, which is newer than the file's schema")
		}
		return err
	}
	if file == pipe {
		written, err := transfer.ImportFrom(cmd.Context(), engine, cmd.InOrStdin(), options)
		if err == nil {
			_, err = app.CompleteFlags(cmd.Context(), engine)
		}
		if err != nil {
			return err
		}
		return report(cmd, "imported", written, 0)
	}
	name := store.Endpoint + store.Directory() + store.DatastoreURI
	written, resumed, err := transfer.Import(cmd.Context(), engine, name, file, options)
	if err == nil {
		_, err = app.CompleteFlags(cmd.Context(), engine)
	}
	if err != nil {
		return again(cmd.Context(), err)
	}
	return report(cmd, "imported", written, resumed)
}

// again returns the error of a command. For an interruption, the error says that the same command resumes.
func again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; the same command resumes")
	}
	return err
}

func report(cmd *cobra.Command, what string, count, before int64) error {
	rest := ""
	if before > 0 {
		rest = fmt.Sprintf(", %d of them in the interrupted run", before)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s%s\n", what, relationships(count), rest)
	return err
}

func relationships(n int64) string { return authz.Count(n, "relationship", "relationships") }

// progressBar returns a progress bar for a terminal. bytes is the size of the file, or -1 if it is unknown.
func progressBar(cmd *cobra.Command, bytes int64) (*progressbar.ProgressBar, transfer.Progress) {
	bar := progressbar.NewOptions64(
		bytes,
		progressbar.OptionSetWriter(cmd.ErrOrStderr()),
		progressbar.OptionSetVisibility(terminal(cmd.ErrOrStderr())),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	return bar, func(count, bytes int64) {
		bar.Describe(relationships(count))
		_ = bar.Set64(bytes)
	}
}
