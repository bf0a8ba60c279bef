package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// beTieback makes the test binary act as tieback, so that tests run, kill and
// restart the whole program as a person would.
const beTieback = "BE_TIEBACK"

func TestMain(m *testing.M) {
	if os.Getenv(beTieback) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command is tieback with its arguments, on its own data folder.
func command(dataDir string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(withoutSettings(os.Environ()), beTieback+"=1", "TIEBACK_DATA="+dataDir)
	if atServer != "" {
		cmd.Env = append(cmd.Env, "TIEBACK_CLICKHOUSE="+atServer)
	}
	if atCluster != "" {
		cmd.Env = append(cmd.Env, "TIEBACK_CLUSTER="+atCluster)
	}
	return cmd
}

// atServer is the --clickhouse of all commands, empty for the embedded engine; atCluster their --cluster.
var atServer, atCluster string

// tieback runs a command to its end.
func tieback(t *testing.T, dataDir, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(dataDir, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("tieback %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that must succeed and returns what it prints.
func must(t *testing.T, dataDir string, args ...string) string {
	t.Helper()
	stdout, stderr, code := tieback(t, dataDir, "", args...)
	if code != 0 {
		t.Fatalf("tieback %v: exit %d\n%s%s", args, code, stdout, stderr)
	}
	return strings.TrimSpace(stdout)
}

// lockedBuffer is read while it is written.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// running is a `tieback serve`.
type running struct {
	t       *testing.T
	dataDir string
	cmd     *exec.Cmd
	address string
	token   string
	head    string // of the log, up to the line that says that it listens
	log     *lockedBuffer
	logged  chan struct{}
}

func serveArgs(args []string) []string {
	if len(args) == 0 {
		args = []string{"--listen", "127.0.0.1:0"}
	}
	return append([]string{"serve"}, args...)
}

func serve(t *testing.T, dataDir string, args ...string) *running {
	t.Helper()
	return serveWith(t, dataDir, func(*exec.Cmd) {}, args...)
}

// serveWith lets change set up the process.
func serveWith(t *testing.T, dataDir string, change func(*exec.Cmd), args ...string) *running {
	t.Helper()
	s := &running{t: t, dataDir: dataDir, cmd: command(dataDir, serveArgs(args)...), log: &lockedBuffer{}, logged: make(chan struct{})}
	change(s.cmd)
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill() })
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		fmt.Fprintln(s.log, lines.Text())
		if m := listens.FindStringSubmatch(lines.Text()); m != nil {
			s.address = "http://" + m[1]
			s.head = s.log.String()
			break
		}
	}
	go func() {
		defer close(s.logged)
		_, _ = io.Copy(s.log, pipe)
	}()
	if s.address == "" {
		t.Fatalf("serve did not start:\n%s", s.log)
	}
	return s
}

// kill ends the service as a power cut would.
func (s *running) kill() {
	_ = s.cmd.Process.Kill()
	<-s.logged
	_ = s.cmd.Wait()
}

// stop ends it as an operator would.
func (s *running) stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.logged
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("serve ended with %v:\n%s", err, s.log)
	}
}

func (s *running) post(path, body string) (status int, answer string) {
	s.t.Helper()
	authorization := ""
	if s.token != "" {
		authorization = "ApiKey " + s.token
	}
	return s.ask(http.MethodPost, path, body, authorization)
}

