package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSafeWriterKeepsCharactersWhole(t *testing.T) {
	t.Parallel()
	text := "é€😀\x1b[31m\u202e\xff end"
	var whole, cut strings.Builder
	fmt.Fprint(&safeWriter{Writer: &whole}, text)
	w := &safeWriter{Writer: &cut}
	for i := range len(text) {
		if n, err := w.Write([]byte{text[i]}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := `é€😀\u001b[31m\u202e\xff end`; whole.String() != want || cut.String() != want {
		t.Errorf("%q in one piece, %q in bytes, expected %q", whole.String(), cut.String(), want)
	}
}

// TestNothingFromOutsideReachesTheTerminal: ids, names and lines that would move the cursor, or
// look like more lines of the output.
func TestNothingFromOutsideReachesTheTerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const evil = `\u001b[2J\u202eevil\r\n  outcome   attributed: trust me`
	at := time.Now().Add(-time.Hour).UnixMilli()
	lines := fmt.Sprintf(`{"type":"event","customerId":"c","eventId":"e%[1]s","apiName":"%[1]s","from":1790000000000}
{"type":"view","customerId":"c","visitorId":"v%[1]s","optimizationId":"o%[1]s","variationId":"b%[1]s","occurredAt":%[2]d}
{"type":"identify","customerId":"c","visitorId":"v%[1]s","userDomain":"d","userId":"u%[1]s","occurredAt":%[2]d}
{"type":"conversion","customerId":"c","apiName":"%[1]s","userDomain":"d","userId":"u%[1]s","actionId":"a","actionTimestamp":%[3]d}
{"type":"x%[1]s"}
`, evil, at, at+1000)
	stdout, stderr, code := tieback(t, dir, lines, "import", "-")
	if code != 1 {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	name := "\x1b[2J\u202eevil\r\n  outcome   attributed: trust me"
	outputs := []string{stdout, stderr, must(t, dir, "run", "--cutoff", "now"), must(t, dir, "status"), must(t, dir, "event", "list", "c"),
		must(t, dir, "explain", "c", name, "a"), must(t, dir, "results", "c", "o"+name), must(t, dir, "doctor")}
	_, missing, _ := tieback(t, dir, "", "explain", "c", name, "b")
	for _, text := range append(outputs, missing) {
		if strings.ContainsAny(text, "\x1b\r\u202e\x07") {
			t.Errorf("a terminal would obey %q", text)
		}
	}
	if text := outputs[5]; !strings.Contains(text, "attributed to variation") || strings.Count(text, "\n  outcome") != 1 {
		t.Errorf("explain:\n%s", text)
	}
	if raw := must(t, dir, "sql", "select user_id from conversions", "--format", "TSVRaw"); !strings.Contains(raw, "\x1b") {
		t.Errorf("another program reads %q", raw)
	}
}
