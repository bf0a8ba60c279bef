package chdb_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/tieback/tieback/warehouse/chdb"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// strangerEnv makes the test binary listen, as a process of another user.
const strangerEnv = "TIEBACK_TEST_STRANGER"

func TestMain(m *testing.M) {
	if os.Getenv(strangerEnv) != "" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			os.Exit(1)
		}
		fmt.Println(listener.Addr())
		for {
			if _, err := listener.Accept(); err != nil {
				return
			}
		}
	}
	warehousetest.Main(m)
}

func open(t *testing.T, dir string) chdb.Endpoint {
	t.Helper()
	engine, err := chdb.Open(t.Context(), dir, warehousetest.Command(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	e, err := chdb.ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var wrongPassword = strconv.Itoa(int(proto.ErrAuthenticationFailed))

// TestOthersOnTheMachine is about who has no password, and about other users of the machine.
func TestOthersOnTheMachine(t *testing.T) {
	dir := filepath.Join(anybodysFolder(t), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	e := open(t, dir)
	if code, answer := warehousetest.Ask(t, e, e.User, e.Password, "select currentUser()"); code != "" || answer != "tieback" {
		t.Fatalf("the operator: %s", answer)
	}
	for _, statement := range []string{
		"system stop listen http", "system start listen tcp", "system shutdown", "select number from system.numbers limit 1", "select * from system.processes",
		"create table t (a UInt8) engine = Memory", "select * from file('/etc/passwd', CSV, 'a String')", "select * from url('http://127.0.0.1:9', CSV, 'a String')",
		"kill query where 1", "show databases", "select * from system.tables", "set max_threads = 1", "select file('/etc/passwd')",
	} {
		if code, answer := warehousetest.Ask(t, e, "default", "", statement); code == "" {
			t.Errorf("default: %s: %s", statement, answer)
		}
		for _, user := range []string{"tieback", "analyst", "nobody"} {
			if code, _ := warehousetest.Ask(t, e, user, "", statement); code != wrongPassword {
				t.Errorf("%s without a password: %s: code %s", user, statement, code)
			}
		}
	}
	pid, err := os.ReadFile(filepath.Join(dir, "engine.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	for _, line := range []string{
		"cat " + dir + "/engine.json", "cat " + dir + "/engine/users.xml", "ls " + dir + "/clickhouse", "touch " + dir + "/x", "rm " + dir + "/engine.json",
		"cat /proc/" + strings.TrimSpace(string(pid)) + "/environ", "kill " + strings.TrimSpace(string(pid)),
	} {
		cmd := exec.Command("/bin/sh", "-c", line)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if said, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("another user: %s: %s", line, said)
		}
	}
	if code, answer := warehousetest.Ask(t, e, e.User, e.Password, "select 1"); code != "" {
		t.Errorf("afterwards: %s", answer)
	}
}

// TestAnotherUserTakesThePort: when the engine has died, its port is anybody's.
func TestAnotherUserTakesThePort(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir := t.TempDir()
	engine, err := chdb.Open(t.Context(), dir, warehousetest.Command(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	conn, err := engine.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	address := strangersPort(t)
	endpoint := filepath.Join(dir, "engine.json")
	if err := os.WriteFile(endpoint, []byte(`{"address": "`+address+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if conn, err := engine.Dial(ctx); err == nil || !strings.Contains(err.Error(), "a process of user 65534") {
		t.Errorf("connected with a stranger: %v %v", conn, err)
	}
}

// strangersPort is a port that a process of another user listens on.
func strangersPort(t *testing.T) string {
	t.Helper()
	program := filepath.Join(anybodysFolder(t), "program")
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command(program)
	stranger.Dir, stranger.Env = "/", []string{strangerEnv + "=1"}
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	said, err := stranger.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait()
	})
	address, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// anybodysFolder is a folder that all users may enter.
func anybodysFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tieback-others-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMissingLibraryListsThePlaces(t *testing.T) {
	t.Setenv(chdb.LibEnv, "")
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := os.Stat("/usr/local/lib/libchdb.so"); err == nil {
		t.Skip("the library is installed for the whole machine")
	}
	_, err := chdb.FindLibrary()
	if err == nil {
		t.Fatal("found a library in empty folders")
	}
	for _, want := range []string{"$TIEBACK_CHDB_LIB", ".engine/node_modules", "/usr/local/lib/libchdb.so", "make engine", "--clickhouse"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q:\n%v", want, err)
		}
	}
}
