package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

func newCheck() *cobra.Command {
	var to client
	var caveatContext, consistency string
	cmd := &cobra.Command{
		Use:   "check SUBJECT PERMISSION RESOURCE",
		Short: "Ask a running server for one decision; exit 0 if allowed, 1 if not",
		Long: `Ask a running server for one decision. It prints allowed or denied, and exits with 0 or 1; with 2 if there was no
decision.`,
		Example: `  sluice check user:uma run importer:crm-to-warehouse --key "$SLUICE_KEY"
  sluice check user:ada@example.com view account:marketing --consistency fully_consistent
  sluice check user:uma view document:plan --context '{"hour": 11}'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 3 {
				return fmt.Errorf("give a subject, a permission and a resource, for example: sluice check user:uma run importer:i1; these are %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := to.check(); err != nil {
				return err
			}
			question := map[string]any{"subject": args[0], "permission": args[1], "resource": args[2]}
			if caveatContext != "" {
				if !json.Valid([]byte(caveatContext)) {
					return fmt.Errorf("--context: %q is not JSON", caveatContext)
				}
				question["context"] = json.RawMessage(caveatContext)
			}
			if consistency != "" {
				question["consistency"] = consistency
			}
			return check(cmd, to, question)
		},
	}
	to.flags(cmd, "the scope check")
	cmd.Flags().StringVar(&caveatContext, "context", "", "JSON object that caveats may look at")
	cmd.Flags().StringVar(&consistency, "consistency", "", "minimize_latency or fully_consistent; by default at least what the server itself wrote")
	fromEnvironment(cmd)
	return cmd
}

func check(cmd *cobra.Command, to client, question map[string]any) (err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, strings.TrimSuffix(to.url, "/")+"/v1/check", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+to.key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	var answer struct {
		Allowed        bool
		MissingContext []string `json:"missing_context"`
		Code, Detail   string
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s is no Sluice server: it answered %s", to.url, response.Status)
	}
	switch {
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", answer.Code, answer.Detail)
	case answer.Allowed:
		fmt.Fprintln(cmd.OutOrStdout(), "allowed")
		return nil
	case len(answer.MissingContext) > 0:
		fmt.Fprintf(cmd.OutOrStdout(), "denied: it depends on --context with %s\n", strings.Join(answer.MissingContext, ", "))
	default:
		fmt.Fprintln(cmd.OutOrStdout(), "denied")
	}
	return exitCode(1)
}
