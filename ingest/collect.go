package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/tieback/tieback/warehouse"
)

// Limits of docs/snippet.md.
const (
	maxCollectBytes   = 64 << 10
	maxCollectEvents  = 500
	maxEventIDBytes   = 64
	maxClientEventAge = 7 * 24 * time.Hour
)

// preflight lets a browser ask; which account it is for only the POST tells.
func (s *Server) preflight(c *fiber.Ctx) error {
	allowOrigin(c)
	c.Set(fiber.HeaderAccessControlAllowMethods, "POST")
	c.Set(fiber.HeaderAccessControlAllowHeaders, fiber.HeaderContentType)
	c.Set(fiber.HeaderAccessControlMaxAge, "86400")
	return c.SendStatus(fiber.StatusNoContent)
}

func allowOrigin(c *fiber.Ctx) {
	c.Vary(fiber.HeaderOrigin)
	if origin := c.Get(fiber.HeaderOrigin); origin != "" {
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	}
}

// postCollect accepts what a browser reports (docs/snippet.md).
func (s *Server) postCollect(c *fiber.Ctx) error {
	allowOrigin(c) // also where it is refused, or the page can't read why
	return withBody(c, maxCollectBytes, maxCollectBytes, func(raw []byte) error {
		return s.collect(c, raw, s.now())
	})
}

