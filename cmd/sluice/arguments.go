package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-authz/sluice/internal/authz"
)

// noArguments rejects arguments of a command that only has flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf(
		"%s takes no arguments, only flags; given: %.100q; %s --help lists the flags", cmd.CommandPath(), args[0],
		cmd.CommandPath(),
	)
}

// oneFile requires exactly one argument, the name of a file.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	example, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	return fmt.Errorf(
		"give one file, for example: %s; given: %s", example, authz.Count(len(args), "argument", "arguments"),
	)
}
