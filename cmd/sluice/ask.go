package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/authz"
)

// questionFlags are the flags of the commands that ask a running server for a decision.
type questionFlags struct {
	keyed
	caveatContext, consistency string
}

func (f *questionFlags) flags(cmd *cobra.Command, scopes string) {
	f.keyed.flags(cmd, scopes)
	cmd.Flags().StringVar(&f.caveatContext, "context", "", "JSON object with the context of caveats")
	cmd.Flags().StringVar(
		&f.consistency, "consistency", "",
		"minimize_latency, fully_consistent, or the token of an earlier answer for at least its state; by default at "+
			"least every write of the server itself",
	)
}

// question returns the check in the arguments and flags, as JSON. It does not decode the context, because decoding
// could change large numbers.
func (f *questionFlags) question(args []string) (io.Reader, error) {
	question := map[string]any{"subject": args[0], "permission": args[1], "resource": args[2]}
	if f.caveatContext != "" {
		if !json.Valid([]byte(f.caveatContext)) {
			return nil, fmt.Errorf("--context: %q is not JSON", f.caveatContext)
		}
		question["context"] = json.RawMessage(f.caveatContext)
	}
	switch f.consistency {
	case "":
	case "minimize_latency", "fully_consistent":
		question["consistency"] = f.consistency
	default:
		question["consistency"] = map[string]string{"at_least_as_fresh": f.consistency}
	}
	text, err := json.Marshal(question)
	return bytes.NewReader(text), err
}

// questionArgs checks that the arguments are a subject, a permission and a resource.
func questionArgs(cmd *cobra.Command, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf(
			"give a subject, a permission and a resource, for example: sluice %s user:uma run importer:i1; given: %s",
			cmd.Name(),
			authz.Count(len(args), "argument", "arguments"),
		)
	}
	return nil
}
