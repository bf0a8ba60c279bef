package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDaysAreUTCInEveryTimeZone looks at five days of an experiment on machines in Berlin, New York
// and Kiritimati: the same days and figures everywhere, the newest day among them.
func TestDaysAreUTCInEveryTimeZone(t *testing.T) {
	const days, visitors = 5, 30 // of each day
	dir := t.TempDir()
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	first, last := midnight.AddDate(0, 0, -days).Format(time.DateOnly), midnight.AddDate(0, 0, -1).Format(time.DateOnly)
	var lines strings.Builder
	fmt.Fprintf(&lines, `{"type":"event","customerId":"tz","eventId":"e","apiName":"sale","from":%d}`+"\n", midnight.AddDate(0, -1, 0).UnixMilli())
	fmt.Fprintln(&lines, `{"type":"optimization","customerId":"tz","optimizationId":"hero","variations":[{"id":"a","baseline":true},{"id":"b"}],"goals":[{"eventId":"e","primary":true}]}`)
	for i := range days * visitors {
		// Spread over the whole of each day, its first and last minutes included.
		at := midnight.AddDate(0, 0, -days).Add(time.Duration(i)*24*time.Hour/visitors + time.Minute).UnixMilli()
		fmt.Fprintf(&lines, `{"type":"view","customerId":"tz","visitorId":"v%[1]d","optimizationId":"hero","variationId":"%[2]s","occurredAt":%[3]d}`+"\n", i, "ab"[i%2:i%2+1], at)
		fmt.Fprintf(&lines, `{"type":"identify","customerId":"tz","visitorId":"v%[1]d","userDomain":"crm","userId":"u%[1]d","occurredAt":%[2]d}`+"\n", i, at)
		fmt.Fprintf(&lines, `{"type":"conversion","customerId":"tz","apiName":"sale","userDomain":"crm","userId":"u%[1]d","actionId":"a%[1]d","actionTimestamp":%[2]d}`+"\n", i, at+5000)
	}
	if _, stderr, code := tieback(t, dir, lines.String(), "import", "-"); code != 0 {
		t.Fatal(stderr)
	}
	must(t, dir, "run")
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Pacific/Kiritimati"} {
		t.Run(zone, func(t *testing.T) {
			t.Setenv("TZ", zone)
			var results struct {
				From, To   string
				Variations []struct{ Visitors int }
			}
			if err := json.Unmarshal([]byte(must(t, dir, "results", "tz", "hero", "--format", "json")), &results); err != nil {
				t.Fatal(err)
			}
			if results.From != first || results.To != last || len(results.Variations) != 2 || results.Variations[0].Visitors != days*visitors/2 {
				t.Errorf("results: %+v, expected %s to %s and %d visitors each", results, first, last, days*visitors/2)
			}
			got := must(t, dir, "sql", "select today() = toDate(now('UTC'), 'UTC'), timezone(), toDate(max(converted_at)) from attributions", "--format", "TSV")
			if got != "1\tUTC\t"+last {
				t.Errorf("SQL: %q", got)
			}
			s := serveAdmin(t, dir)
			defer s.stop()
			for path, want := range map[string]string{
				"/outcomes":                   fmt.Sprintf(`"days":[{"day":"%s","received":%d,`, last, visitors),
				"/conversions?limit=1":        fmt.Sprintf(`[{"day":"%s",`, last),
				"/optimizations/hero/results": fmt.Sprintf(`"from":"%s","to":"%s"`, first, last),
			} {
				if status, answer := s.asAdmin("GET", "/admin/api/accounts/tz"+path, ""); status != 200 || !strings.Contains(answer, want) {
					t.Errorf("%s: %d %.300s, expected %s", path, status, answer, want)
				}
			}
		})
	}
}
