package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const fileOfAll = `{"type":"event","customerId":"c1","eventId":"e1","apiName":"sale","from":1790000000000,"to":1796000000000}
{"type":"event","customerId":"c1","eventId":"e1","apiName":"sold","from":1796000000000,"to":null}
{"type":"rule","customerId":"c1","eventId":"e1","window":"14d","credit":"first","from":1790000000000,"to":1795500000000}
{"type":"rule","customerId":"c1","eventId":"e1","window":"session","credit":"first","from":1795500000000,"to":null}
{"type":"optimization","customerId":"c1","optimizationId":"o1","name":"Hero \"1\"","visitors":12000,"variations":[{"id":"a","name":"Base","baseline":true,"weight":0.25},{"id":"b","weight":3}],"goals":[{"eventId":"e1","primary":true,"mde":7.5}]}
{"type":"view","customerId":"c1","visitorId":"v1","optimizationId":"o1","variationId":"a","attributes":{"device":"mobile","plan":"p \"1\" ü"},"occurredAt":1794900000000,"receivedAt":1794900000500}
{"type":"view","customerId":"c1","visitorId":"v1","optimizationId":"o1","variationId":"b","occurredAt":1795000000000,"receivedAt":1795000000500}
{"type":"view","customerId":"c1","visitorId":"v1","optimizationId":"o1","variationId":"a","occurredAt":1795000000000,"receivedAt":1795000000400,"ingestId":"01a00000-0000-7000-8000-000000000001"}
{"type":"activity","customerId":"c1","visitorId":"v1","occurredAt":1795000100000,"receivedAt":1795000100000,"ingestId":"01a00000-0000-7000-8000-000000000001"}
{"type":"identify","customerId":"c1","visitorId":"v1","userDomain":"crm","userId":"ü \\ \"1\"","occurredAt":1795000010000}
{"type":"conversion","customerId":"c1","apiName":"sale","userDomain":"crm","userId":"ü \\ \"1\"","actionId":"a1","actionTimestamp":1795000200000,"value":149.99}
{"type":"conversion","customerId":"c1","apiName":"sale","userDomain":"crm","userId":"ü \\ \"1\"","actionId":"a1","actionTimestamp":1795000300000,"receivedAt":1795000300000,"value":1}
{"type":"conversion","customerId":"c1","apiName":"sale","userDomain":"crm","userId":"ü \\ \"1\"","actionId":"a2","actionTimestamp":1795000200000}
{"type":"adjustment","customerId":"c1","apiName":"sale","actionId":"a1","adjustment":"restate","value":100.5,"adjustedAt":1795100000000,"receivedAt":1795100000100}
{"type":"adjustment","customerId":"c1","apiName":"sale","actionId":"a2","adjustment":"retract","adjustedAt":1795100000000}
`

// fingerprints are hashes of what is published.
func fingerprints(t *testing.T, dir string) string {
	t.Helper()
	var prints []string
	for _, table := range []string{"sessions", "exposures", "entries", "attributions", "conversion_outcomes", "event_names", "event_rules", "optimizations", "variations", "goals"} {
		prints = append(prints, must(t, dir, "sql", "select '"+table+"', count(), hex(MD5(arrayStringConcat(groupArray(toString(tuple(*)))))) from (select * from "+table+" order by all)", "--format", "TSV"))
	}
	return strings.Join(prints, "\n")
}