// ask makes a request, with an Authorization header unless that is empty.
func (s *running) ask(method, path, body, authorization string) (status int, answer string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.address+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func (s *running) get(path string) string {
	s.t.Helper()
	res, err := http.Get(s.address + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

func (s *running) getWithToken(path string) string {
	s.t.Helper()
	_, answer := s.ask(http.MethodGet, path, "", "ApiKey "+s.token)
	return answer
}

// seedBody is the seed's example with a stamp that is minutes old.
func seedBody(actionID string, ago time.Duration) string {
	return fmt.Sprintf("{\ncustomerId: \"123456789\",\napiName: \"application-accepted\",\nuserDomain: \"salesforce\",\nuserId: \"72349876\",\nactionId: %q,\nactionTimestamp: %d,\nvalue: 149.99\n}",
		actionID, time.Now().Add(-ago).UnixMilli())
}

func viewBody(ago time.Duration) string {
	now := time.Now()
	at := now.Add(-ago).UnixMilli()
	return fmt.Sprintf(`{"customerId":"123456789","visitorId":"v1","sentAt":%d,"events":[{"type":"view","optimizationId":"hero","variationId":"b","occurredAt":%d},{"type":"identify","userDomain":"salesforce","userId":"72349876","occurredAt":%d}]}`, now.UnixMilli(), at, at)
}

func configure(t *testing.T, dataDir string) (token string) {
	t.Helper()
	token = must(t, dataDir, "token", "add", "123456789", "main")
	must(t, dataDir, "event", "add", "123456789", "application-accepted", "--id", "e1", "--from", "2020-01-01T00:00:00Z")
	return token
}

// TestWholeProgram goes from a token to the attributed result, over HTTP.
func TestWholeProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wholeProgram(t, dir)
	engineIsGone(t, dir)
}

func wholeProgram(t *testing.T, dir string) {
	s := serve(t, dir)
	s.token = configure(t, dir) // while the service runs
	must(t, dir, "optimization", "add", "123456789", "hero", "--name", "Hero", "--variation", "a=Base", "--variation", "b")
	must(t, dir, "goal", "add", "123456789", "hero", "e1", "--primary")

	if status, answer := s.post("/collect", viewBody(10*time.Minute)); status != 204 {
		t.Fatalf("collect: %d %s", status, answer)
	}
	if status, answer := s.post("/event", seedBody("1", 5*time.Minute)); status != 200 || !json.Valid([]byte(answer)) {
		t.Fatalf("event: %d %s", status, answer)
	}
	if status, answer := s.post("/event", strings.Repeat(" ", 2<<20)); status != 413 || !strings.Contains(answer, "too_large") {
		t.Errorf("2 MB: %d %s", status, answer)
	}
	if got := must(t, dir, "explain", "123456789", "application-accepted", "1"); !strings.Contains(got, "pending: not decided yet: the run at") {
		t.Errorf("explain before the run: %s", got)
	}
	must(t, dir, "run", "--cutoff", "now")
	if got := must(t, dir, "sql", "select variation_id, visitor_id, value from attributions", "--format", "TSV"); got != "b\tv1\t149.99" {
		t.Errorf("attributions: %q", got)
	}
	if got := must(t, dir, "sql", "select variation_id, visitors, conversions, converters, value from variation_daily order by variation_id, day settings max_threads = 1", "--format", "JSONCompactEachRow"); !strings.Contains(got, `["a", 0, 0, 0, 0]`) || !strings.Contains(got, `["b", 1, 1, 1, 149.99]`) {
		t.Errorf("variation_daily: %s", got)
	}
	if got := must(t, dir, "explain", "123456789", "application-accepted", "1"); !strings.Contains(got, `attributed to variation "b" of optimization "hero"`) {
		t.Errorf("explain: %s", got)
	}
	if got := s.getWithToken("/conversions/application-accepted/1"); !strings.Contains(got, `"outcome":"attributed"`) || !strings.Contains(got, `"variationId":"b"`) {
		t.Errorf("GET /conversions: %s", got)
	}
	if got := must(t, dir, "results", "123456789", "hero"); !strings.Contains(got, "application-accepted (primary goal)") || !strings.Contains(got, "100.00 %") || !strings.Contains(got, "149.99") {
		t.Errorf("results: %s", got)
	}
	var byCommand, byHTTP any
	if err := errors.Join(json.Unmarshal([]byte(must(t, dir, "results", "123456789", "hero", "--format", "json")), &byCommand),
		json.Unmarshal([]byte(s.getWithToken("/results/hero")), &byHTTP)); err != nil || !reflect.DeepEqual(byCommand, byHTTP) {
		t.Errorf("results by command %v, over HTTP %v, %v", byCommand, byHTTP, err)
	}
	if status, answer := s.post("/events", "["+seedBody("7", 0)+","+seedBody("", 0)+"]"); status != 200 || !strings.HasPrefix(answer, `{"accepted":1,"rejected":1,"results":[{"index":0,"status":"accepted"},{"index":1,"status":"rejected","error":{"code":"invalid_event"`) {
		t.Errorf("events: %d %s", status, answer)
	}
	if got := s.getWithToken("/conversions/application-accepted/7"); !strings.Contains(got, `"outcome":"pending"`) || !strings.Contains(got, `"decidedBy":`) {
		t.Errorf("a conversion just posted: %s", got)
	}
	if got := must(t, dir, "status"); !strings.Contains(got, "done") || !strings.Contains(got, "spool: empty") {
		t.Errorf("status: %s", got)
	}
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ready", "/metrics": `tieback_events_accepted_total{kind="conversion"} 2`} {
		if got := s.get(path); !strings.Contains(got, want) {
			t.Errorf("%s: %s", path, got)
		}
	}
	// A revoked token is refused by and by, a new one works at once.
	old := s.token
	s.token = must(t, dir, "token", "add", "123456789", "second")
	if status, answer := s.post("/event", seedBody("2", 0)); status != 200 {
		t.Errorf("with a new token: %d %s", status, answer)
	}
	must(t, dir, "token", "revoke", "123456789", "main")
	s.token = old
	revoked := func() bool {
		status, _ := s.post("/event?validateOnly=true", seedBody("3", 0))
		return status == 401
	}
	if !becomes(time.Minute, revoked) { // it takes a third of a second, on a machine that has nothing else to do
		t.Error("a revoked token is still taken")
	}
	s.stop()
	if strings.Contains(s.log.String(), old) {
		t.Error("the log holds a token")
	}
}

// engineIsGone fails if a process still holds the engine's lock.
func engineIsGone(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, "engine.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Error("an engine was left behind")
	}
}

