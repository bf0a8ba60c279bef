package main

import (
	"encoding/csv"
	"strings"
	"testing"
)

// TestOutcomes lists conversions as a table, as JSON and as CSV.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	defer s.stop()
	if _, stderr, code := tieback(t, dir, fileOfAll, "import", "-"); code != 0 {
		t.Fatal(stderr)
	}
	must(t, dir, "run", "--cutoff", "2026-11-27T00:00:00Z")
	days := []string{"--from", "2026-11-01", "--to", "2026-11-30"}
	list := func(args ...string) string {
		t.Helper()
		return must(t, dir, append(append([]string{"outcomes", "c1"}, days...), args...)...)
	}
	records, err := csv.NewReader(strings.NewReader(list("--format", "csv"))).ReadAll()
	if err != nil || len(records) != 4 || records[0][0] != "day" || records[3][2] != "a1" && records[2][2] != "a1" {
		t.Fatalf("%v %v", records, err)
	}
	if got := list("--outcome", "duplicate", "--format", "json"); !strings.Contains(got, `"outcome":"duplicate"`) || !strings.Contains(got, `"value":1,`) || strings.Count(got, "\n") != 0 {
		t.Errorf("duplicates: %s", got)
	}
	if got := list("--event", "sale", "--outcome", "attributed"); !strings.Contains(got, "o1: ") || !strings.Contains(got, "149.99") {
		t.Errorf("attributed:\n%s", got)
	}
	if got := list("--event", "nothing", "--format", "json"); got != "" {
		t.Errorf("of no event: %s", got)
	}
	if _, stderr, code := tieback(t, dir, "", "outcomes", "c1", "--outcome", "lost"); code != 2 || !strings.Contains(stderr, "is not an outcome") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
