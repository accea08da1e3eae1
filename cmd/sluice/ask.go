package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/authz"
)

// questionFlags are the flags of the commands that ask a running server for a decision.
type questionFlags struct {
	to                         client
	caveatContext, consistency string
}

func (f *questionFlags) flags(cmd *cobra.Command, scopes string) {
	f.to.flags(cmd, scopes)
	cmd.Flags().StringVar(&f.caveatContext, "context", "", "JSON object with the context of caveats")
	cmd.Flags().StringVar(
		&f.consistency, "consistency", "",
		"minimize_latency, fully_consistent, or the token of an earlier answer for at least its state; by default at "+
			"least every write of the server itself",
	)
}

// question returns the check in the arguments and flags.
func (f *questionFlags) question(args []string) (map[string]any, error) {
	if err := f.to.connect(); err != nil {
		return nil, err
	}
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
	return question, nil
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

// ask sends a question to a path of a running server, on behalf of an actor if there is one. It returns the unparsed
// answer. An answer with an error status is an error.
func (c client) ask(cmd *cobra.Command, path, actor string, question map[string]any) ([]byte, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	return c.send(cmd, http.MethodPost, path, actor, body)
}

// send sends a request to a path of a running server, with a body unless that is nil, on behalf of an actor if there is
// one. It returns the unparsed answer. An answer with an error status is an error.
func (c client) send(cmd *cobra.Command, method, path, actor string, body []byte) (_ []byte, err error) {
	request, err := http.NewRequestWithContext(
		cmd.Context(), method, strings.TrimSuffix(c.url, "/")+path, bytes.NewReader(body),
	)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if actor != "" {
		request.Header.Set("Sluice-Actor", authz.EscapeHeader(actor))
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var problem struct{ Code, Detail string }
	switch err := json.Unmarshal(answer, &problem); {
	case err != nil:
		return nil, fmt.Errorf("%s is not a Sluice server: it answered %s", c.url, response.Status)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", problem.Code, problem.Detail)
	}
	return answer, nil
}
