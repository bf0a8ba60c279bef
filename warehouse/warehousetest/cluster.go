package warehousetest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/chdb"
)

// ClusterName is what the nodes of a Cluster call it.
const ClusterName = "tieback"

// Cluster is ClickHouse on several nodes, a shard each, on this machine. Its user is tester, with the password pw, on all of them.
type Cluster struct {
	Nodes    []*Node
	Patience time.Duration // of warehouse.Config, with a silent shard
}

// Node is a server of a Cluster.
type Node struct {
	chdb.Endpoint
	dir     string
	command []string
	engine  *chdb.Client
}

// URL is what --clickhouse takes.
func (n *Node) URL() string { return "http://tester:pw@" + n.Address }

// NewCluster starts so many nodes; they end with the test.
func NewCluster(t testing.TB, nodes int) *Cluster {
	t.Helper()
	return NewClusterWith(t, ClusterConfig{Nodes: nodes})
}

// ClusterConfig says what NewClusterWith starts.
type ClusterConfig struct {
	Nodes   int
	Command []string // starts a node; Command's when empty
	Config  []string // parts of their configuration, in XML
	Grants  []string // of the user tester; all rights when empty
	Remote  string   // XML with the hosts ch1, ch2 and so on at port 9000, in the place of one that is made here
}

// NewClusterWith is NewCluster of a kind.
func NewClusterWith(t testing.TB, of ClusterConfig) *Cluster {
	t.Helper()
	nodes, command := of.Nodes, of.Command
	if len(command) == 0 {
		command = Command()
	}
	c := &Cluster{}
	direct, proxies := make([]string, nodes), make([]string, nodes)
	for i := range nodes {
		direct[i] = freePort(t)
		// A connection that is reset ends such an engine.
		_, proxies[i], _ = net.SplitHostPort(proxied(t, "127.0.0.1:"+direct[i], nil))
	}
	for i := range nodes {
		n := &Node{dir: t.TempDir(), command: command}
		remote := of.Remote
		if remote == "" {
			for other := range nodes {
				remote += fmt.Sprintf("<shard><replica><host>ch%d</host><port>9000</port></replica></shard>", other+1)
			}
			remote = fmt.Sprintf("<clickhouse><remote_servers><%s><secret>of the test</secret>%s</%s></remote_servers></clickhouse>", ClusterName, remote, ClusterName)
		}
		for other := range nodes {
			port := proxies[other]
			if other == i {
				port = direct[i] // it must know itself
			}
			remote = strings.ReplaceAll(remote, fmt.Sprintf("<host>ch%d</host><port>9000</port>", other+1), "<host>127.0.0.1</host><port>"+port+"</port>")
		}
		Configure(t, n.dir, "cluster.xml", remote)
		Configure(t, n.dir, "port.xml", "<clickhouse><tcp_port>"+direct[i]+"</tcp_port></clickhouse>")
		for j, part := range of.Config {
			Configure(t, n.dir, fmt.Sprintf("more%d.xml", j), part)
		}
		users := filepath.Join(n.dir, "engine", "users.d")
		if err := os.MkdirAll(users, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(users, "tester.xml"), []byte(User("tester", "", of.Grants...)), 0o600); err != nil {
			t.Fatal(err)
		}
		n.Start(t)
		t.Cleanup(func() { n.engine.Close() })
		c.Nodes = append(c.Nodes, n)
	}
	return c
}

// shared is the cluster that Open's databases are in, if any.
var shared *Cluster

// Open returns an empty database of the cluster with the schema in place, gone after the test unless it failed. Its first node is home.
func (c *Cluster) Open(t testing.TB) *warehouse.DB {
	t.Helper()
	name := databaseName(t.Name())
	db, err := warehouse.Open(t.Context(), warehouse.Config{DataDir: t.TempDir(), URL: c.Nodes[0].URL(), Cluster: ClusterName, Database: name, ShardPatience: c.Patience})
	if err != nil {
		t.Fatalf("open the cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the cluster: %v", err)
		}
		for _, n := range c.Nodes {
			if !t.Failed() {
				for _, part := range []string{"", "_shard", "_home"} {
					n.ask("drop database if exists `" + name + part + "`")
				}
			}
		}
	})
	if _, _, err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("create the schema: %v", err)
	}
	return db
}

// OpenServer returns the first node as one server, without a schema.
func (c *Cluster) OpenServer(t testing.TB) *warehouse.DB {
	t.Helper()
	db, err := warehouse.Open(t.Context(), warehouse.Config{DataDir: t.TempDir(), URL: c.Nodes[0].URL(), Database: databaseName(t.Name())})
	if err != nil {
		t.Fatalf("open the server: %v", err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// ask runs a statement whose fate does not matter.
func (n *Node) ask(statement string) {
	res, err := http.Post("http://"+n.Address+"/?user=tester&password=pw", "text/plain", strings.NewReader(statement))
	if err == nil {
		res.Body.Close()
	}
}

// whole stands for a test that lasts as long as the test binary.
type whole struct {
	testing.TB
	dir      string
	folders  int
	cleanups []func()
}

func (w *whole) Helper()                  {}
func (w *whole) Cleanup(f func())         { w.cleanups = append(w.cleanups, f) }
func (w *whole) Context() context.Context { return context.Background() }
func (w *whole) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }
func (w *whole) TempDir() string {
	w.folders++
	dir := filepath.Join(w.dir, strconv.Itoa(w.folders))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.Fatal(err)
	}
	return dir
}

func (w *whole) end() {
	for _, f := range slices.Backward(w.cleanups) {
		f()
	}
}

// Start starts a node that was killed.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	if n.engine != nil {
		n.engine.Close()
	}
	var err error
	if n.engine, err = chdb.Open(context.Background(), n.dir, n.command, slog.New(slog.DiscardHandler)); err == nil {
		n.Endpoint, err = chdb.ReadEndpoint(n.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, said := Ask(t, n.Endpoint, n.User, n.Password, "system start listen tcp"); said != "" {
		t.Fatal(said)
	}
}

// Signal sends the process of a node a signal, as SIGKILL or SIGSTOP.
func (n *Node) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(n.PID(t), signal); err != nil {
		t.Fatal(err)
	}
}

// PID is the process of a node.
func (n *Node) PID(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, "engine.lock"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
