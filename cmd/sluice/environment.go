package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/similar"
)

const variablePrefix = "SLUICE_"

// fromEnvironment gives each flag of the command an environment variable, except flags in commandLineOnly. A flag that
// is not given gets the value of its variable: --grpc-listen gets that of SLUICE_GRPC_LISTEN. For a flag that can be
// repeated, the variable has a plural name and holds a comma-separated list: --api-key has SLUICE_API_KEYS. The usage
// text names the variable.
//
// An empty variable counts as not set. But if it is for a credential or a list, every command fails, since a deployment
// that lost its secret must not start without it.
//
// Call fromEnvironment after the flags are added: flags that are added later have no variable.
func fromEnvironment(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if commandLineOnly[flag.Name] {
			return
		}
		flag.Usage += " [" + variable(flag) + "]"
		if flag.Annotations == nil {
			flag.Annotations = make(map[string][]string)
		}
		flag.Annotations[variableAnnotation] = []string{variable(flag)}
	})
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkEnvironment(cmd.Root()); err != nil {
			return err
		}
		var failed error
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if failed == nil {
				failed = setFromEnvironment(cmd, flag)
			}
		})
		return failed
	}
}

// variableAnnotation marks the flags that have a variable.
const variableAnnotation = "sluice_variable"

func hasVariable(flag *pflag.Flag) bool { return flag.Annotations[variableAnnotation] != nil }

// commandLineOnly are the flags that turn off a safety check for one call, or say what one call changes. A variable
// that somebody forgot in the environment must not do that.
var commandLineOnly = map[string]bool{
	"allow-breaking": true, "allow-unsealed": true, "replace": true,
	"all": true, "expires-at": true, "caveat": true, "must-match": true, "must-not-match": true,
}

// rejectUnknownVariables makes the command check the environment, although its own flags have no variables.
func rejectUnknownVariables(cmd *cobra.Command) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return checkEnvironment(cmd.Root()) }
}

func setFromEnvironment(cmd *cobra.Command, flag *pflag.Flag) error {
	if flag.Changed {
		if credentials[flag.Name] && flag.Value.String() == "" {
			return fmt.Errorf("--%s: the value is empty; leave the flag out if there is none", flag.Name)
		}
		return nil
	}
	value, set := os.LookupEnv(variable(flag))
	switch {
	case !set || !hasVariable(flag):
		return nil
	case strings.TrimSpace(value) == "": // checkEnvironment rejects an empty secret
		return nil
	}
	values := []string{value}
	if repeatable(flag) {
		values = strings.Split(value, ",")
	}
	for _, v := range values {
		if err := cmd.Flags().Set(flag.Name, strings.TrimSpace(v)); err != nil {
			return fmt.Errorf(
				"%s: the value is not valid for --%s, which takes %s", variable(flag), flag.Name,
				authz.WithArticle(flag.Value.Type()),
			)
		}
	}
	return nil
}

// credentials are the flags whose value, or file, is a secret; the addresses of databases hold a password.
var credentials = map[string]bool{
	"api-key": true, "api-keys-file": true, "grpc-key": true, "spicedb-token": true, "key": true,
	"datastore-uri": true, "audit-uri": true,
}

// otherVariables are variables that Compose, the tests and the scripts of this repository read. The program accepts
// them, because the same shell may start it. The value says whether the variable must not be empty.
var otherVariables = map[string]bool{
	"SLUICE_IMAGE": false, "SLUICE_SPICEDB_IMAGE": false, "SLUICE_POSTGRES_PASSWORD": true, "SLUICE_PORT_1": false,
	"SLUICE_PORT_2": false, "SLUICE_REQUIRE_CONTAINERS": false,
}

// testVariable matches the variables of the tests and benchmarks.
var testVariable = regexp.MustCompile(`^SLUICE_(TEST|DIFFERENTIAL|BENCH)_[A-Z]+(_[A-Z]+)*$`)

// Patterns of the variables that Kubernetes and Docker links set for each service whose name begins with "sluice". The
// value of PORT and of PORT_8080_TCP is a URL such as tcp://10.0.0.1:8080. A variable with such a name and another
// value is probably meant for Sluice, and its name is misspelt.
var (
	serviceVariable = regexp.MustCompile(
		`^SLUICE_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))$`,
	)
	serviceURLVariable = regexp.MustCompile(`^SLUICE_([A-Z0-9_]+_)?PORT(_[0-9]+_(TCP|UDP|SCTP))?$`)
)

// isOfService reports whether Kubernetes or a Docker link sets a variable.
func isOfService(name, value string) bool {
	return serviceVariable.MatchString(name) || serviceURLVariable.MatchString(name) && strings.Contains(value, "://")
}

// checkEnvironment returns an error for a variable SLUICE_… that no command reads: its name is probably misspelt, and
// its setting would be ignored. It also returns an error for an empty secret or list, even if only another command
// reads it.
func checkEnvironment(root *cobra.Command) error {
	known := variables(root)
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		needsValue, isKnown := known[name]
		switch {
		case needsValue && strings.TrimSpace(value) == "":
			return fmt.Errorf("%s: the value is empty; unset the variable if there is none", name)
		case isKnown || !strings.HasPrefix(name, variablePrefix):
			continue
		case isOfService(name, value) || testVariable.MatchString(name):
			continue
		}
		message := fmt.Sprintf("%.100s: the environment has this variable, which Sluice does not know", name)
		if len(name) <= maxVariable {
			flags := maps.Clone(known)
			maps.DeleteFunc(flags, func(name string, _ bool) bool { _, isOther := otherVariables[name]; return isOther })
			if usual, isUsual := usualNames[name]; isUsual {
				message += "; " + usual + " has the address and port of the server"
			} else if nearest := similar.Names(name, slices.Sorted(maps.Keys(flags))); len(nearest) > 0 {
				message += "; the nearest is " + nearest[0]
			}
		}
		return fmt.Errorf("%s; unset it, or correct its name", message)
	}
	return nil
}

// usualNames are names that other servers have for a setting, with the name of Sluice.
var usualNames = map[string]string{
	"SLUICE_PORT": "SLUICE_LISTEN", "SLUICE_HOST": "SLUICE_LISTEN", "SLUICE_ADDR": "SLUICE_LISTEN",
	"SLUICE_ADDRESS": "SLUICE_LISTEN", "SLUICE_BIND": "SLUICE_LISTEN",
}

// maxVariable is the length in bytes up to which an unknown name is compared with the known ones, to suggest one.
const maxVariable = 64

// variables returns the names of the variables that some command reads, and whether each must not be empty.
func variables(root *cobra.Command) map[string]bool {
	known := maps.Clone(otherVariables)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if hasVariable(flag) {
				known[variable(flag)] = credentials[flag.Name] || repeatable(flag)
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
	return known
}

func variable(flag *pflag.Flag) string {
	name := variablePrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
	if repeatable(flag) {
		return name + "S"
	}
	return name
}

func repeatable(flag *pflag.Flag) bool { return flag.Value.Type() == "stringArray" }
