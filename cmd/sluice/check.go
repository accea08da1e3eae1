package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/client/rest"
)

func newCheck() *cobra.Command {
	var asked questionFlags
	cmd := &cobra.Command{
		Use:   "check SUBJECT PERMISSION RESOURCE",
		Short: "Ask a running server for one decision; exit 0 if allowed, 1 if not",
		Long: `Ask a running server for one decision. It prints allowed or denied and exits with 0 or 1. It exits
with 2 if there is no decision.`,
		Example: `  sluice check user:uma run importer:crm-to-warehouse --key "$SLUICE_KEY"
  sluice check user:ada@example.com view account:marketing --consistency fully_consistent
  sluice check user:uma view document:plan --context '{"hour": 11}'  # a type and a caveat of your own schema`,
		Args: questionArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := asked.client()
			if err != nil {
				return err
			}
			question, err := asked.question(args)
			if err != nil {
				return err
			}
			//nolint:bodyclose // readAnswer closes it
			raw, err := readAnswer(to.REST().CheckWithBody(cmd.Context(), jsonType, question))
			if err != nil {
				return err
			}
			var decision rest.Decision
			if err := json.Unmarshal(raw, &decision); err != nil {
				return err
			}
			return printDecision(cmd.OutOrStdout(), decision)
		},
	}
	asked.flags(cmd, "the scope check")
	fromEnvironment(cmd)
	return cmd
}

// printDecision prints a decision. For a denial it returns an exitCode.
func printDecision(out io.Writer, decision rest.Decision) error {
	switch {
	case decision.Allowed:
		fmt.Fprintln(out, "allowed")
		return nil
	case len(decision.MissingContext) > 0:
		missing := strings.Join(decision.MissingContext, ", ")
		fmt.Fprintf(out, "denied: the answer depends on --context with %s\n", missing)
	default:
		fmt.Fprintln(out, "denied")
	}
	return exitCode(1)
}
