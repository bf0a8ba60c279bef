// Package sql holds the schema, the night, its checks and the reports, one statement a
// file. Go only names them: a step of the night is found by its file's name. Statements
// of a few lines stand where they are run.
package sql

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed migrations/*.sql nightly/*.sql checks/*.sql reports/*.sql results/*.sql erase/*.sql
var files embed.FS

// Migrations is the folder of numbered schema changes as they are written: for one server.
func Migrations() fs.FS { return Target{}.Migrations() }

// migrations returns what each of them says.
func migrations() (list []struct{ name, text string }) {
	entries, err := files.ReadDir("migrations")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	for _, entry := range entries {
		text, err := files.ReadFile("migrations/" + entry.Name())
		if err != nil {
			panic(err)
		}
		list = append(list, struct{ name, text string }{strings.TrimSuffix(entry.Name(), ".up.sql"), string(text)})
	}
	return list
}

// Statement is one file of SQL.
type Statement struct {
	Name   string // of the file, without folder and extension, as 22_exposures
	SQL    string
	Target string // the table that it writes, by its header; empty for a query

	// OnShards is whether it runs on each shard of a cluster, for the rows there, and not once at home.
	OnShards bool
}

// Nightly returns the step of the night in nightly/<name>.sql.
func Nightly(name string) Statement { return read("nightly", name) }

// Report returns the query in reports/<name>.sql.
func Report(name string) Statement { return read("reports", name) }

// Results returns the query in results/<name>.sql.
func Results(name string) Statement { return read("results", name) }

// Erase returns the statement in erase/<name>.sql.
func Erase(name string) Statement { return read("erase", name) }

// Checks returns the queries that return the wrong rows, in order of their names.
func Checks() []Statement {
	entries, err := files.ReadDir("checks")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	checks := make([]Statement, 0, len(entries))
	for _, entry := range entries {
		checks = append(checks, read("checks", strings.TrimSuffix(entry.Name(), ".sql")))
	}
	return checks
}

func read(folder, name string) Statement {
	text, err := files.ReadFile(path.Join(folder, name+".sql"))
	if err != nil {
		panic(fmt.Sprintf("sql/%s/%s.sql is not compiled in: %v", folder, name, err)) // a name in Go without its file
	}
	statement := Statement{Name: name, SQL: string(text)}
	for line := range strings.Lines(statement.SQL) {
		if target, ok := strings.CutPrefix(line, "-- Writes:"); ok {
			statement.Target = strings.TrimSpace(target)
		}
		if place, ok := strings.CutPrefix(line, "-- Runs:"); ok {
			statement.OnShards = strings.TrimSpace(place) == "shards"
		}
	}
	return statement
}
