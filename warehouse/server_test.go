package warehouse_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/chdb"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// openServer opens a server from a data folder of its own.
func openServer(t *testing.T, server chdb.Endpoint, user, password string) (*warehouse.DB, error) {
	t.Helper()
	return openWith(t, server, user, password, 0)
}

// openHasty is openServer with locks that expire soon, for tests that wait for that: a busy machine may lose them.
func openHasty(t *testing.T, server chdb.Endpoint, user, password string) (*warehouse.DB, error) {
	t.Helper()
	return openWith(t, server, user, password, 1500*time.Millisecond)
}

func openWith(t *testing.T, server chdb.Endpoint, user, password string, lockExpiry time.Duration) (*warehouse.DB, error) {
	t.Helper()
	db, err := warehouse.Open(t.Context(), warehouse.Config{
		DataDir: t.TempDir(), URL: "http://" + user + ":" + password + "@" + server.Address, Log: slog.New(slog.DiscardHandler),
		LockExpiry: lockExpiry,
	})
	if err == nil {
		t.Cleanup(func() { db.Close() })
	}
	return db, err
}

func TestServerIsLeftAlone(t *testing.T) {
	server := warehousetest.Server(t, warehousetest.User("few", "", "GRANT SELECT ON tieback.*"))
	db, err := openServer(t, server, server.User, server.Password)
	if err != nil {
		t.Fatal(err)
	}
	if has, newest, err := db.Schema(t.Context()); err != nil || has != 0 || newest == 0 {
		t.Errorf("of an empty server: schema %d of %d, %v", has, newest, err)
	}
	var exists uint8
	if err := db.Exec(t.Context(), "select 1", nil); err == nil {
		t.Error("there is a database after it was opened only")
	}
	if _, after, err := db.Migrate(t.Context()); err != nil || after == 0 {
		t.Fatal(err)
	}
	if err := db.Row(t.Context(), "exists table sessions", nil, &exists); err != nil || exists != 1 {
		t.Errorf("after the migration: %v", err)
	}
}

