package main

import (
	"strings"
	"testing"
)

// TestDelete what was made by mistake: tokens, events, optimizations, and accounts for which nothing was received.
func TestDelete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir) // so that no command has to start an engine
	defer s.stop()
	_, stderr, code := tieback(t, dir, "", "token", "add", "12345678", "backend")
	if code != 0 || !strings.Contains(stderr, `there was no account "12345678", it was made`) {
		t.Errorf("exit %d, %s", code, stderr)
	}
	for _, args := range [][]string{{"account", "add", "123456789"}, {"token", "add", "123456789", "backend"}, {"event", "add", "123456789", "sale", "--id", "e1", "--from", "2026-01-01T00:00:00Z"}} {
		if _, stderr, code := tieback(t, dir, "", args...); code != 0 || stderr != "" {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
	list := func(query string) string { return must(t, dir, "sql", query, "--format", "TSV") }
	must(t, dir, "account", "delete", "12345678", "--really", "12345678")
	if got := list("select customer_id from accounts"); got != "123456789" {
		t.Errorf("accounts %q", got)
	}

	must(t, dir, "optimization", "add", "123456789", "hero", "--name", "Hero", "--variation", "a=Base:3", "--variation", "b:0.5")
	variations := func() string {
		return strings.ReplaceAll(list("select variation_id, name, weight, is_baseline from variations order by position"), "\t", " ")
	}
	for _, step := range []struct{ args, want string }{
		{"--variation b=New", "a Base 3 1\nb New 0.5 0"},
		{"--name Heroes", "a Base 3 1\nb New 0.5 0"},
		{"--variation c --baseline b", "a Base 3 0\nb New 0.5 1\nc c 1 0"},
		{"--variation a:1", "a Base 1 0\nb New 0.5 1\nc c 1 0"},
	} {
		must(t, dir, append([]string{"optimization", "add", "123456789", "hero"}, strings.Fields(step.args)...)...)
		if got := variations(); got != step.want {
			t.Errorf("after %s:\n%s\nexpected\n%s", step.args, got, step.want)
		}
	}

	must(t, dir, "goal", "add", "123456789", "hero", "e1", "--primary")
	must(t, dir, "event", "rule", "123456789", "e1", "--window", "7d", "--from", "2026-01-01T00:00:00Z")
	lines := `{"type":"view","customerId":"123456789","visitorId":"v1","optimizationId":"hero","variationId":"a","occurredAt":1790000000000}
{"type":"identify","customerId":"123456789","visitorId":"v1","userDomain":"crm","userId":"u1","occurredAt":1790000000000}
{"type":"conversion","customerId":"123456789","apiName":"sale","userDomain":"crm","userId":"u1","actionId":"1","actionTimestamp":1790000400000}
`
	if _, stderr, code := tieback(t, dir, lines, "import", "-"); code != 0 || stderr != "" {
		t.Fatal(stderr)
	}
	outcome := func() string {
		must(t, dir, "run", "--cutoff", "2026-11-01T00:00:00Z")
		return list("select outcome from conversion_outcomes")
	}
	if got := outcome(); got != "attributed" {
		t.Error(got)
	}
	must(t, dir, "event", "delete", "123456789", "e1")
	if got := list("select (select count() from event_names), (select count() from event_rules), (select count() from goals)"); got != "0\t0\t0" {
		t.Errorf("names, rules and goals left: %s", got)
	}
	if got := outcome(); got != "event_not_defined" {
		t.Errorf("without its event the conversion is %s", got)
	}
	must(t, dir, "event", "add", "123456789", "sale", "--id", "e1", "--from", "2026-01-01T00:00:00Z")
	if got := outcome(); got != "attributed" {
		t.Errorf("with the event once more it is %s", got)
	}
	must(t, dir, "optimization", "delete", "123456789", "hero")
	if got := list("select (select count() from optimizations), (select count() from variations)"); got != "0\t0" {
		t.Errorf("optimizations and variations left: %s", got)
	}
	must(t, dir, "token", "revoke", "123456789", "backend")
	must(t, dir, "token", "delete", "123456789", "backend")
	if got := must(t, dir, "token", "list", "123456789"); strings.Contains(got, "backend") {
		t.Error(got)
	}
	_, stderr, code = tieback(t, dir, "", "account", "delete", "123456789", "--really", "123456789")
	if code != 1 || !strings.Contains(stderr, "has 2 client events, 1 conversions and 0 adjustments, so it can't be deleted") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
