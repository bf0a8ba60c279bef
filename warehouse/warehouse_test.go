package warehouse_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

func TestMain(m *testing.M) { warehousetest.Main(m) }

func TestRowsComeBackAsTheyWent(t *testing.T) {
	db := warehousetest.Open(t)
	conversion := warehouse.Conversion{
		CustomerID: "c\x001", APIName: "ü'`\\", UserDomain: "a\tb", UserID: "\n", ActionID: strings.Repeat("x", 256),
		ActionAtMS: 1790000000001, Value: decimal.NewNullDecimal(decimal.RequireFromString("99999999999999.9999")),
		ReceivedAtMS: 4133980799999, IngestID: uuid.MustParse("01900000-0000-7000-bfff-ffffffffffff"),
	}
	without := conversion
	without.Value, without.ActionID = decimal.NullDecimal{}, "none"
	if err := db.InsertConversions(t.Context(), "", []warehouse.Conversion{conversion, without}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []warehouse.Conversion{conversion, without} {
		var got warehouse.Conversion
		var value *decimal.Decimal
		var actionAt, receivedAt time.Time
		err := db.Row(t.Context(), `select customer_id, api_name, user_domain, user_id, action_id, action_at, value, received_at, ingest_id from conversions
			where action_id = {action:String} and api_name = {name:String} and user_domain = {domain:String} and user_id = {user:String} and customer_id = {customer:String}`,
			warehouse.Params{"action": want.ActionID, "name": want.APIName, "domain": want.UserDomain, "user": want.UserID, "customer": want.CustomerID},
			&got.CustomerID, &got.APIName, &got.UserDomain, &got.UserID, &got.ActionID, &actionAt, &value, &receivedAt, &got.IngestID)
		if err != nil {
			t.Fatal(err)
		}
		got.ActionAtMS, got.ReceivedAtMS = actionAt.UnixMilli(), receivedAt.UnixMilli()
		if value != nil {
			got.Value = decimal.NewNullDecimal(*value)
		}
		if got.Value.Valid != want.Value.Valid || !got.Value.Decimal.Equal(want.Value.Decimal) {
			t.Errorf("value %v came back as %v", want.Value, got.Value)
		}
		got.Value, want.Value = decimal.NullDecimal{}, decimal.NullDecimal{}
		if got != want {
			t.Errorf("went %+v, came back %+v", want, got)
		}
	}
}

func TestTheSameTokenInsertsOnce(t *testing.T) {
	db := warehousetest.Open(t)
	rows := []warehouse.ClientEvent{{CustomerID: "c1", VisitorID: "v1", Type: "activity", OccurredAtMS: 1790000000000, ReceivedAtMS: 1790000000000}}
	for _, token := range []string{"one", "one", "two"} {
		if err := db.InsertClientEvents(t.Context(), token, rows); err != nil {
			t.Fatal(err)
		}
	}
	var count uint64
	if err := db.Row(t.Context(), "select count() from client_events", nil, &count); err != nil || count != 2 {
		t.Errorf("%d rows (%v)", count, err)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	db := warehousetest.Open(t)
	for statement, code := range map[string]proto.Error{
		"select * from nowhere": proto.ErrUnknownTable, "selec 1": proto.ErrSyntaxError, "select 1 settings nonsense = 1": proto.ErrUnknownSetting,
		"select throwIf(1)": proto.ErrFunctionThrowIfValueIsNonZero,
	} {
		var told *warehouse.Error
		if err := db.Exec(t.Context(), statement, nil); !errors.As(err, &told) || told.Code != code {
			t.Errorf("%s: %v, expected code %d", statement, err, code)
		}
	}
	// An error after the first rows are out must not look like the end.
	result, err := db.Format(t.Context(), "TSV", "select throwIf(number = 900000) from numbers(1000000) settings max_block_size = 1000")
	if err == nil {
		_, err = io.Copy(io.Discard, result)
		result.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "throwIf") {
		t.Errorf("an error in mid-stream: %v", err)
	}
}

func TestCancelEndsTheStatement(t *testing.T) {
	db := warehousetest.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for running := uint64(0); running == 0; {
			if err := db.Row(t.Context(), "select count() from system.processes where query like '%1000000000007%' and query not like '%processes%'", nil, &running); err != nil {
				t.Error(err)
				break
			}
		}
		cancel()
	}()
	if err := db.Exec(ctx, "select count() from numbers(1000000000007) where not ignore(sipHash64(number)) settings max_threads = 1", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the statement ended with %v", err)
	}
	for running := uint64(1); running > 0; {
		if err := db.Row(t.Context(), "select count() from system.processes where query like '%1000000000007%' and query not like '%processes%'", nil, &running); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSettingsDoNotOutliveTheStatement(t *testing.T) {
	db := warehousetest.Open(t)
	for range 40 {
		if err := db.Exec(t.Context(), "select 1 settings max_block_size = 7", nil); err != nil {
			t.Fatal(err)
		}
		var size uint64
		if err := db.Row(t.Context(), "select toUInt64(getSetting('max_block_size'))", nil, &size); err != nil || size == 7 {
			t.Fatalf("max_block_size is %d (%v)", size, err)
		}
	}
}

// TestMigrationKilledHalfWay leaves migrations as a kill would: begun, the statement run or
// not, and never noted as done. What is published stays.
func TestMigrationKilledHalfWay(t *testing.T) {
	db := warehousetest.Open(t)
	files, err := fs.Glob(sql.Migrations(), "*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	newest := len(files)
	if _, after, err := db.Migrate(t.Context()); err != nil || after != newest { // over what is there already
		t.Fatalf("version %d, %v", after, err)
	}
	for _, statement := range []string{
		`insert into sessions_versions select * from generateRandom('customer_id LowCardinality(String), visitor_id String, day Date,
			started_at DateTime64(3, \'UTC\'), last_event_at DateTime64(3, \'UTC\'), expires_at DateTime64(3, \'UTC\'), events UInt32, views UInt32,
			version UInt64', 1) limit 20`,
		`insert into exposures_versions select * from generateRandom('customer_id LowCardinality(String), optimization_id LowCardinality(String),
			variation_id LowCardinality(String), visitor_id String, day Date, first_viewed_at DateTime64(3, \'UTC\'), first_received_at DateTime64(3, \'UTC\'),
			last_viewed_at DateTime64(3, \'UTC\'), last_received_at DateTime64(3, \'UTC\'), views UInt32, version UInt64', 1) limit 20`,
	} {
		if err := db.Exec(t.Context(), statement, nil); err != nil {
			t.Fatal(err)
		}
	}
	rows := func() (hash string) {
		query := `select toString((select (count(), sum(cityHash64(*))) from sessions_versions)) || toString((select (count(), sum(cityHash64(*))) from exposures_versions))`
		if err := db.Row(t.Context(), query, nil, &hash); err != nil {
			t.Fatal(err)
		}
		return hash
	}
	before := rows()
	last := migrationName(files[newest-1]) // a view, on which nothing depends
	undoLast := "drop view if exists " + last
	lastRan := "select count() = 1 from system.tables where database = currentDatabase() and name = '" + last + "'"
	for _, killedAt := range []int{1, 2, newest / 2, newest} {
		for _, ran := range []bool{true, false} {
			if !ran && killedAt != newest {
				continue // its tables are needed by later ones; only the last can be missing
			}
			if !ran {
				if err := db.Exec(t.Context(), undoLast, nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Exec(t.Context(), "create table _tmp_replace_killed engine = Memory as select 1", nil); err != nil {
				t.Fatal(err)
			}
			err := db.Exec(t.Context(), "insert into schema_migrations (version, dirty, sequence) select {version:Int64}, 1, max(sequence) + 1 from schema_migrations", warehouse.Params{"version": killedAt})
			if err != nil {
				t.Fatal(err)
			}
			if _, after, err := db.Migrate(t.Context()); err != nil || after != newest {
				t.Fatalf("killed at %d (ran %t): version %d, %v", killedAt, ran, after, err)
			}
			var ran, left uint8
			if err := db.Row(t.Context(), lastRan, nil, &ran); err != nil || ran != 1 {
				t.Errorf("killed at %d: the last migration did not run (%v)", killedAt, err)
			}
			if err := db.Row(t.Context(), "exists table _tmp_replace_killed", nil, &left); err != nil || left != 0 {
				t.Errorf("killed at %d: what was cut off is still there (%v)", killedAt, err)
			}
			if after := rows(); after != before {
				t.Errorf("killed at %d: the tables hold %s, before %s", killedAt, after, before)
			}
		}
	}
	err = db.Exec(t.Context(), "insert into schema_migrations (version, dirty, sequence) select 9999, 0, max(sequence) + 1 from schema_migrations", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "use the newer tieback") {
		t.Errorf("a schema from the future: %v", err)
	}
}

// TestMigrationsAreRepeatable holds every migration to one statement that can run twice.
func TestMigrationsAreRepeatable(t *testing.T) {
	files, err := fs.Glob(sql.Migrations(), "*")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile(`'[^']*'`)
	repeatable := regexp.MustCompile(`if not exists|create or replace|(drop table|drop column) if exists|modify setting`)
	for _, file := range files {
		text, err := fs.ReadFile(sql.Migrations(), file)
		if err != nil {
			t.Fatal(err)
		}
		var statement []string
		for _, line := range strings.Split(string(text), "\n") {
			if !strings.HasPrefix(line, "--") {
				statement = append(statement, line)
			}
		}
		if all := quoted.ReplaceAllString(strings.Join(statement, " "), ""); !repeatable.MatchString(all) || strings.Contains(all, ";") {
			t.Errorf("%s is not one statement that can run twice", file)
		}
	}
}

func TestLongFolderAndSharedEngine(t *testing.T) {
	// A socket's path may have 107 bytes; a folder's may be longer.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30), "folder")
	cfg := warehouse.Config{DataDir: dir, EngineCommand: warehousetest.Command(), Log: slog.New(slog.DiscardHandler)}
	first, err := warehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	second, err := warehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := second.Exec(t.Context(), "select 1", nil); err != nil {
		t.Errorf("the second client after the first has gone: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "engine.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestKilledHolderLeavesNothing: the kernel gives a lock of the data folder back when its holder is
// killed, and ClickHouse goes on with what the holder asked for.
func TestKilledHolderLeavesNothing(t *testing.T) {
	db := warehousetest.Open(t)
	lock := filepath.Join(warehousetest.DataDir(), "test_TestKilledHolderLeavesNothing.test.lock")
	held, err := db.Lock(t.Context(), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	holder, err := os.ReadFile(lock)
	if err != nil || len(holder) == 0 {
		t.Fatalf("the lock says %q: %v", holder, err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- db.Exec(held.Context, "select sleepEachRow(1) from numbers(100) format Null settings max_block_size = 1", nil)
	}()
	for running := uint64(0); running == 0; {
		if err := db.Row(t.Context(), "select count() from system.processes where startsWith(query_id, {holder:String}) and startsWith(query, 'select sleepEachRow')", warehouse.Params{"holder": string(holder)}, &running); err != nil {
			t.Fatal(err)
		}
	}
	held.Release()
	if err := os.WriteFile(lock, holder, 0o600); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	next, err := db.Lock(t.Context(), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "QUERY_WAS_CANCELLED") {
		t.Errorf("the statement of the one that was killed: %v", err)
	}
}
