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
		names, err := fs.Glob(layout.Migrations(), "*.up.sql")
		if err != nil || len(names) < 60 {
			t.Fatal(names, err)
		}
		for _, file := range names {
			text, err := fs.ReadFile(layout.Migrations(), file)
			if err != nil {
				t.Fatal(err)
			}
			for _, clause := range engineClauses.FindAllString(string(text), -1) {
				fmt.Fprintf(&got, "%s: %s\n", strings.TrimSuffix(file, ".up.sql"), clause)
			}
			plain, err := fs.ReadFile(Plain.Migrations(), file)
			if err != nil {
				t.Fatal(err)
			}
			if other := engineClauses.ReplaceAllString(string(text), ""); strings.Join(strings.Fields(other), " ") != strings.Join(strings.Fields(engineClauses.ReplaceAllString(string(plain), "")), " ") {
				t.Errorf("%s is changed beyond its engine and settings:\n%s", file, text)
			}
		}
		golden := "testdata/layouts/" + name + ".txt"
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || string(want) != got.String() {
			t.Errorf("%s is not what is rendered (%v):\n%s", golden, err, got.String())
		}
	}
}
