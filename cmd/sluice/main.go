// Command sluice is the authorization server and its command-line tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is the released version; the linker sets it.
var version = "development"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// exitCode is an error that ends the program with this code and no message.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.InitDefaultCompletionCmd(args...)
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			for _, shell := range cmd.Commands() {
				shell.Args = noArguments // as for the other commands
			}
		}
	}
	stopWaiting := func() {}
	defer func() { stopWaiting() }()
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		if cmd.Name() != serveName { // a server ends later, see serve
			stopWaiting = endAfter(ctx, stopGrace, func() {
				fmt.Fprintf(os.Stderr, "sluice: the command still runs %s after the signal to stop\n", stopGrace)
				os.Exit(2)
			})
		}
	}
	misspelt := rejectMisspeltHelp(root)
	root.SetFlagErrorFunc(rejectMisspeltCommand)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = *misspelt
	}
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(stderr, "sluice:", strings.TrimPrefix(err.Error(), "sluice: ")) // package client adds this prefix
	return 2
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Relationship-based authorization for data-integration products, on SpiceDB",
		Long: `Sluice stores members and roles of subscriptions and accounts, creators of objects, and shares, as
relationships in SpiceDB. It answers the question: may this person do this to that object?`,
		Example: `  sluice serve --demo                    # a server with a small company in it, to try things on
  sluice check user:ada run importer:crm-to-warehouse
  sluice serve --spicedb-endpoint spicedb:50051 --spicedb-token "$SPICEDB_TOKEN" --spicedb-insecure`,
		Version:       buildVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          onlySubcommands,

		RunE: showHelp,
	}
	root.AddCommand(
		newServe(), newDemo(), newCheck(), newExplain(), newGet(), newGroup(), newRole(), newRelationship(), newSchema(),
		newAudit(), newBackup(), newRestore(), newExport(), newImport(), newKey(), newHealth(), newVersion(),
	)
	return root
}

// showHelp runs a command that only groups subcommands.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// onlySubcommands rejects an unknown subcommand and suggests similar names.
func onlySubcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	message := fmt.Sprintf("%q is not a command of %s", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = suggestionDistance
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += "; did you mean " + strings.Join(near, " or ") + "?"
	} else {
		message += fmt.Sprintf("; %s --help lists them", cmd.CommandPath())
	}
	return errors.New(message)
}

// rejectMisspeltCommand replaces the error for an unknown flag if the command before the flag is unknown too, as in
// `sluice srve --demo`: the flag may belong to the intended command.
func rejectMisspeltCommand(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() {
		if misspelt := onlySubcommands(cmd, cmd.Flags().Args()); misspelt != nil {
			return misspelt
		}
	}
	return err
}

// rejectMisspeltHelp makes `sluice help NAME` and `sluice NAME --help` fail for an unknown command, where Cobra would
// show the help of the parent command. The result points to the error of `sluice NAME --help`, which is set while the
// root command runs.
func rejectMisspeltHelp(root *cobra.Command) *error {
	var misspelt error
	show := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd.HasSubCommands() {
			if misspelt = onlySubcommands(cmd, cmd.Flags().Args()); misspelt != nil {
				return
			}
		}
		show(cmd, args)
	})
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		Example: `  sluice help serve
  sluice help schema apply`,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if err := onlySubcommands(cmd, rest); err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	})
	return &misspelt
}

// suggestionDistance is the largest number of letters in which a suggested command may differ.
const suggestionDistance = 2

func buildVersion() string {
	if version != "development" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