// TestExportImport: what is exported gives the same published rows elsewhere.
func TestExportImport(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		s := serve(t, dir) // so that no command has to start an engine
		defer s.stop()
	}
	if _, stderr, code := tieback(t, first, fileOfAll, "import", "-"); code != 0 {
		t.Fatal(stderr)
	}
	must(t, first, "run", "--cutoff", "2026-11-27T00:00:00Z")
	lines, stderr, code := tieback(t, first, "", "export", "c1")
	if code != 0 || !strings.Contains(stderr, fmt.Sprintf("exported %d lines", strings.Count(fileOfAll, "\n"))) {
		t.Fatalf("exit %d, %s\n%s", code, stderr, lines)
	}
	if stdout, stderr, code := tieback(t, second, lines, "import", "-"); code != 0 {
		t.Fatalf("%s%s\n%s", stdout, stderr, lines)
	}
	must(t, second, "run", "--cutoff", "2026-11-27T00:00:00Z")
	if got, want := fingerprints(t, second), fingerprints(t, first); got != want {
		t.Errorf("imported elsewhere it gives\n%s\nand not\n%s", got, want)
	}
	for _, dir := range []string{first, second} {
		stdout, stderr, code := tieback(t, dir, lines, "import", "-")
		if code != 0 || !strings.Contains(stdout, "imported 15 lines, 15 of them known already") {
			t.Errorf("once more: exit %d, %s%s", code, stdout, stderr)
		}
	}
	again, _, _ := tieback(t, second, "", "export", "c1")
	if again != lines {
		t.Errorf("exported from there:\n%s\nand not\n%s", again, lines)
	}
	some, _, _ := tieback(t, first, "", "export", "c1", "--from", "2026-11-17", "--to", "2026-11-17")
	if strings.Count(some, "\n") != 6 || !strings.Contains(some, "1794900000000") || strings.Contains(some, "1795000") {
		t.Errorf("of one day:\n%s", some)
	}
	if _, stderr, code := tieback(t, first, "", "export", "nobody"); code != 1 || !strings.Contains(stderr, "no account") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestCorrectionsByFile: what a corrected file has otherwise is reported, and taken over with --restate only.
func TestCorrectionsByFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir) // so that no command has to start an engine
	defer s.stop()
	line := func(user, action, at, value string) string {
		return fmt.Sprintf(`{"type":"conversion","customerId":"c1","apiName":"sale","userDomain":"crm","userId":%q,"actionId":%q,"actionTimestamp":%s%s}`, user, action, at, value) + "\n"
	}
	file := line("u1", "1", "1795000000000", `,"value":10`) + line("u2", "2", "1795000000000", "") + line("u3", "3", "1795000000000", `,"value":30`)
	imports := func(text, want string, args ...string) {
		t.Helper()
		stdout, stderr, code := tieback(t, dir, text, append([]string{"import", "-"}, args...)...)
		if _, afterPreview, found := strings.Cut(stdout, "┘\n"); found {
			stdout = afterPreview
		}
		if code != 0 || strings.TrimSpace(stdout) != want {
			t.Errorf("exit %d\n%s%s\nexpected\n%s", code, stdout, stderr, want)
		}
	}
	values := func(want string) {
		t.Helper()
		must(t, dir, "run", "--cutoff", "now")
		got := must(t, dir, "sql", "select action_id, user_id, credited_value from decisions_versions where (day, version) in (select day, max(version) from published_days where table_name = 'decisions_versions' group by day) order by all", "--format", "CSV")
		if strings.Join(strings.Fields(strings.ReplaceAll(got, `"`, "")), " ") != want {
			t.Errorf("values %s, expected %s", got, want)
		}
	}
	imports(file, "imported 3 lines: 0 client events, 3 conversions, 0 events and optimizations; 0 bad")
	imports(file, "imported 3 lines, 3 of them known already: 0 client events, 3 conversions, 0 events and optimizations; 0 bad")
	corrected := line("u1", "1", "1795000000000", `,"value":11`) + line("u9", "2", "1795000000000", "") + line("u3", "3", "1795000000001", `,"value":33`) + line("u4", "4", "1795000000000", "")
	differing := "imported 4 lines: 0 client events, 4 conversions, 0 events and optimizations; 0 bad\nnot stored: 2 are known with another value, 1 are known with another user, 1 are known with another moment; --restate takes the values over"
	imports(corrected, "would import"+strings.Replace(strings.TrimPrefix(differing, "imported"), "0 bad", "0 bad; nothing was stored", 1), "--dry-run")
	imports(corrected, differing)
	values("1,u1,10 2,u2,\\N 3,u3,30 4,u4,\\N")
	imports(corrected, "imported 4 lines, 1 of them known already: 0 client events, 4 conversions, 0 events and optimizations; 0 bad\n2 values that differ from those known became adjustments\nnot stored: 1 are known with another user, 1 are known with another moment", "--restate")
	values("1,u1,11 2,u2,\\N 3,u3,33 4,u4,\\N")
	// What holds already is not restated again, and the first file is known as it was.
	imports(corrected, "imported 4 lines, 2 of them known already: 0 client events, 4 conversions, 0 events and optimizations; 0 bad\nnot stored: 1 are known with another user, 1 are known with another moment", "--restate")
	imports(file, "imported 3 lines, 3 of them known already: 0 client events, 3 conversions, 0 events and optimizations; 0 bad")
	if got := must(t, dir, "sql", "select count() from adjustments", "--format", "TSV"); got != "2" {
		t.Errorf("%s adjustments", got)
	}
	// Of several lines of one key the last one counts, and another user is reported.
	several := line("u1", "1", "1795000000000", `,"value":90`) + line("u7", "1", "1795000000000", `,"value":12`)
	imports(several, "imported 2 lines: 0 client events, 2 conversions, 0 events and optimizations; 0 bad\n1 values that differ from those known became adjustments\nnot stored: 1 are known with another value, 1 are known with another user; --restate takes the values over", "--restate")
	values("1,u1,12 2,u2,\\N 3,u3,33 4,u4,\\N")
	imports(several, "imported 2 lines: 0 client events, 2 conversions, 0 events and optimizations; 0 bad\nnot stored: 1 are known with another value, 1 are known with another user; --restate takes the values over", "--restate")
	if got := must(t, dir, "sql", "select count() from adjustments", "--format", "TSV"); got != "3" {
		t.Errorf("%s adjustments", got)
	}
	// With receivedAt a line is a copy like any other.
	imports(line("u1", "1", "1795000000000", `,"value":12,"receivedAt":1795000005000`), "imported 1 line: 0 client events, 1 conversions, 0 events and optimizations; 0 bad")
	if got := must(t, dir, "sql", "select count() from conversions", "--format", "TSV"); got != "5" {
		t.Errorf("%s conversions", got)
	}
}

