// Package warehousetest gives tests a real ClickHouse: one engine a test binary, one
// database a test.
package warehousetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/chdb"
)

// engineArg makes a test binary host the engine instead of running its tests.
const engineArg = "tieback-test-engine"

var dataDir string

// Main runs a package's tests with an engine that lives as long as they do. Call it
// from TestMain.
func Main(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == engineArg {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := chdb.Serve(ctx, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tieback-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	dataDir = dir
	if nodes, _ := strconv.Atoi(os.Getenv("TEST_CLUSTER")); nodes > 0 {
		t := &whole{dir: dir}
		defer t.end()
		shared = NewCluster(t, nodes)
	}
	// One client keeps the engine alive between tests; without the library every
	// test says so itself.
	client, err := chdb.Open(context.Background(), dir, Command(), slog.Default())
	if err == nil {
		defer client.Close()
	}
	return m.Run()
}

// DataDir is the data folder of the engine that Open's databases are in.
func DataDir() string { return dataDir }

// Command starts an engine from the test binary.
func Command() []string { return []string{os.Args[0], engineArg} }

// Open returns an empty database with the schema in place, gone after the test
// unless it failed. With TEST_CLUSTER=3 in the environment it is one of a cluster of three nodes.
func Open(t testing.TB) *warehouse.DB {
	t.Helper()
	if shared != nil {
		return shared.Open(t)
	}
	name := databaseName(t.Name())
	db, err := warehouse.Open(t.Context(), warehouse.Config{
		DataDir: dataDir, EngineCommand: Command(), Database: name,
	})
	if err != nil {
		t.Fatalf("open the engine: %v", err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			_ = db.Exec(context.Background(), "drop database `"+name+"`", nil)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	if _, _, err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("create the schema: %v", err)
	}
	return db
}

// ServerWith starts a ClickHouse on a data folder that is used as a server, with users beside its
// own. It ends with the test. command starts it; Command's unless given.
func ServerWith(t testing.TB, dir string, command []string, users ...string) chdb.Endpoint {
	t.Helper()
	path := func(name string) string { return filepath.Join(dir, "engine", name) }
	files := map[string]string{"engine.d/test.xml": "<clickhouse><tcp_port>" + freePort(t) + "</tcp_port></clickhouse>"}
	for i, user := range users {
		files[fmt.Sprintf("users.d/test%d.xml", i)] = user
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := chdb.Open(context.Background(), dir, command, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	server, err := chdb.ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// Server is ServerWith on a folder of its own.
func Server(t testing.TB, users ...string) chdb.Endpoint {
	t.Helper()
	return ServerWith(t, t.TempDir(), Command(), users...)
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// Native opens a Server's native protocol and returns its HOST:PORT. A connection that is reset ends
// such an engine, so a proxy stands before it, which ends them in order.
func Native(t testing.TB, server chdb.Endpoint) string {
	t.Helper()
	return proxied(t, nativePort(t, server), nil)
}

// nativePort opens the native protocol itself.
func nativePort(t testing.TB, server chdb.Endpoint) string {
	t.Helper()
	if _, said := Ask(t, server, server.User, server.Password, "system start listen tcp"); said != "" {
		t.Fatal(said)
	}
	_, port := Ask(t, server, server.User, server.Password, "select toString(tcpPort())")
	return "127.0.0.1:" + port
}

// Secure puts TLS before a Server's HTTP interface and its native protocol, under a certificate that
// nobody has signed, and returns the HOST:PORT of each.
func Secure(t testing.TB, server chdb.Endpoint) (https, native string) {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
	return proxied(t, server.Address, config), proxied(t, nativePort(t, server), config)
}

// proxied puts a proxy before an address that ends connections in order; over TLS if secure is given.
func proxied(t testing.TB, target string, secure *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			if secure != nil {
				client = tls.Server(client, secure)
			}
			go pass(client, target)
		}
	}()
	return listener.Addr().String()
}

// Ask runs a statement on a server over HTTP, as curl does. It returns ClickHouse's error code, empty
// for none, and what it says.
func Ask(t testing.TB, server chdb.Endpoint, user, password, statement string) (code, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.Address+"/", strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Get("X-ClickHouse-Exception-Code"), strings.TrimSpace(string(text))
}

// selfSigned makes a certificate for 127.0.0.1.
func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}
}

// pass copies both ways; what a client leaves unread is read for it.
func pass(client net.Conn, target string) {
	defer client.Close()
	conn, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, client)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, conn)
	_, _ = io.Copy(io.Discard, conn)
}

// User is a user of a Server: with the password pw, a profile of these settings, in XML, and
// grants; all rights if none is given.
func User(name, settings string, grants ...string) string {
	rights := ""
	for _, grant := range grants {
		rights += "<query>" + grant + "</query>"
	}
	if rights != "" {
		rights = "<grants>" + rights + "</grants>"
	}
	return "<clickhouse><profiles><" + name + ">" + settings + "</" + name + "></profiles><users><" + name + "><password>pw</password><networks><ip>127.0.0.1</ip></networks>" +
		"<profile>" + name + "</profile><quota>default</quota>" + rights + "</" + name + "></users></clickhouse>"
}

func databaseName(test string) string {
	return "test_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, test)
}
