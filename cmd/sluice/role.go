package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/client"
)

func newRole() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "role",
		Short: "Manage the roles of an account or subscription through a running server",
		Long: `Manage roles through a running server. Every account and subscription has the built-in roles of its
role set, and can have custom roles. A custom role grants a list of permissions. PLACE is a
reference to the account or subscription, for example account:marketing. Every command, except
permissions, needs --actor: the person or service account on whose behalf it runs.`,
		Example: `  sluice role permissions
  sluice role create account:marketing auditor --title Auditor --grants account.view,importer.view --actor olga
  sluice role edit account:marketing auditor --add importer.run --actor olga
  sluice role holders account:marketing auditor --actor olga`,
		Args: onlySubcommands,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newRoleList(), newRoleGet(), newRoleCreate(), newRoleEdit(), newRoleDelete(), newRoleHolders(),
		newRolePermissions(),
	)
	return cmd
}

// roleCalls are the calls about the roles of one account or subscription.
type roleCalls struct {
	list    func(context.Context) iter.Seq2[client.ListedRole, error]
	create  func(context.Context, client.NewRole) (client.RoleDefinition, error)
	get     func(ctx context.Context, role string) (client.RoleDefinition, error)
	put     func(ctx context.Context, role, version string, to client.RoleContent) (client.RoleDefinition, error)
	remove  func(ctx context.Context, role string, cascade bool) error
	holders func(ctx context.Context, role string) iter.Seq2[client.RoleHolder, error]
}

// rolesOf returns the calls about the roles of a place.
func rolesOf(as *client.Actor, place string) (roleCalls, error) {
	typ, id, _ := strings.Cut(place, ":")
	switch typ {
	case "account":
		return roleCalls{
			list: func(ctx context.Context) iter.Seq2[client.ListedRole, error] { return as.AccountRoles(ctx, id) },
			create: func(ctx context.Context, in client.NewRole) (client.RoleDefinition, error) {
				return as.CreateAccountRole(ctx, id, in)
			},
			get: func(ctx context.Context, role string) (client.RoleDefinition, error) {
				return as.GetAccountRole(ctx, id, role)
			},
			put: func(
				ctx context.Context, role, version string, to client.RoleContent,
			) (client.RoleDefinition, error) {
				return as.PutAccountRole(ctx, id, role, version, to)
			},
			remove: func(ctx context.Context, role string, cascade bool) error {
				return as.DeleteAccountRole(ctx, id, role, cascade)
			},
			holders: func(ctx context.Context, role string) iter.Seq2[client.RoleHolder, error] {
				return as.AccountRoleHolders(ctx, id, role)
			},
		}, nil
	case "subscription":
		return roleCalls{
			list: func(ctx context.Context) iter.Seq2[client.ListedRole, error] {
				return as.SubscriptionRoles(ctx, id)
			},
			create: func(ctx context.Context, in client.NewRole) (client.RoleDefinition, error) {
				return as.CreateSubscriptionRole(ctx, id, in)
			},
			get: func(ctx context.Context, role string) (client.RoleDefinition, error) {
				return as.GetSubscriptionRole(ctx, id, role)
			},
			put: func(
				ctx context.Context, role, version string, to client.RoleContent,
			) (client.RoleDefinition, error) {
				return as.PutSubscriptionRole(ctx, id, role, version, to)
			},
			remove: func(ctx context.Context, role string, cascade bool) error {
				return as.DeleteSubscriptionRole(ctx, id, role, cascade)
			},
			holders: func(ctx context.Context, role string) iter.Seq2[client.RoleHolder, error] {
				return as.SubscriptionRoleHolders(ctx, id, role)
			},
		}, nil
	}
	return roleCalls{}, fmt.Errorf("PLACE must be account:ID or subscription:ID, not %q", place)
}

// roleCommand returns a command about the roles of a place, which is the first argument.
func roleCommand(
	about cobra.Command, arguments []string, run func(cmd *cobra.Command, of roleCalls, args []string) error,
) *cobra.Command {
	return groupCommand{
		Command: about, arguments: append([]string{"PLACE"}, arguments...),
		run: func(cmd *cobra.Command, as *client.Actor, args []string) error {
			of, err := rolesOf(as, args[0])
			if err != nil {
				return err
			}
			return run(cmd, of, args[1:])
		},
	}.command()
}