// enginePID reads who hosts the engine.
func enginePID(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "engine.lock"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestKilledBetweenAnswerAndInsert freezes the engine, so that nothing can be
// inserted, and kills the service after its 200.
func TestKilledBetweenAnswerAndInsert(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	token := configure(t, dir)
	s.token = token
	if status, _ := s.post("/event?validateOnly=true", seedBody("0", 0)); status != 200 {
		t.Fatal("the token is not known yet")
	}
	engine := enginePID(t, dir)
	if err := syscall.Kill(engine, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for id := range 5 {
		if status, answer := s.post("/event", seedBody(fmt.Sprint(id), time.Minute)); status != 200 {
			t.Errorf("with a frozen engine: %d %s", status, answer)
		}
	}
	s.kill()
	if err := syscall.Kill(engine, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s = serve(t, dir)
	must(t, dir, "run", "--cutoff", "now")
	if got := must(t, dir, "sql", "select count(), uniqExact(ingest_id), uniqExact(action_id) from conversions", "--format", "TSV"); got != "5\t5\t5" {
		t.Errorf("conversions, ids, actions: %q", got)
	}
	if got := must(t, dir, "sql", "select count(), countIf(outcome = 'no_identity') from conversion_outcomes", "--format", "TSV"); got != "5\t5" {
		t.Errorf("outcomes: %q", got)
	}
	s.stop()
	engineIsGone(t, dir)
}

// TestRunWithoutServiceTakesTheSpool shows that a run by hand does not overlook what
// a killed service left.
func TestRunWithoutServiceTakesTheSpool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	s.token = configure(t, dir)
	if status, _ := s.post("/event?validateOnly=true", seedBody("0", 0)); status != 200 {
		t.Fatal("the token is not known yet")
	}
	engine := enginePID(t, dir)
	_ = syscall.Kill(engine, syscall.SIGSTOP)
	s.post("/event", seedBody("1", time.Minute))
	s.kill()
	_ = syscall.Kill(engine, syscall.SIGKILL)
	must(t, dir, "run", "--cutoff", "now")
	if got := must(t, dir, "sql", "select count() from conversion_outcomes", "--format", "TSV"); got != "1" {
		t.Errorf("%s outcomes", got)
	}
	engineIsGone(t, dir)
}

// TestEngineThatDiesIsReplaced kills the engine under a service.
func TestEngineThatDiesIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	s.token = configure(t, dir)
	if status, _ := s.post("/event?validateOnly=true", seedBody("0", 0)); status != 200 {
		t.Fatal("the token is not known yet")
	}
	first := enginePID(t, dir)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status, answer := s.post("/event", seedBody("1", time.Minute)); status != 200 {
		t.Errorf("while the engine is dead: %d %s", status, answer)
	}
	must(t, dir, "run", "--cutoff", "now")
	if got := must(t, dir, "sql", "select count() from conversions", "--format", "TSV"); got != "1" {
		t.Errorf("%s conversions", got)
	}
	if enginePID(t, dir) == first {
		t.Error("the engine was not started anew")
	}
	s.stop()
	engineIsGone(t, dir)
}

func TestImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir) // so that no command has to start an engine
	defer s.stop()
	lines := `{"type":"event","customerId":"c1","eventId":"e1","apiName":"application-accepted","from":1790000000000,"to":null}
{"type":"optimization","customerId":"c1","optimizationId":"o1","name":"Hero","variations":[{"id":"a","name":"Base","baseline":true,"weight":1},{"id":"b","name":"New","weight":1}],"goals":[{"eventId":"e1","primary":true}]}
{"type":"view","customerId":"c1","visitorId":"v1","optimizationId":"o1","variationId":"b","occurredAt":1790000300000,"receivedAt":1790000300200}
{"type":"identify","customerId":"c1","visitorId":"v1","userDomain":"salesforce","userId":"72349876","occurredAt":1790000310000,"receivedAt":1790000310100}

{"type":"conversion","customerId":"c1","apiName":"application-accepted","userDomain":"salesforce","userId":"72349876","actionId":"1","actionTimestamp":1790000400000,"value":149.99}
{"value":149.990,"actionId":"1","type":"conversion","customerId":"c1","apiName":"application-accepted","userDomain":"salesforce","userId":"72349876","actionTimestamp":1790000400000,"receivedAt":1790000400000,"more":1}
`
	stdout, stderr, code := tieback(t, dir, lines, "import", "-")
	if code != 0 || !strings.Contains(stdout, "imported 6 lines: 2 client events, 2 conversions, 2 events and optimizations; 0 bad") {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	bad := []string{
		`{"type":"nope"}`, `not json`, `{"type":"view","customerId":"c1","visitorId":"","optimizationId":"o","occurredAt":1790000300}`,
		`{"type":"event","customerId":"c1","eventId":"e2","apiName":"application-accepted","from":1790000500000}`,
		`{"type":"conversion","customerId":"c1","customerId":"c1"}`, `{"type":"activity","customerId":"c1","visitorId":"v1","occurredAt":"1790000300000"}`,
	}
	rejects := filepath.Join(t.TempDir(), "rejects")
	good := `{"type":"activity","customerId":"c1","visitorId":"v1","occurredAt":1790000320000}`
	stdout, stderr, code = tieback(t, dir, strings.Join(bad, "\n")+"\n"+good, "import", "-", "--rejects", rejects)
	if code != 1 || !strings.Contains(stdout, "1 client events") || !strings.Contains(stdout, "6 bad") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{
		`standard input line 1: type is "nope", and must be one of`, "line 2: not a JSON object", "line 3: visitorId is empty\n", "line 3: variationId is missing\n", "line 3: occurredAt is 1790000300, and must be Unix milliseconds from 2000 to 2100; this looks like seconds",
		`line 4: the name "application-accepted" belongs to event e1`, "line 5: not readable", `line 6: occurredAt is "1790000300000", and must be`,
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("nothing says %q:\n%s", want, stderr)
		}
	}
	written, err := os.ReadFile(rejects)
	if err != nil || len(strings.Split(strings.TrimSpace(string(written)), "\n")) != len(bad) {
		t.Errorf("rejects: %s (%v)", written, err)
	}
	history := filepath.Join(t.TempDir(), "history.ndjson")
	if err := os.WriteFile(history, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code = tieback(t, dir, "", "import", history, "--rejects", history)
	if kept, _ := os.ReadFile(history); code != 2 || !strings.Contains(stderr, "would overwrite") || string(kept) != good {
		t.Errorf("the file of rejects is the one to read: exit %d, %q is left\n%s", code, kept, stderr)
	}
	// Loading the same lines again changes nothing, in the catalog either.
	changes := func() string {
		return must(t, dir, "sql", "select (select count() from catalog_changes), (select count() from catalog_goals), (select count() from catalog_event_names), (select count() from catalog_optimizations)", "--format", "TSV")
	}
	before := changes()
	if _, stderr, code := tieback(t, dir, lines, "import", "-"); code != 0 || changes() != before {
		t.Errorf("the same lines again: exit %d, rows of the catalog %s, before %s\n%s", code, changes(), before, stderr)
	}
	// The order of event lines does not matter, nor does loading them again.
	names := []string{
		`{"type":"event","customerId":"c9","eventId":"e1","apiName":"a","from":1790000000000,"to":null}`,
		`{"type":"event","customerId":"c9","eventId":"e1","apiName":"a","from":1790000000000,"to":1790000000100}`,
		`{"type":"event","customerId":"c9","eventId":"e2","apiName":"a","from":1790000000100,"to":null}`,
	}
	for _, order := range []string{"0 1 2", "0 1 2", "2 0 1", "0 2 1"} {
		var lines []string
		for _, i := range strings.Fields(order) {
			lines = append(lines, names[i[0]-'0'])
		}
		if stdout, stderr, code := tieback(t, dir, strings.Join(lines, "\n"), "import", "-"); code != 0 {
			t.Errorf("event lines in the order %s: exit %d\n%s%s", order, code, stdout, stderr)
		}
	}
	// What was deleted can be loaded again.
	again := `{"type":"activity","customerId":"c8","visitorId":"v1","occurredAt":1790000320000}`
	tieback(t, dir, again, "import", "-")
	must(t, dir, "sql", "delete from client_events where customer_id = 'c8'")
	tieback(t, dir, again, "import", "-")
	if got := must(t, dir, "sql", "select count() from client_events where customer_id = 'c8'", "--format", "TSV"); got != "1" {
		t.Errorf("%s rows after deleting and loading again", got)
	}
	must(t, dir, "sql", "delete from client_events where customer_id = 'c8'")
	must(t, dir, "run", "--cutoff", "2026-09-22T00:00:00Z")
	for query, want := range map[string]string{
		"select count() from conversion_outcomes":                         "1", // the second line is the first, written otherwise
		"select sum(events) from sessions":                                "3",
		"select variation_id from attributions":                           "b",
		"select name from variations order by position":                   "Base\nNew",
		"select count() from accounts":                                    "3",
		"select api_name, valid_to is null from event_names order by all": "a\t0\na\t1\napplication-accepted\t1",
		"select event_id, is_primary from goals":                          "e1\t1",
		"select state, days, rows, cutoff from runs order by all":         "done\t1\t5\t2026-09-22 00:00:00.000",
	} {
		if got := must(t, dir, "sql", query, "--format", "TSV"); got != want {
			t.Errorf("%s: %q, expected %q", query, got, want)
		}
	}
}

