package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// Most of what a cluster does is tested by the tests of one server: `make test-cluster` runs them with all their databases on three nodes.

// clusterTables are compared between a cluster and one server; versions count by themselves.
var clusterTables = []string{"client_events", "sessions", "exposures", "entries", "attributions", "conversion_outcomes"}

// contents returns the rows of what readers see, as numbers that don't depend on their order.
func contents(t *testing.T, db *warehouse.DB) map[string]string {
	t.Helper()
	rows := map[string]string{}
	for _, table := range clusterTables {
		of := "*"
		if table == "client_events" {
			of = "* except (inserted_at, ingest_id)"
		}
		if table == "attributions" || table == "conversion_outcomes" {
			of = "* except (ingest_id)"
		}
		var hash string
		query := "select toString((count(), sum(cityHash64(tuple(" + of + "))))) from " + table
		if err := db.Row(t.Context(), query, nil, &hash); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		rows[table] = hash
	}
	return rows
}

func mustEqual(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for _, table := range clusterTables {
		if got[table] != want[table] {
			t.Errorf("%s: %s has %s, expected %s", what, table, got[table], want[table])
		}
	}
}

// people inserts many visitors, who lie on all shards, their users and conversions of some days.
func people(t *testing.T, db *warehouse.DB, days ...int) {
	t.Helper()
	events, conversions := peopleOf(days...)
	if err := errors.Join(db.InsertClientEvents(t.Context(), "", events), db.InsertConversions(t.Context(), "", conversions)); err != nil {
		t.Fatal(err)
	}
}

func peopleOf(days ...int) ([]warehouse.ClientEvent, []warehouse.Conversion) {
	var events []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	for _, day := range days {
		for i := range 60 {
			at := dateAt(day, 8+i%12, i).UnixMilli()
			name := fmt.Sprintf("v%d", i)
			user := fmt.Sprintf("u%d", i/2) // each of two visitors, which may be on different shards
			for _, e := range []warehouse.ClientEvent{
				{Type: "view", OptimizationID: "hero", VariationID: []string{"a", "b"}[i/2%2]}, {Type: "identify", UserDomain: "crm", UserID: user},
			} {
				e.CustomerID, e.VisitorID, e.OccurredAtMS, e.ReceivedAtMS, e.IngestID = "c1", name, at, at, numbered(len(events)+1000*day)
				events = append(events, e)
			}
			conversions = append(conversions, warehouse.Conversion{
				CustomerID: "c1", APIName: "bought", UserDomain: "crm", UserID: user, ActionID: fmt.Sprintf("a%d-%d", day, i),
				ActionAtMS: at + 5*minuteMS, ReceivedAtMS: at + 6*minuteMS, IngestID: numbered(len(conversions) + 1000*day),
			})
		}
	}
	return events, conversions
}

// oneServer is what a run of one server gives for a crowd.
func oneServer(t *testing.T, cutoff time.Time, days ...int) map[string]string {
	t.Helper()
	db := warehousetest.Open(t)
	site(t, db)
	people(t, db, days...)
	mustRun(t, runnerAt(db, cutoff), jobs.Request{Cutoff: cutoff})
	return contents(t, db)
}

// thorough skips a test that takes a minute and more but in `make test-cluster`.
func thorough(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_CLUSTER") == "" {
		t.Skip("it takes minutes: make test-cluster")
	}
	t.Parallel()
}

// TestNightOnACluster: three nodes give what one server gives, for visitors on all shards and users of visitors on several.
func TestNightOnACluster(t *testing.T) {
	thorough(t)
	db := warehousetest.NewCluster(t, 3).Open(t)
	site(t, db)
	people(t, db, 20)
	mustRun(t, runnerAt(db, date(21, 0)), jobs.Request{Cutoff: date(21, 0)})
	people(t, db, 21)
	mustRun(t, runnerAt(db, date(22, 0)), jobs.Request{Cutoff: date(22, 0)})
	mustEqual(t, "three nodes", contents(t, db), oneServer(t, date(22, 0), 20, 21))
}

