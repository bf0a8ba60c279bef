package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// listen serves e on a port of its own, where sockets can misbehave.
func (e *edge) listen(cfg Config) (address string) {
	e.t.Helper()
	cfg.Catalog, cfg.Spool, cfg.Log = e.cfg.Catalog, e, slog.New(slog.DiscardHandler)
	server := NewServer(cfg)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	e.t.Cleanup(func() {
		if err := server.Shutdown(e.t.Context()); err != nil && e.t.Context().Err() == nil {
			e.t.Error(err)
		}
		<-served
	})
	return listener.Addr().String()
}

func (e *edge) dial(address string) net.Conn {
	e.t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		e.t.Fatal(err)
	}
	return conn
}

// send writes a whole POST /event and reads the answer.
func (e *edge) send(conn net.Conn, header, body string) answer {
	e.t.Helper()
	_, err := fmt.Fprintf(conn, "POST /event HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\n%sContent-Length: %d\r\n\r\n%s", e.token, header, len(body), body)
	if err != nil {
		e.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer{status: res.StatusCode, body: string(text)}
}

// TestSlowBodyIsCutOff sends a byte now and then, for longer than a request may take.
func TestSlowBodyIsCutOff(t *testing.T) {
	e := newEdge(t, time.Now())
	address := e.listen(Config{Patience: 200 * time.Millisecond})
	slow := e.dial(address)
	fmt.Fprintf(slow, "POST /event HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: 1000\r\n\r\n", e.token)
	started := time.Now()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for err := error(nil); err == nil; <-ticker.C {
		if _, err = slow.Write([]byte("{")); time.Since(started) > 5*time.Second {
			t.Fatal("a body of 50 B/s is waited for")
		}
	}
	if got := e.send(e.dial(address), "", event("actionTimestamp", fmt.Sprint(time.Now().UnixMilli()))); got.status != 200 {
		t.Errorf("beside it: %d %s", got.status, got.body)
	}
}

func TestHeadersOverTheLimit(t *testing.T) {
	e := newEdge(t, time.Now())
	got := e.send(e.dial(e.listen(Config{})), "X-Long: "+strings.Repeat("x", 20<<10)+"\r\n", "{}")
	if got.status != http.StatusRequestHeaderFieldsTooLarge || !strings.Contains(got.body, `"error":{`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestErrorsDoNotTellTheToken sends headers that can't be read, behind one that can.
func TestErrorsDoNotTellTheToken(t *testing.T) {
	e := newEdge(t, time.Now())
	address := e.listen(Config{})
	for _, header := range []string{"Bad Header\r\n", "Content-Length: abc\r\n", "X: \x00\r\n"} {
		if got := e.send(e.dial(address), header, "{}"); got.status != 400 || strings.Contains(got.body, e.token) || !strings.Contains(got.body, `"error":{`) {
			t.Errorf("%q: %d %s", header, got.status, got.body)
		}
	}
}

// TestShutdownFinishesWhatIsUnderWay begins it while a body is on its way.
func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	e := newEdge(t, time.Now())
	server := NewServer(Config{Catalog: e.cfg.Catalog, Spool: e, Log: slog.New(slog.DiscardHandler)})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn := e.dial(listener.Addr().String())
	body := event("actionTimestamp", fmt.Sprint(time.Now().UnixMilli()))
	fmt.Fprintf(conn, "POST /event HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: %d\r\n\r\n%s", e.token, len(body), body[:20])
	time.Sleep(50 * time.Millisecond) // the server has begun to read it
	stopped := make(chan error, 1)
	go func() { stopped <- server.Shutdown(context.Background()) }()
	if err := <-served; err != nil { // it accepts nothing any more
		t.Fatal(err)
	}
	fmt.Fprint(conn, body[20:])
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("%d", res.StatusCode)
	}
	conn.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestIdleConnections holds 5,000 open without a word on them.
func TestIdleConnections(t *testing.T) {
	e := newEdge(t, time.Now())
	address := e.listen(Config{})
	for range 5000 {
		e.dial(address)
	}
	if got := e.send(e.dial(address), "", event("actionTimestamp", fmt.Sprint(time.Now().UnixMilli()))); got.status != 200 {
		t.Errorf("beside 5,000 idle connections: %d %s", got.status, got.body)
	}
}

// TestClockThatJumps moves the clock back and forth by an hour: each event is judged by
// what the clock says then, and none is lost or refused for the jump.
func TestClockThatJumps(t *testing.T) {
	e := newEdge(t, seedTime)
	e.byToken, e.byAddress = newLimiter(100), newLimiter(100)
	want := []int64{}
	for i, jump := range []time.Duration{0, time.Hour, -time.Hour, -time.Hour, time.Hour} {
		e.now = e.now.Add(jump)
		body := event("actionId", fmt.Sprintf("%q", fmt.Sprint(i)), "actionTimestamp", fmt.Sprint(e.now.UnixMilli()))
		if got := e.post("/event", body); got.status != 200 {
			t.Errorf("after a jump by %s: %d %s", jump, got.status, got.body)
		}
		want = append(want, e.now.UnixMilli())
	}
	conversions, _ := e.stored()
	for i, c := range conversions {
		if c.ReceivedAtMS != want[i] {
			t.Errorf("event %d was received at %d, stored %d", i, want[i], c.ReceivedAtMS)
		}
		if i > 0 && conversions[i-1].IngestID.String() >= c.IngestID.String() {
			t.Errorf("ingest ids %s and %s are out of order", conversions[i-1].IngestID, c.IngestID)
		}
	}
	if len(conversions) != len(want) {
		t.Errorf("%d events are stored, %d were accepted", len(conversions), len(want))
	}
}

// TestMemoryByAnnouncement opens connections that announce 16 MB each and send one byte: what
// was announced must take no memory, and a wrong token is answered before the body.
func TestMemoryByAnnouncement(t *testing.T) {
	e := newEdge(t, time.Now())
	address := e.listen(Config{Patience: time.Minute})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	announce := func(path, token string) net.Conn {
		conn := e.dial(address)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: %d\r\n\r\n[", path, token, 16<<20)
		return conn
	}
	for _, path := range []string{"/events", "/collect", "/nowhere"} {
		for range 130 {
			announce(path, e.token)
		}
	}
	for path, want := range map[string]int{"/event": 401, "/events": 401, "/customer/other/event": 401, "/nowhere": 404} {
		res, err := http.ReadResponse(bufio.NewReader(announce(path, "wrong")), nil)
		if err != nil || res.StatusCode != want {
			t.Fatalf("%s, with a wrong token and one byte of the body: %v %v, expected %d", path, res, err, want)
		}
		res.Body.Close()
	}
	if got := e.send(e.dial(address), "", event("actionTimestamp", fmt.Sprint(time.Now().UnixMilli()))); got.status != 200 {
		t.Errorf("beside them: %d %s", got.status, got.body)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 200<<20 {
		t.Errorf("%d MB for 400 connections that sent a byte each", grown>>20)
	}
}

// TestBodiesOfAnyForm: chunked, larger than the buffers, cut off, too large.
func TestBodiesOfAnyForm(t *testing.T) {
	e := newEdge(t, time.Now())
	address := e.listen(Config{})
	one := event("actionTimestamp", fmt.Sprint(time.Now().UnixMilli()))
	body := strings.Repeat(one+"\n", 999) + strings.Repeat(" ", 700<<10) + one
	post := func(length int64, r io.Reader) (status int, text string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/events", r)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header.Set("Authorization", "ApiKey "+e.token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(answer)
	}
	for name, c := range map[string]struct {
		length int64
		body   string
		status int
		says   string
	}{
		"of known length":    {int64(len(body)), body, 200, `"accepted":1000`},
		"chunked":            {-1, body, 200, `"accepted":1000`},
		"too large":          {2 << 20, strings.Repeat(" ", 2<<20), 413, "too_large"},
		"chunked, too large": {-1, strings.Repeat(" ", 2<<20), 413, "too_large"},
	} {
		if status, text := post(c.length, io.MultiReader(strings.NewReader(c.body))); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %.200s", name, status, text)
		}
	}
	conn := e.dial(address)
	fmt.Fprintf(conn, "POST /event HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey %s\r\nContent-Length: 1000\r\n\r\n%s", e.token, one)
	_ = conn.(*net.TCPConn).CloseWrite()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != 400 {
		t.Errorf("cut off: %v %v", res, err)
	} else {
		res.Body.Close()
	}
	if conversions, _ := e.stored(); len(conversions) != 2000 {
		t.Errorf("%d stored", len(conversions))
	}
	http.DefaultClient.CloseIdleConnections()
}

// failingListener fails as one does whose process has no files left.
type failingListener struct {
	net.Listener
	failures atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestListenerLimits(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	metrics := NewMetrics()
	failing := &failingListener{Listener: inner}
	failing.failures.Store(3)
	l := Limit(failing, ConnectionLimits{Total: 5, PerAddress: 3}, metrics, slog.New(slog.NewTextHandler(&log, nil)))
	accepted := make(chan net.Conn, 10)
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func(from string) net.Conn {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	closed := func(conn net.Conn) bool {
		_, err := conn.Read(make([]byte, 1)) // waits, unless it was closed
		return err != nil
	}
	var open []net.Conn
	for range 3 {
		dial("127.0.0.1")
		open = append(open, <-accepted)
	}
	if !closed(dial("127.0.0.1")) {
		t.Error("a fourth connection of one address stays open")
	}
	for range 2 {
		dial("127.0.0.2")
		open = append(open, <-accepted)
	}
	if !closed(dial("127.0.0.3")) {
		t.Error("a sixth connection stays open")
	}
	open[0].Close()
	dial("127.0.0.3")
	if conn := <-accepted; conn.RemoteAddr().(*net.TCPAddr).IP.String() != "127.0.0.3" {
		t.Errorf("a connection of %s", conn.RemoteAddr())
	}
	for range 5 { // refused, closed, and again: one line in the log
		if !closed(dial("127.0.0.1")) {
			break
		}
	}
	if metrics.refusedConnections.Load() < 2 || strings.Count(log.String(), "no connection can be accepted") != 1 || strings.Count(log.String(), "too many connections") != 1 {
		t.Errorf("%d refused\n%s", metrics.refusedConnections.Load(), log.String())
	}
	l.Close()
	for range accepted {
	}
}

func TestIPv6ClientsAreLimitedByTheir64(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "::ffff:192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2:ffff::": "2001:db8:1:2::/64", "x": "x",
	} {
		if got := addressKey(address); got != want {
			t.Errorf("%s is limited as %s, expected %s", address, got, want)
		}
	}
}

// TestRateLimitMapsStayBounded with many more addresses than there is room for.
func TestRateLimitMapsStayBounded(t *testing.T) {
	l := newLimiter(1)
	now := time.Now()
	for i := range 3 * mostBuckets {
		l.allow(fmt.Sprint(i), now)
	}
	if len(l.buckets) > mostBuckets+1 {
		t.Errorf("%d buckets at one moment", len(l.buckets))
	}
	for i := range 1000 {
		l.allow(fmt.Sprint("later", i), now.Add(3*time.Second))
	}
	if len(l.buckets) > 1001 {
		t.Errorf("%d buckets once they were full again", len(l.buckets))
	}
}