func TestServerSaysWhatIsWrong(t *testing.T) {
	server := warehousetest.Server(t, warehousetest.User("fixed", "<limit>20</limit><async_insert>1</async_insert><constraints><limit><const/></limit><async_insert><const/></async_insert></constraints>"),
		warehousetest.User("reader", "<readonly>1</readonly>"))
	for _, c := range []struct{ user, password, says string }{
		{server.User, "wrong", "ClickHouse at " + server.Address + " refuses the user tieback: the name or the password in --clickhouse is wrong"},
		{"nobody", "x", "refuses the user nobody"},
		{"fixed", "pw", "constraints of the user's profile fix settings"},
		{"reader", "pw", "constraints of the user's profile fix settings"},
	} {
		_, err := openServer(t, server, c.user, c.password)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "http://") {
			t.Errorf("%s: %v", c.user, err)
		}
	}
	away := server
	away.Address = "127.0.0.1:9"
	if _, err := openServer(t, away, "a", "b"); !errors.Is(err, warehouse.ErrAway) || !strings.Contains(err.Error(), "ClickHouse at 127.0.0.1:9 does not answer: dial tcp 127.0.0.1:9: connect: connection refused; check the address") {
		t.Errorf("a server that is away: %v", err)
	}
	for address, says := range map[string]string{
		"https://h:8443": "", "clickhouse://u:p@h:9440?secure=true": "", "http://h:8123/": "", "ftp://h": "the scheme must be", "http://h:8123/other": "the database is always tieback", "x": "is not an address",
	} {
		if err := warehouse.CheckURL(address); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestServerLock(t *testing.T) {
	few := []string{
		"GRANT SELECT, INSERT, CREATE TABLE, DROP TABLE ON tieback.*", "GRANT TABLE ENGINE ON MergeTree", "GRANT TABLE ENGINE ON Memory",
	}
	server := warehousetest.Server(t, warehousetest.User("few", "", append(few, "GRANT SELECT ON system.processes")...), warehousetest.User("blind", "", few...))
	operator, err := openServer(t, server, server.User, server.Password)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := operator.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	one, err := openHasty(t, server, "few", "pw")
	if err != nil {
		t.Fatal(err)
	}
	two, err := openHasty(t, server, "few", "pw")
	if err != nil {
		t.Fatal(err)
	}
	onlyOneHolds(t, one, two)
	takesOver(t, one, two, true)
	// Who may not see its own statements takes over all the same.
	blind, err := openHasty(t, server, "blind", "pw")
	if err != nil {
		t.Fatal(err)
	}
	still, err := blind.Lock(t.Context(), "blind", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	still.Freeze()
	after, err := blind.Lock(t.Context(), "blind", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	after.Release()
	losesIt(t, one, func(lock string) error {
		return two.Exec(t.Context(), "create table "+lock+" (at DateTime64(3), holder String, given_back UInt8) engine = Memory", nil)
	})
}

// TestKeeperLock: two servers share the locks that Keeper has.
func TestKeeperLock(t *testing.T) {
	keeper := warehousetest.Keeper(t)
	var dbs []*warehouse.DB
	for range 2 {
		dir := t.TempDir()
		warehousetest.Configure(t, dir, "keeper.xml", keeper)
		server := warehousetest.ServerWith(t, dir, warehousetest.Command())
		patient, err := openServer(t, server, server.User, server.Password)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := patient.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		db, err := openHasty(t, server, server.User, server.Password)
		if err != nil {
			t.Fatal(err)
		}
		var engine string
		if err := db.Row(t.Context(), "select engine from system.tables where database = currentDatabase() and name = 'keeper_locks'", nil, &engine); err != nil || engine != "KeeperMap" {
			t.Fatalf("the locks are in %q, %v", engine, err)
		}
		dbs = append(dbs, db)
	}
	onlyOneHolds(t, dbs[0], dbs[1])
	takesOver(t, dbs[0], dbs[1], false)
	takesOver(t, dbs[1], dbs[0], false)
	losesIt(t, dbs[0], func(lock string) error {
		return dbs[1].Exec(t.Context(), "insert into keeper_locks (name, holder) select '"+lock+"', 'x'", nil)
	})
	var left uint64
	if err := dbs[0].Row(t.Context(), "select count() from keeper_locks", nil, &left); err != nil || left > 5 {
		t.Errorf("%d locks are left (%v)", left, err)
	}
}

func onlyOneHolds(t *testing.T, one, two *warehouse.DB) {
	t.Helper()
	// Eight at once, from two folders: never two inside, and no generation twice.
	var inside atomic.Int32
	var mu sync.Mutex
	generations := map[uint64]bool{}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			held, err := []*warehouse.DB{one, two}[i%2].Lock(t.Context(), "test", 5, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if inside.Add(1) > 1 {
				t.Error("two hold the lock")
			}
			mu.Lock()
			if generations[held.Generation] || held.Generation < 5 {
				t.Errorf("generation %d", held.Generation)
			}
			generations[held.Generation] = true
			mu.Unlock()
			time.Sleep(50 * time.Millisecond)
			inside.Add(-1)
			held.Release()
		})
	}
	all.Wait()
	// One that asks for a much higher generation does not pass by one who asks for any.
	first, err := one.Lock(t.Context(), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan *warehouse.Held)
	go func() {
		held, err := two.Lock(t.Context(), "test", 1000, nil)
		if err != nil {
			t.Error(err)
		}
		second <- held
	}()
	time.Sleep(500 * time.Millisecond) // it must wait, however long
	if err := first.Check(t.Context()); err != nil {
		t.Error(err)
	}
	first.Release()
	if held := <-second; held.Generation < 1000 {
		t.Errorf("generation %d, at least 1000 was asked for", held.Generation)
	} else {
		held.Release()
	}
}

// takesOver: what a holder that stands still had under way at this server is ended.
func takesOver(t *testing.T, one, two *warehouse.DB, sameServer bool) {
	t.Helper()
	// A holder that stands still is taken for dead; what it had under way is ended, and what it
	// sends later is told by the fence.
	frozen, err := one.Lock(t.Context(), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- one.Exec(frozen.Context, "select sleepEachRow(1) from numbers(100) format Null settings max_block_size = 1", nil)
	}()
	for running := uint64(0); running == 0; {
		if err := one.Row(t.Context(), "select count() from system.processes where startsWith(query, 'select sleepEachRow')", nil, &running); err != nil {
			t.Fatal(err)
		}
	}
	frozen.Freeze()
	waited := false
	next, err := two.Lock(t.Context(), "test", 0, func() { waited = true })
	if err != nil || !waited {
		t.Fatalf("waited %t: %v", waited, err)
	}
	defer next.Release()
	if sameServer {
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "QUERY_WAS_CANCELLED") {
			t.Errorf("the statement of the one taken for dead: %v", err)
		}
	}
	if next.Generation <= frozen.Generation || next.Fence <= frozen.Fence {
		t.Errorf("generation %d after %d, fence %s after %s", next.Generation, frozen.Generation, next.Fence, frozen.Fence)
	}
	if err := frozen.Check(t.Context()); !errors.Is(err, warehouse.ErrLockLost) {
		t.Errorf("the frozen one believes that it holds the lock: %v", err)
	}
	if err := one.Exec(frozen.Context, "select 1", nil); !errors.Is(err, warehouse.ErrLockLost) {
		t.Errorf("the frozen one goes on: %v", err)
	}
	if err := next.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func losesIt(t *testing.T, one *warehouse.DB, intrude func(lock string) error) {
	t.Helper()
	// A holder that lives loses it as soon as it learns of it.
	living, err := one.Lock(t.Context(), "other", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := intrude("lock_other_99999999999999999999"); err != nil {
		t.Fatal(err)
	}
	<-living.Context.Done()
	if err := living.Lost(); !errors.Is(err, warehouse.ErrLockLost) {
		t.Errorf("lost: %v", err)
	}
}

// TestNativeProtocol goes to a server by clickhouse:// what else goes by HTTP.
func TestNativeProtocol(t *testing.T) {
	server := warehousetest.Server(t)
	db, err := warehouse.Open(t.Context(), warehouse.Config{
		DataDir: t.TempDir(), URL: "clickhouse://" + server.User + ":" + server.Password + "@" + warehousetest.Native(t, server), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := []warehouse.ClientEvent{{CustomerID: "c1", VisitorID: "v\t1", Type: "activity", OccurredAtMS: 1790000000001, ReceivedAtMS: 1790000000000}}
	if err := db.InsertClientEvents(t.Context(), "one", rows); err != nil {
		t.Fatal(err)
	}
	query := "select visitor_id, occurred_at, toDate(occurred_at) as day, 1.5::Decimal(18, 4) as value, null as nothing, 18446744073709551615 as most from client_events"
	for format, want := range map[string]string{
		"TSV":           "v\\t1\t2026-09-21 14:13:20.001\t2026-09-21\t1.5\t\\N\t18446744073709551615\n",
		"CSVWithNames":  "visitor_id,occurred_at,day,value,nothing,most\nv\t1,2026-09-21 14:13:20.001,2026-09-21,1.5,\\N,18446744073709551615\n",
		"JSONEachRow":   `{"visitor_id":"v\t1","occurred_at":"2026-09-21 14:13:20.001","day":"2026-09-21","value":1.5,"nothing":null,"most":18446744073709551615}` + "\n",
		"PrettyCompact": "visitor_id  occurred_at              day         value  nothing  most\nv\\t1        2026-09-21 14:13:20.001  2026-09-21  1.5    \\N       18446744073709551615\n",
		"Vertical":      "Row 1:\n──────\nvisitor_id:  v\t1\noccurred_at: 2026-09-21 14:13:20.001\nday:         2026-09-21\nvalue:       1.5\nnothing:     ᴺᵁᴸᴸ\nmost:        18446744073709551615\n\n",
	} {
		result, err := db.Format(t.Context(), format, query)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		text, err := io.ReadAll(result)
		if err = errors.Join(err, result.Close()); err != nil || string(text) != want {
			t.Errorf("%s: %q %v", format, text, err)
		}
	}
	for statement, says := range map[string]string{"select 1 format Parquet": "needs ClickHouse's HTTP interface", "selec": "SYNTAX_ERROR", "select throwIf(number = 5) from numbers(9) format TSV": "THROW"} {
		result, err := db.Format(t.Context(), "TSV", statement)
		if err == nil {
			_, err = io.Copy(io.Discard, result)
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if result, err := db.Format(t.Context(), "TSV", "alter table client_events comment column type 'x'"); err != nil {
		t.Error(err)
	} else if text, err := io.ReadAll(result); err != nil || len(text) > 0 {
		t.Errorf("a statement without a result: %q %v", text, err)
	}
	held, err := db.Lock(t.Context(), "test", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	held.Release()
	// A statement whose caller gives up is ended.
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := db.Exec(ctx, "select count() from numbers(1000000000009) where not ignore(sipHash64(number)) settings max_threads = 1", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given up: %v", err)
	}
	for running := uint64(1); running > 0; {
		if err := db.Row(t.Context(), "select count() from system.processes where query like '%1000000000009%' and query not like '%processes%'", nil, &running); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSecureServer goes to a server over TLS, by both protocols.
func TestSecureServer(t *testing.T) {
	server := warehousetest.Server(t)
	https, native := warehousetest.Secure(t, server)
	login := server.User + ":" + server.Password + "@"
	for _, c := range []struct{ url, fails string }{
		{"https://" + login + https + "?skip_verify=true", ""},
		{"clickhouse://" + login + native + "?secure=true&skip_verify=true", ""},
		{"https://" + login + https, "certificate"},
		{"clickhouse://" + login + native + "?secure=true", "certificate"},
		{"http://" + login + https, "ClickHouse"},
	} {
		db, err := warehouse.Open(t.Context(), warehouse.Config{DataDir: t.TempDir(), URL: c.url, Log: slog.New(slog.DiscardHandler)})
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", c.url, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if _, _, err := db.Migrate(t.Context()); err != nil {
			t.Errorf("%s: %v", c.url, err)
		}
		result, err := db.Format(t.Context(), "TSV", "select 1")
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if text, err := io.ReadAll(result); err != nil || string(text) != "1\n" {
			t.Errorf("%s: %q %v", c.url, text, err)
		}
		_ = db.Close()
	}
}

// TestReplicatedTables: where nodes have macros, tables are replicas of each other, at the paths that the migrations are rendered with. What is inserted at one can't be
// seen at the other here: this engine has no port for other replicas, so its tables stay read-only.
func TestReplicatedTables(t *testing.T) {
	keeper := warehousetest.Keeper(t)
	for _, replica := range []string{"first", "second"} {
		dir := t.TempDir()
		warehousetest.Configure(t, dir, "keeper.xml", keeper)
		warehousetest.Configure(t, dir, "macros.xml", "<clickhouse><macros><shard>s1</shard><replica>"+replica+"</replica></macros></clickhouse>")
		server := warehousetest.ServerWith(t, dir, warehousetest.Command())
		db, err := openServer(t, server, server.User, server.Password)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // again does nothing
			if _, _, err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var tables []struct {
			Name    string `ch:"name"`
			Engine  string `ch:"engine"`
			Path    string `ch:"zookeeper_path"`
			Replica string `ch:"replica_name"`
			Full    string `ch:"engine_full"`
		}
		query := `select tables.name as name, tables.engine as engine, replicas.zookeeper_path as zookeeper_path, replicas.replica_name as replica_name, engine_full from system.tables
			left join system.replicas on tables.database = replicas.database and tables.name = replicas.table
			where tables.database = currentDatabase() and tables.engine like '%MergeTree'`
		if err := db.Select(t.Context(), &tables, query, nil); err != nil {
			t.Fatal(err)
		}
		replicated := 0
		for _, table := range tables {
			isScratch := strings.HasPrefix(table.Name, "night_") || strings.HasPrefix(table.Name, "import_") || table.Name == "schema_migrations"
			if strings.HasPrefix(table.Engine, "Replicated") == isScratch {
				t.Errorf("%s has the engine %s", table.Name, table.Engine)
			}
			if isScratch {
				continue
			}
			replicated++
			if table.Path != "/clickhouse/tables/s1/tieback/"+table.Name || table.Replica != replica || !strings.Contains(table.Full, " replicated_deduplication_window = ") {
				t.Errorf("%s is the replica %q of %q, %s", table.Name, table.Replica, table.Path, table.Full)
			}
		}
		if replicated < 25 {
			t.Errorf("only %d tables are replicated", replicated)
		}
	}
}
