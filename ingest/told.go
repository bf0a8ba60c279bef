package ingest

import (
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// told remembers of which accounts it was logged lately that something of theirs is not taken: one line an hour for each reason, where /metrics has the numbers.
type told struct {
	mu   sync.Mutex
	last map[toldOf]time.Time
}

type toldOf struct{ account, reason string }

const (
	tellEvery = time.Hour
	mostTold  = 10_000 // accounts and reasons; beyond, all are forgotten
)

// isNew reports whether it was not told in the last hour.
func (t *told) isNew(account, reason string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := toldOf{account, reason}
	if last, known := t.last[of]; known && now.Sub(last) < tellEvery {
		return false
	}
	if t.last == nil || len(t.last) >= mostTold {
		t.last = map[toldOf]time.Time{}
	}
	t.last[of] = now
	return true
}

// notTaken logs that something of an account is not taken, the first time in an hour.
func (s *Server) notTaken(account, what, reason string) {
	if s.told.isNew(account, what+" "+reason, s.now()) {
		s.cfg.Log.Warn(what+" for the first time in an hour", "customer", account, "reason", reason)
	}
}

type accountKey struct{}

// refused logs a refusal of a request whose token is an account's.
func (s *Server) refused(c *fiber.Ctx, code string) {
	if account, known := c.Locals(accountKey{}).(string); known {
		s.notTaken(account, "a request was refused", code)
	}
}
