package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/authz"
)

func newGroupGrant() *cobra.Command {
	var expiresAt string
	cmd := groupCommand{
		Command: cobra.Command{
			Use:   "grant",
			Short: "Set the roles of a group on an account",
			Example: `  sluice group grant marketing data-team user --actor olga
  sluice group grant marketing data-team guest --expires-at 2027-01-31T00:00:00Z --actor olga`,
		},
		arguments: []string{"ACCOUNT", "GROUP", "ROLE..."},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			var until time.Time
			if expiresAt != "" {
				var err error
				if until, err = authz.ParseTime(expiresAt); err != nil {
					return fmt.Errorf("--expires-at: %w", err)
				}
			}
			roles, err := as.PutAccountGroupUntil(cmd.Context(), args[0], args[1], until, args[2:]...)
			return printValue(cmd, roles, err)
		},
	}.command()
	cmd.Flags().StringVar(
		&expiresAt, "expires-at", "", "time at which the roles end, for example 2027-01-31T00:00:00Z",
	)
	return cmd
}

func newGroupRevoke() *cobra.Command {
	return groupCommand{
		Command: cobra.Command{
			Use:     "revoke",
			Short:   "Remove all roles of a group on an account",
			Example: `  sluice group revoke marketing data-team --actor olga`,
		},
		arguments: []string{"ACCOUNT", "GROUP"},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			ctx := client.WithToken(cmd.Context(), "")
			err := as.RemoveAccountGroup(ctx, args[0], args[1])
			return printToken(cmd, client.Token(ctx), err)
		},
	}.command()
}
