package ingest

import (
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// noticed remembers what was logged lately of the events that are not accepted: one line an hour for each account and reason. /metrics has the numbers.
type noticed struct {
	mu   sync.Mutex
	last map[notice]time.Time
}

type notice struct{ account, reason string }

const (
	noticeEvery = time.Hour
	mostNoticed = 10_000 // accounts and reasons; beyond that, all are forgotten
)

// isNew reports whether it was not logged in the last hour.
func (n *noticed) isNew(account, reason string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	of := notice{account, reason}
	if last, known := n.last[of]; known && now.Sub(last) < noticeEvery {
		return false
	}
	if n.last == nil || len(n.last) >= mostNoticed {
		n.last = map[notice]time.Time{}
	}
	n.last[of] = now
	return true
}

// notAccepted logs that something of an account is not accepted, the first time in an hour.
func (s *Server) notAccepted(account, what, reason string) {
	if s.noticed.isNew(account, what+" "+reason, s.now()) {
		s.cfg.Log.Warn(what+" for the first time in an hour", "customer", account, "reason", reason)
	}
}

type accountKey struct{}

// refused logs a refusal of a request whose token is an account's.
func (s *Server) refused(c *fiber.Ctx, code string) {
	if account, known := c.Locals(accountKey{}).(string); known {
		s.notAccepted(account, "a request was refused", code)
	}
}
