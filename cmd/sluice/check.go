package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
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
			question, err := asked.question(args)
			if err != nil {
				return err
			}
			return check(cmd, asked.to, question)
		},
	}
	asked.flags(cmd, "the scope check")
	fromEnvironment(cmd)
	return cmd
}

func check(cmd *cobra.Command, to client, question map[string]any) error {
	raw, err := to.ask(cmd, "/v1/check", "", question)
	if err != nil {
		return err
	}
	var answer struct {
		Allowed        bool
		MissingContext []string `json:"missing_context"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	switch {
	case answer.Allowed:
		fmt.Fprintln(cmd.OutOrStdout(), "allowed")
		return nil
	case len(answer.MissingContext) > 0:
		missing := strings.Join(answer.MissingContext, ", ")
		fmt.Fprintf(cmd.OutOrStdout(), "denied: the answer depends on --context with %s\n", missing)
	default:
		fmt.Fprintln(cmd.OutOrStdout(), "denied")
	}
	return exitCode(1)
}