func (s *Server) collect(c *fiber.Ctx, raw []byte, receivedAt time.Time) error {
	batch, apiErr := decodeCollect(raw)
	if apiErr != nil {
		return apiErr
	}
	owner, apiErr := account(c.Context(), s.cfg.Catalog, batch.customerID)
	if apiErr != nil {
		return apiErr
	}
	if !owner.AllowsOrigin(c.Get(fiber.HeaderOrigin)) {
		return errWrongOrigin
	}
	rows, dropped := batch.rows(receivedAt)
	s.metrics.drop(owner.CustomerID, dropped)
	for _, reason := range dropped {
		s.notAccepted(owner.CustomerID, "client events were dropped", reason)
	}
	if err := s.storeOnce(rows); err != nil {
		return errNotDurable()
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// storeOnce stores the events that were not stored lately.
func (s *Server) storeOnce(rows []*warehouse.ClientEvent) error {
	rows, settle := s.stored.claim(rows, s.now())
	stored := false
	defer func() { settle(stored) }() // also where a bug panics: others may wait for it
	err := s.store(rows)
	stored = err == nil
	return err
}

func (s *Server) store(rows []*warehouse.ClientEvent) error {
	if len(rows) == 0 {
		return nil
	}
	records := make([][]byte, len(rows))
	for i, row := range rows {
		records[i] = encodeClientEvent(row)
	}
	if err := s.append(records...); err != nil {
		return err
	}
	s.metrics.clientEvents.Add(uint64(len(rows)))
	return nil
}

// collectBody is what the browser script sends. It is fields of a jsonReader.
type collectBody struct {
	customerID, visitorID, sentAt, attributes, events jsonText

	read    []clientEventBody // the elements of events
	dropped []string          // why each of those that can't be read is dropped
}

func (body *collectBody) field(key string) *jsonText {
	switch key {
	case "customerId":
		return &body.customerID
	case "visitorId":
		return &body.visitorID
	case "sentAt":
		return &body.sentAt
	case "attributes":
		return &body.attributes
	case "events":
		return &body.events
	default:
		return nil
	}
}

func (*collectBody) other(string, jsonText) {}

// readArray reads the events where they stand: one that can't be read costs itself only.
func (body *collectBody) readArray(key string, r *jsonReader) bool {
	if key != "events" {
		return false
	}
	var event clientEventBody
	r.elements(func() bool {
		event = clientEventBody{}
		r.object(&event)
		return len(body.read)+len(body.dropped) < maxCollectEvents
	}, func(bad *apiError) {
		if bad != nil {
			body.dropped = append(body.dropped, "unreadable")
		} else {
			body.read = append(body.read, event)
		}
	}, errTooManyEvents(maxCollectEvents))
	return true
}

// clientEventBody is one of its events.
type clientEventBody struct {
	id, kind, optimizationID, variationID, userDomain, userID, occurredAt jsonText
}

func (body *clientEventBody) field(key string) *jsonText {
	switch key {
	case "id":
		return &body.id
	case "type":
		return &body.kind
	case "optimizationId":
		return &body.optimizationID
	case "variationId":
		return &body.variationID
	case "userDomain":
		return &body.userDomain
	case "userId":
		return &body.userID
	case "occurredAt":
		return &body.occurredAt
	default:
		return nil
	}
}

func (*clientEventBody) other(string, jsonText) {}

// collected is a batch of a browser after its checks.
type collected struct {
	customerID, visitorID string
	sentAtMS              int64
	attributes            warehouse.Attributes // of its views
	events                []clientEventBody
	dropped               []string // why each event or attribute that can't be read is dropped
}

// decodeCollect reads the envelope. What is wrong with single events costs those only.
func decodeCollect(raw []byte) (c collected, apiErr *apiError) {
	var body collectBody
	r := newJSONReader(raw)
	r.space()
	r.object(&body)
	if r.end(); r.err != nil {
		return c, r.err
	}
	var f faults
	c.customerID, c.visitorID = f.id("customerId", body.customerID), f.id("visitorId", body.visitorID)
	c.sentAtMS, _ = f.integer("sentAt", body.sentAt)
	switch {
	case body.events.absent():
		f.add("events", "missing", "", "events is required")
	case body.events.kind() != '[':
		f.add("events", "wrong_type", "", "events must be an array")
	}
	if len(f.list) > 0 {
		err := errInvalidEvent("event", f.list)
		err.Message = "the batch can't be read; see details"
		return c, err
	}
	c.events, c.dropped = body.read, body.dropped
	if !body.attributes.absent() {
		var bad []string
		c.attributes, bad = ReadAttributes([]byte(body.attributes))
		for range bad {
			c.dropped = append(c.dropped, "bad_attribute")
		}
	}
	return c, nil
}

// rows returns the events that can be stored, and why each of the others cannot.
func (c *collected) rows(receivedAt time.Time) (rows []*warehouse.ClientEvent, dropped []string) {
	dropped = c.dropped
	for i := range c.events {
		row, reason := c.row(&c.events[i], receivedAt)
		if reason != "" {
			dropped = append(dropped, reason)
			continue
		}
		rows = append(rows, row)
	}
	return rows, dropped
}

// row checks one event, and says in a word why it is bad.
func (c *collected) row(body *clientEventBody, receivedAt time.Time) (row *warehouse.ClientEvent, reason string) {
	var f faults
	row = &warehouse.ClientEvent{CustomerID: c.customerID, VisitorID: c.visitorID, Type: f.id("type", body.kind), ReceivedAtMS: receivedAt.UnixMilli()}
	switch row.Type {
	case "view":
		row.OptimizationID, row.VariationID = f.id("optimizationId", body.optimizationID), f.id("variationId", body.variationID)
		row.Attributes = c.attributes
	case "identify":
		row.UserDomain, row.UserID = f.realID("userDomain", body.userDomain), f.realID("userId", body.userID)
	case "activity":
	default:
		return nil, "unknown_type"
	}
	occurredAt, _ := f.integer("occurredAt", body.occurredAt)
	row.IngestID = c.ingestID(&f, body.id)
	if len(f.list) > 0 {
		return nil, f.list[0].Code
	}
	const sane = 1 << 53 // further apart the difference means nothing, and could overflow
	if occurredAt < -sane || occurredAt > sane || c.sentAtMS < -sane || c.sentAtMS > sane {
		return nil, "bad_time"
	}
	row.OccurredAtMS = min(occurredAt+c.clockError(row.ReceivedAtMS), row.ReceivedAtMS)
	if row.OccurredAtMS < row.ReceivedAtMS-maxClientEventAge.Milliseconds() {
		return nil, "too_old"
	}
	return row, ""
}

// clockTolerance is how far a report's sentAt may lie from its receipt before the browser's
// clock is taken to be wrong. Within it the difference is the network's: correcting by it
// would move events, and change which variation was seen last.
const clockTolerance = time.Minute

// clockError is what to add to the browser's moments, in milliseconds.
func (c *collected) clockError(receivedAtMS int64) int64 {
	apart := receivedAtMS - c.sentAtMS
	if apart > clockTolerance.Milliseconds() || -apart > clockTolerance.Milliseconds() {
		return apart
	}
	return 0
}

// ingestID is derived from the event's own id, if it has one, so that a retry of
// the browser counts once (R5).
func (c *collected) ingestID(f *faults, raw jsonText) uuid.UUID {
	if raw.absent() {
		return uuid.Must(uuid.NewV7())
	}
	id := f.id("id", raw)
	if len(id) > maxEventIDBytes {
		f.add("id", "too_long", "", "id has %d bytes, at most %d are allowed", len(id), maxEventIDBytes)
	}
	return DerivedID("collect", c.customerID, c.visitorID, id)
}

// DerivedID is a UUID (version 8) that depends on nothing but parts, in order.
func DerivedID(parts ...string) uuid.UUID {
	hash := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		hash.Write(length[:])
		hash.Write([]byte(part))
	}
	id := uuid.UUID(hash.Sum(nil)[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}
