package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tieback/tieback/warehouse/chdb"
)

// flakyProxy stands between a service and its ClickHouse, and misbehaves on demand.
type flakyProxy struct {
	listener net.Listener
	target   string // HOST:PORT

	mu    sync.Mutex
	mode  string // pass, refuse, silent or reset
	conns map[net.Conn]bool
}

func newFlakyProxy(t *testing.T, target string) *flakyProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &flakyProxy{listener: listener, target: target, mode: "pass", conns: map[net.Conn]bool{}}
	go p.accept()
	t.Cleanup(func() {
		listener.Close()
		p.set("refuse")
	})
	return p
}

// set changes what happens to connections; those that are open are reset.
func (p *flakyProxy) set(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	for conn := range p.conns {
		reset(conn)
	}
	p.conns = map[net.Conn]bool{}
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

func (p *flakyProxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		mode := p.mode
		p.conns[conn] = true
		p.mu.Unlock()
		switch mode {
		case "refuse":
			reset(conn)
		case "silent": // accepted, never answered
		case "reset":
			go p.pass(conn, 200+rand.Int64N(3000))
		default:
			go p.pass(conn, 1<<60)
		}
	}
}

// pass copies both ways, and resets the connection after that many bytes sent.
func (p *flakyProxy) pass(conn net.Conn, atMost int64) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(conn)
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(conn, server)
		conn.Close()
	}()
	if n, _ := io.CopyN(server, conn, atMost); n == atMost {
		reset(conn)
	}
}

// TestClickHouseThatFails takes ClickHouse away in four ways. Every event is accepted
// all the same, arrives when it is back, and is inserted once.
func TestClickHouseThatFails(t *testing.T) {
	t.Parallel()
	engineDir, dir := t.TempDir(), t.TempDir()
	serve(t, engineDir)
	server, err := chdb.ReadEndpoint(engineDir)
	if err != nil {
		t.Fatal(err)
	}
	proxy := newFlakyProxy(t, server.Address)
	at := []string{"--clickhouse", "http://" + server.User + ":" + server.Password + "@" + proxy.listener.Addr().String()}
	token := must(t, dir, append([]string{"token", "add", "123456789", "main"}, at...)...)
	s := serve(t, dir, append([]string{"--listen", "127.0.0.1:0"}, at...)...)
	s.token = token
	sent := 0
	post := func(n int) {
		for range n {
			sent++
			if status, answer := s.post("/event", seedBody(fmt.Sprint(sent), time.Minute)); status != 200 {
				t.Errorf("event %d: %d %s", sent, status, answer)
			}
		}
	}
	for _, mode := range []string{"refuse", "silent", "reset", "pass", "reset", "silent"} {
		proxy.set(mode)
		post(20)
		if mode == "refuse" {
			if said := ""; !becomes(time.Minute, func() bool { said = s.get("/readyz"); return strings.Contains(said, "events wait in the spool") }) {
				t.Errorf("/readyz says %q", said)
			}
		}
		time.Sleep(500 * time.Millisecond) // of an outage, however many tries that is
	}
	proxy.set("pass")
	want := fmt.Sprintf("%d\t%d", sent, sent)
	got := ""
	if !becomes(2*time.Minute, func() bool {
		got = must(t, dir, append([]string{"sql", "select count(), uniqExact(action_id) from conversions", "--format", "TSV"}, at...)...)
		return got == want
	}) {
		t.Errorf("rows and actions are %q, %d were accepted", got, sent)
	}
	if said := s.get("/readyz"); said != "ready\n" {
		t.Errorf("/readyz says %q", said)
	}
	s.stop()
	if lines := strings.Count(s.log.String(), "\n"); lines > 40 {
		t.Errorf("%d lines of log for a handful of problems:\n%s", lines, s.log)
	}
}

// TestFullDiskUnderTheEngine fills the disk that ClickHouse writes to, while the spool
// has room.
func TestFullDiskUnderTheEngine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a full disk needs root, to mount a tmpfs")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: a full disk needs a tmpfs, which can't be mounted here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	if err := os.Symlink(t.TempDir(), spoolDir(dir)); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir)
	s.token = configure(t, dir)
	if status, answer := s.post("/event", seedBody("before", time.Minute)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for piece := bytes.Repeat([]byte("x"), 1<<12); err == nil; {
		_, err = ballast.Write(piece)
	}
	ballast.Close()
	for i := range 20 {
		if status, answer := s.post("/event", seedBody(fmt.Sprint(i), time.Minute)); status != 200 {
			t.Errorf("with a full disk under the engine: %d %s", status, answer)
		}
	}
	if said := ""; !becomes(time.Minute, func() bool { said = s.get("/readyz"); return strings.Contains(said, "events wait in the spool") }) {
		t.Errorf("/readyz says %q", said)
	}
	if err := os.Remove(ballast.Name()); err != nil {
		t.Fatal(err)
	}
	got := ""
	if !becomes(2*time.Minute, func() bool {
		got, _, _ = tieback(t, dir, "", "sql", "select count(), uniqExact(action_id) from conversions", "--format", "TSV")
		got = strings.TrimSpace(got)
		return got == "21\t21"
	}) {
		t.Errorf("with room again, rows and actions are %q", got)
	}
	s.stop()
}

