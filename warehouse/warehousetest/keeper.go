package warehousetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Keeper starts a ZooKeeper, Debian's, until the test ends, and returns what a ClickHouse's configuration needs to use it. The test is skipped where it is not
// installed.
func Keeper(t testing.TB) (config string) {
	t.Helper()
	java, err := exec.LookPath("java")
	if _, noJars := os.Stat("/usr/share/java/zookeeper.jar"); err != nil || noJars != nil {
		t.Skip("ZooKeeper is not installed: apt-get install zookeeper")
	}
	dir, port := t.TempDir(), freePort(t)
	settings := fmt.Sprintf("tickTime=500\ndataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n", dir, port)
	if err := os.WriteFile(filepath.Join(dir, "zoo.cfg"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, java, "-Xmx128m", "-cp", "/usr/share/java/*", "org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(dir, "zoo.cfg"))
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = process.Wait()
	})
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "<clickhouse><zookeeper><node><host>127.0.0.1</host><port>" + port + "</port></node><session_timeout_ms>30000</session_timeout_ms></zookeeper>" +
		"<keeper_map_path_prefix>/tieback_test</keeper_map_path_prefix></clickhouse>"
}

// Configure writes a part of the configuration of the server that ServerWith starts on a folder.
func Configure(t testing.TB, dir, name, xml string) {
	t.Helper()
	folder := filepath.Join(dir, "engine", "engine.d")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), []byte(xml), 0o600); err != nil {
		t.Fatal(err)
	}
}
