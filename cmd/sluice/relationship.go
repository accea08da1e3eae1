package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/authz"
)

func newRelationship() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relationship",
		Short: "List and write relationships of types of your own through a running server",
		Long: `List and write relationships through a running server. Only relationships of types that your schema file
adds to the product's can be written.`,
		Example: `  sluice relationship create dashboard:revenue#account@account:sales dashboard:revenue#creator@user:peter
  sluice relationship list dashboard:revenue
  sluice relationship delete --all dashboard:revenue`,
		Args: onlySubcommands,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newRelationshipList(), newRelationshipCreate(), newRelationshipTouch(), newRelationshipDelete(),
	)
	return cmd
}

func newRelationshipList() *cobra.Command {
	var from keyed
	var relation string
	cmd := &cobra.Command{
		Use:   "list RESOURCE",
		Short: "List the stored relationships of a resource, one a line",
		Long: `List the stored relationships that have an object as their resource, one a line, as
resource#relation@subject, followed by the caveat and the expiration in brackets if there are any.`,
		Example: `  sluice relationship list dashboard:revenue --key "$SLUICE_KEY"
  sluice relationship list account:marketing --relation user`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one object, for example: sluice relationship list dashboard:revenue; given: %s",
					authz.Count(len(args), "argument", "arguments"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := authz.ParseObject(args[0]); err != nil {
				return err
			}
			to, err := from.client()
			if err != nil {
				return err
			}
			for r, err := range to.Relationships(cmd.Context(), args[0], relation) {
				if err != nil {
					return err
				}
				text, err := relationshipText(r)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), text)
			}
			return nil
		},
	}
	from.flags(cmd, "the scope inspect")
	cmd.Flags().StringVar(&relation, "relation", "", "list only this relation")
	fromEnvironment(cmd)
	return cmd
}

// relationshipText writes a relationship in zed's notation.
func relationshipText(r client.Relationship) (string, error) {
	subject := r.Subject.String()
	if r.Everybody {
		subject = r.Subject.Type + ":*"
	}
	text := r.Resource.String() + "#" + r.Relation + "@" + subject
	if r.Caveat != "" {
		text += "[" + r.Caveat
		if len(r.CaveatContext) > 0 {
			values, err := json.Marshal(r.CaveatContext)
			if err != nil {
				return "", err
			}
			text += ":" + string(values)
		}
		text += "]"
	}
	if !r.ExpiresAt.IsZero() {
		text += "[expiration:" + r.ExpiresAt.UTC().Format(time.RFC3339Nano) + "]"
	}
	return text, nil
}

// relationshipWrite has the flags of the commands that write relationships.
type relationshipWrite struct {
	keyed
	actor               string
	expiresAt           string
	caveat, context     string
	matching, unmatched []string
}

func (w *relationshipWrite) flags(cmd *cobra.Command) {
	w.keyed.flags(cmd, "the scope write, or write:TYPE")
	cmd.Flags().StringVar(&w.actor, "actor", "", "the person on whose behalf this happens, for the audit log")
}

func (w *relationshipWrite) preconditionFlags(cmd *cobra.Command) {
	const form = "resource, resource#relation or resource#relation@subject; repeatable"
	cmd.Flags().StringArrayVar(
		&w.matching, "must-match", nil, "write only if such a relationship is stored: "+form,
	)
	cmd.Flags().StringArrayVar(
		&w.unmatched, "must-not-match", nil, "write only if no such relationship is stored: "+form,
	)
}

func (w *relationshipWrite) valueFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(
		&w.expiresAt, "expires-at", "", "time at which the relationships end, for example 2027-01-31T00:00:00Z",
	)
	cmd.Flags().StringVar(&w.caveat, "caveat", "", "name of the caveat under which the relationships count")
	cmd.Flags().StringVar(&w.context, "context", "", "JSON object with values for parameters of the caveat")
}

func newRelationshipCreate() *cobra.Command {
	return newRelationshipWrite(&cobra.Command{
		Use:   "create RELATIONSHIP...",
		Short: "Store relationships that are not stored yet, all of them or none",
		Example: `  sluice relationship create dashboard:revenue#account@account:sales --key "$SLUICE_KEY"
  sluice relationship create dashboard:revenue#editor@user:bob --actor peter
  sluice relationship create dashboard:revenue#creator@user:peter --must-not-match dashboard:revenue`,
	}, client.CreateRelationship)
}

func newRelationshipTouch() *cobra.Command {
	return newRelationshipWrite(&cobra.Command{
		Use:   "touch RELATIONSHIP...",
		Short: "Store relationships, whether or not they are stored, all of them or none",
		Example: `  sluice relationship touch dashboard:revenue#editor@user:bob
  sluice relationship touch folder:f#viewer@user:bob --expires-at 2027-01-31T00:00:00Z
  sluice relationship touch folder:f#viewer@user:bob --caveat in_hours --context '{"hour": 11}'`,
	}, client.TouchRelationship)
}

