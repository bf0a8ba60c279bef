package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tieback/tieback/warehouse/warehousetest"
)

// useCluster makes all commands of the test go to a cluster of three nodes.
func useCluster(t *testing.T) *warehousetest.Cluster {
	t.Helper()
	t.Setenv(beTieback, "1") // for the processes that are started
	page, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	remote := regexp.MustCompile(`(?s)<clickhouse>\s*<remote_servers>.*?</clickhouse>`).FindString(string(page))
	if strings.Count(remote, "<shard>") != 3 {
		t.Fatalf("docs/scaling.md configures %q", remote)
	}
	c := warehousetest.NewClusterWith(t, warehousetest.ClusterConfig{
		Nodes: 3, Command: []string{os.Args[0], "engine"}, Grants: append(leastGrants(t, "operating"), leastGrants(t, "scaling")...), Remote: remote,
	})
	useServer(t, c.Nodes[0].URL())
	atCluster = warehousetest.ClusterName
	t.Cleanup(func() { atCluster = "" })
	return c
}

// TestWholeProgramOnACluster is TestWholeProgram with --cluster.
func TestWholeProgramOnACluster(t *testing.T) {
	home := useCluster(t).Nodes[0]
	dir := t.TempDir()
	wholeProgram(t, dir)
	for query, want := range map[string]string{
		"select count() from client_events":                                                       "2",
		"select count() from sessions":                                                            "1",
		"select count() from entries inner join attributions using (visitor_id)":                  "1",
		"select count() from exposures where visitor_id in (select visitor_id from attributions)": "1",
		"select count() from attributions where visitor_id in (select visitor_id from entries)":   "1",
		"select sum(visitors) from results_visitors(customer_id = '123456789', optimization_id = 'hero', from_day = '2020-01-01', to_day = '2100-01-01')": "1",
	} {
		if got := askServer(t, home.Endpoint, "analyst", home.AnalystPassword, query); got != want {
			t.Errorf("an analyst asks %s: %s", query, got)
		}
	}
	if got := must(t, dir, "migrate"); !strings.Contains(got, "nothing to do") || strings.Count(got, "│ home │") != 1 || strings.Count(got, "127.0.0.1:") != 3 {
		t.Errorf("migrate: %s", got)
	}
	atCluster = ""
	if _, stderr, code := tieback(t, dir, "", "status"); code != 1 || !strings.Contains(stderr, "name it with --cluster") {
		t.Errorf("without --cluster: %d %s", code, stderr)
	}
	atCluster = "elsewhere"
	if _, stderr, code := tieback(t, dir, "", "migrate"); code != 1 || !strings.Contains(stderr, "knows no cluster elsewhere") {
		t.Errorf("an unknown cluster: %d %s", code, stderr)
	}
}

// TestTortureOnACluster kills two services and three nodes at random moments. Each conversion and client event that was acknowledged counts once.
func TestTortureOnACluster(t *testing.T) {
	if os.Getenv("TEST_CLUSTER") == "" {
		t.Skip("it takes minutes: make test-cluster")
	}
	c := useCluster(t)
	dirs, addresses, services, token := twoServices(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const clients = 4
	acknowledged, seen := make([][]string, clients), make([][]string, clients)
	var posting, runs sync.WaitGroup
	for i := range clients {
		posting.Go(func() { acknowledged[i] = postUntil(ctx, addresses[i%2], token, i) })
		posting.Go(func() { seen[i] = viewUntil(ctx, addresses[i%2], i) })
	}
	failed := 0
	var counting sync.Mutex
	for round := range *kills {
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		if round%3 == 0 {
			runs.Go(func() { // it fails where a node is away
				if _, _, code := tieback(t, dirs[round%2], "", "run", "--cutoff", "now"); code != 0 {
					counting.Lock()
					failed++
					counting.Unlock()
				}
			})
		}
		if victim := rand.IntN(5); victim < 2 {
			services[victim].kill()
			services[victim] = serve(t, dirs[victim], "--listen", addresses[victim])
		} else {
			node := c.Nodes[victim-2]
			node.Signal(t, syscall.SIGKILL)
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
			node.Start(t)
		}
	}
	time.Sleep(time.Second)
	stop()
	posting.Wait()
	runs.Wait()
	for _, dir := range dirs { // each run waits for what its own service has accepted
		must(t, dir, "run", "--cutoff", "now")
	}
	acknowledgedCountOnce(t, dirs[0], acknowledged)
	counted := map[string]string{}
	for line := range strings.Lines(must(t, dirs[0], "sql", "select visitor_id, sum(events) from sessions group by visitor_id", "--format", "TSV")) {
		visitor, events, _ := strings.Cut(strings.TrimSpace(line), "\t")
		counted[visitor] = events
	}
	total := 0
	for _, visitors := range seen {
		total += len(visitors)
		for _, visitor := range visitors {
			if counted[visitor] != "1" {
				t.Errorf("the view of %s was acknowledged and counts %q times", visitor, counted[visitor])
			}
		}
	}
	t.Logf("%d views acknowledged, %d counted; %d of the runs meanwhile failed", total, len(counted), failed)
	if total < *kills {
		t.Error("hardly any view was acknowledged")
	}
}

// viewUntil posts views of ever new visitors, each once, and returns those that were acknowledged.
func viewUntil(ctx context.Context, address string, client int) (acknowledged []string) {
	sender := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for n := 0; ctx.Err() == nil; n++ {
		visitor := fmt.Sprintf("visitor-%d-%d", client, n)
		body := strings.Replace(viewBody(time.Minute), `"v1"`, `"`+visitor+`"`, 1)
		body = body[:strings.Index(body, `,{"type":"identify"`)] + "]}"
		res, err := sender.Post("http://"+address+"/collect", "text/plain", strings.NewReader(body))
		if err == nil {
			res.Body.Close()
		}
		if err == nil && res.StatusCode == http.StatusNoContent {
			acknowledged = append(acknowledged, visitor)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return acknowledged
}