// TestShardsDieAndHang: a shard that does not answer stops the night, and not those that come after; nothing is published half.
func TestShardsDieAndHang(t *testing.T) {
	thorough(t)
	c := warehousetest.NewCluster(t, 3)
	c.Patience = 4 * time.Second
	db := c.Open(t)
	site(t, db)
	people(t, db, 20, 21)
	mustRun(t, runnerAt(db, date(22, 0)), jobs.Request{Cutoff: date(22, 0)})
	before := contents(t, db)
	mustEqual(t, "three nodes", before, oneServer(t, date(22, 0), 20, 21))
	events, conversions := peopleOf(22)

	t.Run("dead for two nights", func(t *testing.T) {
		c.Nodes[2].Signal(t, syscall.SIGKILL)
		if err := db.InsertConversions(t.Context(), "", conversions); err != nil {
			t.Errorf("conversions don't need the shards: %v", err)
		}
		for range 2 { // as a spool tries
			if err := db.InsertClientEvents(t.Context(), "a batch", events); err == nil {
				t.Error("client events are taken for inserted without a shard")
			}
		}
		for _, cutoff := range []time.Time{date(23, 0), date(24, 0)} {
			_, err := runnerAt(db, date(24, 0)).Run(t.Context(), jobs.Request{Cutoff: cutoff})
			if err == nil || !strings.Contains(err.Error(), "shard 3") {
				t.Errorf("a night without a shard gives %v", err)
			}
		}
		if cutoff, err := jobs.PublishedCutoff(t.Context(), db); err != nil || !cutoff.Equal(date(22, 0)) {
			t.Errorf("published is %s (%v)", cutoff, err)
		}
		c.Nodes[2].Start(t)
		for range 2 {
			if err := db.InsertClientEvents(t.Context(), "a batch", events); err != nil {
				t.Fatal(err)
			}
		}
		after := contents(t, db)
		before["client_events"] = after["client_events"] // the last test compares them
		mustEqual(t, "back again", after, before)
	})
	t.Run("killed in mid-night", func(t *testing.T) {
		steps := []string{"13_identifies", "20_sessions", "22_exposures", "23_night_versions", "27_entries", "30_night_keys", "33_night_candidates", "34_night_views", "35_decisions", "40_run_days", "42_published_days"}
		for i, step := range steps {
			victim := c.Nodes[i%2] // home and another one
			runner := runnerAt(db, date(24, 0))
			runner.Progress = func(p jobs.Progress) {
				if p.Step == step {
					victim.Signal(t, syscall.SIGKILL)
					runner.Progress = nil
				}
			}
			if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: date(23, 0), Full: i > 1}); err == nil {
				t.Logf("%s: the run was at its end before", step)
			}
			victim.Start(t)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		runner := runnerAt(db, date(24, 0))
		runner.Progress = func(p jobs.Progress) {
			if p.Step == "22_exposures" {
				c.Nodes[1].Signal(t, syscall.SIGSTOP)
			}
		}
		if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: date(23, 0)}); !errors.Is(err, warehouse.ErrAway) {
			t.Errorf("a night with a shard that hangs gives %v", err)
		}
		if _, err := runnerAt(db, date(24, 0)).Run(t.Context(), jobs.Request{Cutoff: date(23, 0)}); !errors.Is(err, warehouse.ErrAway) || !strings.Contains(err.Error(), "shard 2") {
			t.Errorf("a night that begins with a shard that hangs gives %v", err)
		}
		c.Nodes[1].Signal(t, syscall.SIGCONT)
	})
	t.Run("all there", func(t *testing.T) {
		mustRun(t, runnerAt(db, date(24, 0)), jobs.Request{Cutoff: date(23, 0)})
		mustEqual(t, "after all that", contents(t, db), oneServer(t, date(23, 0), 20, 21, 22))
	})
}