// TestImportTables by their names and by the flag.
func TestImportTables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "export.CSV")
	text := "\uFEFFcustomerId;apiName;userDomain;userId;actionId;actionTimestamp;value\r\nc1;sale;crm;u1;1;2026-11-18 14:06:45;\"1234.5\"\r\nc1;sale;crm;u1;2;2026-11-18 14:06:45;1.234,5\r\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := tieback(t, dir, "", "import", path, "--time-zone", "America/New_York", "--dry-run")
	if code != 1 || !strings.Contains(stdout, `"sale" "1" of ("crm", "u1"), value 1234.5`) || !strings.Contains(stdout, "2026-11-18 19:06:45.000 UTC") || !strings.Contains(stdout, "nothing was stored") ||
		!strings.Contains(stderr, `line 3: value is "1.234,5", and must be a plain decimal`) {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if got := must(t, dir, "sql", "select (select count() from conversions) + (select count() from accounts)", "--format", "TSV"); got != "0" {
		t.Errorf("a dry run left %s rows", got)
	}
	if stdout, stderr, code := tieback(t, dir, text, "import", "-", "--csv", "--time-zone", "America/New_York"); code != 1 || !strings.Contains(stdout, "1 conversions") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if got := must(t, dir, "sql", "select toString(action_at), toString(value) from conversions", "--format", "TSV"); got != "2026-11-18 19:06:45.000\t1234.5" {
		t.Errorf("stored %s", got)
	}
	if _, stderr, code := tieback(t, dir, "", "import", path, "--time-zone", "Mars/Olympus"); code != 2 || !strings.Contains(stderr, "not a time zone") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
