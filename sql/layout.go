package sql

import (
	"io/fs"
	"regexp"
	"strings"
)

// Layout is how a ClickHouse keeps tables: the migrations are one set of statements, rendered for it.
type Layout int

const (
	// Plain is one server, and ClickHouse Cloud, which replaces the engines itself.
	Plain Layout = iota
	// Replicated is a server with the macros {shard} and {replica}: each replica is migrated by itself, and finds its tables in Keeper by their names.
	Replicated
	// ReplicatedDatabase is a database of the engine Replicated, which hands statements and paths to all replicas itself.
	ReplicatedDatabase
)

var (
	mergeTree = regexp.MustCompile(`(?m)^engine = (\w*MergeTree)(?:\((.*)\))?$`)
	window    = regexp.MustCompile(`\bnon_replicated_deduplication_window\b`)
	scratch   = regexp.MustCompile(`create table if not exists (night|erased|import)_`) // a run or an import fills them anew
)

// Render writes a migration for a layout. Working sets stay where the run is.
func (l Layout) Render(text string) string {
	if l == Plain || scratch.MatchString(text) || !mergeTree.MatchString(text) {
		return text
	}
	text = mergeTree.ReplaceAllStringFunc(text, func(clause string) string {
		parts := mergeTree.FindStringSubmatch(clause)
		var arguments []string
		if l == Replicated {
			arguments = []string{"'/clickhouse/tables/{shard}/{database}/{table}'", "'{replica}'"}
		}
		if parts[2] != "" {
			arguments = append(arguments, parts[2])
		}
		engine := "engine = Replicated" + parts[1]
		if len(arguments) > 0 {
			engine += "(" + strings.Join(arguments, ", ") + ")"
		}
		return engine
	})
	// A plain table stores the same block as often as it is sent, unless it says otherwise.
	if window.MatchString(text) {
		return window.ReplaceAllString(text, "replicated_deduplication_window")
	}
	if strings.Contains(text, "\nsettings ") {
		return strings.Replace(text, "\nsettings ", "\nsettings replicated_deduplication_window = 0, ", 1)
	}
	return strings.Replace(text, "\ncomment '", "\nsettings replicated_deduplication_window = 0\ncomment '", 1)
}

// Target is what the migrations are rendered for. Its zero value is one server.
type Target struct {
	Layout  Layout
	Side    Side
	Cluster Cluster
}

// Render writes a migration for a target.
func (t Target) Render(text string) string { return t.Layout.Render(t.Cluster.render(text, t.Side)) }

// Migrations is the folder of numbered schema changes, for golang-migrate.
func (t Target) Migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return renderedFS{sub, t}
}

// renderedFS renders the files that are read from it.
type renderedFS struct {
	fs.FS
	target Target
}

func (r renderedFS) Open(name string) (fs.File, error) {
	file, err := r.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	defer file.Close()
	text, err := fs.ReadFile(r.FS, name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	return renderedFile{strings.NewReader(r.target.Render(string(text))), info}, err
}

type renderedFile struct {
	*strings.Reader
	info fs.FileInfo
}

func (f renderedFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f renderedFile) Close() error               { return nil }