// TestWordsAndExitCodes has one case a mistake: what is said, and the exit code of
// docs/settings.md.
func TestWordsAndExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, dir, "event", "add", "c1", "bought", "--id", "e1")
	must(t, dir, "token", "add", "c1", "main")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"nonsense", 2, "unexpected argument nonsense"},
		{"run --nonsense", 2, "unknown flag --nonsense"},
		{"serve --listen nonsense --max-age=-1s", 2, "--max-age is -1s, it must be positive\n--listen nonsense: address nonsense: missing port"},
		{"serve --listen :99999 --clickhouse foo://x", 2, "the scheme must be clickhouse, http or https\n--listen :99999"},
		{"serve --sql-listen nonsense --listen :99999", 2, "--sql-listen nonsense: address nonsense: missing port"},
		{"serve --sql-listen 0.0.0.0:8123", 2, "--sql-listen 0.0.0.0:8123 is open to other machines: set a password in TIEBACK_ANALYST_PASSWORD"},
		{"serve --sql-listen :8123 --clickhouse http://localhost:8123", 2, "--sql-listen is a port of the embedded engine"},
		{"results c1 o9", 1, "has no optimization o9"},
		{"results c1 o9 --from 2026-09-21", 2, "from and to go together"},
		{"results c1 o9 --from 2026-09-21 --to 2026-09-20", 2, "ends on 2026-09-20, before it begins"},
		{"results c1 o9 --from 21.9.2026 --to 2026-09-20", 2, "is not a day"},
		{"event add c1 late --from 2500-01-01T00:00:00Z", 2, "lies outside the years 2000 to 2100"},
		{"event add c1 " + strings.Repeat("x", 257), 2, "has 257 bytes, at most 256"},
		{"account add c1 --origin https://a.*.example.com", 2, "is not an origin"},
		{"import " + file + " /nonexistent", 1, "nothing was imported"},
		{"run --cutoff yesterday", 2, `"yesterday" is not a time`},
		{"run --cutoff 2099-01-01T00:00:00Z", 2, "lies in the future"},
		{"run --from 2026-09-21", 2, "from and to go together"},
		{"run --from 2026-09-21 --to 2026-09-20", 2, "before it begins"},
		{"run --from 21.9.2026 --to 2026-09-22", 2, "is not a day"},
		{"run --from 2026-09-20 --to 2026-09-21 --cutoff now", 2, "can't be given with a range"},
		{"run --from 2026-09-20 --to 2026-09-21", 1, "nothing has been published yet"},
		{"event add c1 bought", 1, `the name "bought" belongs to event e1`},
		{"event add c1 other --id e1", 1, "has an event e1 already"},
		{"event add c1 future --id e5 --from 2099-01-01T00:00:00Z", 2, "lies in the future"},
		{"event rename c1 e1 bought", 1, "bears the name"},
		{"event rename c1 e9 x", 1, "has no event e9"},
		{"event archive c1 e9", 1, "has no event e9"},
		{"token add c1 main", 1, `has a token named "main"`},
		{"token revoke c1 other", 1, "no live token"},
		{"goal add c1 o9 e1", 1, "has no optimization o9"},
		{"goal remove c1 o9 e1", 1, "is no goal"},
		{"optimization add c1 o1 --name x --variation a --visitors 1000000001", 2, "at most 1000000000 can be"},
		{"optimization add c1 o1 --name x --variation a --visitors 0", 2, "--visitors is 0"},
		{"results nobody --all", 1, `no account "nobody"`},
		{"results c1 --all --cap 0.1234567", 2, "at most six places"},
		{"outcomes nobody", 1, `no account "nobody"`},
		{"optimization add c1 o1 --name x", 2, "needs at least one variation"},
		{"optimization add c1 o1 --variation a", 2, "--name is missing"},
		{"optimization add c1 o1 --name x --variation a:-1", 2, "not a number from 0 up"},
		{"optimization delete c1 o9", 1, "has no optimization o9"},
		{"event delete c1 e9", 1, "has no event e9"},
		{"token delete c1 other", 1, "no token named"},
		{"account delete c9 --really c9", 1, "there is no account c9"},
		{"account delete c1 --really c2", 2, "nothing was deleted"},
		{"account delete c1", 2, "--really"},
		{"optimization add c1 o1 --name x --variation a --baseline z", 2, "none of the variations"},
		{"optimization add c1 o1 --name x --variation a --variation a", 2, "given twice"},
		{"account add c1 --origin www.example.com/path", 2, "is not an origin"},
		{"explain c1 bought nothing", 1, `no conversion "bought" "nothing"`},
		{"import /nonexistent", 1, "no such file"},
		{"sql selec", 1, "Syntax error"},
		{"sql select+nope", 1, "ClickHouse:"},
		{"status --data " + file, 1, "data folder"},
		{"status --clickhouse nonsense", 2, "--clickhouse nonsense"},
		{"status --clickhouse http://127.0.0.1:1", 1, "check the address in --clickhouse, and that the server runs"},
		{"demo --folder " + dir, 2, "is not empty"},
	} {
		t.Run(c.args, func(t *testing.T) {
			stdout, stderr, code := tieback(t, dir, "", strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("exit %d, expected %d\n%s%s", code, c.code, stdout, stderr)
			}
			if strings.Contains(stderr, "panic") || strings.Contains(stderr, "goroutine ") {
				t.Errorf("a panic: %s", stderr)
			}
		})
	}
	if got := must(t, dir, "sql", "select 1 as x format JSONEachRow;"); got != `{"x":1}` {
		t.Errorf("a format of the statement's own: %q", got)
	}
	must(t, dir, "optimization", "add", "c1", "o1", "--name", "x", "--variation", "a")
	for _, c := range [][2]string{{"--primary", "e1 primary (from 10 %)"}, {"--mde 5", "e1 primary (from 5 %)"}, {"", "e1 primary (from 5 %)"}, {"--no-primary", "e1 (from 5 %)"}} {
		must(t, dir, strings.Fields("goal add c1 o1 e1 "+c[0])...)
		if got := must(t, dir, "optimization", "list", "c1"); !strings.Contains(got, c[1]) {
			t.Errorf("after goal add %s the list does not say %q:\n%s", c[0], c[1], got)
		}
	}
	must(t, dir, "account", "add", "c2", "--origin", "https://Shop.Example.com:443")
	if got := must(t, dir, "sql", "select origins from accounts where customer_id = 'c2'", "--format", "TSV"); got != "['https://shop.example.com']" {
		t.Errorf("origins: %s", got)
	}
	if got := must(t, dir, "--help"); !strings.Contains(got, "optimization add") || strings.Contains(got, "\n  engine") {
		t.Errorf("help: %s", got)
	}
	engineIsGone(t, dir)
}

