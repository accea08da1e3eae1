package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
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
			question, err := asked.question(args)
			if err != nil {
				return err
			}
			raw, err := asked.to.ask(cmd, "/v1/explain", actor, question)
			if err != nil {
				return err
			}
			var answer explanation
			if err := json.Unmarshal(raw, &answer); err != nil {
				return err
			}
			var out bytes.Buffer
			if asJSON {
				err = json.Indent(&out, raw, "", "  ")
				out.WriteByte('\n')
			} else {
				answer.print(&out, args[2], whole)
			}
			if err != nil {
				return err
			}
			if _, err := out.WriteTo(cmd.OutOrStdout()); err != nil {
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

// ref is a reference to an object or subject, as text or as an object in JSON.
type ref string

// UnmarshalJSON implements json.Unmarshaler.
func (r *ref) UnmarshalJSON(raw []byte) error {
	var parts struct{ Type, ID, Relation string }
	if raw[0] != '{' {
		return json.Unmarshal(raw, (*string)(r))
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return err
	}
	*r = ref(parts.Type + ":" + parts.ID)
	if parts.Relation != "" {
		*r += ref("#" + parts.Relation)
	}
	return nil
}

// explanation is the answer of POST /v1/explain.
type explanation struct {
	Allowed        bool
	MissingContext []string `json:"missing_context"`
	Text           string
	Path           []explainedStep
	Failed         []explainedStep
	Suggestions    []suggestion
	Omitted        bool
	Trace          *traceNode
}

type explainedStep struct {
	Resource, Subject ref
	Relation, Text    string
}

type suggestion struct {
	Text          string
	Relationships []explainedStep
	Without       []explainedStep
	Operations    []struct {
		Text, Method, Path string
		Body               json.RawMessage
		BodyOmitted        bool `json:"body_omitted"`
		Scope              string
		Needs              []struct {
			Permission string
			Resource   ref
		}
		Approvers []struct {
			Relation string
			Resource ref
			People   []string
			More     bool
		}
	}
}

type traceNode struct {
	Resources []ref
	Name      string
	Result    string
	Cached    bool
	Condition *condition
	Parts     []*traceNode
}

type condition struct {
	Caveat, Expression string
	Result             string
}

// relationship formats a step as zed does.
func (s explainedStep) relationship() string {
	return fmt.Sprintf("%s %s %s", s.Resource, s.Relation, s.Subject)
}

func (r ref) String() string { return printable(string(r)) }

// printable quotes a text that a terminal would not show unchanged.
func printable(s string) string {
	if quoted := fmt.Sprintf("%q", s); quoted != `"`+s+`"` {
		return quoted
	}
	return s
}
