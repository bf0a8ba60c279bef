package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/tieback/tieback/warehouse/chdb"
)

var update = flag.Bool("update", false, "write docs/settings.md and docs/tables.md")

// golden holds a generated page against its file, or writes it with -update.
func golden(t *testing.T, path, page string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != page {
		t.Errorf("%s is not what the code says now, run `make docs`: %v", path, err)
	}
}

// docs/settings.md is made from the flags themselves.
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&cli{}, kong.Name("tieback"))
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	page.WriteString(`# Commands and settings

Made from the program's own flags by ` + "`make docs`" + `; ` + "`tieback COMMAND --help`" + ` says the same. A flag goes before its environment
variable, that before the default. All are checked at the start, and all faults are reported at once.

Every command takes:

`)
	writeFlags(&page, parser.Model.Flags)
	for _, node := range parser.Model.Leaves(true) {
		fmt.Fprintf(&page, "\n## tieback %s\n\n%s\n", strings.TrimPrefix(node.Path(), "tieback "), node.Help)
		var arguments []string
		for _, argument := range node.Positional {
			arguments = append(arguments, fmt.Sprintf("- `%s`: %s", argument.Summary(), argument.Help))
		}
		if len(arguments) > 0 {
			fmt.Fprintf(&page, "\n%s\n", strings.Join(arguments, "\n"))
		}
		if len(node.Flags) > 0 {
			page.WriteString("\n")
			writeFlags(&page, node.Flags)
		}
	}
	golden(t, "../../docs/settings.md", page.String())
}

func writeFlags(page *strings.Builder, flags []*kong.Flag) {
	page.WriteString("| flag | environment | default | |\n|---|---|---|---|\n")
	for _, f := range flags {
		if f.Name == "help" || f.Hidden {
			continue
		}
		name := "--" + f.Name
		if f.PlaceHolder != "" && !f.IsBool() {
			name += " " + f.PlaceHolder
		}
		environment := ""
		if len(f.Envs) > 0 {
			environment = "`" + strings.Join(f.Envs, "`, `") + "`"
		}
		fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", name, environment, f.Default, strings.ReplaceAll(f.Help, "|", "\\|"))
	}
}

// docs/tables.md is made from the comments of the columns.
func TestTablesPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rows := must(t, dir, "sql", `select table, name, type, comment from system.columns
		where database = 'tieback' and not match(table, '^(catalog_.*|night_.*|erased_.*|.*_versions|published_days|run_log|run_names|run_rules|identifies|new_client_events|new_conversions|new_adjustments|import_ids|import_keys|lock_tables|cluster_shards|shard_place|schema_migrations|results_.*)$')
		order by table, position`, "--format", "TSV")
	var page strings.Builder
	page.WriteString(`# The tables for analysts

Made from the comments of the columns by ` + "`make docs`" + `; ` + "`describe table sessions`" + ` says the same. All times are UTC. What the tables are for
stands in [sql/README.md](../sql/README.md), questions and their queries in [sql.md](sql.md).
`)
	table := ""
	for _, row := range strings.Split(rows, "\n") {
		cells := strings.Split(row, "\t")
		if cells[0] != table {
			table = cells[0]
			fmt.Fprintf(&page, "\n## %s\n\n| column | type | |\n|---|---|---|\n", table)
		}
		if cells[3] == "" {
			t.Errorf("%s.%s has no comment", table, cells[1])
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", cells[1], strings.ReplaceAll(cells[2], `\'`, "'"), cells[3])
	}
	golden(t, "../../docs/tables.md", page.String())
}

// The statements of docs/operating.md run, in their order.
func TestStatementsOfTheOperatingPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	must(t, dir, "migrate")
	statements := regexp.MustCompile(`(?m)^    tieback sql "(.*)"$`).FindAllStringSubmatch(string(text), -1)
	if len(statements) != 6 {
		t.Fatalf("%d statements", len(statements))
	}
	for _, statement := range statements {
		must(t, dir, "sql", statement[1])
	}
	ttls := must(t, dir, "sql", "select count() from system.tables where database = 'tieback' and create_table_query like '%TTL%toIntervalDay(400)%'", "--format", "TSV")
	if ttls != "6" {
		t.Errorf("%s tables forget after 400 days", ttls)
	}
	// Every command that a page names is one.
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md", "../../dashboards/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range regexp.MustCompile("(?:`|^    (?:bin/)?)tieback ([a-z]+)").FindAllStringSubmatch(string(text), -1) {
			if _, stderr, code := tieback(t, dir, "", command[1], "--help"); code != 0 {
				t.Errorf("%s names `tieback %s`: %s", page, command[1], stderr)
			}
		}
	}
}

// A variable that nothing reads is refused, with the name that is likely meant.
func TestUnreadEnvironment(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"TIEBACK_CLICKHOSE=http://x": "is TIEBACK_CLICKHOUSE meant?",
		"TIEBACK_RETENTION_OF=1":     "docs/settings.md",
		"TIEBACK_SQL_HOST=x":         "",
		"TIEBACK_ADMIN_TOKEN=":       "",
	} {
		cmd := command(t.TempDir(), "version")
		cmd.Env = append(cmd.Env, setting)
		said, err := cmd.CombinedOutput()
		if wrong := want != ""; wrong != (err != nil) || !strings.Contains(string(said), want) {
			t.Errorf("%s: %v %s", setting, err, said)
		}
	}
}

// TestVersion: what is said of the engine is what is pinned.
func TestVersion(t *testing.T) {
	t.Parallel()
	pinned, err := os.ReadFile("../../package.json")
	if err != nil || !strings.Contains(string(pinned), `"@chdb/lib-linux-x64-gnu": "`+chdb.Version+`"`) {
		t.Errorf("package.json does not pin %s (%v)", chdb.Version, err)
	}
	for _, args := range []string{"version", "--version"} {
		if got := must(t, t.TempDir(), args); !strings.HasPrefix(got, "tieback "+version+" (commit ") || !strings.Contains(got, "embedded engine: chdb "+chdb.Version) {
			t.Errorf("%s: %s", args, got)
		}
	}
}

// A variable's value may be in a file.
func TestSettingsInFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "level")
	if err := os.WriteFile(file, []byte("loud\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The embedded engine is a child process with the same environment.
	level := filepath.Join(dir, "debug")
	if err := os.WriteFile(level, []byte("debug\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(filepath.Join(dir, "data"), "sql", "select 42")
	cmd.Env = append(cmd.Env, "TIEBACK_LOG_LEVEL_FILE="+level)
	if said, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(said), "42") {
		t.Errorf("with the embedded engine: %v %s", err, said)
	}
	for _, c := range []struct {
		settings []string
		want     string
	}{
		{[]string{"TIEBACK_LOG_LEVEL_FILE=" + file}, `got "loud"`},
		{[]string{"TIEBACK_LOG_LEVEL_FILE=" + file, "TIEBACK_LOG_LEVEL=info"}, "both set"},
		{[]string{"TIEBACK_LOG_LEVEL_FILE=" + file + ".not"}, "no such file"},
		{[]string{"TIEBACK_LOG_LEVL_FILE=" + file}, "TIEBACK_LOG_LEVEL meant?"},
	} {
		cmd := command(dir, "version")
		cmd.Env = append(cmd.Env, c.settings...)
		if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), c.want) {
			t.Errorf("%v: %s", c.settings, said)
		}
	}
}
