package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var kills = flag.Int("kills", 10, "how often TestTorture kills the service, the engine or both")

// TestTorture kills the service, the engine or both at random moments while clients
// post and retry. Every event that was acknowledged must then be in conversions, and
// count exactly once in the results, with the value that an acknowledged adjustment gave it. `make torture` does it 200 times.
func TestTorture(t *testing.T) {
	dir := t.TempDir()
	address := freeAddress(t)
	s := serve(t, dir, "--listen", address)
	token := configure(t, dir)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const clients = 8
	acknowledged := make([][]string, clients)
	var posting sync.WaitGroup
	for i := range clients {
		posting.Go(func() { acknowledged[i] = postUntil(ctx, address, token, i) })
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range *kills {
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		target := random.IntN(3) // the service, the engine, both
		if target != 0 {
			killEngine(dir)
		}
		if target != 1 {
			s.kill()
			s = serve(t, dir, "--listen", address)
		}
	}
	time.Sleep(time.Second)
	stop()
	posting.Wait()

	must(t, dir, "run", "--cutoff", "now")
	if total := acknowledgedCountOnce(t, dir, acknowledged); total < *kills {
		t.Errorf("only %d events were acknowledged", total)
	}
	s.stop()
	engineIsGone(t, dir)
}

// TestTwoServicesUnderTorture: two services with a spool each share a ClickHouse, and are killed while clients post to both and runs are begun from both. `make
// torture-services` does it 200 times.
func TestTwoServicesUnderTorture(t *testing.T) {
	server := fewRightsServer(t)
	useServer(t, "http://"+server.User+":"+server.Password+"@"+server.Address)
	dirs, addresses, services, token := twoServices(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const clients = 6
	acknowledged := make([][]string, clients)
	var posting, runs sync.WaitGroup
	for i := range clients {
		posting.Go(func() { acknowledged[i] = postUntil(ctx, addresses[i%2], token, i) })
	}
	for round := range *kills {
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		if round%3 == 0 {
			runs.Go(func() { must(t, dirs[round%2], "run", "--cutoff", "now") })
		}
		victim := rand.IntN(2)
		services[victim].kill()
		services[victim] = serve(t, dirs[victim], "--listen", addresses[victim])
	}
	time.Sleep(time.Second)
	stop()
	posting.Wait()
	runs.Wait()
	for _, dir := range dirs { // each run waits for what its own service has accepted
		must(t, dir, "run", "--cutoff", "now")
	}
	if total := acknowledgedCountOnce(t, dirs[0], acknowledged); total < *kills {
		t.Errorf("only %d events were acknowledged", total)
	}
}

// twoServices starts two services, each with a data folder and an address, and returns a token that both accept.
func twoServices(t *testing.T) (dirs, addresses []string, services []*running, token string) {
	t.Helper()
	dirs, addresses = []string{t.TempDir(), t.TempDir()}, []string{freeAddress(t), freeAddress(t)}
	must(t, dirs[0], "migrate")
	token = configure(t, dirs[0])
	services = []*running{serve(t, dirs[0], "--listen", addresses[0]), serve(t, dirs[1], "--listen", addresses[1])}
	return dirs, addresses, services, token
}

// acknowledgedCountOnce checks that each event acknowledged to a client counts once after a run, and returns how many were.
func acknowledgedCountOnce(t *testing.T, dir string, acknowledged [][]string) (total int) {
	t.Helper()
	counted := map[string]int{}
	for _, action := range strings.Fields(must(t, dir, "sql", "select action_id from conversion_outcomes where outcome != 'duplicate'", "--format", "TSV")) {
		counted[action]++
	}
	adjusted := map[string]bool{}
	for _, action := range strings.Fields(must(t, dir, "sql", "select distinct action_id from adjustments where kind = 'retract'", "--format", "TSV")) {
		adjusted[action] = true
	}
	outcomes := must(t, dir, "sql", "select count() from conversion_outcomes where outcome = 'retracted' and action_id not in (select action_id from adjustments)"+
		" or outcome not in ('retracted', 'duplicate') and action_id in (select action_id from adjustments)", "--format", "TSV")
	if outcomes != "0" {
		t.Errorf("%s conversions are not what their adjustments say", outcomes)
	}
	for i := range acknowledged {
		total += len(acknowledged[i])
		for _, action := range acknowledged[i] {
			if counted[action] != 1 {
				t.Errorf("event %s was acknowledged and counts %d times", action, counted[action])
			}
			if isAdjusted(action) && !adjusted[action] {
				t.Errorf("the adjustment of %s was acknowledged and is not there", action)
			}
		}
	}
	t.Logf("%d kills, %d events acknowledged, %d counted", *kills, total, len(counted))
	return total
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// killEngine kills whoever hosts the engine now, if anyone does.
func killEngine(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "engine.lock"))
	if err != nil {
		return
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		return
	}
	// The number may be somebody else's by now.
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.Contains(string(line), "\x00engine\x00") {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// isAdjusted reports whether the client takes the event back: every third one.
func isAdjusted(action string) bool {
	var client, n int
	_, err := fmt.Sscanf(action, "%d-%d", &client, &n)
	return err == nil && n%3 == 0
}

// postUntil posts one event after the other, and adjustments of some, each until it is acknowledged, and
// returns the events that were.
func postUntil(ctx context.Context, address, token string, client int) (acknowledged []string) {
	sender := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for n := 0; ctx.Err() == nil; n++ {
		action := fmt.Sprintf("%d-%d", client, n)
		body := seedBody(action, time.Minute)
		for ctx.Err() == nil && !posted(ctx, sender, address, token, "/event", body) {
			time.Sleep(20 * time.Millisecond)
		}
		body = fmt.Sprintf(`{"customerId":"123456789","apiName":"application-accepted","actionId":%q,"adjustment":"retract"}`, action)
		for isAdjusted(action) && ctx.Err() == nil && !posted(ctx, sender, address, token, "/adjustment", body) {
			time.Sleep(20 * time.Millisecond)
		}
		if ctx.Err() == nil {
			acknowledged = append(acknowledged, action)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return acknowledged
}

func posted(ctx context.Context, sender *http.Client, address, token, path, body string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "ApiKey "+token)
	res, err := sender.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}
