package main

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/authz"
)

func newKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "key",
		Short:   "Make API keys",
		Example: `  sluice key new --name backend --scopes check+operate`,
		Args:    onlySubcommands,
		RunE:    showHelp,
	}
	cmd.AddCommand(newKeyNew())
	return cmd
}

func newKeyNew() *cobra.Command {
	var name, scopes, schema, rate, expiresIn string
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make an API key; prints the key once, and the line for the keys file",
		Long: `Make an API key. The first line has the key, which is printed only once. The second line is for the
keys file and has only a hash of the key. A running server reloads the file at SIGHUP. With --schema,
the command checks that the schema has each TYPE of the scopes write:TYPE.`,
		Example: `  sluice key new --name backend --scopes check+operate
  sluice key new --name reports --scopes inspect --rate 5/s
  sluice key new --name nightly --scopes check --expires-in 90d
  sluice key new --name charts --scopes check+write:dashboard+write:chart --schema schema.zed
  sluice key new --name backend --scopes check+operate | tee >(sed -n 2p >> keys.txt) | head -1`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			allowed, types, err := apikey.ParseScopes(scopes)
			if err == nil {
				err = checkWriteTypes(cmd, schema, types)
			}
			if err != nil {
				return fmt.Errorf("--scopes: %w", err)
			}
			secret, key, err := apikey.Generate(name, allowed, types...)
			if err != nil {
				return fmt.Errorf("--name: %w", err)
			}
			if rate != "" {
				if key.Rate, err = apikey.ParseRate(rate); err != nil {
					return fmt.Errorf("--rate: %w", err)
				}
			}
			if expiresIn != "" {
				if key.ExpiresAt, err = expiry(time.Now(), expiresIn); err != nil {
					return fmt.Errorf("--expires-in: %w", err)
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", secret, key.Line())
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the key in logs and in the audit log")
	cmd.Flags().StringVar(
		&scopes, "scopes", "check+operate",
		"scopes of the key: check, operate, provision, inspect, write, joined by +; write:TYPE limits write to a type",
	)
	cmd.Flags().StringVar(
		&schema, "schema", "", "schema file of the server, against which the command checks the types of write:TYPE",
	)
	cmd.Flags().StringVar(&rate, "rate", "", "limit of its requests, for example 50/s or 600/m; no limit if empty")
	cmd.Flags().StringVar(
		&expiresIn, "expires-in", "", "time until it expires, for example 90d, 12h or 1y; never if empty",
	)
	rejectUnknownVariables(cmd)
	if err := cmd.MarkFlagRequired("name"); err != nil {
		panic(err)
	}
	return cmd
}

// checkWriteTypes checks the types of the scopes write:TYPE against a schema file. Without a file, it prints a note
// that the types were not checked.
func checkWriteTypes(cmd *cobra.Command, file string, types []authz.Type) error {
	switch {
	case file != "":
		return app.CheckWriteTypes(cmd.Context(), file, types)
	case len(types) > 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "note: --schema FILE checks that your schema has the types of --scopes")
	}
	return nil
}

// expiry returns the end of a duration that begins now, in whole seconds. The text is a duration such as 90d, 12h or
// 1y.
func expiry(now time.Time, text string) (time.Time, error) {
	duration, err := model.ParseDuration(text)
	if err != nil || duration < model.Duration(time.Second) {
		return time.Time{}, fmt.Errorf(
			"%q must be a duration between 1s and 290y, for example 90d, 12h or 1y", authz.Echo(text),
		)
	}
	return now.Add(time.Duration(duration)).UTC().Truncate(time.Second), nil
}
