package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
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
