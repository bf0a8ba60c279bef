package chdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	analysts "github.com/tieback/tieback/dashboards/clickhouse"
)

// host is ClickHouse in this process.
type host struct {
	endpoint Endpoint
	ended    chan struct{} // closed when ClickHouse has ended
	client   *http.Client
}

// startHost starts ClickHouse on a data folder and returns when it answers.
func startHost(ctx context.Context, lib *library, dataDir string) (*host, error) {
	e, err := newEndpoint(dataDir)
	if err != nil {
		return nil, err
	}
	config, err := writeConfig(dataDir, e)
	if err != nil {
		return nil, err
	}
	if err := os.Setenv(analysts.AnalystPasswordEnv, e.AnalystPassword); err != nil {
		return nil, err
	}
	leave, err := lonelyFolder(dataDir)
	if err != nil {
		return nil, err
	}
	h := &host{endpoint: e, ended: make(chan struct{}), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	args := engineArgs(dataDir, config, e)
	go func() {
		defer close(h.ended)
		lib.run(args...)
	}()
	if err := h.await(ctx, dataDir); err != nil {
		return nil, err
	}
	if err := leave(); err != nil {
		return nil, err
	}
	// Until this is there nobody knows where the engine is.
	if err := e.write(dataDir); err != nil {
		return nil, fmt.Errorf("write where the engine answers: %w", err)
	}
	return h, nil
}

// lonelyFolder makes a folder of its own the process's working folder, and removes it when leave
// is called. ClickHouse's function file() resolves what it is asked for from there, and reads any
// file for any user; without a working folder it reads none.
func lonelyFolder(dataDir string) (leave func() error, err error) {
	dir := filepath.Join(dataDir, configDir, "nowhere")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the engine's working folder: %w", err)
	}
	return func() error { return os.Remove(dir) }, os.Chdir(dir)
}

// await waits until ClickHouse answers us, and closes it to the user default.
func (h *host) await(ctx context.Context, dataDir string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		running, err := h.ask(ctx, h.endpoint.User, h.endpoint.Password, "select count() from system.processes where read_rows > 0 and "+keeps)
		if err == nil && running == "1" {
			break
		}
		select {
		case <-h.ended:
			path := filepath.Join(dataDir, engineDir)
			return fmt.Errorf("open the engine's data in %s: ClickHouse has ended; its words stand above, or in clickhouse.log (CANNOT_OPEN_FILE: another program uses that folder, or it needs more files at once than ulimit -n allows)", path)
		case <-ctx.Done():
			return fmt.Errorf("the engine did not answer within %s", startPatience)
		case <-time.After(5 * time.Millisecond):
		}
	}
	// Its two statements have used up the quota, the second one before it read a row: from here on the user
	// default gets nothing.
	_, err := h.ask(ctx, "default", "", "select number from system.numbers limit 1")
	if err == nil || !strings.Contains(err.Error(), "QUOTA_EXCEEDED") {
		return fmt.Errorf("the engine's user default is not closed: %w", err)
	}
	return nil
}

// keeps finds the keepStatement.
const keeps = "startsWith(query, 'select sleepEachRow(0.05) from system.numbers')"

// ask runs a statement and returns its result as text.
func (h *host) ask(ctx context.Context, user, password, statement string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.endpoint.Address+"/", strings.NewReader(statement))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-ClickHouse-User", user)
	req.Header.Set("X-ClickHouse-Key", password)
	res, err := h.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(text)))
	}
	return strings.TrimSpace(string(text)), err
}

// stop ends ClickHouse: the statement that keeps it is killed.
func (h *host) stop() {
	_ = os.Chdir("/") // as it ends ClickHouse asks for its working folder, and aborts without; nobody is there to read files now
	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	// Without an answer the time runs out.
	_, _ = h.ask(ctx, h.endpoint.User, h.endpoint.Password, "kill query where "+keeps+" async")
	select {
	case <-h.ended:
	case <-ctx.Done():
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}
