package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// fromEnvironment makes every flag of the command take its value from SLUICE_… where it is not given: --grpc-listen from
// SLUICE_GRPC_LISTEN. A flag that can be repeated takes a comma-separated list from the plural, --api-key from
// SLUICE_API_KEYS. The usage text names the variable.
func fromEnvironment(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { flag.Usage += " [" + variable(flag) + "]" })
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		var failed error
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			value, set := os.LookupEnv(variable(flag))
			if flag.Changed || !set || value == "" || failed != nil {
				return
			}
			values := []string{value}
			if repeatable(flag) {
				values = strings.Split(value, ",")
			}
			for _, v := range values {
				if err := cmd.Flags().Set(flag.Name, strings.TrimSpace(v)); err != nil {
					failed = fmt.Errorf("%s: the value is not one for --%s, which takes a %s", variable(flag), flag.Name, flag.Value.Type())
				}
			}
		})
		return failed
	}
}

func variable(flag *pflag.Flag) string {
	name := "SLUICE_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
	if repeatable(flag) {
		return name + "S"
	}
	return name
}

func repeatable(flag *pflag.Flag) bool { return flag.Value.Type() == "stringArray" }
