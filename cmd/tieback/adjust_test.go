package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestConversionsThatLiveOn: a sale days after the visit under a window, restated over HTTP, retracted by hand and
// brought back, with each run saying why figures changed.
func TestConversionsThatLiveOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--listen", "127.0.0.1:0")
	s.token = configure(t, dir)
	must(t, dir, "event", "rule", "123456789", "e1", "--window", "30d", "--from", "2020-01-01T00:00:00Z")
	if status, answer := s.post("/collect", viewBody(5*24*time.Hour)); status != 204 {
		t.Fatal(status, answer)
	}
	for _, action := range []string{"kept", "back"} {
		if status, answer := s.post("/event", seedBody(action, 0)); status != 200 {
			t.Fatal(status, answer)
		}
	}
	adjust := func(path, action, rest string) string {
		t.Helper()
		status, answer := s.post(path, fmt.Sprintf(`{customerId: "123456789", apiName: "application-accepted", actionId: %q, %s}`, action, rest))
		if status != 200 {
			t.Fatalf("%s: %d %s", action, status, answer)
		}
		return answer
	}
	run := func(want, because string) {
		t.Helper()
		time.Sleep(10 * time.Millisecond) // the cutoff is after what came before
		told := must(t, dir, "run", "--cutoff", "now")
		got := must(t, dir, "sql", "select action_id, toString(outcome), attributions.value from conversion_outcomes left join attributions using (action_id) order by all", "--format", "TSV")
		if got != want || !strings.Contains(told, because) {
			t.Errorf("got\n%s\nexpected\n%s\nand %q in\n%s", got, want, because, told)
		}
	}
	run("back\tattributed\t149.99\nkept\tattributed\t149.99", "")
	adjust("/adjustment", "kept", `adjustment: "restate", value: 80`)
	must(t, dir, "adjust", "123456789", "application-accepted", "back", "--retract")
	run("back\tretracted\t\\N\nkept\tattributed\t80", "adjustments")
	if answer := adjust("/adjustments", "back", `adjustment: "restate", value: 1`); !strings.Contains(answer, `"accepted":1`) {
		t.Error(answer)
	}
	run("back\tattributed\t1\nkept\tattributed\t80", "adjustments")
	must(t, dir, "event", "rule", "123456789", "e1", "--window", "session", "--from", "2020-01-01T00:00:00Z")
	run("back\tsession_expired\t\\N\nkept\tsession_expired\t\\N", "attribution rules")

	explained := must(t, dir, "explain", "123456789", "application-accepted", "back")
	for _, want := range []string{"rule      window session, credit last", "value 149.99 -> retracted", "retracted -> value 1", "run with the cutoff"} {
		if !strings.Contains(explained, want) {
			t.Errorf("nothing says %q:\n%s", want, explained)
		}
	}
	if answer := adjust("/adjustment", "never sent", `adjustment: "retract"`); !strings.Contains(answer, "no_such_conversion") {
		t.Error(answer)
	}
	_, stderr, code := tieback(t, dir, "", "adjust", "123456789", "application-accepted", "never sent", "--restate", "1.5")
	if code != 0 || !strings.Contains(stderr, "waits for one") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if _, stderr, code := tieback(t, dir, "", "explain", "123456789", "application-accepted", "never sent"); code != 1 || !strings.Contains(stderr, "adjustments that wait for it: 2") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if told := must(t, dir, "status"); !strings.Contains(told, "adjustments that wait for their conversion: 1\n") {
		t.Error(told)
	}
	stdout, _, _ := tieback(t, dir, "", "doctor")
	if !strings.Contains(stdout, `WARN adjustments  account "123456789": adjustments of 1 conversion under the name "application-accepted", the last of actionId "never sent"`) {
		t.Error(stdout)
	}
	for _, wrong := range []string{"--restate -1", "--restate 1e5", "--restate x", "--restate 1 --retract", "", "--retract --at 2100-01-01T00:00:00Z", "--retract --at yesterday"} {
		args := append([]string{"adjust", "123456789", "application-accepted", "kept"}, strings.Fields(wrong)...)
		if _, stderr, code := tieback(t, dir, "", args...); code != 2 {
			t.Errorf("%s: exit %d, %s", wrong, code, stderr)
		}
	}
	if _, stderr, code := tieback(t, dir, "", "adjust", "nobody", "n", "a", "--retract"); code != 1 || !strings.Contains(stderr, "no account") {
		t.Errorf("an unknown account: exit %d, %s", code, stderr)
	}
	s.stop()
}
