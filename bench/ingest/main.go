// Command ingest measures the HTTP edge on this machine, in one run on loopback,
// against baselines that do less: `make bench-ingest`.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/warehouse/chdb"
)

const (
	rounds       = 5
	roundSeconds = 4
	memorySecond = 60
)

func main() {
	debug.SetGCPercent(400) // as the service does
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "engine":
		err = chdb.Serve(ctx, os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "bare":
		err = serveBare()
	case len(os.Args) == 2 && os.Args[1] == "json":
		err = serveJSON()
	case len(os.Args) == 2 && os.Args[1] == "drain":
		err = drain(ctx)
	case len(os.Args) == 2:
		err = bench(ctx, os.Args[1])
	default:
		err = fmt.Errorf("usage: bench-ingest path/to/tieback, or bench-ingest drain")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// figures of one kind of request, one for each round.
type figures struct {
	rate, p50, p99 []float64 // requests a second; milliseconds
	cpu            []float64 // microseconds of the server's CPU a request
}

func (f *figures) add(r result) {
	f.rate = append(f.rate, r.rate)
	f.p50 = append(f.p50, r.p50)
	f.p99 = append(f.p99, r.p99)
	f.cpu = append(f.cpu, r.cpu)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

func bench(ctx context.Context, tieback string) error {
	bare, err := startBaseline("bare")
	if err != nil {
		return err
	}
	defer bare.stop()
	decoding, err := startBaseline("json")
	if err != nil {
		return err
	}
	defer decoding.stop()
	service, err := startTieback(tieback)
	if err != nil {
		return err
	}
	defer service.stop()

	single, many := singleBody(), batchBody()
	type load struct {
		name        string
		on          *server
		path        string
		body        []byte
		connections int
		perRequest  float64 // events
	}
	loads := []load{
		{"bare Fiber handler", bare, "/event", single, 64, 1},
		{"Fiber + JSON decode", decoding, "/event", single, 64, 1},
		{"POST /event, durable", service, "/event", single, 64, 1},
		{"bare Fiber handler", bare, "/event", single, 256, 1},
		{"POST /event, durable", service, "/event", single, 256, 1},
		{"Fiber + JSON decode of 500", decoding, "/events", many, 8, batchSize},
		{"POST /events of 500, durable", service, "/events", many, 8, batchSize},
	}
	measured := make([]figures, len(loads))
	for round := range rounds {
		for i, l := range loads {
			fmt.Fprintf(os.Stderr, "\r\033[Kround %d of %d: %s, %d connections", round+1, rounds, l.name, l.connections)
			// What was accepted before is not inserted at the cost of the next load.
			if err := service.drained(ctx); err != nil {
				return err
			}
			r, err := run(ctx, l.on, l.path, l.body, l.connections, 0, roundSeconds*time.Second)
			if err != nil {
				return err
			}
			measured[i].add(r)
		}
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"", "connections", "requests/s", "events/s", "p50 ms", "p99 ms", "CPU µs/event", "of its baseline"})
	baseline := []int{0, 0, 0, 3, 3, 5, 5}
	for i, l := range loads {
		f := measured[i]
		t.AppendRow(table.Row{
			l.name, l.connections, fmt.Sprintf("%.0f", median(f.rate)), fmt.Sprintf("%.0f", median(f.rate)*l.perRequest),
			fmt.Sprintf("%.2f", median(f.p50)), fmt.Sprintf("%.2f", median(f.p99)), fmt.Sprintf("%.1f", median(f.cpu)/l.perRequest),
			fmt.Sprintf("%.2f", median(f.rate)/median(measured[baseline[i]].rate)),
		})
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	fmt.Println(t.Render())

	if err := service.drained(ctx); err != nil { // of what the loads above left
		return err
	}
	half, err := run(ctx, service, "/event", single, 64, median(measured[2].rate)/2, 3*roundSeconds*time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("POST /event at half of the highest rate (%.0f/s): p50 %.2f ms, p99 %.2f ms\n", half.rate, half.p50, half.p99)
	if err := memory(ctx, service, single, median(measured[2].rate)/2); err != nil {
		return err
	}
	return drain(ctx)
}

// memory prints the service's resident memory over a run of a minute.
func memory(ctx context.Context, service *server, body []byte, rate float64) error {
	done := make(chan error, 1)
	go func() {
		_, err := run(ctx, service, "/event", body, 64, rate, memorySecond*time.Second)
		done <- err
	}()
	fmt.Printf("resident memory, MB, every 10 s of %d s at that rate:", memorySecond)
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			fmt.Println()
			return err
		case <-ticker.C:
			fmt.Printf(" %d", service.resident()>>20)
		}
	}
}
