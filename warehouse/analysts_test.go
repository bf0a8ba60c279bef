package warehouse_test

import (
	"bytes"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// analystsPort is the port of analysts on an engine of its own, with the schema in the database
// that analysts know.
func analystsPort(t *testing.T) (port string, db *warehouse.DB) {
	t.Helper()
	db, err := warehouse.Open(t.Context(), warehouse.Config{DataDir: t.TempDir(), EngineCommand: warehousetest.Command(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(db.Analysts(""))
	t.Cleanup(server.Close)
	return server.URL, db
}

// attempt is a request to the port, and what comes of it.
type attempt struct {
	parameters, statement string
	header                string // NAME: VALUE
	code                  proto.Error
}

func (a attempt) do(t *testing.T, port string) (code proto.Error, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, port+"/?"+a.parameters, strings.NewReader(a.statement))
	if err != nil {
		t.Fatal(err)
	}
	if name, value, given := strings.Cut(a.header, ": "); given {
		req.Header.Set(name, value)
	}
	return send(t, req)
}

func send(t *testing.T, req *http.Request) (code proto.Error, answer string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	number, _ := strconv.Atoi(res.Header.Get("X-ClickHouse-Exception-Code")) // 0 is none
	return proto.Error(number), strings.TrimSpace(string(text))
}

func TestAnalystsReadWhatIsPublished(t *testing.T) {
	port, db := analystsPort(t)
	if err := db.Exec(t.Context(), "insert into service_minutes (at, host, conversions) values ('2026-09-21 10:00:00', 'h', 3)", nil); err != nil {
		t.Fatal(err)
	}
	for _, a := range []struct{ parameters, statement, answer string }{
		{"", "select currentUser(), currentDatabase(), timezone()", "analyst\ttieback\tUTC"},
		{"", "select sum(conversions) from service_minutes", "3"},
		{"", "with a as (select * from tieback.service_minutes) select count() from a -- how many", "1"},
		{"", "/* Grafana */ (select 1)", "1"},
		{"param_h=h", "select conversions from service_minutes where host = {h:String}", "3"},
		{"max_execution_time=5", "select getSetting('max_execution_time')", "5"},
		{"user=analyst", "select 1", "1"},
		{"user=default&database=default", "select currentDatabase()", "default"},
		{"", "select count() from numbers(5)", "5"},
		{"", "select 'a file', format('{}', 1)", "a file\t1"},
		{"", "exists table exposures", "1"},
		{"default_format=CSV", "select 'a', 5", `"a",5`},
		{"", "select count() from system.columns where database = 'tieback' and table = 'sessions' and comment = ''", "0"},
	} {
		if code, answer := (attempt{parameters: a.parameters, statement: a.statement}).do(t, port); code != 0 || answer != a.answer {
			t.Errorf("%s %s: %s", a.parameters, a.statement, answer)
		}
	}
	// All that is theirs can be read, and says what it is.
	_, names := attempt{statement: "show tables"}.do(t, port)
	parameters := "customer_id = 'c', optimization_id = 'o', from_day = '2026-09-01', to_day = '2026-09-02'"
	for _, name := range strings.Fields(names) {
		statement := "select count() from " + name
		if strings.HasPrefix(name, "results_") && name != "results_history" {
			statement += "(" + parameters + ")"
		}
		if code, answer := (attempt{statement: statement}).do(t, port); code != 0 {
			t.Errorf("%s: %s", name, answer)
		}
	}
	for _, want := range []string{"sessions", "attributions", "results_daily", "runs"} {
		if !strings.Contains("\n"+names+"\n", "\n"+want+"\n") {
			t.Errorf("%s is not listed", want)
		}
	}
	for _, hidden := range []string{"catalog_", "night_", "results_noted", "_versions", "run_log", "import_ids", "import_keys", "new_"} {
		if strings.Contains(names, hidden) {
			t.Errorf("analysts see %s:\n%s", hidden, names)
		}
	}
	silent := "select groupArray(name) from system.tables where database = 'tieback' and comment = ''"
	if _, answer := (attempt{statement: silent}).do(t, port); answer != "[]" {
		t.Errorf("no comment on %s", answer)
	}
	needTheirPassword(t, db)
	silent = "select groupArray(table || '.' || name) from system.columns where database = 'tieback' and comment = ''"
	if _, answer := (attempt{statement: silent}).do(t, port); answer != "[]" {
		t.Errorf("no comment on %s", answer)
	}
}

func needTheirPassword(t *testing.T, db *warehouse.DB) {
	t.Helper()
	server := httptest.NewServer(db.Analysts("a secret"))
	defer server.Close()
	port := server.URL
	for _, a := range []attempt{
		{code: proto.ErrAuthenticationFailed},
		{parameters: "user=analyst", code: proto.ErrAuthenticationFailed},
		{parameters: "user=analyst&password=another", code: proto.ErrAuthenticationFailed},
		{parameters: "user=analyst&password=a+secret"},
		{header: "X-ClickHouse-Key: a secret"},
		{header: "X-ClickHouse-Key: a secreT", code: proto.ErrAuthenticationFailed},
		{header: "Authorization: Basic YW5hbHlzdDphIHNlY3JldA=="},
		{header: "Authorization: Basic dGllYmFjazphIHNlY3JldA==", code: proto.ErrAuthenticationFailed}, // tieback
	} {
		a.statement = "select 1"
		if code, answer := a.do(t, port); code != a.code {
			t.Errorf("%+v: %s", a, answer)
		}
	}
}

// TestAnalystsAreRefused tries what nobody may do on that port. ClickHouse itself answers.
func TestAnalystsAreRefused(t *testing.T) {
	port, db := analystsPort(t)
	file := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the network was reached: %s", r.URL)
		_, _ = io.WriteString(w, "secret\n")
	}))
	defer elsewhere.Close()
	web := elsewhere.URL
	for _, statement := range []string{
		"insert into catalog_tokens (customer_id, name) values ('c', 'secret')",
		"create view over_file as select * from catalog_tokens",
		"create dictionary over_table (customer_id String, name String) primary key customer_id source(clickhouse(db 'tieback' table 'catalog_tokens')) layout(complex_key_hashed()) lifetime(0)",
	} {
		if err := db.Exec(t.Context(), statement, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range attempts(file, web) {
		code, answer := a.do(t, port)
		if code != a.code {
			t.Errorf("%s %s %s: %s, expected %s", a.parameters, a.header, a.statement, answer, a.code)
		}
		if code == 0 || strings.Contains(answer, "secret\n") {
			t.Errorf("%s %s: %s", a.parameters, a.statement, answer)
		}
	}
	// External data is the reader's own; it opens nothing.
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, _ := parts.CreateFormFile("mine", "mine.csv")
	_, _ = io.WriteString(part, "1\n")
	_ = parts.Close()
	req, err := http.NewRequest(http.MethodPost, port+"/?mine_structure=a+UInt8&mine_format=CSV&query="+url.QueryEscape("select a, (select count() from catalog_tokens) from mine"), &form)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", parts.FormDataContentType())
	if code, answer := send(t, req); code != proto.ErrAccessDenied {
		t.Errorf("beside external data: %s", answer)
	}
	if _, err := os.Stat(file + ".out"); err == nil {
		t.Error("a file was written")
	}
	// It stops those of the reader's own tables, and there are none.
	_, _ = attempt{statement: "system stop merges"}.do(t, port)
	if err := db.Exec(t.Context(), "optimize table catalog_tokens final settings optimize_throw_if_noop = 1", nil); err != nil {
		t.Errorf("merges were stopped: %v", err)
	}
}

// attempts name what is not theirs in every way that was thought of: a file and an address that
// hold a secret, tables, other users, limits.
func attempts(file, web string) []attempt {
	return []attempt{
		{statement: "insert into conversions (customer_id) values ('c')", code: proto.ErrAccessDenied},
		{statement: "insert into run_days select * from run_days", code: proto.ErrAccessDenied},
		{parameters: "query=insert+into+conversions+format+CSV", statement: "c,1", code: proto.ErrAccessDenied},
		{statement: "insert into function file('" + file + ".out', CSV, 'a String') values ('x')", code: proto.ErrStdException},
		{statement: "insert into function url('" + web + "', CSV, 'a String') values ('x')", code: proto.ErrAccessDenied},
		{statement: "create table t (a UInt8) engine = Memory", code: proto.ErrAccessDenied},
		{statement: "create temporary table t (a UInt8)", code: proto.ErrAccessDenied},
		{statement: "create view v as select 1", code: proto.ErrAccessDenied},
		{statement: "create view v (a UInt8) definer = tieback sql security definer as select 1 as a", code: proto.ErrAccessDenied},
		{statement: "create function f as x -> x", code: proto.ErrAccessDenied},
		{statement: "create dictionary d (id UInt64) primary key id source(clickhouse(table 'catalog_tokens')) layout(flat()) lifetime(0)", code: proto.ErrAccessDenied},
		{statement: "create database d", code: proto.ErrAccessDenied},
		{statement: "create user u", code: proto.ErrAccessDenied},
		{statement: "create named collection n as a = 1", code: proto.ErrAccessDenied},
		{statement: "create row policy p on sessions using 1", code: proto.ErrAccessDenied},
		{statement: "drop table exposures", code: proto.ErrAccessDenied},
		{statement: "drop database tieback", code: proto.ErrAccessDenied},
		{statement: "truncate table client_events", code: proto.ErrAccessDenied},
		{statement: "alter table client_events delete where 1", code: proto.ErrAccessDenied},
		{statement: "alter table client_events modify comment 'x'", code: proto.ErrAccessDenied},
		{statement: "delete from client_events where 1", code: proto.ErrAccessDenied},
		{statement: "update client_events set type = 'x' where 1", code: proto.ErrAccessDenied},
		{statement: "rename table exposures to e", code: proto.ErrAccessDenied},
		{statement: "exchange tables exposures and sessions", code: proto.ErrAccessDenied},
		{statement: "optimize table client_events", code: proto.ErrAccessDenied},
		{statement: "attach table x", code: proto.ErrAccessDenied},
		{statement: "detach table exposures", code: proto.ErrAccessDenied},
		{statement: "system shutdown", code: proto.ErrAccessDenied},
		{statement: "system reload config", code: proto.ErrUnsupportedMethod},
		{statement: "system stop listen http", code: proto.ErrAccessDenied},
		{statement: "system flush logs", code: proto.ErrAccessDenied},
		{statement: "kill query where 1", code: proto.ErrAccessDenied},
		{statement: "kill mutation where 1", code: proto.ErrAccessDenied},
		{statement: "backup database tieback to File('x')", code: proto.ErrAccessDenied},
		{statement: "restore database tieback from File('x')", code: proto.ErrAccessDenied},
		{statement: "set readonly = 0", code: proto.ErrReadonly},
		{statement: "set max_execution_time = 0", code: proto.ErrSettingConstraintViolation},
		{statement: "grant all on *.* to analyst", code: proto.ErrAccessDenied},
		{statement: "execute as tieback select 1", code: proto.ErrSupportIsDisabled},
		{statement: "begin transaction", code: proto.ErrNotImplemented},
		{parameters: "readonly=0", statement: "select 1", code: proto.ErrReadonly},
		{parameters: "readonly=2", statement: "select 1", code: proto.ErrReadonly},
		{parameters: "max_execution_time=0", statement: "select 1", code: proto.ErrSettingConstraintViolation},
		{parameters: "max_execution_time=61", statement: "select 1", code: proto.ErrSettingConstraintViolation},
		{parameters: "max_memory_usage=0", statement: "select 1", code: proto.ErrReadonly},
		{parameters: "max_threads=64", statement: "select 1", code: proto.ErrReadonly},
		{parameters: "allow_introspection_functions=1", statement: "select 1", code: proto.ErrReadonly},
		{parameters: "cancel_http_readonly_queries_on_client_close=0", statement: "select 1", code: proto.ErrReadonly},
		{parameters: "output_format_schema=" + file, statement: "select 1", code: proto.ErrReadonly},
		{statement: "select 1 settings max_memory_usage = 0", code: proto.ErrReadonly},
		{statement: "select 1 settings max_execution_time = 0", code: proto.ErrSettingConstraintViolation},
		{statement: "select 1 settings readonly = 0", code: proto.ErrReadonly},
		{statement: "select 1 settings max_memory_usage = 0, profile = 'default'", code: proto.ErrReadonly},
		{parameters: "profile=default&max_memory_usage=0", statement: "select 1", code: proto.ErrReadonly},
		{parameters: "role=admin", statement: "select 1", code: proto.ErrUnknownRole},
		{parameters: "user=tieback", statement: "select 1", code: proto.ErrAuthenticationFailed},
		{parameters: "user=tieback&password=tieback", statement: "select 1", code: proto.ErrAuthenticationFailed},
		{parameters: "user=nobody", statement: "select 1", code: proto.ErrAuthenticationFailed},
		{header: "X-ClickHouse-User: tieback", statement: "select 1", code: proto.ErrAuthenticationFailed},
		{header: "Authorization: Basic dGllYmFjazo=", statement: "select 1", code: proto.ErrAuthenticationFailed},
		{parameters: "user=analyst", header: "X-ClickHouse-User: tieback", statement: "select 1", code: proto.ErrAuthenticationFailed},
		{statement: "select 1; drop table client_events", code: proto.ErrSyntaxError},
		{statement: "select * from file('" + file + "')", code: proto.ErrStdException},
		{statement: "select * from `file`('" + file + "')", code: proto.ErrStdException},
		{statement: "select * from file -- x\n('" + file + "', CSV, 'a String')", code: proto.ErrStdException},
		{statement: "select file('" + file + "')", code: proto.ErrStdException},
		{statement: "select file('" + file + "', 'none')", code: proto.ErrStdException},
		{statement: "select file('secret.csv')", code: proto.ErrStdException},
		{statement: "select file(materialize('" + file + "'))", code: proto.ErrStdException},
		{statement: "select arrayMap(f -> file(f), ['" + file + "'])", code: proto.ErrStdException},
		{statement: "select 1 where file('" + file + "') like 's%'", code: proto.ErrStdException},
		{statement: "select file\u00a0('" + file + "')", code: proto.ErrStdException},
		{statement: "select * from file\u2003/**/('" + file + "')", code: proto.ErrStdException},
		{statement: "select * from '" + file + "'", code: proto.ErrUnknownTable},
		{statement: "select * from default.`" + file + "`", code: proto.ErrStdException},
		{parameters: "database=default", statement: "select * from `" + file + "`", code: proto.ErrStdException},
		{statement: "describe file('" + file + "')", code: proto.ErrStdException},
		{statement: "explain select * from file('" + file + "')", code: proto.ErrStdException},
		{statement: "select 1 into outfile '" + file + ".out'", code: proto.ErrIntoOutfileNotAllowed},
		{statement: "select * from filesystem('/etc')", code: proto.ErrAccessDenied},
		{statement: "select * from fileCluster('c', '" + file + "')", code: proto.ErrClusterDoesntExist},
		{statement: "select * from url('" + web + "', CSV, 'a String')", code: proto.ErrAccessDenied},
		{statement: "select * from url\n(\n'" + web + "', CSV, 'a String')", code: proto.ErrAccessDenied},
		{statement: "select * from urlCluster('c', '" + web + "', CSV, 'a String')", code: proto.ErrClusterDoesntExist},
		{statement: "select * from s3('" + web + "/x.csv', NOSIGN)", code: proto.ErrAccessDenied},
		{statement: "select * from gcs('" + web + "/x.csv', NOSIGN)", code: proto.ErrAccessDenied},
		{statement: "select * from azureBlobStorage('" + web + "', 'c', 'b', 'a', 'MTIz', 'CSV', 'auto', 'a String')", code: proto.ErrAccessDenied},
		{statement: "select * from remote('127.0.0.1', 'tieback', 'catalog_tokens')", code: proto.ErrAccessDenied},
		{statement: "select * from remoteSecure('127.0.0.1', 'tieback', 'exposures')", code: proto.ErrAccessDenied},
		{statement: "select * from cluster('default', tieback, exposures)", code: proto.ErrClusterDoesntExist},
		{statement: "select * from clusterAllReplicas('default', tieback, exposures)", code: proto.ErrClusterDoesntExist},
		{statement: "select * from mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", code: proto.ErrAccessDenied},
		{statement: "select * from postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')", code: proto.ErrAccessDenied},
		{statement: "select * from mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e String')", code: proto.ErrAccessDenied},
		{statement: "select * from redis('127.0.0.1:1', 'a', 'a String')", code: proto.ErrAccessDenied},
		{statement: "select * from jdbc('127.0.0.1:1', 'a', 'b')", code: proto.ErrAccessDenied},
		{statement: "select * from odbc('DSN=x', 'a', 'b')", code: proto.ErrAccessDenied},
		{statement: "select * from sqlite('" + file + "', 'x')", code: proto.ErrStdException},
		{statement: "select * from executable('cat " + file + "', TSV, 'a String')", code: proto.ErrAccessDenied},
		{statement: "select * from hdfs('" + web + "', CSV, 'a String')", code: proto.ErrBadArguments},
		{statement: "select * from iceberg('" + web + "')", code: proto.ErrAccessDenied},
		{statement: "select * from deltaLake('" + web + "')", code: proto.ErrAccessDenied},
		{statement: "select * from hudi('" + web + "')", code: proto.ErrAccessDenied},
		{statement: "select * from ytsaurus('" + web + "', 'a', 'b', 'c String')", code: proto.ErrAccessDenied},
		{statement: "select * from python('x')", code: proto.ErrUnknownFunction},
		{statement: "select * from merge('tieback', 'catalog.*')", code: proto.ErrCannotExtractTableStructure},
		{statement: "select * from merge(REGEXP('.*'), 'catalog_tokens')", code: proto.ErrCannotExtractTableStructure},
		{statement: "select * from loop(tieback.catalog_tokens)", code: proto.ErrAccessDenied},
		{statement: "select * from dictionary('tieback.over_table')", code: proto.ErrAccessDenied},
		{statement: "select dictGet('tieback.over_table', 'name', 'c')", code: proto.ErrAccessDenied},
		{statement: "select joinGet('tieback.catalog_tokens', 'hash', 1)", code: proto.ErrIllegalTypeOfArgument},
		{statement: "select * from mergeTreeProjection(tieback, client_events, p)", code: proto.ErrNoSuchProjectionInTable},
		{statement: "select * from view(select * from catalog_tokens)", code: proto.ErrAccessDenied},
		{statement: "select catboostEvaluate('" + file + "', 1)", code: proto.ErrPocoException},
		{statement: "select addressToLine(1)", code: proto.ErrAccessDenied},
		{statement: "select demangle('x')", code: proto.ErrAccessDenied},
		{statement: "select hasColumnInTable('tieback', 'catalog_tokens', 'hash')", code: proto.ErrAccessDenied},
		{statement: "select * from catalog_tokens", code: proto.ErrAccessDenied},
		{statement: "select * from tieback.`catalog_tokens`", code: proto.ErrAccessDenied},
		{statement: "select * from \"catalog_tokens\"", code: proto.ErrAccessDenied},
		{statement: "select * from `catalog\\x5ftokens`", code: proto.ErrAccessDenied},
		{statement: "select 'v1' in catalog_tokens", code: proto.ErrAccessDenied},
		{statement: "select (select any(hash) from catalog_tokens)", code: proto.ErrAccessDenied},
		{statement: "with (select any(hash) from catalog_tokens) as h select toUInt8(h)", code: proto.ErrAccessDenied},
		{statement: "explain select * from catalog_tokens", code: proto.ErrAccessDenied},
		{statement: "describe catalog_tokens", code: proto.ErrAccessDenied},
		{statement: "show create table catalog_tokens", code: proto.ErrAccessDenied},
		{statement: "check table catalog_tokens", code: proto.ErrAccessDenied},
		{parameters: "param_t=catalog_tokens", statement: "select * from {t:Identifier}", code: proto.ErrAccessDenied},
		{parameters: "param_d=system&param_t=processes", statement: "select * from {d:Identifier}.{t:Identifier}", code: proto.ErrAccessDenied},
		{statement: "select * from sessions_versions", code: proto.ErrAccessDenied},
		{statement: "select * from night_visitor_days", code: proto.ErrAccessDenied},
		{statement: "select * from over_file", code: proto.ErrAccessDenied},
		{statement: "select * from system.processes", code: proto.ErrAccessDenied},
		{statement: "select * from system/**/.processes", code: proto.ErrAccessDenied},
		{statement: "select * from `system`.`processes`", code: proto.ErrAccessDenied},
		{statement: "select * from system . users", code: proto.ErrAccessDenied},
		{statement: "select * from system.query_log", code: proto.ErrUnknownTable},
		{statement: "select * from system.parts", code: proto.ErrAccessDenied},
		{statement: "select * from system.clusters", code: proto.ErrAccessDenied},
		{statement: "select * from system.server_settings", code: proto.ErrAccessDenied},
		{statement: "select * from system.disks", code: proto.ErrAccessDenied},
		{statement: "select * from system.user_processes", code: proto.ErrAccessDenied},
		{statement: "select * from system.stack_trace", code: proto.ErrAccessDenied},
		{statement: "select * from system.zookeeper where path = '/'", code: proto.ErrUnknownTable},
		{parameters: "database=system", statement: "select * from processes", code: proto.ErrAccessDenied},
		{parameters: "database=nowhere", statement: "select 1", code: proto.ErrUnknownDatabase},
		{statement: "show processlist", code: proto.ErrAccessDenied},
		{statement: "show create table system.processes", code: proto.ErrAccessDenied},
		{statement: "show users", code: proto.ErrAccessDenied},
		{statement: "show create user tieback", code: proto.ErrAccessDenied},
		{parameters: "session_id=mine&session_timeout=60", statement: "create temporary table t (a UInt8)", code: proto.ErrAccessDenied},
		{statement: "select sleep(4)", code: proto.ErrTooSlow},
		{statement: "select arrayJoin(range(100000000))", code: proto.ErrMemoryLimitExceeded},
		{statement: "select groupArray(number) from numbers(1000000000)", code: proto.ErrMemoryLimitExceeded},
	}
}
