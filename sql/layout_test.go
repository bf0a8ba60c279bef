package sql

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata")

// engineClauses are what Render may change of a statement.
var engineClauses = regexp.MustCompile(`(?m)^(engine|settings) .*$`)

// TestLayouts holds the clauses of all tables in each layout against testdata/layouts: `go test ./sql -update` writes them.
func TestLayouts(t *testing.T) {
	for layout, name := range map[Layout]string{Plain: "plain", Replicated: "replicated", ReplicatedDatabase: "replicated_database"} {
		var got strings.Builder
		rendered := Target{Layout: layout}.Migrations()
		names, err := fs.Glob(rendered, "*.up.sql")
		if err != nil || len(names) < 60 {
			t.Fatal(names, err)
		}
		for _, file := range names {
			text, err := fs.ReadFile(rendered, file)
			if err != nil {
				t.Fatal(err)
			}
			for _, clause := range engineClauses.FindAllString(string(text), -1) {
				fmt.Fprintf(&got, "%s: %s\n", strings.TrimSuffix(file, ".up.sql"), clause)
			}
			plain, err := fs.ReadFile(Migrations(), file)
			if err != nil {
				t.Fatal(err)
			}
			if other := engineClauses.ReplaceAllString(string(text), ""); strings.Join(strings.Fields(other), " ") != strings.Join(strings.Fields(engineClauses.ReplaceAllString(string(plain), "")), " ") {
				t.Errorf("%s is changed beyond its engine and settings:\n%s", file, text)
			}
		}
		compare(t, name, got.String())
	}
}

// TestSides holds what is made in each database of a cluster, beside what is made as on one server, against testdata/layouts.
func TestSides(t *testing.T) {
	cluster := Cluster{Name: "o'clock", Home: "tieback", Shard: "tieback_shard", HomePlace: 2}
	for side, name := range map[Side]string{HomeSide: "cluster_home", ShardSide: "cluster_shard", LentSide: "cluster_lent"} {
		var got strings.Builder
		for _, m := range migrations() {
			switch text := (Target{Side: side, Cluster: cluster}).Render(m.text); text {
			case m.text:
				fmt.Fprintf(&got, "%s: as on one server\n", m.name)
			case nothing:
			default:
				fmt.Fprintf(&got, "%s: %s", m.name, text)
			}
		}
		compare(t, name, got.String())
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	golden := "testdata/layouts/" + name + ".txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || string(want) != got {
		t.Errorf("%s is not what is rendered (%v):\n%s", golden, err, got)
	}
}
