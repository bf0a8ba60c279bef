// Package cluster measures what a cluster costs: `make bench-cluster`.
package cluster

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

var (
	events      = flag.Uint64("events", 0, "client events of the larger day; 0 for no measurement")
	conversions = flag.Uint64("conversions", 20_000, "conversions of a day")
)

func TestMain(m *testing.M) { warehousetest.Main(m) }

// figures are what a night took.
type figures struct {
	cpu      time.Duration // of all nodes' processes
	wall     time.Duration
	home     time.Duration // of the steps at home
	memory   uint64        // of the largest statement at home
	crossed  uint64        // rows that other nodes sent to home, or fetched from it
	received uint64        // bytes that all nodes received from each other
	events   uint64
}

// TestWorkOfACluster runs the same two nights on one node and on three of the same machine, and with a quarter of the client events.
func TestWorkOfACluster(t *testing.T) {
	if *events == 0 {
		t.Skip("a measurement, not a test: make bench-cluster")
	}
	var one, three, small figures
	t.Run("one", func(t *testing.T) { one = night(t, 1, *events) })
	t.Run("three", func(t *testing.T) { three = night(t, 3, *events) })
	t.Run("small", func(t *testing.T) { small = night(t, 3, *events/4) })
	if t.Failed() {
		return
	}
	for name, f := range map[string]figures{"one server": one, "three nodes": three, "three nodes, a quarter": small} {
		fmt.Printf("%-24s %9d client events: %6.1f s of processors, %5.1f s; at home %5.1f s, %4d MB; %d rows crossed, %.1f MB between nodes\n", name, f.events, f.cpu.Seconds(), f.wall.Seconds(),
			f.home.Seconds(), f.memory>>20, f.crossed, float64(f.received)/(1<<20))
	}
	ratio := func(what string, is, of float64) { fmt.Printf("%-72s %6.3f\n", what, is/of) }
	ratio("processor time of the night, three nodes / one server", three.cpu.Seconds(), one.cpu.Seconds())
	ratio("rows that crossed nodes / client events", float64(three.crossed), float64(three.events))
	ratio("time of the steps at home, all client events / a quarter of them", three.home.Seconds(), small.home.Seconds())
	ratio("memory of the largest statement at home, all / a quarter", float64(three.memory), float64(small.memory))
}

const logged = "<clickhouse><query_log><database>system</database><table>query_log</table></query_log></clickhouse>"

// night fills two days and returns what the second night took.
func night(t *testing.T, nodes int, perDay uint64) (f figures) {
	t.Helper()
	c := warehousetest.NewClusterWith(t, warehousetest.ClusterConfig{Nodes: nodes, Config: []string{logged}})
	db := c.OpenServer(t)
	if nodes > 1 {
		db = c.Open(t)
	} else if _, _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := catalog.NewStore(db, time.Now).Change(t.Context(), "bench", func(e *catalog.Edit) error {
		for customer := range 20 {
			for event := range 5 {
				name := fmt.Sprintf("event-%d", event)
				if err := e.PutName(catalog.EventName{CustomerID: fmt.Sprintf("site-%d", customer), EventID: name, APIName: name, From: time.UnixMilli(0)}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for day := range 2 {
		for _, kind := range []string{"events", "conversions"} {
			statement, err := os.ReadFile("../night/" + kind + ".sql")
			if err != nil {
				t.Fatal(err)
			}
			params := warehouse.Params{"day": day, "visitors": max(4, perDay/5), "sessions": perDay * 2 / 17, "conversions": *conversions}
			if err := db.Exec(t.Context(), string(statement), params.For(string(statement))); err != nil {
				t.Fatal(err)
			}
		}
	}
	runner := jobs.NewRunner(db, func() time.Time { return midnight(2) }, slog.New(slog.DiscardHandler))
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: midnight(0)}); err != nil {
		t.Fatal(err)
	}
	settle(t, db)
	for _, n := range c.Nodes {
		warehousetest.Ask(t, n.Endpoint, "tester", "pw", "system flush logs")
		warehousetest.Ask(t, n.Endpoint, "tester", "pw", "truncate table if exists system.query_log")
	}
	cpu, network, begun := processors(t, c), received(t, c), time.Now()
	record, err := runner.Run(t.Context(), jobs.Request{Cutoff: midnight(1)})
	if err != nil {
		t.Fatal(err)
	}
	f.wall, f.cpu, f.received = time.Since(begun), processors(t, c)-cpu, received(t, c)-network
	for i, n := range c.Nodes {
		warehousetest.Ask(t, n.Endpoint, "tester", "pw", "system flush logs")
		if nodes > 1 {
			_, rows := warehousetest.Ask(t, n.Endpoint, "tester", "pw", "select sum(result_rows) from system.query_log where type = 'QueryFinish' and is_initial_query = 0")
			crossed, _ := strconv.ParseUint(rows, 10, 64)
			f.crossed += crossed
		}
		if i == 0 {
			_, memory := warehousetest.Ask(t, n.Endpoint, "tester", "pw",
				"select max(memory_usage) from system.query_log where type = 'QueryFinish' and is_initial_query = 1 and not endsWith(current_database, '_shard')")
			f.memory, _ = strconv.ParseUint(memory, 10, 64)
		}
	}
	if err := db.Row(t.Context(), "select count() from client_events where toDate(occurred_at) = '2025-06-02'", nil, &f.events); err != nil {
		t.Fatal(err)
	}
	steps, err := jobs.SlowestSteps(t.Context(), db, record.RunID, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		fmt.Printf("    %-34s %6d ms %9d rows\n", step.Step, step.DurationMS, step.Rows)
		if len(step.Step) > 2 && step.Step[2] == '_' && (step.Step[0] == '3' || step.Step[0] == '4' || strings.HasPrefix(step.Step, "1") && !strings.HasPrefix(step.Step, "12")) {
			f.home += time.Duration(step.DurationMS) * time.Millisecond
		}
	}
	return f
}

func midnight(day int) time.Time { return time.Date(2025, 6, 2+day, 0, 0, 0, 0, time.UTC) }

// settle waits until ClickHouse has merged what was inserted.
func settle(t *testing.T, db *warehouse.DB) {
	t.Helper()
	err := db.OnShards(t.Context(), func(ctx context.Context, db *warehouse.DB) error {
		for merging := uint64(1); merging > 0; time.Sleep(200 * time.Millisecond) {
			if err := db.Row(ctx, "select count() from system.merges", nil, &merging); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// processors is how much time the nodes' processes have had.
func processors(t *testing.T, c *warehousetest.Cluster) (total time.Duration) {
	t.Helper()
	for _, n := range c.Nodes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.PID(t)))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] { // utime and stime, in hundredths
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			total += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return total
}

// received is how many bytes the nodes have had from each other, and home from Tieback.
func received(t *testing.T, c *warehousetest.Cluster) (total uint64) {
	t.Helper()
	for _, n := range c.Nodes {
		_, bytes := warehousetest.Ask(t, n.Endpoint, "tester", "pw", "select sum(value) from system.events where event = 'NetworkReceiveBytes'")
		node, _ := strconv.ParseUint(bytes, 10, 64)
		total += node
	}
	return total
}
