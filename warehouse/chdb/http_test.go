package chdb_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tieback/tieback/warehouse/chdb"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

func TestMain(m *testing.M) { warehousetest.Main(m) }

// curl talks to the socket as `curl --unix-socket` does.
func curl(t *testing.T, client *http.Client, query, body string) (status int, code, answer string) {
	t.Helper()
	res, err := client.Post("http://engine/?"+query, "", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("X-ClickHouse-Exception-Code"), strings.TrimSpace(string(text))
}

func socketClient(dir string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(dir, "engine.sock"))
	}}}
}

func TestHTTPInterface(t *testing.T) {
	dir := t.TempDir()
	engine, err := chdb.Open(t.Context(), dir, warehousetest.Command(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	client := socketClient(dir)
	defer client.CloseIdleConnections()
	q := url.QueryEscape
	for _, c := range []struct {
		name, query, body string
		status            int
		code, answer      string
	}{
		{"the statement in the body", "", "select 1, 'a'", 200, "", "1\ta"},
		{"in the URL", "query=" + q("select 2"), "", 200, "", "2"},
		{"in both", "query=" + q("select"), "3", 200, "", "3"},
		{"a format of its own", "", "select 4 as x format JSONEachRow", 200, "", `{"x":4}`},
		{"the default format", "default_format=CSV", "select 'a', 5", 200, "", `"a",5`},
		{"a format of its own, not Native", "default_format=Native&client_protocol_version=54460", "select 6 as x format JSONEachRow settings max_threads = 1", 200, "", `{"x":6}`},
		{"parameters", "param_a=" + q(`x\ty\\'`) + "&param_b=7", "select {a:String}, {b:UInt8} + 1", 200, "", `x\ty\\\'` + "\t8"},
		{"settings", "max_block_size=99", "select getSetting('max_block_size')", 200, "", "99"},
		{"and none left", "", "select getSetting('max_block_size') = 99", 200, "", "0"},
		{"a table", "", "create table t (a UInt8, b String) engine = MergeTree order by a", 200, "", ""},
		{"values", "", "insert into t values (1, 'x;y')", 200, "", ""},
		{"data in the body", "query=" + q("insert into t (a, b) format CSV"), "2,\"y\"\n3,z\n", 200, "", ""},
		{"values in the body", "query=" + q("insert into t values"), "(4, 'w')", 200, "", ""},
		{"they are in", "", "select groupArray((a, b)) from (select * from t order by a)", 200, "", `[(1,'x;y'),(2,'y'),(3,'z'),(4,'w')]`},
		{"bad data", "query=" + q("insert into t (a, b) format CSV"), "x,y\n", 400, "27", "Cannot parse input"},
		{"another database", "database=system", "select count() > 0 from tables", 200, "", "1"},
		{"back again", "", "select currentDatabase()", 200, "", "default"},
		{"an unknown table", "", "select * from nowhere", 404, "60", "Code: 60."},
		{"a syntax error", "", "selec 1", 400, "62", "Code: 62."},
		{"an unknown setting", "nonsense=1", "select 1", 400, "115", "Code: 115."},
		{"a setting that is SQL", q("a=1, b") + "=1", "select 1", 400, "115", "is no setting"},
		{"an unknown database", "database=nowhere", "select 1", 404, "81", "Code: 81."},
		{"compression", "compress=1", "select 1", 400, "36", "does not compress"},
	} {
		status, code, answer := curl(t, client, c.query, c.body)
		exact := c.status == 200 && c.answer != ""
		if status != c.status || code != c.code || exact && answer != c.answer || !strings.Contains(answer, c.answer) {
			t.Errorf("%s: %d %s %q", c.name, status, code, answer)
		}
	}
	for format, once := range map[string]string{"JSON": `"meta"`, "TabSeparatedWithNames": "number", "CSVWithNames": "number"} {
		_, _, answer := curl(t, client, "default_format="+format, "select number from numbers(200000)")
		if n := strings.Count(answer, once); n != 1 && format != "JSON" || strings.Count(answer, `"meta"`) > 1 {
			t.Errorf("%s of many blocks is no single document: %s stands there %d times", format, once, n)
		}
	}
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
