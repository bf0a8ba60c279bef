package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// servePort is a service with an account c1, and the address of its SQL port.
func servePort(t *testing.T, args ...string) (s *running, port string) {
	t.Helper()
	dir := t.TempDir()
	must(t, dir, "account", "add", "c1")
	s = serve(t, dir, append([]string{"--listen", "127.0.0.1:0", "--sql-listen", "127.0.0.1:0"}, args...)...)
	found := regexp.MustCompile(`msg="SQL can be read" address=(\S+)`).FindStringSubmatch(s.head)
	if found == nil {
		t.Fatalf("no address of the port in the log:\n%s", s.head)
	}
	return s, found[1]
}

func askPort(t *testing.T, port, statement string) string {
	t.Helper()
	res, err := http.Post("http://"+port+"/", "", strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// Beside a service that accepts, others read what is published, and nothing else.
func TestSQLPort(t *testing.T) {
	t.Parallel()
	s, port := servePort(t)
	for statement, want := range map[string]string{
		"select count() from exposures":      "0",
		"select customer_id from accounts":   "c1",
		"select * from catalog_tokens":       "ACCESS_DENIED",
		"insert into conversions values (1)": "ACCESS_DENIED",
		"select count() from results_visitors(customer_id = 'c', optimization_id = 'o', from_day = '2026-09-01', to_day = '2026-09-02')": "0",
	} {
		if got := askPort(t, port, statement); !strings.Contains(got, want) {
			t.Errorf("%s: %s", statement, got)
		}
	}
	s.stop()
}

// TestClientsOfTheSQLPort reads with clickhouse-go, ClickHouse's JavaScript client and curl,
// compressed and with parameters.
func TestClientsOfTheSQLPort(t *testing.T) {
	t.Parallel()
	_, port := servePort(t)
	const query = "select customer_id from accounts where customer_id = {customer:String} and {n:UInt8} = 7"
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP} {
		conn, err := clickhouse.Open(&clickhouse.Options{
			Protocol: clickhouse.HTTP, Addr: []string{port}, Auth: clickhouse.Auth{Database: "tieback"},
			Compression: &clickhouse.Compression{Method: method}, Settings: clickhouse.Settings{"max_execution_time": 60},
		})
		if err != nil {
			t.Fatal(err)
		}
		var customer string
		err = conn.QueryRow(t.Context(), query, clickhouse.Named("customer", "c1"), clickhouse.Named("n", "7")).Scan(&customer)
		if err != nil || customer != "c1" {
			t.Errorf("clickhouse-go with %s: %q %v", method, customer, err)
		}
		conn.Close()
	}
	curl := exec.Command("curl", "-sS", "--compressed", "http://"+port+"/?enable_http_compression=1&param_customer=c1&param_n=7", "--data-binary", query+" format JSONEachRow")
	if said, err := curl.CombinedOutput(); err != nil || strings.TrimSpace(string(said)) != `{"customer_id":"c1"}` {
		t.Errorf("curl: %s %v", said, err)
	}
	readWithNode(t, port, query)
}

func readWithNode(t *testing.T, port, query string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node here, which ClickHouse's JavaScript client needs")
	}
	var major int
	if version, err := exec.Command(node, "--version").Output(); err == nil {
		_, _ = fmt.Sscanf(string(version), "v%d", &major)
	}
	if major < 20 {
		t.Skipf("ClickHouse's JavaScript client needs node 20, this is %d", major)
	}
	client, err := filepath.Abs("../../.engine/node_modules/@clickhouse/client")
	if err != nil {
		t.Fatal(err)
	}
	program := `const { createClient } = require(process.argv[1]);
		const client = createClient({ url: 'http://' + process.argv[2], database: 'tieback', compression: { response: true } });
		client.query({ query: process.argv[3], query_params: { customer: 'c1', n: 7 }, format: 'JSONEachRow' })
			.then((r) => r.json()).then((rows) => console.log(JSON.stringify(rows))).catch((e) => { console.log(String(e)); process.exitCode = 1; }).finally(() => client.close());`
	if said, err := exec.Command(node, "-e", program, client, port, query).CombinedOutput(); err != nil || strings.TrimSpace(string(said)) != `[{"customer_id":"c1"}]` {
		t.Errorf("@clickhouse/client: %s %v", said, err)
	}
}

