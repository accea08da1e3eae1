package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-authz/sluice/internal/app"
	"github.com/sluice-authz/sluice/internal/audit"
	"github.com/sluice-authz/sluice/internal/authz"
)

// dataDirFlag adds the flag for the data directory.
func dataDirFlag(flags *pflag.FlagSet, dataDir *string) {
	flags.StringVar(
		dataDir, "data-dir", "", "directory of the SQLite store and the audit log; "+app.DefaultDataDir+" if empty",
	)
}

// auditURIFlag adds the flag for an audit log in PostgreSQL.
func auditURIFlag(flags *pflag.FlagSet, uri *string) {
	flags.StringVar(
		uri, "audit-uri", "",
		"PostgreSQL database of an audit log that servers share, for example "+
			"postgres://user:password@host:5432/database",
	)
}

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Verify the audit log, or print the hash of its last entry",
		Long: `The audit log is a chain: each entry contains the hash of the entry before it. A changed or removed
entry breaks the chain. Removing the last entries does not, so regularly store the hash of the last
entry elsewhere and verify against it.

Both commands work with and without a running server.`,
		Example: `  sluice audit verify
  sluice audit head >> /mnt/elsewhere/heads
  sluice audit verify --head "$(tail -n 1 /mnt/elsewhere/heads)"
  sluice audit verify --audit-uri postgres://sluice@db:5432/sluice`,
		Args: onlySubcommands,
		RunE: showHelp,
	}
	cmd.AddCommand(newAuditVerify(), newAuditHead())
	return cmd
}

// auditCommand returns a subcommand that reads the log.
func auditCommand(use, short, example string, run func(*cobra.Command, *audit.Log) error) *cobra.Command {
	var dataDir, uri string
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			log, err := app.ReadAudit(cmd.Context(), dataDir, uri)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, log.Close()) }()
			return run(cmd, log)
		},
	}
	dataDirFlag(cmd.Flags(), &dataDir)
	auditURIFlag(cmd.Flags(), &uri)
	return cmd
}

func newAuditVerify() *cobra.Command {
	var head string
	cmd := auditCommand("verify", "Verify that no entry was changed or removed; exit 1 if one was",
		`  sluice audit verify --data-dir /var/lib/sluice
  sluice audit verify --head 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
  sluice audit verify --audit-uri postgres://sluice@db:5432/sluice`,
		func(cmd *cobra.Command, log *audit.Log) error {
			report, err := log.Verify(cmd.Context(), head, app.ExpectedAudit())
			if err != nil {
				return err
			}
			for _, fault := range report.Faults {
				fmt.Fprintln(cmd.OutOrStdout(), fault)
			}
			if len(report.Faults) > 0 {
				return exitCode(1)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s, none changed, none missing\n", authz.Count(report.Entries, "entry", "entries"))
			if report.Kept > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "entry %d has the given hash\n", report.Kept)
			}
			return nil
		})
	cmd.Flags().StringVar(
		&head, "head", "", "a hash that 'sluice audit head' printed earlier: the log must still have its entry",
	)
	fromEnvironment(cmd)
	return cmd
}

func newAuditHead() *cobra.Command {
	cmd := auditCommand("head", "Print the hash of the last entry, to store it elsewhere",
		`  sluice audit head --data-dir /var/lib/sluice
  sluice audit head --audit-uri postgres://sluice@db:5432/sluice`,
		func(cmd *cobra.Command, log *audit.Log) error {
			differences, err := log.Differences(cmd.Context())
			if err != nil {
				return err
			}
			for _, difference := range differences {
				fmt.Fprintf(cmd.ErrOrStderr(), "sluice: warning: %s; see `sluice audit verify`\n", difference)
			}
			last, err := log.Head(cmd.Context())
			if err != nil {
				return err
			}
			if last.Seq == 0 {
				return errors.New("the audit log has no entry yet")
			}
			fmt.Fprintln(cmd.OutOrStdout(), last.Hash)
			return nil
		})
	fromEnvironment(cmd)
	return cmd
}