// TestPoison sends what could break a row on its way, each beside a good one.
func TestPoison(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	s.token = configure(t, dir)
	now := time.Now().UnixMilli()
	body := func(field, value string) string {
		fields := map[string]string{
			"customerId": `"123456789"`, "apiName": `"application-accepted"`, "userDomain": `"crm"`, "userId": `"u"`,
			"actionId": `"a"`, "actionTimestamp": fmt.Sprint(now), "value": "1",
		}
		fields[field] = value
		var parts []string
		for key, value := range fields {
			parts = append(parts, fmt.Sprintf("%q:%s", key, value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	injection := `"'); drop table conversions; --\\"`
	cases := []struct{ field, value, code string }{
		{"userId", "\"\xff\xfe\"", "invalid_json"},
		{"userId", `"\ud800"`, "invalid_json"},
		{"userId", `"a\u0000b"`, ""},
		{"userId", "\"" + strings.Repeat("é", 128) + "\"", ""},
		{"userId", "\"" + strings.Repeat("é", 129) + "\"", "too_long"},
		{"value", "1e400", "value_out_of_range"},
		{"value", "1e-400", ""},
		{"value", "100000000000000", "value_out_of_range"},
		{"value", "99999999999999.9999", ""},
		{"value", "99999999999999.99995", "value_out_of_range"},
		{"value", strings.Repeat("9", 5000), "value_out_of_range"},
		{"value", "0.00005", ""},
		{"actionTimestamp", "99999999999999999999999999", "timestamp_in_microseconds"},
		{"actionTimestamp", "-9223372036854775808", "timestamp_in_seconds"},
		{"actionTimestamp", "1e400", "timestamp_in_microseconds"},
		{"apiName", injection, ""},
		{"userDomain", injection, ""},
		{"actionId", injection, ""},
	}
	var lines []string
	accepted := 0
	for i, c := range cases {
		lines = append(lines, body(c.field, c.value), body("actionId", fmt.Sprintf(`"good %d"`, i)))
		accepted++
		if c.code == "" {
			accepted++
		}
		status, answer := s.post("/event?validateOnly=true", body(c.field, c.value))
		if (status == 200) != (c.code == "") || !strings.Contains(answer, c.code) {
			t.Errorf("%s %.40s: %d %.200s, expected %q", c.field, c.value, status, answer, c.code)
		}
	}
	status, answer := s.post("/events", strings.Join(lines, "\n"))
	if want := fmt.Sprintf(`{"accepted":%d,"rejected":%d,`, accepted, len(lines)-accepted); status != 200 || !strings.HasPrefix(answer, want) {
		t.Errorf("%d %.2000s\nexpected %s", status, answer, want)
	}
	must(t, dir, "run", "--cutoff", "now")
	if got := must(t, dir, "sql", "select count(), countIf(startsWith(action_id, 'good')) from conversion_outcomes", "--format", "TSV"); got != fmt.Sprintf("%d\t%d", accepted, len(cases)) {
		t.Errorf("outcomes, good ones: %q", got)
	}
	path := "/conversions/application-accepted/" + "%27%29%3B%20drop%20table%20conversions%3B%20--%5C"
	if got := s.getWithToken(path); !strings.Contains(got, `"no_identity"`) {
		t.Errorf("looked up by such an actionId: %s", got)
	}
	if got := must(t, dir, "deadletter", "list"); strings.Contains(got, "conversions") {
		t.Errorf("dead letters: %s", got)
	}
	s.stop()
}

// TestClientThatGaveUpAndSendsAgain hangs up before the answer, and posts once more.
func TestClientThatGaveUpAndSendsAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	s.token = configure(t, dir)
	body := seedBody("1", time.Minute)
	if status, _ := s.post("/event?validateOnly=true", body); status != 200 {
		t.Fatal("the token is not known yet")
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /event HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: %d\r\n\r\n%s", s.token, len(body), body)
	if !becomes(time.Minute, func() bool {
		return strings.Contains(s.get("/metrics"), `tieback_events_accepted_total{kind="conversion"} 1`)
	}) {
		t.Error("the event is not accepted")
	}
	reset(conn)
	if status, answer := s.post("/event", body); status != 200 {
		t.Errorf("sent again: %d %s", status, answer)
	}
	must(t, dir, "run", "--cutoff", "now")
	if got := must(t, dir, "sql", "select outcome from conversion_outcomes order by outcome", "--format", "TSV"); got != "duplicate\nno_identity" {
		t.Errorf("outcomes %q", got)
	}
	s.stop()
}

// TestTokenRevokedInMidFlight revokes a token while clients post with it: every 200 is
// kept, and soon there are none.
func TestTokenRevokedInMidFlight(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := freeAddress(t)
	s := serve(t, dir, "--listen", address)
	s.token = configure(t, dir)
	other := must(t, dir, "token", "add", "123456789", "rotated")
	if status, _ := s.post("/event?validateOnly=true", seedBody("0", time.Minute)); status != 200 {
		t.Fatal("the token is not known yet")
	}
	half, err := net.Dial("tcp", address) // a request of which half is there when its token goes
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	body := seedBody("half", time.Minute)
	fmt.Fprintf(half, "POST /event HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: %d\r\n\r\n%s", s.token, len(body), body[:20])
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var acknowledged []string
	var posting sync.WaitGroup
	posting.Go(func() { acknowledged = postUntil(ctx, address, s.token, 0) })
	must(t, dir, "token", "revoke", "123456789", "main")
	if !becomes(time.Minute, func() bool {
		status, _ := s.post("/event?validateOnly=true", seedBody("late", time.Minute))
		return status == 401
	}) {
		t.Error("a revoked token is still good")
	}
	time.Sleep(300 * time.Millisecond) // a body that is slow to come, whatever the machine
	fmt.Fprint(half, body[20:])
	var line [12]byte
	if _, err := io.ReadFull(half, line[:]); err != nil || string(line[:]) != "HTTP/1.1 401" {
		t.Errorf("the half request is answered %q (%v)", line, err)
	}
	stop()
	posting.Wait()
	s.token = other
	if status, answer := s.post("/event", seedBody("rotated", time.Minute)); status != 200 {
		t.Errorf("the other token: %d %s", status, answer)
	}
	must(t, dir, "run", "--cutoff", "now")
	got := must(t, dir, "sql", "select count() from conversions", "--format", "TSV")
	// One that was cut off by stop may be stored too.
	if got != fmt.Sprint(len(acknowledged)+1) && got != fmt.Sprint(len(acknowledged)+2) {
		t.Errorf("%s conversions, %d were acknowledged", got, len(acknowledged)+1)
	}
	s.stop()
	if strings.Contains(s.log.String(), other) {
		t.Error("the log holds a token")
	}
}

// becomes waits for a condition to come true and reports whether it did.
func becomes(within time.Duration, condition func() bool) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return false
}

// TestMoreConnectionsThanFiles: clients that hold more connections than the service may open files
// end nothing, and take no file that accepting an event needs.
func TestMoreConnectionsThanFiles(t *testing.T) {
	dir := t.TempDir()
	s := serveWith(t, dir, func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `ulimit -n 200; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	})
	s.token = configure(t, dir)
	var held []net.Conn
	for range 300 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.address, "http://"))
		if err == nil {
			held = append(held, conn)
		}
	}
	for _, conn := range held {
		conn.Close()
	}
	if !becomes(time.Minute, func() bool {
		res, err := http.Get(s.address + "/livez")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	}) {
		t.Fatalf("the service does not answer any more:\n%s", s.log)
	}
	if status, answer := s.post("/event", seedBody("1", time.Minute)); status != 200 {
		t.Errorf("afterwards: %d %s", status, answer)
	}
	s.stop()
	if log := s.log.String(); strings.Count(log, "too many connections are open") == 0 || strings.Count(log, "too many connections are open") > 3 {
		t.Errorf("the log:\n%s", log)
	}
}

// TestStopUnderLoad ends a service that clients keep posting to.
func TestStopUnderLoad(t *testing.T) {
	dir := t.TempDir()
	address := freeAddress(t)
	s := serve(t, dir, "--listen", address)
	token := configure(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	acknowledged := make([][]string, 16)
	var posting sync.WaitGroup
	for i := range acknowledged {
		posting.Go(func() { acknowledged[i] = postUntil(ctx, address, token, i) })
	}
	lazy, err := http.Get("http://" + address + "/livez") // a connection that is kept alive
	if err != nil {
		t.Fatal(err)
	}
	lazy.Body.Close()
	hundreds := regexp.MustCompile(`tieback_events_accepted_total\{kind="conversion"\} \d{3}`)
	if !becomes(time.Minute, func() bool { return hundreds.MatchString(s.get("/metrics")) }) {
		t.Error("there is no load")
	}
	started := time.Now()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.logged
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("ended with %v:\n%s", err, s.log)
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("ended after %s", took)
	}
	cancel()
	posting.Wait()
	must(t, dir, "run", "--cutoff", "now")
	total := 0
	for _, actions := range acknowledged {
		total += len(actions)
	}
	got := must(t, dir, "sql", "select uniqExact(action_id) from conversions", "--format", "TSV")
	var stored int
	if _, _ = fmt.Sscan(got, &stored); total == 0 || stored < total {
		t.Errorf("%d are stored, %d were acknowledged", stored, total)
	}
	engineIsGone(t, dir)
}
