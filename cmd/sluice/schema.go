package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/authz"
)

func newSchema() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print, compare or apply the schema of a SpiceDB",
		Example: `  sluice schema print > flattened.zed
  sluice schema diff --spicedb-endpoint spicedb:50051 --spicedb-token "$SPICEDB_TOKEN" --spicedb-insecure`,
		Args: onlySubcommands,
		RunE: showHelp,
	}
	cmd.AddCommand(newSchemaPrint(), newSchemaDiff(), newSchemaApply())
	return cmd
}

// schemaCommand returns a subcommand that uses a schema file and a store.
func schemaCommand(use, short, example string, run func(*cobra.Command, app.StoreConfig, string) error) *cobra.Command {
	var store app.StoreConfig
	var file string
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, store, file) },
	}
	storeFlags(cmd.Flags(), &store)
	cmd.Flags().StringVar(&file, "schema", "", "a .zed file or a validation YAML; the product's schema if empty")
	fromEnvironment(cmd)
	return cmd
}

func newSchemaPrint() *cobra.Command {
	var stored bool
	cmd := schemaCommand("print", "Print the schema in SpiceDB's form: one text without imports",
		`  sluice schema print
  sluice schema print --schema company.zed
  sluice schema print --stored --spicedb-endpoint spicedb:50051 --spicedb-token "$SPICEDB_TOKEN" --spicedb-insecure`,
		func(cmd *cobra.Command, store app.StoreConfig, file string) error {
			text, err := readSchema(cmd, file)
			if stored && err == nil {
				err = withStore(cmd, store, func(engine authz.Engine) error {
					text, err = engine.Schema(cmd.Context())
					return err
				})
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), text)
			return nil
		})
	cmd.Flags().BoolVar(&stored, "stored", false, "print the stored schema instead of the one to apply")
	return cmd
}

func newSchemaDiff() *cobra.Command {
	return schemaCommand("diff", "Print what applying the schema would change; exit 1 if anything",
		`  sluice schema diff --spicedb-endpoint spicedb:50051 --spicedb-token "$SPICEDB_TOKEN" --spicedb-insecure
  sluice schema diff --datastore postgres --datastore-uri postgres://localhost:5432/spicedb --schema company.zed`,
		func(cmd *cobra.Command, store app.StoreConfig, file string) error {
			text, err := readSchema(cmd, file)
			if err != nil {
				return err
			}
			return withStore(cmd, store, func(engine authz.Engine) error {
				changes, err := app.DiffSchema(cmd.Context(), engine, text)
				if err != nil {
					return err
				}
				if len(changes) == 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "nothing would change")
					return nil
				}
				printChanges(cmd, changes)
				return exitCode(1)
			})
		})
}

func newSchemaApply() *cobra.Command {
	var breaking bool
	cmd := schemaCommand("apply", "Apply the schema, unless a change could break users of the stored one",
		`  sluice schema apply --spicedb-endpoint spicedb:50051 --spicedb-token "$SPICEDB_TOKEN" --spicedb-insecure
  sluice schema apply --allow-breaking --schema company.zed \
      --spicedb-endpoint spicedb:50051 --spicedb-token "$SPICEDB_TOKEN"`,
		func(cmd *cobra.Command, store app.StoreConfig, file string) error {
			text, err := readSchema(cmd, file)
			if err != nil {
				return err
			}
			return withStore(cmd, store, func(engine authz.Engine) error {
				changes, err := app.ApplySchema(cmd.Context(), engine, text, file, breaking)
				if err != nil {
					return err
				}
				printChanges(cmd, changes)
				fmt.Fprintln(cmd.OutOrStdout(), "the schema is applied")
				return nil
			})
		})
	cmd.Flags().BoolVar(
		&breaking, "allow-breaking", false,
		"apply a schema that removes a name which callers may still use; SpiceDB rejects removing a name that "+
			"relationships use",
	)
	return cmd
}

// readSchema reads the schema to apply and prints its warnings.
func readSchema(cmd *cobra.Command, file string) (string, error) {
	loaded, err := app.Schema(cmd.Context(), file)
	for _, warning := range loaded.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
	}
	return loaded.Text, err
}

func printChanges(cmd *cobra.Command, changes []authz.SchemaChange) {
	for _, change := range changes {
		mark := "  "
		if change.Breaking {
			mark = "! "
		}
		fmt.Fprintln(cmd.OutOrStdout(), mark+change.Text)
	}
}

func withStore(cmd *cobra.Command, store app.StoreConfig, use func(authz.Engine) error) (err error) {
	engine, err := app.OpenStore(cmd.Context(), store)
	if err != nil {
		return err
	}
	defer func() {
		if closed := engine.Close(); err == nil {
			err = closed
		}
	}()
	return use(engine)
}
