package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/authz"
)

func newGet() *cobra.Command {
	var from keyed
	var actor, member string
	cmd := &cobra.Command{
		Use:   "get RESOURCE --actor PERSON",
		Short: "Read one object from a running server, as JSON",
		Long: `Read one object from a running server as JSON, with the fields that a person may see.
With --member, read the roles of one person on an account or a subscription.`,
		Example: `  sluice get importer:leads --actor uma --key "$SLUICE_KEY"
  sluice get connection:crm --actor uma
  sluice get account:marketing --member gus --actor bob`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one object, for example: sluice get importer:leads --actor uma; given: %s",
					authz.Count(len(args), "argument", "arguments"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := objectPath(args[0], member)
			if err != nil {
				return err
			}
			if actor == "" {
				return errors.New("--actor, the person who reads the object, is required")
			}
			to, err := from.client()
			if err != nil {
				return err
			}
			//nolint:bodyclose // readAnswer closes it
			raw, err := readAnswer(as(to, actor).Call(cmd.Context(), http.MethodGet, path, nil))
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), raw)
		},
	}
	from.flags(cmd, "the scope operate")
	cmd.Flags().StringVar(&actor, "actor", "", "the person who reads the object")
	cmd.Flags().StringVar(&member, "member", "", "read the roles of this person on the account or subscription instead")
	fromEnvironment(cmd)
	return cmd
}

// objectPath returns the path of an object in the API, or of a member of it.
func objectPath(reference, member string) (string, error) {
	object, err := authz.ParseObject(reference)
	if err != nil {
		return "", err
	}
	path := "/v1/" + string(object.Type) + "s/" + url.PathEscape(string(object.ID))
	if member != "" {
		path += "/members/" + url.PathEscape(member)
	}
	return path, nil
}
