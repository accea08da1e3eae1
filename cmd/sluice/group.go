package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/client"
	"github.com/sluice-authz/sluice/internal/authz"
)

func newGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "group",
		Short: "Manage groups of people and their roles through a running server",
		Long: `Manage groups through a running server. A group belongs to a subscription. Its members are people,
who get the roles of the group. Every command needs --actor: the person or service account on whose
behalf it runs.`,
		Example: `  sluice group create s1 data-team --title "Data team" --actor olga
  sluice group add data-team bob carol --actor olga
  sluice group grant marketing data-team user --actor olga`,
		Args: onlySubcommands,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newGroupList(), newGroupGet(), newGroupCreate(), newGroupRename(), newGroupDelete(), newGroupMembers(),
		newGroupAdd(), newGroupRemove(), newGroupGrant(), newGroupRevoke(),
	)
	return cmd
}

// groupCommand is a command about groups: the names of its arguments, and the function that runs on behalf of the
// actor. If the name of the last argument ends in "...", this argument may be given several times.
type groupCommand struct {
	cobra.Command

	arguments []string
	run       func(cmd *cobra.Command, as *client.Actor, args []string) error
}

// command returns the command with the flags of a client and an actor.
func (g groupCommand) command() *cobra.Command {
	var from keyed
	var actor string
	cmd := &g.Command
	least := len(g.arguments)
	repeats := strings.HasSuffix(g.arguments[least-1], "...")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(args) > least && !repeats {
			example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
			return fmt.Errorf("give %s, for example: %s; given: %s",
				strings.Join(g.arguments, " "), example, authz.Count(len(args), "argument", "arguments"))
		}
		return nil
	}
	for _, argument := range g.arguments {
		cmd.Use += " " + argument
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if actor == "" {
			return errors.New("--actor, the person on whose behalf the command runs, is required")
		}
		to, err := from.client()
		if err != nil {
			return err
		}
		return g.run(cmd, to.As(actor), args)
	}
	from.flags(cmd, "the scope operate")
	cmd.Flags().StringVar(&actor, "actor", "", "the person or service account on whose behalf the command runs")
	fromEnvironment(cmd)
	return cmd
}

// printValue writes a value as JSON.
func printValue(cmd *cobra.Command, value any, err error) error {
	if err != nil {
		return err
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), raw)
}

func newGroupList() *cobra.Command {
	return groupCommand{
		Command: cobra.Command{
			Use:     "list",
			Short:   "List the groups of a subscription, one a line: the id and the title",
			Example: `  sluice group list s1 --actor olga --key "$SLUICE_KEY"`,
		},
		arguments: []string{"SUBSCRIPTION"},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			for group, err := range as.Groups(cmd.Context(), args[0]) {
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", group.ID, group.Title)
			}
			return nil
		},
	}.command()
}

func newGroupGet() *cobra.Command {
	return groupCommand{
		Command: cobra.Command{
			Use:     "get",
			Short:   "Read a group as JSON",
			Example: `  sluice group get data-team --actor olga`,
		},
		arguments: []string{"GROUP"},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			group, err := as.GetGroup(cmd.Context(), args[0])
			return printValue(cmd, group, err)
		},
	}.command()
}

func newGroupCreate() *cobra.Command {
	var title string
	cmd := groupCommand{
		Command: cobra.Command{
			Use:     "create",
			Short:   "Create a group without members and roles",
			Example: `  sluice group create s1 data-team --title "Data team" --actor olga`,
		},
		arguments: []string{"SUBSCRIPTION", "GROUP"},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			if title == "" {
				title = args[1]
			}
			group, err := as.CreateGroup(cmd.Context(), args[0], args[1], title)
			return printValue(cmd, group, err)
		},
	}.command()
	cmd.Flags().StringVar(&title, "title", "", "title of the group; its id if empty")
	return cmd
}

func newGroupRename() *cobra.Command {
	return groupCommand{
		Command: cobra.Command{
			Use:     "rename",
			Short:   "Change the title of a group",
			Example: `  sluice group rename data-team "Data and reports" --actor olga`,
		},
		arguments: []string{"GROUP", "TITLE"},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			group, err := as.RenameGroup(cmd.Context(), args[0], args[1])
			return printValue(cmd, group, err)
		},
	}.command()
}

func newGroupDelete() *cobra.Command {
	return groupCommand{
		Command: cobra.Command{
			Use:     "delete",
			Short:   "Delete a group and its roles",
			Example: `  sluice group delete data-team --actor olga`,
		},
		arguments: []string{"GROUP"},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			ctx := client.WithToken(cmd.Context(), "")
			err := as.DeleteGroup(ctx, args[0])
			return printToken(cmd, client.Token(ctx), err)
		},
	}.command()
}

func newGroupMembers() *cobra.Command {
	return groupCommand{
		Command: cobra.Command{
			Use:     "members",
			Short:   "List the members of a group, one a line",
			Example: `  sluice group members data-team --actor olga`,
		},
		arguments: []string{"GROUP"},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			for who, err := range as.GroupMembers(cmd.Context(), args[0]) {
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), who)
			}
			return nil
		},
	}.command()
}

func newGroupAdd() *cobra.Command {
	return groupCommand{
		Command: cobra.Command{
			Use:     "add",
			Short:   "Add people to a group",
			Example: `  sluice group add data-team bob carol --actor olga`,
		},
		arguments: []string{"GROUP", "PERSON..."},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			ctx := client.WithToken(cmd.Context(), "")
			err := as.ChangeGroupMembers(ctx, args[0], args[1:], nil)
			return printToken(cmd, client.Token(ctx), err)
		},
	}.command()
}

func newGroupRemove() *cobra.Command {
	return groupCommand{
		Command: cobra.Command{
			Use:     "remove",
			Short:   "Remove people from a group",
			Example: `  sluice group remove data-team bob --actor olga`,
		},
		arguments: []string{"GROUP", "PERSON..."},
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			ctx := client.WithToken(cmd.Context(), "")
			err := as.ChangeGroupMembers(ctx, args[0], nil, args[1:])
			return printToken(cmd, client.Token(ctx), err)
		},
	}.command()
}
