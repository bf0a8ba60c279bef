package jobs_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/chdb"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

var midnights = flag.Int("midnights", 0, "how many midnights TestServicesTakeTurns goes through; it is left out with 0")

const (
	serviceArg = "tieback-test-service" // makes the test binary the scheduler of a service
	haste      = 20                     // how much faster than time the clocks of services go
	expiry     = 9 * time.Second        // of their locks; a third of it is what a busy machine may delay a statement by
)

var firstMidnight = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// TestServicesTakeTurns has two services, processes with clocks of their own, go through midnights on one ClickHouse, while they are killed, stopped for longer than
// their locks live, and their clocks are set. Each midnight is published once, no two runs are at work at once, and what is published is what one run of everything gives.
// `make torture-services` takes 200 midnights.
func TestServicesTakeTurns(t *testing.T) {
	if *midnights == 0 {
		t.Skip("it takes minutes, and a machine that is not too busy: make torture-services")
	}
	t.Parallel()
	t.Run("locks in tables", func(t *testing.T) {
		t.Parallel()
		takeTurns(t, "<clickhouse/>")
	})
	t.Run("locks in Keeper", func(t *testing.T) {
		t.Parallel()
		takeTurns(t, warehousetest.Keeper(t))
	})
}

func takeTurns(t *testing.T, config string) {
	t.Helper()
	server := loggingServer(t, config)
	db := onServer(t, server, server.User, server.Password)
	if _, _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	visitEachDay(t, db, *midnights)
	var begun time.Time
	if err := db.Row(t.Context(), "select now64(6, 'UTC')", nil, &begun); err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	services := []*service{newService(t, server, seed), newService(t, server, seed+1)}
	for n := range *midnights {
		midnight := firstMidnight.AddDate(0, 0, n)
		var both sync.WaitGroup
		for _, s := range services {
			s.set(t, midnight)
			both.Go(func() { s.suffer(t) })
		}
		both.Wait()
		awaitPublished(t, db, midnight)
	}
	for _, s := range services {
		s.kill()
	}
	published := map[time.Time]int{}
	var runs []struct {
		Cutoff time.Time `ch:"cutoff"`
	}
	query := "select cutoff from run_log final where state = 'done' or version > 0 and version in (select version from published_days)"
	if err := db.Select(t.Context(), &runs, query, nil); err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		published[run.Cutoff.UTC()]++
	}
	for n := range *midnights {
		if midnight := firstMidnight.AddDate(0, 0, n); published[midnight] != 1 {
			t.Errorf("%s was published %d times", midnight.Format(time.DateOnly), published[midnight])
		}
	}
	oneAtATime(t, db, begun)
	equalsRebuild(t, db, runnerAt(db, firstMidnight.AddDate(0, 0, *midnights)))
}

// loggingServer is a ClickHouse that remembers every statement.
func loggingServer(t *testing.T, config string) chdb.Endpoint {
	t.Helper()
	dir := t.TempDir()
	warehousetest.Configure(t, dir, "more.xml", config)
	warehousetest.Configure(t, dir, "log.xml", "<clickhouse><query_log><database>system</database><table>query_log</table></query_log></clickhouse>")
	return warehousetest.ServerWith(t, dir, warehousetest.Command())
}

// visitEachDay inserts a few visitors who see a variation on the day before each midnight and convert, some of them after it.
func visitEachDay(t *testing.T, db *warehouse.DB, days int) {
	t.Helper()
	var events []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	for n := range days {
		for i := range 6 {
			at := firstMidnight.AddDate(0, 0, n).Add(time.Duration(i-4) * 5 * time.Minute).UnixMilli()
			name := fmt.Sprintf("v%d-%d", n, i)
			for _, e := range []warehouse.ClientEvent{{Type: "view", OptimizationID: "hero", VariationID: []string{"a", "b"}[i%2]}, {Type: "identify", UserDomain: "crm", UserID: name}} {
				e.CustomerID, e.VisitorID, e.OccurredAtMS, e.ReceivedAtMS, e.IngestID = "c1", name, at, at, uuid.Must(uuid.NewV7())
				events = append(events, e)
			}
			conversions = append(conversions, warehouse.Conversion{
				CustomerID: "c1", APIName: "bought", UserDomain: "crm", UserID: name, ActionID: name,
				ActionAtMS: at + 5*minuteMS, ReceivedAtMS: at + 6*minuteMS, IngestID: uuid.Must(uuid.NewV7()),
			})
		}
	}
	if err := errors.Join(db.InsertClientEvents(t.Context(), "", events), db.InsertConversions(t.Context(), "", conversions)); err != nil {
		t.Fatal(err)
	}
}

// service is the scheduler of a service, in a process of its own.
type service struct {
	url, dir string
	random   *rand.Rand

	process *exec.Cmd
	clock   io.WriteCloser
	origin  time.Time // what its clock was set to
	since   time.Time // when
}

