package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"
)

const batchSize = 500

func singleBody() []byte {
	return fmt.Appendf(nil, `{"customerId":"123456789","apiName":"application-accepted","userDomain":"salesforce","userId":"72349876","actionId":"23823940","actionTimestamp":%d,"value":149.99}`, time.Now().UnixMilli())
}

func batchBody() []byte {
	return []byte("[" + strings.TrimSuffix(strings.Repeat(string(singleBody())+",", batchSize), ",") + "]")
}

// server is a process under load.
type server struct {
	cmd     *exec.Cmd
	address string
	token   string
	folder  string
}

var listens = regexp.MustCompile(`msg="tieback listens" address=(\S+)`)

func startServer(cmd *exec.Cmd) (*server, error) {
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		if m := listens.FindStringSubmatch(lines.Text()); m != nil {
			go func() {
				for lines.Scan() {
					fmt.Fprintln(os.Stderr, lines.Text())
				}
			}()
			return &server{cmd: cmd, address: m[1]}, nil
		}
	}
	return nil, fmt.Errorf("%s did not start", cmd)
}

func startBaseline(name string) (*server, error) { return startServer(exec.Command(os.Args[0], name)) }

func startTieback(binary string) (*server, error) {
	folder, err := os.MkdirTemp("", "tieback-bench-*")
	if err != nil {
		return nil, err
	}
	s, err := startServer(exec.Command(binary, "serve", "--listen", "127.0.0.1:0", "--data", folder))
	if err != nil {
		return nil, err
	}
	s.folder = folder
	token, err := exec.Command(binary, "token", "add", "123456789", "bench", "--data", folder).Output()
	s.token = string(bytes.TrimSpace(token))
	if err == nil {
		err = exec.Command(binary, "event", "add", "123456789", "application-accepted", "--from", "2020-01-01T00:00:00Z", "--data", folder).Run()
	}
	return s, err
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	if s.folder != "" {
		_ = os.RemoveAll(s.folder)
	}
}

// drained waits until the service's spool is empty.
func (s *server) drained(ctx context.Context) error {
	for {
		_, body, err := fasthttp.Get(nil, "http://"+s.address+"/metrics")
		if err != nil {
			return err
		}
		if bytes.Contains(body, []byte("\ntieback_spool_bytes 0\n")) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// cpu is the user and system time that the process has used.
func (s *server) cpu() time.Duration {
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(s.cmd.Process.Pid), "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	var user, system int64
	_, _ = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	return time.Duration(user+system) * tick
}

// resident is the process's resident memory in bytes.
func (s *server) resident() int64 {
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(s.cmd.Process.Pid), "statm"))
	if err != nil {
		return 0
	}
	var size, resident int64
	_, _ = fmt.Sscan(string(text), &size, &resident)
	return resident * int64(os.Getpagesize())
}

// result of one load: requests a second, latencies in milliseconds, microseconds of
// CPU a request.
type result struct{ rate, p50, p99, cpu float64 }

// run posts body over connections for a while, at most perSecond requests a second
// if that is not 0.
func run(ctx context.Context, s *server, path string, body []byte, connections int, perSecond float64, duration time.Duration) (result, error) {
	client := &fasthttp.HostClient{Addr: s.address, MaxConns: connections}
	defer client.CloseIdleConnections()
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	pace := rate.NewLimiter(limit, connections)
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	latencies := make([][]time.Duration, connections)
	errs := make([]error, connections)
	used, started := s.cpu(), time.Now()
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() { latencies[i], errs[i] = post(ctx, client, pace, s, path, body) })
	}
	wg.Wait()
	took := time.Since(started)
	used = s.cpu() - used
	var all []time.Duration
	for i := range connections {
		if errs[i] != nil {
			return result{}, errs[i]
		}
		all = append(all, latencies[i]...)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return result{}, fmt.Errorf("no answer from %s within %s", s.address, duration)
	}
	ms := func(share float64) float64 { return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000 }
	return result{
		rate: float64(len(all)) / took.Seconds(), p50: ms(0.5), p99: ms(0.99),
		cpu: float64(used.Microseconds()) / float64(len(all)),
	}, nil
}

func post(ctx context.Context, client *fasthttp.HostClient, pace *rate.Limiter, s *server, path string, body []byte) (latencies []time.Duration, err error) {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.SetRequestURI("http://" + s.address + path)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.Set("Authorization", "ApiKey "+s.token)
	req.SetBodyRaw(body)
	for pace.Wait(ctx) == nil && ctx.Err() == nil {
		started := time.Now()
		if err := client.Do(req, res); err != nil {
			return nil, err
		}
		if res.StatusCode() != fasthttp.StatusOK {
			return nil, fmt.Errorf("%s answered %d %s", path, res.StatusCode(), res.Body())
		}
		latencies = append(latencies, time.Since(started))
	}
	return latencies, nil
}
