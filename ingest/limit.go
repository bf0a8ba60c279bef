package ingest

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"
)

// RateLimits bound requests a second; 0 is no limit. A burst may be as large as what
// is allowed in two seconds.
type RateLimits struct {
	PerToken   float64
	PerAddress float64
}

// limiter holds a bucket for each key that was seen lately.
type limiter struct {
	perSecond float64

	mu      sync.Mutex
	buckets map[string]*bucket
	swept   time.Time
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

const (
	// forgetAfter is how long an unused bucket is kept, unless there are many.
	forgetAfter = time.Minute
	// mostBuckets bounds the memory, at about 20 MB.
	mostBuckets = 100_000
)

func newLimiter(perSecond float64) *limiter {
	return &limiter{perSecond: perSecond, buckets: map[string]*bucket{}}
}

// allow reports whether one more request of key may pass, and if not after how many
// seconds to try again.
func (l *limiter) allow(key string, now time.Time) (retryAfter int, ok bool) {
	if l.perSecond <= 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b := l.buckets[key]
	if b == nil && len(l.buckets) >= mostBuckets {
		key = "" // all others share one
		b = l.buckets[key]
	}
	if b == nil {
		b = &bucket{Limiter: rate.NewLimiter(rate.Limit(l.perSecond), max(1, int(2*l.perSecond)))}
		l.buckets[strings.Clone(key)] = b // Fiber's strings must not be kept
	}
	b.used = now
	if b.AllowN(now, 1) {
		return 0, true
	}
	return max(1, int(1/l.perSecond)), false
}

// sweep forgets buckets that are full again, so that nothing is lost with them: now and then,
// and sooner where there are many.
func (l *limiter) sweep(now time.Time) {
	fullAfter := time.Duration(max(2, 1/l.perSecond) * float64(time.Second))
	since := now.Sub(l.swept)
	if since <= forgetAfter && (len(l.buckets) < mostBuckets/2 || since <= fullAfter) {
		return
	}
	for name, b := range l.buckets {
		if now.Sub(b.used) > fullAfter {
			delete(l.buckets, name)
		}
	}
	l.swept = now
}

func errTooManyRequests(retryAfter int) *apiError {
	return &apiError{
		Status: fiber.StatusTooManyRequests, Code: "too_many_requests", RetryAfter: retryAfter,
		Message: "too many requests; wait as Retry-After says",
	}
}

// addressKey is what an address is limited by: itself, or the /64 of an IPv6 one.
func addressKey(text string) string {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Unmap().Is4() {
		return text
	}
	return prefixOf(address).String()
}

// limitAddress refuses addresses that ask too often, before anything is read.
func (s *Server) limitAddress(c *fiber.Ctx) error {
	if s.byAddress.perSecond > 0 {
		if retryAfter, ok := s.byAddress.allow(addressKey(c.IP()), s.cfg.Now()); !ok {
			return errTooManyRequests(retryAfter)
		}
	}
	return c.Next()
}

// authorize returns the account of the request's token, which must not ask too often.
func (s *Server) authorize(c *fiber.Ctx) (customerID string, apiErr *apiError) {
	token := tokenOf(c.Get(fiber.HeaderAuthorization))
	customerID, apiErr = authenticate(c.Context(), s.cfg.Catalog, token)
	if apiErr != nil {
		return "", apiErr
	}
	c.Locals(accountKey{}, customerID)
	if retryAfter, ok := s.byToken.allow(token, s.cfg.Now()); !ok {
		return "", errTooManyRequests(retryAfter)
	}
	return customerID, nil
}
