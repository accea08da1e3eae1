package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/client/rest"
)

func newExplain() *cobra.Command {
	var asked questionFlags
	var actor string
	var asJSON, whole bool
	cmd := &cobra.Command{
		Use:   "explain SUBJECT PERMISSION RESOURCE",
		Short: "Ask a running server for one decision and its reason; exit 0 if allowed, 1 if not",
		Long: `Ask a running server for one decision and its reason. If it is allowed, the reason is the tree of
relationships that allow it. If it is denied, the answer suggests changes that would allow it,
the calls that make them, and whom to ask. The exit code is 0 if it is allowed, 1 if it is denied, and 2 if there is
no answer.

A key with the scopes check and inspect shows everything. With --actor, the explanation shows what
that person may see; otherwise it shows what the subject may see, without names.`,
		Example: `  sluice explain user:uma run importer:crm-to-warehouse --key "$SLUICE_KEY"
  sluice explain user:gus delete importer:crm-to-warehouse --actor ada
  sluice explain user:uma view account:marketing --trace
  sluice explain user:uma view document:plan --context '{"hour": 11}' --json  # a type of your own schema`,
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
			raw, err := readAnswer(as(to, actor).ExplainWithBody(cmd.Context(), nil, jsonType, question))
			if err != nil {
				return err
			}
			var answer rest.Explanation
			if err := json.Unmarshal(raw, &answer); err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), raw)
			} else {
				printExplanation(cmd.OutOrStdout(), answer, args[2], whole)
			}
			if err != nil {
				return err
			}
			if !answer.Allowed {
				return exitCode(1)
			}
			return nil
		},
	}
	asked.flags(cmd, "the scope check, and inspect to see everything")
	cmd.Flags().StringVar(&actor, "actor", "", "the person who reads the explanation")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	cmd.Flags().BoolVar(&whole, "trace", false, "print SpiceDB's trace as well; the key needs the scope inspect")
	fromEnvironment(cmd)
	return cmd
}
