package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestMetricsOfTheNight: what a night did is on /metrics, on an address of its own if asked.
func TestMetricsOfTheNight(t *testing.T) {
	t.Parallel()
	dir, private := t.TempDir(), freeAddress(t)
	s := serve(t, dir, "--listen", "127.0.0.1:0", "--metrics-listen", private, "--note-every", "100ms")
	s.token = configure(t, dir)
	if status, answer := s.post("/collect", viewBody(2*time.Second)); status != 204 {
		t.Fatalf("collect: %d %s", status, answer)
	}
	if status, answer := s.post("/event", seedBody("1", time.Second)); status != 200 {
		t.Fatalf("event: %d %s", status, answer)
	}
	must(t, dir, "run", "--cutoff", "now")
	shown := func() string {
		res, err := http.Get("http://" + private + "/metrics")
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return string(text)
	}
	for _, want := range []string{
		`tieback_last_run_state{state="done"} 1`, "tieback_published_cutoff_seconds 1.", `tieback_last_run_step_seconds{step="20_sessions"}`, "tieback_runs_failed_total 0",
		`tieback_last_day_conversions{outcome="attributed"} 1`, "tieback_last_day_match_rate 1", "tieback_catalog_age_seconds ",
		`tieback_http_request_seconds_count{method="POST",route="/event",status="200"} 1`, "go_build_info{", "process_open_fds ", "go_goroutines ",
	} {
		if !becomes(30*time.Second, func() bool { return strings.Contains(shown(), want) }) {
			t.Errorf("/metrics does not show %s:\n%s", want, shown())
		}
	}
	if got := s.get("/metrics"); !strings.Contains(got, "not_found") {
		t.Errorf("the public /metrics: %.200s", got)
	}
	if got := shown(); !strings.Contains(got, `route="(none)",status="404"`) {
		t.Errorf("an unknown path is not counted:\n%s", got)
	}
}

// The log has the format and the lines that flags ask for; an answer has the id of its request.
func TestLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--listen", "127.0.0.1:0", "--log-format", "json", "--access-log")
	s.token = configure(t, dir)
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.address+"/event", strings.NewReader(`{"customerId":"123456789"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "ApiKey "+s.token)
		req.Header.Set("X-Request-ID", "from-a-proxy")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if id := res.Header.Get("X-Request-ID"); id != "from-a-proxy" || res.StatusCode != http.StatusBadRequest {
			t.Errorf("%d, the id %q", res.StatusCode, id)
		}
	}
	s.stop()
	for want, times := range map[string]int{
		`"msg":"request","method":"POST","path":"/event","status":400,`: 2,
		`"request_id":"from-a-proxy"`:                                   2,
		`"msg":"a request was refused for the first time in an hour","customer":"123456789","reason":"invalid_event"`: 1,
	} {
		if got := strings.Count(s.log.String(), want); got != times {
			t.Errorf("the log holds %s %d times:\n%s", want, got, s.log)
		}
	}
	if said, _ := command(t.TempDir(), "status", "--log-level", "loud").CombinedOutput(); !strings.Contains(string(said), "--log-level must be one of") {
		t.Errorf("a level that is none: %s", said)
	}
}