func TestTakenFolderAndPort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	address := strings.TrimPrefix(s.address, "http://")
	if _, stderr, code := tieback(t, t.TempDir(), "", "serve", "--listen", address); code != 1 || !strings.Contains(stderr, "another program has the port") {
		t.Errorf("a port that is taken: exit %d\n%s", code, stderr)
	}
	if _, stderr, code := tieback(t, dir, "", "serve", "--listen", "127.0.0.1:0"); code != 1 || !strings.Contains(stderr, "another `tieback serve` runs on the data folder") {
		t.Errorf("a folder that is taken: exit %d\n%s", code, stderr)
	}
	if got := s.get("/livez"); got != "ok\n" {
		t.Errorf("the first one was disturbed: %q", got)
	}
	s.stop()
}

func TestNoEngineLibrary(t *testing.T) {
	t.Parallel()
	cmd := command(t.TempDir(), "status")
	cmd.Env = append(cmd.Env, "TIEBACK_CHDB_LIB=/nonexistent/libchdb.so")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "TIEBACK_CHDB_LIB=/nonexistent/libchdb.so: no such file") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestRenameAndArchiveTakeEffectNow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, dir, "event", "add", "c1", "bought", "--id", "e1", "--from", "2026-01-01T00:00:00Z")
	must(t, dir, "event", "rename", "c1", "e1", "sold")
	must(t, dir, "event", "add", "c1", "bought", "--id", "e2")
	must(t, dir, "event", "archive", "c1", "e1")
	got := must(t, dir, "sql", "select event_id, api_name, valid_from < now64(3), valid_to is not null, valid_to <= now64(3) from event_names order by event_id, valid_from", "--format", "TSV")
	if want := "e1\tbought\t1\t1\t1\ne1\tsold\t1\t1\t1\ne2\tbought\t1\t0\t\\N"; got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
	if list := must(t, dir, "event", "list", "c1"); strings.Count(list, "e1") != 2 || !strings.Contains(list, "sold") {
		t.Errorf("list: %s", list)
	}
}

// TestDemo holds the demo to its promise: exit 0, and a last line that says where
// the data is.
func TestDemo(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "demo")
	stdout, stderr, code := tieback(t, t.TempDir(), "", "demo", "--folder", folder)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if last := lines[len(lines)-1]; last != "data: "+folder {
		t.Errorf("the last line is %q", last)
	}
	if got := must(t, folder, "sql", "select count() from attributions where variation_id = 'b' and optimization_id != 'headline'", "--format", "TSV"); got != "2" {
		t.Errorf("%s attributions", got)
	}
	engineIsGone(t, folder)
}
