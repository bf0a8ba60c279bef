package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/warehouse"
)

// MinTokenBytes is how long an admin token must be at least.
const MinTokenBytes = 16

// Live is the catalog as the service sees it.
type Live interface {
	Snapshot() *catalog.Snapshot
	Refresh(ctx context.Context) error
}

// Config of an Admin; Now and Log have defaults.
type Config struct {
	Token       string // that opens everything; MinTokenBytes long at least
	DB          *warehouse.DB
	Store       *catalog.Store
	Live        Live
	Drained     func(ctx context.Context) error // returns once what was accepted so far is in ClickHouse
	Forget      func(jobs.Traces) error         // deletes what the service holds of a person besides the tables
	NightMemory uint64                          // bytes that a run may take; see jobs.Runner
	Now         func() time.Time                // time.Now when nil
	Log         *slog.Logger                    // slog.Default() when nil
}

// Admin answers what is asked under /admin.
type Admin struct {
	cfg      Config
	sessions *sessions
	failures *rate.Limiter // wrong tokens, from anywhere
	runs     *runs
	pages    pages
	uploads  uploads
}

// New returns an Admin that Mount puts into a server.
func New(cfg Config) (*Admin, error) {
	if len(cfg.Token) < MinTokenBytes {
		return nil, fmt.Errorf("the admin token has %d bytes, at least %d are needed", len(cfg.Token), MinTokenBytes)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	return &Admin{
		cfg: cfg, sessions: newSessions(cfg.Token), failures: rate.NewLimiter(1, 20),
		runs: newRuns(cfg), pages: pages,
	}, nil
}

// Close ends a run that was started here; the next one repairs it.
func (a *Admin) Close() { a.runs.close() }

// timeout bounds the work for one request.
const timeout = 30 * time.Second

// Mount adds the routes to a server.
func (a *Admin) Mount(app fiber.Router) {
	app.Use("/admin", a.guard)
	a.mountAPI(app.Group("/admin/api", a.onlyAPI))
	a.mountPages(app.Group("/admin"))
}

// guard sets what holds for every answer: nothing here is kept by caches, framed by other
// sites, or runs code that is not ours.
func (a *Admin) guard(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentSecurityPolicy,
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderReferrerPolicy, "same-origin")
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c.SetUserContext(ctx)
	return c.Next()
}

// Limits of what is sent here.
const (
	maxInputBytes = 1 << 20
	maxLoginBytes = 8 << 10
)

// readBody reads a body of at most limit bytes, once it is known who sends it; until then
// nothing of it is.
func readBody(c *fiber.Ctx, limit int) error {
	var buf bytes.Buffer
	switch err := ingest.ReadBody(c, &buf, limit); {
	case errors.Is(err, ingest.ErrBodyTooLarge):
		return &problem{fiber.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body may have %d bytes", limit)}
	case err != nil:
		return &problem{fiber.StatusBadRequest, "bad_request", "the body did not arrive whole"}
	}
	c.Request().SetBodyRaw(buf.Bytes())
	return nil
}

// problem is an answer that refuses a request.
type problem struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (p *problem) Error() string { return p.Message }

// headers tells machines what the message tells people.
func (p *problem) headers(c *fiber.Ctx) {
	switch p.Status {
	case fiber.StatusUnauthorized:
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	case fiber.StatusTooManyRequests, fiber.StatusServiceUnavailable:
		c.Set(fiber.HeaderRetryAfter, "2")
	}
}

var (
	errSignedOut   = &problem{fiber.StatusUnauthorized, "not_signed_in", "the Authorization header must be `Bearer TOKEN` with the admin token"}
	errForeign     = &problem{fiber.StatusForbidden, "foreign_origin", "with a cookie, changes are taken from a page of this origin only"}
	errTooMany     = &problem{fiber.StatusTooManyRequests, "too_many_requests", "too many wrong tokens; wait a little"}
	errNoSuchPath  = &problem{fiber.StatusNotFound, "not_found", "there is nothing at this path"}
	errUnavailable = &problem{fiber.StatusServiceUnavailable, "unavailable", "ClickHouse does not answer now; try again in a moment"}
)

// problemOf maps an error to what is answered: the only place that does.
func (a *Admin) problemOf(c *fiber.Ctx, err error) *problem {
	var p *problem
	var fiberErr *fiber.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, refuse.Invalid):
		return &problem{fiber.StatusBadRequest, "invalid", refuse.Of(err).Message}
	case errors.Is(err, refuse.Conflict):
		return &problem{fiber.StatusConflict, "conflict", refuse.Of(err).Message}
	case errors.Is(err, refuse.NotFound):
		return &problem{fiber.StatusNotFound, "not_found", refuse.Of(err).Message}
	case errors.As(err, &fiberErr):
		return &problem{fiberErr.Code, "bad_request", fiberErr.Message}
	default:
		a.cfg.Log.Error("admin request failed", "method", c.Method(), "path", c.Path(), "err", err)
		return errUnavailable
	}
}

// param returns a part of the path, unescaped; a copy, unlike what Fiber gives.
func param(c *fiber.Ctx, name string) (string, error) {
	text, err := url.PathUnescape(c.Params(name))
	if err != nil || !utf8.ValidString(text) {
		return "", &problem{fiber.StatusBadRequest, "invalid", name + " in the path is not escaped as it should be"}
	}
	return strings.Clone(text), nil
}

// query returns a parameter of the query, a copy.
func query(c *fiber.Ctx, name string) string { return strings.Clone(c.Query(name)) }

// account returns the account that the path names, looking again for one that may be new.
func (a *Admin) account(c *fiber.Ctx) (catalog.Account, *catalog.Snapshot, error) {
	id, err := param(c, "customerId")
	if err != nil {
		return catalog.Account{}, nil, err
	}
	snap := a.cfg.Live.Snapshot()
	account, known := snap.Accounts[id]
	if !known {
		if err := a.cfg.Live.Refresh(c.UserContext()); err != nil {
			return catalog.Account{}, nil, err
		}
		snap = a.cfg.Live.Snapshot()
		account, known = snap.Accounts[id]
	}
	if !known {
		return catalog.Account{}, nil, &problem{fiber.StatusNotFound, "unknown_account", fmt.Sprintf("there is no account %s", id)}
	}
	return account, snap, nil
}

// days reads a range of days from the query; the last days where it has none.
func (a *Admin) days(c *fiber.Ctx, last int) (reports.Days, error) {
	days, err := reports.ParseDays(query(c, "from"), query(c, "to"))
	if err != nil {
		return days, err
	}
	if days == (reports.Days{}) && last > 0 {
		today := a.cfg.Now().UTC().Truncate(24 * time.Hour)
		days = reports.Days{From: today.AddDate(0, 0, 1-last), To: today}
	}
	return days, nil
}