// newRelationshipWrite completes a command that stores the relationships of its arguments.
func newRelationshipWrite(
	cmd *cobra.Command, update func(client.Relationship) client.RelationshipUpdate,
) *cobra.Command {
	var w relationshipWrite
	cmd.Args = relationshipArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return w.write(cmd, args, update) }
	w.flags(cmd)
	w.valueFlags(cmd)
	w.preconditionFlags(cmd)
	fromEnvironment(cmd)
	return cmd
}

func newRelationshipDelete() *cobra.Command {
	var w relationshipWrite
	var all string
	cmd := &cobra.Command{
		Use:   "delete RELATIONSHIP... | delete --all RESOURCE",
		Short: "Delete relationships, or all relationships of a resource",
		Example: `  sluice relationship delete dashboard:revenue#editor@user:bob --key "$SLUICE_KEY"
  sluice relationship delete --all dashboard:revenue --actor peter`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("all") {
				if len(args) > 0 || len(w.matching)+len(w.unmatched) > 0 {
					return errors.New("--all stands alone: it takes no relationships and no preconditions")
				}
				return nil
			}
			return relationshipArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("all") {
				return w.write(cmd, args, client.DeleteRelationship)
			}
			if _, err := authz.ParseObject(all); err != nil {
				return fmt.Errorf("--all: %w", err)
			}
			to, err := w.client()
			if err != nil {
				return err
			}
			ctx := client.WithToken(cmd.Context(), "")
			if w.actor != "" {
				err = to.As(w.actor).DeleteRelationships(ctx, all)
			} else {
				err = to.DeleteRelationships(ctx, all)
			}
			return printToken(cmd, client.Token(ctx), err)
		},
	}
	w.flags(cmd)
	w.preconditionFlags(cmd)
	cmd.Flags().StringVar(&all, "all", "", "delete all relationships of this resource")
	fromEnvironment(cmd)
	return cmd
}

func relationshipArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf(
			"give relationships, for example: sluice relationship %s dashboard:revenue#editor@user:bob; given: 0 arguments",
			cmd.Name(),
		)
	}
	return nil
}

// write writes the relationships of the arguments.
func (w *relationshipWrite) write(
	cmd *cobra.Command, args []string, update func(client.Relationship) client.RelationshipUpdate,
) error {
	updates := make([]client.RelationshipUpdate, len(args))
	for i, arg := range args {
		r, err := client.ParseRelationship(arg)
		if err != nil {
			return err
		}
		if err := w.setValues(&r); err != nil {
			return err
		}
		updates[i] = update(r)
	}
	var preconditions []client.Precondition
	for _, text := range w.matching {
		preconditions = append(preconditions, client.MustMatch(parseFilter(text)))
	}
	for _, text := range w.unmatched {
		preconditions = append(preconditions, client.MustNotMatch(parseFilter(text)))
	}
	to, err := w.client()
	if err != nil {
		return err
	}
	ctx := client.WithToken(cmd.Context(), "")
	if w.actor != "" {
		err = to.As(w.actor).WriteRelationships(ctx, updates, preconditions...)
	} else {
		err = to.WriteRelationships(ctx, updates, preconditions...)
	}
	return printToken(cmd, client.Token(ctx), err)
}

// setValues sets the expiration and the caveat of a relationship.
func (w *relationshipWrite) setValues(r *client.Relationship) error {
	if w.expiresAt != "" {
		at, err := authz.ParseTime(w.expiresAt)
		if err != nil || at.IsZero() {
			return fmt.Errorf("--expires-at: %q is not a time, for example 2027-01-31T00:00:00Z", authz.Echo(w.expiresAt))
		}
		r.ExpiresAt = at
	}
	r.Caveat = w.caveat
	if w.context == "" {
		return nil
	}
	if w.caveat == "" {
		return errors.New("--context: it requires --caveat")
	}
	values, err := authz.ParseContext("--context", w.context)
	r.CaveatContext = values
	return err
}

// parseFilter parses resource, resource#relation or resource#relation@subject. The server checks the parts.
func parseFilter(text string) client.RelationshipFilter {
	resource, rest, _ := strings.Cut(text, "#")
	relation, _, hasSubject := strings.Cut(rest, "@")
	filter := client.RelationshipFilter{Resource: client.Object(resource), Relation: relation}
	if parsed, err := client.ParseRelationship(text); hasSubject && err == nil {
		filter.Subject, filter.Everybody = parsed.Subject, parsed.Everybody
	}
	return filter
}

// printToken prints the token of a write as JSON, unless the write failed.
func printToken(cmd *cobra.Command, token string, err error) error {
	if err != nil {
		return err
	}
	answer, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), answer)
}
