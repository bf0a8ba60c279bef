package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"

	"github.com/tieback/tieback/warehouse/chdb"
)

// environmentOfOthers are variables that Grafana's provisioning reads, which may be in the same environment.
var environmentOfOthers = []string{"TIEBACK_SQL_HOST", "TIEBACK_SQL_PORT", "TIEBACK_SQL_USER", "TIEBACK_SQL_PASSWORD"}

// environmentNames are the variables that flags of any command read, and the few that have none.
func environmentNames(model *kong.Application) []string {
	names := append([]string{chdb.LibEnv}, environmentOfOthers...)
	var walk func(node *kong.Node)
	walk = func(node *kong.Node) {
		for _, flag := range node.Flags {
			names = append(names, flag.Envs...)
		}
		for _, child := range node.Children {
			walk(child)
		}
	}
	walk(model.Node)
	slices.Sort(names)
	return slices.Compact(names)
}

// unreadEnvironment returns an error for each variable TIEBACK_… that nothing reads: one that is misspelt must not be passed over.
func unreadEnvironment(environment, known []string) (faults []error) {
	for _, setting := range environment {
		name, _, _ := strings.Cut(setting, "=")
		name = strings.TrimSuffix(name, fileEnding)
		if !strings.HasPrefix(name, "TIEBACK_") || slices.Contains(known, name) {
			continue
		}
		nearest := slices.MinFunc(known, func(a, b string) int {
			return levenshtein.ComputeDistance(a, name) - levenshtein.ComputeDistance(b, name)
		})
		fault := fmt.Errorf("the environment variable %s is set, and nothing reads it", name)
		if levenshtein.ComputeDistance(nearest, name) <= 5 {
			fault = fmt.Errorf("%w; is %s meant?", fault, nearest)
		} else {
			fault = fmt.Errorf("%w; docs/settings.md has all of them", fault)
		}
		faults = append(faults, fault)
	}
	return faults
}

// fileEnding ends the name of a variable that names a file with the value of another: TIEBACK_ADMIN_TOKEN_FILE has the path of a file with the token.
const fileEnding = "_FILE"

// readFiles sets the variables whose values are in files, and unsets those that name the files: child processes read the environment, too.
func readFiles(environment []string) (faults []error) {
	for _, setting := range environment {
		name, path, _ := strings.Cut(setting, "=")
		of, isFile := strings.CutSuffix(name, fileEnding)
		if !isFile || !strings.HasPrefix(name, "TIEBACK_") || path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		case os.Getenv(of) != "":
			faults = append(faults, fmt.Errorf("%s and %s are both set: leave one away", of, name))
		default:
			if err := errors.Join(os.Setenv(of, strings.TrimRight(string(text), "\r\n")), os.Unsetenv(name)); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	return faults
}
