package chdb_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tieback/tieback/warehouse/chdb"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// readOnlyPort is the read-only interface of an engine with a published table, and with
// a secret in a table, in a file and behind an address.
func readOnlyPort(t *testing.T) (address, secretFile, secretURL string) {
	t.Helper()
	dir := t.TempDir()
	engine, err := chdb.Open(t.Context(), dir, warehousetest.Command(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	client := socketClient(dir)
	t.Cleanup(client.CloseIdleConnections)
	for _, statement := range []string{
		"create database tieback",
		"create table tieback.exposures_versions (visitor_id String, views UInt32) engine = MergeTree order by visitor_id",
		"insert into tieback.exposures_versions values ('v1', 3)",
		"create view tieback.exposures as select * from tieback.exposures_versions",
		"create table tieback.catalog_tokens (hash String) engine = MergeTree order by hash",
		"insert into tieback.catalog_tokens values ('secret')",
	} {
		if status, _, answer := curl(t, client, "", statement); status != 200 {
			t.Fatalf("%s: %s", statement, answer)
		}
	}
	secretFile = filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secretFile, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the network was reached: %s", r.URL)
		_, _ = io.WriteString(w, "secret\n")
	}))
	t.Cleanup(elsewhere.Close)
	port := httptest.NewServer(engine.ReadOnly())
	t.Cleanup(port.Close)
	return port.URL, secretFile, elsewhere.URL
}

func ask(t *testing.T, address, parameters, statement string) (status int, answer string) {
	t.Helper()
	res, err := http.Post(address+"/?"+parameters, "", strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(text))
}

func TestReadOnlyPortAnswers(t *testing.T) {
	address, _, _ := readOnlyPort(t)
	for _, c := range []struct{ parameters, statement, answer string }{
		{"", "select * from exposures", "v1\t3"},
		{"", "select sum(views) from tieback.exposures -- how many", "3"},
		{"", "with a as (select * from exposures) select count() from a", "1"},
		{"", "/* Grafana */ (select 1)", "1"},
		{"param_v=v1", "select views from exposures where visitor_id = {v:String}", "3"},
		{"max_execution_time=5&database=default", "select getSetting('max_execution_time'), currentDatabase()", "5\ttieback"},
		{"", "select count() from numbers(5)", "5"},
		{"", "select 'a file', 'a system_', format('{}', 1)", "a file\ta system_\t1"},
		{"", "exists table exposures", "1"},
		{"", "select count() from system.tables where database = 'tieback' and name = 'exposures'", "1"},
	} {
		if status, answer := ask(t, address, c.parameters, c.statement); status != 200 || answer != c.answer {
			t.Errorf("%s: %d %s", c.statement, status, answer)
		}
	}
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{strings.TrimPrefix(address, "http://")},
		Auth: clickhouse.Auth{Database: "tieback"}, Compression: &clickhouse.Compression{Method: clickhouse.CompressionGZIP},
		Settings: clickhouse.Settings{"max_execution_time": 60},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var views uint32
	if err := conn.QueryRow(t.Context(), "select views from exposures where visitor_id = ?", "v1").Scan(&views); err != nil || views != 3 {
		t.Errorf("clickhouse-go, as Grafana's plugin uses it: %d %v", views, err)
	}
}

