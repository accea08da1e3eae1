package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/client/rest"
)

// newHealth returns the command health. It is the health check of an image that contains only this program.
func newHealth() *cobra.Command {
	var of endpoint
	cmd := &cobra.Command{
		Use:     "health",
		Short:   "Ask a running server whether it is ready; exit 0 if it is",
		Example: `  sluice health --url http://127.0.0.1:8080`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			through, err := of.http()
			if err != nil {
				return err
			}
			to, err := rest.NewClient(of.url, rest.WithHTTPClient(through))
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			response, err := to.GetReady(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("%s is not ready: %s", of.url, response.Status)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "ready")
			return nil
		},
	}
	of.flags(cmd)
	fromEnvironment(cmd)
	return cmd
}
