package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/app"
)

// client is how a subcommand reaches a running server.
type client struct{ url, key string }

func (c *client) flags(cmd *cobra.Command, scopes string) {
	cmd.Flags().StringVar(&c.url, "url", "http://127.0.0.1:8080", "address of the server")
	cmd.Flags().StringVar(&c.key, "key", "", "API key with "+scopes)
}

func (c *client) check() error {
	if c.key == "" {
		return errors.New("which key? Give --key, or SLUICE_KEY in the environment")
	}
	return nil
}

func newDemo() *cobra.Command {
	var to client
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Write a small company in every role set, through the operations of a running server",
		Long: `Write a small company in every role set, step by step, each step one call of the API. Running it again sets roles and
sharing back to what they were, and leaves alone what exists already.`,
		Example: `  sluice serve                                 # in one terminal; prints its key
  SLUICE_KEY=... sluice demo                   # in another`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := to.check(); err != nil {
				return err
			}
			if err := app.Demo(cmd.Context(), to.url, to.key, cmd.OutOrStdout()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nNow try:\n\n%s", app.DemoCalls(to.url, "$SLUICE_KEY"))
			return nil
		},
	}
	to.flags(cmd, "the scopes operate and provision")
	fromEnvironment(cmd)
	return cmd
}