func newRoleList() *cobra.Command {
	return roleCommand(cobra.Command{
		Use:     "list",
		Short:   "List the roles that can be given, one a line: the id, built-in or custom, and the title",
		Example: `  sluice role list account:marketing --actor olga --key "$SLUICE_KEY"`,
	}, nil, func(cmd *cobra.Command, of roleCalls, _ []string) error {
		for role, err := range of.list(cmd.Context()) {
			if err != nil {
				return err
			}
			kind := "custom"
			if role.Builtin {
				kind = "built-in"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\t%s\n", role.ID, kind, role.Title)
		}
		return nil
	})
}

func newRoleGet() *cobra.Command {
	return roleCommand(cobra.Command{
		Use:     "get",
		Short:   "Read a role as JSON",
		Example: `  sluice role get account:marketing auditor --actor olga`,
	}, []string{"ROLE"}, func(cmd *cobra.Command, of roleCalls, args []string) error {
		role, err := of.get(cmd.Context(), args[0])
		return printValue(cmd, role, err)
	})
}

func newRoleCreate() *cobra.Command {
	var in client.NewRole
	cmd := roleCommand(cobra.Command{
		Use:   "create",
		Short: "Create a custom role",
		Example: `  sluice role create account:marketing auditor --grants account.view,importer.view --actor olga
  sluice role create subscription:s1 runner --title Runner --from user --grants flow.run --actor olga`,
	}, []string{"ROLE"}, func(cmd *cobra.Command, of roleCalls, args []string) error {
		created := in
		created.ID = args[0]
		if created.Title == "" {
			created.Title = args[0]
		}
		role, err := of.create(cmd.Context(), created)
		return printValue(cmd, role, err)
	})
	cmd.Flags().StringVar(&in.Title, "title", "", "title of the role; its id if empty")
	cmd.Flags().StringVar(&in.Description, "description", "", "description of the role, one line")
	cmd.Flags().StringSliceVar(&in.Grants, "grants", nil, "permissions that the role grants, for example importer.run")
	cmd.Flags().StringVar(&in.From, "from", "", "another role, whose permissions the new role grants too")
	return cmd
}

func newRoleEdit() *cobra.Command {
	var title, description string
	var grants, add, remove []string
	cmd := roleCommand(cobra.Command{
		Use:   "edit",
		Short: "Change a custom role, for everybody who holds it",
		Long: `Change a custom role, for everybody who holds it. Without a flag, a part of the role stays as it is. If
somebody else changes the role at the same time, the command fails and changes nothing.`,
		Example: `  sluice role edit account:marketing auditor --add importer.run --remove account.view_usage --actor olga
  sluice role edit account:marketing auditor --title "Chief auditor" --actor olga`,
	}, []string{"ROLE"}, func(cmd *cobra.Command, of roleCalls, args []string) error {
		has := cmd.Flags().Changed
		if !slices.ContainsFunc([]string{"title", "description", "grants", "add", "remove"}, has) {
			return errors.New("give at least one of --title, --description, --grants, --add and --remove")
		}
		present, err := of.get(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		to := client.RoleContent{Title: present.Title, Description: present.Description, Grants: present.Grants}
		if has("title") {
			to.Title = title
		}
		if has("description") {
			to.Description = description
		}
		if has("grants") {
			to.Grants = grants
		}
		to.Grants = slices.DeleteFunc(append(slices.Clone(to.Grants), add...), func(name string) bool {
			return slices.Contains(remove, name)
		})
		role, err := of.put(cmd.Context(), args[0], present.Version, to)
		return printValue(cmd, role, err)
	})
	cmd.Flags().StringVar(&title, "title", "", "new title")
	cmd.Flags().StringVar(&description, "description", "", "new description; empty removes it")
	cmd.Flags().StringSliceVar(&grants, "grants", nil, "exactly the permissions that the role grants from now on")
	cmd.Flags().StringSliceVar(&add, "add", nil, "permissions that the role grants in addition")
	cmd.Flags().StringSliceVar(&remove, "remove", nil, "permissions that the role no longer grants")
	return cmd
}

func newRoleDelete() *cobra.Command {
	var cascade bool
	cmd := roleCommand(cobra.Command{
		Use:   "delete",
		Short: "Delete a custom role",
		Example: `  sluice role delete account:marketing auditor --actor olga
  sluice role delete account:marketing auditor --cascade --actor olga`,
	}, []string{"ROLE"}, func(cmd *cobra.Command, of roleCalls, args []string) error {
		ctx := client.WithToken(cmd.Context(), "")
		err := of.remove(ctx, args[0], cascade)
		return printToken(cmd, client.Token(ctx), err)
	})
	cmd.Flags().BoolVar(&cascade, "cascade", false, "delete the role even if somebody holds it")
	return cmd
}

func newRoleHolders() *cobra.Command {
	return roleCommand(cobra.Command{
		Use:     "holders",
		Short:   "List who holds a role, one a line: the holder, the object, and the end",
		Example: `  sluice role holders account:marketing auditor --actor olga`,
	}, []string{"ROLE"}, func(cmd *cobra.Command, of roleCalls, args []string) error {
		for held, err := range of.holders(cmd.Context(), args[0]) {
			if err != nil {
				return err
			}
			until := ""
			if !held.ExpiresAt.IsZero() {
				until = held.ExpiresAt.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\t%s\n", held.Holder, held.On, until)
		}
		return nil
	})
}

func newRolePermissions() *cobra.Command {
	var from keyed
	cmd := &cobra.Command{
		Use:     "permissions",
		Short:   "List the permissions that custom roles can grant, one a line, with a description",
		Example: `  sluice role permissions`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			to, err := from.client()
			if err != nil {
				return err
			}
			types, err := to.Types(cmd.Context())
			if err != nil {
				return err
			}
			for _, typ := range types {
				for _, permission := range typ.Permissions {
					if permission.Grantable {
						name := typ.Type + "." + permission.Name
						fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", name, permission.Description)
					}
				}
			}
			return nil
		},
	}
	from.flags(cmd, "any scope")
	fromEnvironment(cmd)
	return cmd
}