func newService(t *testing.T, server chdb.Endpoint, seed uint64) *service {
	t.Helper()
	s := &service{url: "http://" + server.User + ":" + server.Password + "@" + server.Address, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, 0))}
	s.origin, s.since = firstMidnight.Add(-time.Hour), time.Now()
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *service) start(t *testing.T) {
	t.Helper()
	s.process = exec.Command(os.Args[0], serviceArg, s.url, s.dir)
	s.process.Stderr = os.Stderr
	clock, err := s.process.StdinPipe()
	if err == nil {
		err = s.process.Start()
	}
	if err != nil {
		t.Error(err)
		return
	}
	s.clock = clock
	s.send()
}

// send sends the service the time.
func (s *service) send() {
	fmt.Fprintln(s.clock, s.origin.Add(time.Since(s.since)*haste).UnixMilli())
}

// set sets its clock to a moment about a midnight.
func (s *service) set(t *testing.T, midnight time.Time) {
	t.Helper()
	s.origin, s.since = midnight.Add(-15*time.Second+time.Duration(s.random.IntN(20_000)-10_000)*time.Millisecond), time.Now()
	s.send()
}

func (s *service) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// suffer does something to the service about a midnight.
func (s *service) suffer(t *testing.T) {
	time.Sleep(time.Duration(s.random.IntN(2500)) * time.Millisecond)
	switch s.random.IntN(4) {
	case 0:
		s.kill()
		time.Sleep(time.Duration(s.random.IntN(500)) * time.Millisecond)
		s.start(t)
	case 1:
		_ = s.process.Process.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(s.random.Int64N(int64(2 * expiry))))
		_ = s.process.Process.Signal(syscall.SIGCONT)
	case 2:
		s.origin = s.origin.Add(time.Duration(s.random.IntN(20_000)-10_000) * time.Millisecond)
		s.send()
	}
}

func awaitPublished(t *testing.T, db *warehouse.DB, midnight time.Time) {
	t.Helper()
	for {
		cutoff, err := jobs.PublishedCutoff(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if !cutoff.Before(midnight) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// oneAtATime asks ClickHouse's log of statements whether runs were at work at the same time: the ids of a run's statements begin with the name of its lock's holder.
func oneAtATime(t *testing.T, db *warehouse.DB, since time.Time) {
	t.Helper()
	if err := db.Exec(t.Context(), "system flush logs", nil); err != nil {
		t.Fatal(err)
	}
	var holders []struct {
		Holder     string    `ch:"holder"`
		First      time.Time `ch:"first"`
		Last       time.Time `ch:"last"`
		Statements uint64    `ch:"statements"`
	}
	query := `select splitByChar('.', query_id)[1] as holder, min(query_start_time_microseconds) as first, max(event_time_microseconds) as last, uniqExact(query_id) as statements
		from system.query_log where position(query_id, '.') = 37 and query_start_time_microseconds > {since:DateTime64(6, 'UTC')} group by holder order by first`
	if err := db.Select(t.Context(), &holders, query, warehouse.Params{"since": since.UTC().Format("2006-01-02 15:04:05.000000")}); err != nil {
		t.Fatal(err)
	}
	if len(holders) < *midnights {
		t.Errorf("only %d holders of locks are in the log", len(holders))
	}
	for i := 1; i < len(holders); i++ {
		if before, h := holders[i-1], holders[i]; h.First.Before(before.Last) {
			t.Errorf("a run began at %v, while one that began at %v went on until %v", h.First, before.First, before.Last)
		}
	}
}

// runService is what such a process does: it goes by the clock that its standard input sets, until that ends.
func runService(url, dir string) error {
	lines := bufio.NewScanner(os.Stdin)
	if !lines.Scan() {
		return nil
	}
	clock := clockwork.NewFakeClockAt(clockTime(lines.Text()))
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	db, err := warehouse.Open(context.Background(), warehouse.Config{DataDir: dir, URL: url, Log: log, LockExpiry: expiry})
	if err != nil {
		return err
	}
	scheduler, err := jobs.NewScheduler(jobs.NewRunner(db, clock.Now, log), func(context.Context, time.Time) error { return nil }, clock, log)
	if err != nil {
		return err
	}
	scheduler.Start()
	set := make(chan time.Time)
	go func() {
		defer close(set)
		for lines.Scan() {
			set <- clockTime(lines.Text())
		}
	}()
	origin, since := clock.Now(), time.Now()
	for {
		select {
		case now, more := <-set:
			if !more {
				return nil
			}
			origin, since = now, time.Now()
		case <-time.After(5 * time.Millisecond):
		}
		clock.Advance(origin.Add(time.Since(since) * haste).Sub(clock.Now()))
	}
}

func clockTime(text string) time.Time {
	ms, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return time.UnixMilli(ms).UTC()
}
