package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// newHealth returns the command health. It is the health check of an image that contains only this program.
func newHealth() *cobra.Command {
	var of endpoint
	cmd := &cobra.Command{
		Use:     "health",
		Short:   "Ask a running server whether it is ready; exit 0 if it is",
		Example: `  sluice health --url http://127.0.0.1:8080`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := of.connect(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			request, err := http.NewRequestWithContext(
				ctx, http.MethodGet, strings.TrimSuffix(of.url, "/")+"/readyz", http.NoBody,
			)
			if err != nil {
				return fmt.Errorf("--url: %w", err)
			}
			response, err := of.http.Do(request)
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
