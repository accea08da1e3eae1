package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/app"
)

func newDemo() *cobra.Command {
	var at keyed
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Write a small company in every role set, through the operations of a running server",
		Long: `Write a small company in every role set. Each step is one call of the API. Running it again resets
roles and sharing, and does not change existing objects.`,
		Example: `  sluice serve                                 # in one terminal; prints its key
  SLUICE_KEY=... sluice demo                   # in another`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			to, err := at.client()
			if err != nil {
				return err
			}
			if err := app.Demo(cmd.Context(), to, cmd.OutOrStdout()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nNow try:\n\n%s", app.DemoCalls(at.url, "$SLUICE_KEY"))
			return nil
		},
	}
	at.flags(cmd, "the scopes operate and provision")
	fromEnvironment(cmd)
	return cmd
}
