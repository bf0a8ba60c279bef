package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/tieback/tieback/warehouse"
)

// Limits of spec 3.2.
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

// postCollect accepts what a browser reports (spec 3.2).
func (s *Server) postCollect(c *fiber.Ctx) error {
	receivedAt := s.now()
	allowOrigin(c) // also where it is refused, or the page can't read why
	raw, apiErr := requestBody(c, maxCollectBytes, maxCollectBytes)
	if apiErr != nil {
		return apiErr
	}
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
	s.metrics.dropped.Add(float64(dropped))
	if err := s.store(rows); err != nil {
		return errNotDurable()
	}
	return c.SendStatus(fiber.StatusNoContent)
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
	s.metrics.clientEvents.Add(float64(len(rows)))
	return nil
}

// collectBody is what the browser script sends.
type collectBody struct {
	CustomerID jsontext.Value `json:"customerId"`
	VisitorID  jsontext.Value `json:"visitorId"`
	SentAt     jsontext.Value `json:"sentAt"`
	Events     jsontext.Value `json:"events"`
}

type clientEventBody struct {
	ID             jsontext.Value `json:"id"`
	Type           jsontext.Value `json:"type"`
	OptimizationID jsontext.Value `json:"optimizationId"`
	VariationID    jsontext.Value `json:"variationId"`
	UserDomain     jsontext.Value `json:"userDomain"`
	UserID         jsontext.Value `json:"userId"`
	OccurredAt     jsontext.Value `json:"occurredAt"`
}

// collected is a batch of a browser after its checks.
type collected struct {
	customerID, visitorID string
	sentAtMS              int64
	events                []jsontext.Value
}

// decodeCollect reads the envelope. What is wrong with single events is found later
// and costs those only.
func decodeCollect(raw []byte) (collected, *apiError) {
	var body collectBody
	if err := decodeObject(raw, &body); err != nil {
		return collected{}, err
	}
	var f faults
	c := collected{customerID: f.id("customerId", jsonText(body.CustomerID)), visitorID: f.id("visitorId", jsonText(body.VisitorID))}
	c.sentAtMS, _ = f.integer("sentAt", jsonText(body.SentAt))
	switch {
	case jsonText(body.Events).absent():
		f.add("events", "missing", "", "events is required")
	case body.Events.Kind() != '[' || json.Unmarshal(body.Events, &c.events) != nil:
		f.add("events", "wrong_type", "", "events must be an array")
	}
	if len(f.list) > 0 {
		err := errInvalidEvent(f.list)
		err.Message = "the batch can't be read; see details"
		return c, err
	}
	if len(c.events) > maxCollectEvents {
		return c, &apiError{Status: fiber.StatusRequestEntityTooLarge, Code: "too_many_events", Message: "at most 500 events are allowed at once"}
	}
	return c, nil
}

// rows returns the events that can be stored, and how many cannot.
func (c *collected) rows(receivedAt time.Time) (rows []*warehouse.ClientEvent, dropped int) {
	for _, raw := range c.events {
		row := c.row(raw, receivedAt)
		if row == nil {
			dropped++
			continue
		}
		rows = append(rows, row)
	}
	return rows, dropped
}

// row checks one event; nil when it is bad or too old. The browser's clock is
// corrected: how long before the sending it happened is right whatever the clock.
func (c *collected) row(raw jsontext.Value, receivedAt time.Time) *warehouse.ClientEvent {
	var body clientEventBody
	if raw.Kind() != '{' || json.Unmarshal(raw, &body) != nil {
		return nil
	}
	var f faults
	row := &warehouse.ClientEvent{CustomerID: c.customerID, VisitorID: c.visitorID, Type: f.id("type", jsonText(body.Type)), ReceivedAtMS: receivedAt.UnixMilli()}
	switch row.Type {
	case "view":
		row.OptimizationID, row.VariationID = f.id("optimizationId", jsonText(body.OptimizationID)), f.id("variationId", jsonText(body.VariationID))
	case "identify":
		row.UserDomain, row.UserID = f.id("userDomain", jsonText(body.UserDomain)), f.id("userId", jsonText(body.UserID))
	case "activity":
	default:
		return nil
	}
	occurredAt, _ := f.integer("occurredAt", jsonText(body.OccurredAt))
	row.IngestID = c.ingestID(&f, jsonText(body.ID))
	const sane = 1 << 53 // further apart the difference means nothing, and could overflow
	if len(f.list) > 0 || occurredAt < -sane || occurredAt > sane || c.sentAtMS < -sane || c.sentAtMS > sane {
		return nil
	}
	row.OccurredAtMS = min(row.ReceivedAtMS-(c.sentAtMS-occurredAt), row.ReceivedAtMS)
	if row.OccurredAtMS < row.ReceivedAtMS-maxClientEventAge.Milliseconds() {
		return nil
	}
	return row
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
