package chdb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/tieback/tieback/human"
)

// largestLog is the size of engine.log, a few lines for each start, from which on another is begun.
const largestLog = 1 << 20

// child is an engine process that this process has started.
type child struct {
	ended   chan error
	logPath string
	logFrom int64
}

// start starts an engine in a session of its own, so that ^C in a terminal does
// not reach it while its clients still finish.
func (c *Client) start() (*child, error) {
	logPath := filepath.Join(c.dataDir, logName)
	if info, err := os.Stat(logPath); err == nil && info.Size() > largestLog {
		_ = os.Rename(logPath, logPath+".1") // it is written to as it is otherwise
	}
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the engine's log: %w", human.Permission(err))
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the engine's log: %w", err)
	}
	cmd := exec.Command(c.command[0], append(c.command[1:], c.dataDir)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "TZ=UTC") // for readers who don't ask for a session_timezone of their own
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the embedded engine: %w", err)
	}
	ch := &child{ended: make(chan error, 1), logPath: logPath, logFrom: info.Size()}
	go func() {
		err := cmd.Wait()
		if err != nil {
			c.log.Warn("the embedded engine's process failed", "state", err, "its_words", logPath)
		}
		ch.ended <- err
	}()
	return ch, nil
}

// banner is what ClickHouse says each time.
var banner = regexp.MustCompile(`(?m)^Logging \w+ to .*$`)

// explain adds what the engine wrote before it ended.
func (ch *child) explain(err error) error {
	file, openErr := os.Open(ch.logPath)
	if openErr != nil {
		return err
	}
	defer file.Close()
	text, _ := io.ReadAll(io.NewSectionReader(file, ch.logFrom, 16<<10))
	if said := strings.TrimSpace(banner.ReplaceAllString(string(text), "")); said != "" {
		return errors.New(said)
	}
	return err
}