// TestSQLPortUnderAttack: the engine lives, events are accepted and inserted, and others can read.
func TestSQLPortUnderAttack(t *testing.T) {
	s, port := servePort(t)
	s.token = must(t, s.dataDir, "token", "add", "123456789", "main")
	engine, err := os.ReadFile(filepath.Join(s.dataDir, "engine.lock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var attackers sync.WaitGroup
	ask := func(statement string) {
		attackers.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+port+"/", strings.NewReader(statement))
			if err != nil {
				t.Error(err)
				return
			}
			if res, err := http.DefaultClient.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 100<<20))
				res.Body.Close()
			}
		})
	}
	rounds, quiet, resets, slow := 1, 300, 100, 5
	if *kills > 10 { // make torture
		rounds, quiet, resets, slow = 3, 1000, 500, 20
	}
	for range rounds {
		ask("select groupArray(number) from numbers(380000000)")
		ask("select count() from numbers(1000000000000) where not ignore(sipHash64(number))")
		ask("select count() from numbers(100000000) where match(toString(number), '(a?){100}(a*)*b(([0-9]+)+)+$')")
		ask("select repeat('x', 1000) from numbers(10000000)") // 10 GB
		ask("select * from numbers(1000000) as a cross join numbers(1000000) as b order by rand() format Null")
		ask("select " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000))
		ask("select " + strings.Repeat("1 + ", 60000) + "1")
		ask("with recursive r as (select 1 as x union all select x + 1 from r) select count() from r")
	}
	for range 16 {
		ask("select sleepEachRow(1) from numbers(100) settings max_block_size = 1")
	}
	idle(t, port, quiet)
	resetInMidQuery(t, port, resets)
	leave := slowReaders(t, port, slow)
	for i := range 50 {
		if status, answer := s.post("/event", seedBody(fmt.Sprint(i), time.Minute)); status != 200 {
			t.Errorf("event %d: %d %s", i, status, answer)
		}
	}
	said := ""
	read := func() bool { said = askPort(t, port, "select count() from conversions"); return said == "50" }
	if !becomes(5*time.Minute, read) {
		t.Errorf("while under attack a reader gets %q", said)
	}
	stop()
	leave()
	attackers.Wait()
	if now, err := os.ReadFile(filepath.Join(s.dataDir, "engine.lock")); err != nil || string(now) != string(engine) {
		words, _ := os.ReadFile(filepath.Join(s.dataDir, "engine.log"))
		t.Errorf("another engine runs than before (%v): %s\nengine.log: %s", err, s.log, words)
	}
	// Nothing of it goes on.
	if !becomes(5*time.Minute, func() bool {
		said = must(t, s.dataDir, "sql", "select count() from system.processes where user = 'analyst'", "--format", "TSV")
		return said == "0"
	}) {
		t.Errorf("%s statements go on", said)
	}
}

// idle opens connections that say nothing, until the test ends.
func idle(t *testing.T, address string, n int) {
	t.Helper()
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
}

// resetInMidQuery asks for something large, reads a little and resets.
func resetInMidQuery(t *testing.T, address string, n int) {
	t.Helper()
	for i := range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		statement := "select number, repeat('y', 100) from numbers(100000000)"
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(statement), statement)
		if i%2 == 0 {
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _ = conn.Read(make([]byte, 4096))
		}
		reset(conn)
	}
}

// slowReaders ask for something large and read nothing of it, until they leave.
func slowReaders(t *testing.T, address string, n int) (leave func()) {
	t.Helper()
	var conns []net.Conn
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		statement := "select repeat('z', 1000) from numbers(1000000)"
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(statement), statement)
	}
	return func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
}
