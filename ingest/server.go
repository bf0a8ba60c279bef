package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/gofiber/fiber/v2/utils"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/warehouse"
)

// Spool is where accepted events are made durable.
type Spool interface {
	// Append returns once the records are on disk.
	Append(ctx context.Context, records ...[]byte) error
}

// Config of a Server; zero values have the documented defaults.
type Config struct {
	Catalog  Catalog
	Spool    Spool
	Limits   Limits
	Rates    RateLimits
	Proxies  []netip.Prefix     // whose X-Forwarded-For is believed
	Patience time.Duration      // for a whole request to arrive, 30 s when 0
	Explain  Explainer          // answers GET /conversions; not found when nil
	Results  Resulter           // answers GET /results; not found when nil
	Received Receiver           // says which conversions are there, for warnings; none are given when nil
	Mount    func(fiber.Router) // adds more routes; none when nil
	Ready    func() error       // why the service is not ready; always ready when nil
	Now      func() time.Time   // time.Now when nil
	Log      *slog.Logger       // slog.Default() when nil
	Metrics  *Metrics           // new ones when nil

	Collectors     []prometheus.Collector // shown on /metrics, too
	PrivateMetrics bool                   // leaves /metrics to MetricsHandler
	AccessLog      bool                   // logs each request
}

// Server answers the requests of docs/openapi.yaml.
type Server struct {
	cfg     Config
	app     *fiber.App
	metrics *Metrics

	metricsHandler http.Handler
	noticed        noticed

	byToken, byAddress *limiter

	names   unknownNames
	earlier earlier
	stored  storedIDs

	refusing atomic.Bool // the last events could not be made durable
}

const maxEventBytes = 1 << 20

