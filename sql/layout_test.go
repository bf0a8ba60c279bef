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
	cluster := Cluster{Name: "o'clock", Home: "tieback", Shard: "tieback_shard", Lent: "tieback_home"}
	for side, name := range map[Side]string{HomeSide: "cluster_home", ShardSide: "cluster_shard", LentSide: "cluster_lent", EmptySide: "cluster_empty"} {
		var got strings.Builder
		for _, m := range migrations() {
			switch text := (Target{Side: side, Cluster: cluster}).Render(m.text); text {
			case m.text:
				fmt.Fprintf(&got, "%s: as on one server\n", m.name)
			case nothing:
			default:
				fmt.Fprintf(&got, "%s: %s\n", m.name, strings.TrimSpace(text))
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

// TestStepsRunWhereTheirRowsAre: a statement that runs on the shards writes there, and reads what is there; one that runs at home writes at home.
func TestStepsRunWhereTheirRowsAre(t *testing.T) {
	source := regexp.MustCompile(`\b(?:from|join|into)\s+([a-z_]+)`)
	for _, folder := range []string{"nightly", "checks", "reports", "results", "erase"} {
		names, err := fs.Glob(files, folder+"/*.sql")
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		for _, name := range names {
			s := read(folder, strings.TrimSuffix(strings.TrimPrefix(name, folder+"/"), ".sql"))
			if s.Target != "" && OnShards(s.Target) != s.OnShards {
				t.Errorf("%s runs elsewhere than the rows of %s are", name, s.Target)
			}
			for _, m := range source.FindAllStringSubmatch(s.SQL, -1) {
				if place, known := placeOf[m[1]]; known && s.OnShards && place == "home" {
					t.Errorf("%s runs on the shards, where there is no %s", name, m[1])
				}
			}
		}
	}
}