// TestMoveToACluster spreads the tables of one server, with the move cut off all along.
func TestMoveToACluster(t *testing.T) {
	thorough(t)
	c := warehousetest.NewCluster(t, 3)
	open := func(cluster string) *warehouse.DB {
		db, err := warehouse.Open(t.Context(), warehouse.Config{DataDir: t.TempDir(), URL: c.Nodes[0].URL(), Cluster: cluster})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	one := open("")
	if _, _, err := one.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	site(t, one)
	people(t, one, 20, 21)
	mustRun(t, runnerAt(one, date(22, 0)), jobs.Request{Cutoff: date(22, 0)})
	before := contents(t, one)

	// An insert that is under way as the tables change their places.
	var slow sync.WaitGroup
	slow.Go(func() {
		statement := "insert into client_events (customer_id, visitor_id, type, occurred_at, received_at, ingest_id) select 'c1', 'slow' || toString(number), 'activity', " +
			"toDateTime64('2026-09-20 10:00:00', 3, 'UTC'), toDateTime64('2026-09-20 10:00:00', 3, 'UTC'), generateUUIDv4() from numbers(5) where sleepEachRow(1) = 0 settings max_block_size = 1"
		if err := one.Exec(t.Context(), statement, nil); err != nil {
			t.Errorf("the slow insert: %v", err)
		}
	})
	time.Sleep(500 * time.Millisecond)
	db := open(warehousetest.ClusterName)
	if _, _, err := db.Migrate(t.Context()); !errors.Is(err, warehouse.ErrOneServer) {
		t.Fatalf("one server's tables on a cluster: %v", err)
	}
	for parts := 0; ; parts++ {
		ctx, cut := context.WithCancel(t.Context())
		moved := 0
		err := db.Move(ctx, func(string, string, uint64) {
			if moved++; moved > parts {
				cut()
			}
		})
		cut()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := runnerAt(db, date(22, 0)).Run(t.Context(), jobs.Request{Cutoff: date(22, 0)}); parts < 2 && !errors.Is(err, warehouse.ErrMoving) {
			t.Errorf("a run amidst the move: %v", err)
		}
	}
	slow.Wait()
	var all uint64
	if err := db.Row(t.Context(), "select count() from client_events", nil, &all); err != nil || all != 2*120+5 {
		t.Errorf("%d client events are there, of %d (%v)", all, 2*120+5, err)
	}
	after := contents(t, db)
	before["client_events"] = after["client_events"]
	mustEqual(t, "moved", after, before)
	for i, n := range c.Nodes {
		if _, rows := warehousetest.Ask(t, n.Endpoint, "tester", "pw", "select count() from tieback_shard.client_events"); rows == "0" {
			t.Errorf("node %d has no client events", i+1)
		}
	}
	if _, _, err := open("").Schema(t.Context()); err == nil || !strings.Contains(err.Error(), "--cluster") {
		t.Errorf("a program without --cluster: %v", err)
	}
	if _, err := runnerAt(one, date(23, 0)).Run(t.Context(), jobs.Request{}); err == nil || !strings.Contains(err.Error(), "--cluster") {
		t.Errorf("a service from before the move runs: %v", err)
	}
	people(t, db, 22)
	mustRun(t, runnerAt(db, date(23, 0)), jobs.Request{Cutoff: date(23, 0)})
	if got, want := contents(t, db), oneServer(t, date(23, 0), 20, 21, 22); got["attributions"] != want["attributions"] || got["entries"] != want["entries"] || got["exposures"] != want["exposures"] {
		t.Errorf("the night after gives %v, expected %v", got, want)
	}
	schemas, err := db.NodeSchemas(t.Context())
	if err != nil || len(schemas) != 3 || schemas[0].Version != schemas[2].Version || !schemas[0].Home || schemas[1].Home {
		t.Errorf("%+v (%v)", schemas, err)
	}
}

// TestOtherShards: where the cluster has not the shards that visitors were spread over, nothing is computed.
func TestOtherShards(t *testing.T) {
	thorough(t)
	shard := func(n int) string {
		return fmt.Sprintf("<shard><replica><host>ch%d</host><port>9000</port></replica></shard>", n)
	}
	c := warehousetest.NewClusterWith(t, warehousetest.ClusterConfig{Nodes: 2, Remote: "<clickhouse><remote_servers>" +
		"<tieback><secret>s</secret>" + shard(1) + shard(2) + "</tieback><fewer><secret>s</secret>" + shard(1) + "</fewer><swapped><secret>s</secret>" + shard(2) + shard(1) + "</swapped></remote_servers></clickhouse>"})
	db := c.Open(t)
	site(t, db)
	people(t, db, 20)
	mustRun(t, runnerAt(db, date(21, 0)), jobs.Request{Cutoff: date(21, 0)})
	// A node that lacks a database, as one that was replaced, is brought up to date.
	if _, said := warehousetest.Ask(t, c.Nodes[1].Endpoint, "tester", "pw", "drop database `"+db.Database()+"_home` sync"); said != "" {
		t.Fatal(said)
	}
	if schemas, err := db.NodeSchemas(t.Context()); err != nil || schemas[1].Version != 0 && schemas[1].Err == nil {
		t.Errorf("without a database: %+v (%v)", schemas, err)
	}
	if _, _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if schemas, err := db.NodeSchemas(t.Context()); err != nil || schemas[1].Err != nil || schemas[1].Version != schemas[0].Version || schemas[1].Version == 0 {
		t.Errorf("brought up to date: %+v (%v)", schemas, err)
	}
	for cluster, says := range map[string]string{"fewer": "give it those again", "swapped": "is not the shard 1"} {
		other, err := warehouse.Open(t.Context(), warehouse.Config{DataDir: t.TempDir(), URL: c.Nodes[0].URL(), Cluster: cluster, Database: db.Database()})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if _, err := runnerAt(other, date(22, 0)).Run(t.Context(), jobs.Request{Full: true}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a run on %s: %v", cluster, err)
		}
		if _, err := runnerAt(other, date(22, 0)).Erase(t.Context(), jobs.Person{CustomerID: "c1", VisitorID: "v1"}, false); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("an erasure on %s: %v", cluster, err)
		}
	}
}

// TestHalfMadeForOneServer: a first migration that was cut off leaves tables for one server, which --cluster must not take for spread.
func TestHalfMadeForOneServer(t *testing.T) {
	thorough(t)
	c := warehousetest.NewCluster(t, 1)
	for _, statement := range []string{"create database tieback", "create table tieback.client_events (n UInt8) engine = MergeTree order by n"} {
		if _, said := warehousetest.Ask(t, c.Nodes[0].Endpoint, "tester", "pw", statement); said != "" {
			t.Fatal(said)
		}
	}
	db, err := warehouse.Open(t.Context(), warehouse.Config{DataDir: t.TempDir(), URL: c.Nodes[0].URL(), Cluster: warehousetest.ClusterName})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, _, err := db.Migrate(t.Context()); !errors.Is(err, warehouse.ErrOneServer) {
		t.Errorf("it gives %v", err)
	}
}

func numbered(n int) uuid.UUID { return uuid.NewMD5(uuid.Nil, []byte(strconv.Itoa(n))) }