func TestReadOnlyPortRefuses(t *testing.T) {
	address, file, web := readOnlyPort(t)
	attempts := []struct{ parameters, statement string }{
		{"", "insert into exposures_versions values ('v2', 1)"},
		{"", "insert into exposures_versions select * from exposures"},
		{"query=" + url.QueryEscape("insert into exposures_versions format CSV"), "v2,1"},
		{"", "create table t (a UInt8) engine = Memory"},
		{"", "create temporary table t (a UInt8)"},
		{"", "create function f as x -> x"},
		{"", "drop table exposures"},
		{"", "drop database tieback"},
		{"", "truncate table exposures_versions"},
		{"", "alter table exposures_versions delete where 1"},
		{"", "delete from exposures_versions where 1"},
		{"", "rename table exposures to e"},
		{"", "optimize table exposures_versions"},
		{"", "attach table x"},
		{"", "detach table exposures"},
		{"", "system shutdown"},
		{"", "system reload config"},
		{"", "kill query where 1"},
		{"", "backup database tieback to File('x')"},
		{"", "set readonly = 0"},
		{"", "use system"},
		{"", "grant all on *.* to default"},
		{"readonly=0", "insert into exposures_versions values ('v2', 1)"},
		{"max_memory_usage=0", "select 1"},
		{"allow_introspection_functions=1", "select 1"},
		{"output_format_schema=" + file, "select 1"},
		{"", "select 1 settings max_memory_usage = 0"},
		{"", "select 1 settings readonly = 0"},
		{"", "select 1; drop table exposures_versions"},
		{"", "select * from file('" + file + "')"},
		{"", "select * from `file`('" + file + "')"},
		{"", "select * from FILE/* */('" + file + "')"},
		{"", "select * from file -- x\n('" + file + "', CSV, 'a String')"},
		{"", "select file('" + file + "')"},
		{"", "select file\v('" + file + "')"},
		{"", "select file\u00a0('" + file + "')"},
		{"", "select * from file\u2003/**/\ufeff('" + file + "')"},
		{"", "select * from \u201cfile\u201d('" + file + "')"},
		{"", "select * from merge\v('tieback', '^catalog.t')"},
		{"", "select * from system\v.\u00a0processes"},
		{"", "select * from '" + file + "'"},
		{"", "select * from \"" + file + "\""},
		{"", "select * from default.`" + file + "`"},
		{"database=default", "select * from `" + file + "`"},
		{"", "desc file('" + file + "')"},
		{"", "select 1 into outfile '" + file + ".out'"},
		{"", "select * from filesystem('/etc')"},
		{"", "select * from fileCluster('c', '" + file + "')"},
		{"", "select * from url('" + web + "', CSV, 'a String')"},
		{"", "select * from URL('" + web + "', CSV, 'a String')"},
		{"", "select * from url\n(\n'" + web + "', CSV, 'a String')"},
		{"", "select * from s3('" + web + "/x.csv', NOSIGN)"},
		{"", "select * from remote('127.0.0.1', 'tieback', 'catalog_tokens')"},
		{"", "select * from remoteSecure('127.0.0.1', 'tieback', 'exposures')"},
		{"", "select * from cluster('default', tieback, exposures)"},
		{"", "select * from mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')"},
		{"", "select * from postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')"},
		{"", "select * from mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e String')"},
		{"", "select * from sqlite('" + file + "', 'x')"},
		{"", "select * from executable('cat " + file + "', TSV, 'a String')"},
		{"", "select * from hdfs('" + web + "', CSV, 'a String')"},
		{"", "select * from iceberg('" + web + "')"},
		{"", "select * from python('x')"},
		{"", "select * from merge('tieback', 'catalog.*')"},
		{"", "select * from loop(tieback.exposures)"},
		{"", "select * from eval('select * from catalog' || '_tokens')"},
		{"", "select * from mergeTreeIndex(tieback, exposures_versions)"},
		{"", "select catboostEvaluate('" + file + "', 1)"},
		{"", "select aiGenerate('x', 'y')"},
		{"", "select * from catalog_tokens"},
		{"", "select * from tieback.`catalog_tokens`"},
		{"", "select * from \"catalog_tokens\""},
		{"", "select * from `catalog\\x5ftokens`"},
		{"", "select * from \"catalog\\u005ftokens\""},
		{"", "select 'v1' in catalog_tokens"},
		{"", "select (select any(hash) from catalog_tokens)"},
		{"", "with (select any(hash) from catalog_tokens) as h select toUInt8(h)"},
		{"", "explain select * from catalog_tokens"},
		{"param_t=catalog_tokens", "select * from {t:Identifier}"},
		{"param_d=system&param_t=processes", "select * from {d:Identifier}.{t:Identifier}"},
		{"", "select * from exposures_versions"},
		{"", "select * from system.processes"},
		{"", "select * from system/**/.processes"},
		{"", "select * from `system`.`processes`"},
		{"", "select * from system . users"},
		{"", "select * from SYSTEM.query_log"},
		{"database=system", "select * from processes"},
		{"", "show processlist"},
		{"", "show grants"},
		{"", "show create table system.processes"},
	}
	for _, a := range attempts {
		status, answer := ask(t, address, a.parameters, a.statement)
		if status == 200 || strings.Contains(answer, "secret\n") || strings.Contains(strings.ReplaceAll(answer, "secret.csv", ""), "secret") {
			t.Errorf("%s %s: %d %s", a.parameters, a.statement, status, answer)
		}
	}
	if _, err := os.Stat(file + ".out"); err == nil {
		t.Error("a file was written")
	}
	if _, answer := ask(t, address, "", "select count() from exposures"); answer != "1" {
		t.Errorf("afterwards the table has %s rows", answer)
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		req, _ := http.NewRequest(method, address+"/?query=select+1", nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, res.StatusCode)
		}
	}
	// No other path of the engine's socket is served.
	res, err := http.Get(address + "/tieback/lease")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("the lease path answers %d", res.StatusCode)
	}
}