// NewServer returns a server that does not listen yet.
func NewServer(cfg Config) *Server {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Patience == 0 {
		cfg.Patience = 30 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics()
	}
	s := &Server{
		cfg: cfg, metrics: cfg.Metrics, earlier: newEarlier(),
		byToken: newLimiter(cfg.Rates.PerToken), byAddress: newLimiter(cfg.Rates.PerAddress),
	}
	app := fiber.Config{
		AppName: "tieback", DisableStartupMessage: true, ErrorHandler: s.handleError,
		StreamRequestBody: true, DisablePreParseMultipartForm: true,
		ReadBufferSize: 16 << 10, // bounds the headers
		ReadTimeout:    cfg.Patience, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	if len(cfg.Proxies) > 0 {
		app.ProxyHeader = fiber.HeaderXForwardedFor // as locate leaves it
	}
	s.app = fiber.New(app)
	s.app.Server().HeaderReceived = streamed
	s.app.Use(s.observe)
	s.app.Use(recover.New(recover.Config{EnableStackTrace: true, StackTraceHandler: s.panicked}))
	if len(cfg.Proxies) > 0 {
		s.app.Use(s.locate)
	}
	s.app.Post("/event", s.limitAddress, s.postEvent)
	s.app.Post("/customer/:customerId/event", s.limitAddress, s.postEvent)
	s.app.Post("/events", s.limitAddress, s.postEvents)
	s.app.Post("/adjustment", s.limitAddress, s.postAdjustment)
	s.app.Post("/customer/:customerId/adjustment", s.limitAddress, s.postAdjustment)
	s.app.Post("/adjustments", s.limitAddress, s.postAdjustments)
	s.app.Get("/conversions/:apiName/:actionId", s.limitAddress, s.getConversion)
	s.app.Get("/results/:optimizationId", s.limitAddress, s.getResults)
	s.app.Get("/snippet.js", s.limitAddress, s.getSnippet)
	s.app.Options("/collect", s.preflight)
	s.app.Post("/collect", s.limitAddress, s.postCollect)
	s.app.Get("/", s.getFront)
	s.app.Get("/livez", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	s.app.Get("/readyz", s.readyz)
	registry := prometheus.NewRegistry()
	registry.MustRegister(cfg.Metrics, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	registry.MustRegister(cfg.Collectors...)
	s.metricsHandler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	if !cfg.PrivateMetrics {
		s.app.Get("/metrics", adaptor.HTTPHandler(s.metricsHandler))
	}
	if cfg.Mount != nil {
		cfg.Mount(s.app)
	}
	return s
}

// MetricsHandler shows the metrics, for a listener of their own.
func (s *Server) MetricsHandler() http.Handler { return s.metricsHandler }

// Serve answers requests on listener until Shutdown.
func (s *Server) Serve(listener net.Listener) error { return s.app.Listener(listener) }

// Shutdown stops accepting and waits for the requests under way.
func (s *Server) Shutdown(ctx context.Context) error { return s.app.ShutdownWithContext(ctx) }

// now is the moment of receipt, in whole milliseconds as it is stored.
func (s *Server) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// requestID is in each answer: that of a proxy before the service, if it is one, or a new one.
const requestID = "X-Request-ID"

var plainID = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// observe gives a request an id, and notes how long it took, by the pattern of its route, which no client chooses.
func (s *Server) observe(c *fiber.Ctx) error {
	begun := time.Now()
	id := c.Get(requestID)
	if !plainID.MatchString(id) {
		id = uuid.NewString()
	}
	c.Set(requestID, id)
	err := c.Next()
	if err != nil {
		err = c.App().ErrorHandler(c, err) // so that the status is known
	}
	route, status, took := c.Route().Path, c.Response().StatusCode(), time.Since(begun)
	if route == "/" && c.Path() != "/" {
		route = "(none)"
	}
	s.metrics.requests.WithLabelValues(methodName(c.Method()), route, strconv.Itoa(status)).Observe(took.Seconds())
	if s.cfg.AccessLog {
		s.cfg.Log.Info("request", "method", c.Method(), "path", c.Path(), "status", status, "ms", float64(took.Microseconds())/1000, "address", c.IP(), "request_id", id)
	}
	return err
}

// methodName is a method that outlives its request: Fiber's text is a view into a buffer that the next request writes.
func methodName(method string) string {
	for _, known := range []string{fiber.MethodPost, fiber.MethodGet, fiber.MethodHead, fiber.MethodOptions, fiber.MethodPut, fiber.MethodDelete, fiber.MethodPatch} {
		if method == known {
			return known
		}
	}
	return "other"
}

func (s *Server) handleError(c *fiber.Ctx, err error) error {
	var apiErr *apiError
	if !errors.As(err, &apiErr) {
		apiErr = s.foreignError(c, err)
	}
	s.metrics.rejected.add(apiErr.Code, 1)
	s.refused(c, apiErr.Code)
	return apiErr.send(c)
}

// panicked logs where a bug is. That the request failed is told with the error.
func (s *Server) panicked(c *fiber.Ctx, what any) {
	s.cfg.Log.Error("a request panicked", "panic", what, "request_id", c.GetRespHeader(requestID), "stack", string(debug.Stack()))
}

// foreignError gives the errors of Fiber and of bugs the form of the contract.
func (s *Server) foreignError(c *fiber.Ctx, err error) *apiError {
	var fiberErr *fiber.Error
	if !errors.As(err, &fiberErr) {
		s.cfg.Log.Error("request failed", "method", c.Method(), "path", c.Path(), "err", err, "request_id", c.GetRespHeader(requestID))
		return &apiError{Status: fiber.StatusInternalServerError, Code: "internal", Message: "something went wrong here; send it again"}
	}
	switch fiberErr.Code {
	case fiber.StatusRequestEntityTooLarge:
		return errTooLarge(maxEventBytes)
	case fiber.StatusNotFound:
		return &apiError{Status: fiberErr.Code, Code: "not_found", Message: "there is nothing at this path"}
	case fiber.StatusMethodNotAllowed:
		return &apiError{Status: fiberErr.Code, Code: "method_not_allowed", Message: "this path does not answer to this method"}
	default:
		// Not the error's own words: they quote the headers, the token's among them.
		return &apiError{Status: fiberErr.Code, Code: "bad_request", Message: "this is not a request that can be read: " + strings.ToLower(utils.StatusMessage(fiberErr.Code))}
	}
}

// postEvent accepts one conversion (docs/openapi.yaml).
func (s *Server) postEvent(c *fiber.Ctx) error {
	return s.postOne(c, func(raw []byte, pathAccount, tokenAccount string) error {
		return s.acceptEvent(c, raw, pathAccount, tokenAccount, s.now())
	})
}

// postOne looks at token and path, and hands on the body and the accounts that they name.
func (s *Server) postOne(c *fiber.Ctx, accept func(raw []byte, pathAccount, tokenAccount string) error) error {
	tokenAccount, apiErr := s.authorize(c)
	if apiErr != nil {
		return apiErr
	}
	pathAccount, apiErr := pathParam(c, "customerId")
	if apiErr != nil {
		return apiErr
	}
	if pathAccount != "" && pathAccount != tokenAccount {
		return errWrongAccount
	}
	return s.withAuthorized(c, maxEventBytes, func(raw []byte) error { return accept(raw, pathAccount, tokenAccount) })
}

// acceptEvent answers for a body whose token is good.
func (s *Server) acceptEvent(c *fiber.Ctx, raw []byte, pathAccount, tokenAccount string, receivedAt time.Time) error {
	body, apiErr := decodeBody(raw, false)
	if apiErr != nil {
		return apiErr
	}
	var row warehouse.Conversion
	apiErr = body.conversion(&row, pathAccount, tokenAccount, receivedAt, s.cfg.Limits)
	dry, unknown := dryRun(c)
	if apiErr = unknown.with(apiErr); apiErr != nil {
		return apiErr
	}
	if !dry {
		row.IngestID = uuid.Must(uuid.NewV7())
		if err := s.append(EncodeConversion(nil, &row)); err != nil {
			return errNotDurable()
		}
		s.metrics.conversions.Add(1)
	}
	warnings := s.warnings(&body.sent, &row, !dry)
	return sendJSON(c, appendAnswer(make([]byte, 0, len(raw)+64), &row, dry, warnings))
}

// sendJSON answers without the copy that c.Send makes; nobody may write to it any more.
func sendJSON(c *fiber.Ctx, text []byte) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(text)
	return nil
}

// pathParam returns a part of the path, unescaped; a copy, unlike what Fiber gives.
func pathParam(c *fiber.Ctx, name string) (string, *apiError) {
	text, err := url.PathUnescape(c.Params(name))
	if err != nil {
		return "", &apiError{Status: fiber.StatusBadRequest, Code: "bad_request", Message: name + " in the path is not escaped as it should be"}
	}
	return strings.Clone(text), nil
}

// append makes records durable and notes how long it took.
func (s *Server) append(records ...[]byte) error {
	started := time.Now()
	// Not the request's context: that ends with a shutdown, which waits for those under way.
	err := s.cfg.Spool.Append(context.Background(), records...)
	s.metrics.madeDurable(time.Since(started))
	switch {
	case err != nil && s.refusing.CompareAndSwap(false, true):
		s.cfg.Log.Error("events can't be made durable and are refused until they can", "err", err)
	case err == nil && s.refusing.Load() && s.refusing.CompareAndSwap(true, false):
		s.cfg.Log.Info("events are made durable again")
	}
	return err
}

// parameterFaults are the parameters of a query that are not known.
type parameterFaults []fault

// with joins them to what else is wrong with a request, nil where nothing is.
func (p parameterFaults) with(also *apiError) *apiError {
	if len(p) == 0 || also != nil && also.Status != fiber.StatusBadRequest {
		return also
	}
	err := &apiError{Status: fiber.StatusBadRequest, Code: unknownParameter, Message: p[0].Message, Details: p}
	switch {
	case also == nil:
	case len(also.Details) > 0:
		err.Details = append(err.Details, also.Details...)
	default:
		err.Message, err.Offset = err.Message+"; besides, "+also.Message, also.Offset
	}
	return err
}

const unknownParameter = "unknown_parameter"

// dryRun reports whether the request is one (validateOnly=true). Every other parameter, and a value
// that is neither true nor false, is refused: what was meant to be tried must not be stored.
func dryRun(c *fiber.Ctx) (dry bool, unknown parameterFaults) {
	const name = "validateOnly"
	for key, value := range c.Context().QueryArgs().All() {
		switch {
		case string(key) != name:
			hint := ""
			if plainField(string(key)) == plainField(name) || plainField(string(key)) == "dryrun" {
				hint = "; did you mean " + name + "?"
			}
			unknown = append(unknown, fault{Field: string(key), Code: unknownParameter, Message: fmt.Sprintf("the query parameter %s is not known%s", human.Quote(string(key)), hint)})
		case string(value) == "true":
			dry = true
		case string(value) != "false":
			unknown = append(unknown, fault{Field: name, Code: unknownParameter, Message: fmt.Sprintf("validateOnly is %s, and must be true or false", human.Quote(string(value)))})
		}
	}
	return dry, unknown
}

func (s *Server) readyz(c *fiber.Ctx) error {
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(); err != nil {
			return c.Status(fiber.StatusServiceUnavailable).SendString(err.Error() + "\n")
		}
	}
	return c.SendString("ready\n")
}
