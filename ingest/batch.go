package ingest

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	stdjson "encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/tieback/tieback/warehouse"
)

// Limits of POST /events (docs/openapi.yaml).
const (
	maxBatchEvents   = 1000
	maxInflatedBytes = 10 << 20
)

// postEvents accepts many conversions, each by itself. Those that are accepted are
// made durable together.
func (s *Server) postEvents(c *fiber.Ctx) error { return s.postMany(c, false) }

// postAdjustments is postEvents for adjustments.
func (s *Server) postAdjustments(c *fiber.Ctx) error { return s.postMany(c, true) }

func (s *Server) postMany(c *fiber.Ctx, adjusts bool) error {
	tokenAccount, apiErr := s.authorize(c)
	if apiErr != nil {
		return apiErr
	}
	return s.withAuthorized(c, maxInflatedBytes, func(raw []byte) error {
		return s.acceptMany(c, raw, tokenAccount, s.now(), adjusts)
	})
}

// acceptMany answers for a body whose token is good.
func (s *Server) acceptMany(c *fiber.Ctx, raw []byte, tokenAccount string, receivedAt time.Time, adjusts bool) error {
	dry, unknown := dryRun(c)
	batch := s.newBatch(tokenAccount, receivedAt)
	defer batch.release()
	batch.dryRun, batch.adjusts = dry, adjusts
	if apiErr := unknown.with(batch.check(raw)); apiErr != nil {
		return apiErr
	}
	for _, code := range batch.rejected {
		s.metrics.rejected.add(code, 1)
		s.notAccepted(tokenAccount, "an event of a batch was refused", code)
	}
	if len(batch.records) > 0 && !dry {
		if err := s.append(batch.records...); err != nil {
			return errNotDurable()
		}
		if adjusts {
			s.metrics.adjustments.Add(uint64(len(batch.records)))
		} else {
			s.metrics.conversions.Add(uint64(len(batch.records)))
		}
	}
	return sendJSON(c, batch.answer())
}

// batch checks conversions one after the other, and gathers the records of those
// that are accepted and the result of each.
type batch struct {
	server       *Server
	tokenAccount string
	receivedAt   time.Time
	dryRun       bool
	adjusts      bool          // adjustments and not conversions
	random       *bufio.Reader // for ingest_ids, read for many at once

	items    []item
	records  [][]byte
	buf      []byte   // all records, one behind the other
	rejected []string // the code of each that was rejected
}

// item is what became of one: it was accepted, or refused.
type item struct {
	row     warehouse.Conversion
	adjusts *warehouse.Adjustment // in the place of row
	body    sent
	refused *apiError // nil where it was accepted
}

// batches keeps the memory of batches for the next ones: they are large, and many.
var batches = sync.Pool{New: func() any { return &batch{random: bufio.NewReader(rand.Reader)} }}

// newBatch returns an empty batch, which release gives back.
func (s *Server) newBatch(tokenAccount string, receivedAt time.Time) *batch {
	b, _ := batches.Get().(*batch)
	b.server, b.tokenAccount, b.receivedAt = s, tokenAccount, receivedAt
	return b
}

// release ends the use of a batch; its items lie in a body whose memory gets another one.
func (b *batch) release() {
	if cap(b.buf) > keptBytes {
		return
	}
	clear(b.items)
	clear(b.records)
	*b = batch{random: b.random, items: b.items[:0], records: b.records[:0], buf: b.buf[:0]}
	batches.Put(b)
}

// check reads a body, the elements of an array or else objects one after the other, and
// judges each by itself. The error is one of the whole body.
func (b *batch) check(raw []byte) *apiError {
	r := newJSONReader(raw)
	r.what = "each event"
	if r.space(); r.err != nil {
		return r.err
	}
	if r.peek() != '[' {
		return b.lines(r)
	}
	var body eventBody
	r.elements(func() bool {
		body = eventBody{adjusts: b.adjusts}
		r.object(&body)
		return !b.full()
	}, func(bad *apiError) {
		if bad != nil {
			b.reject(bad)
		} else {
			b.add(&body)
		}
	}, errTooManyEvents(maxBatchEvents))
	r.end()
	return r.err
}

// lines reads objects that follow one another, on lines of their own (NDJSON) or not. Of one
// that can't be read the line that it begins on is bad.
func (b *batch) lines(r *jsonReader) *apiError {
	var body eventBody
	for {
		r.space()
		if r.err == nil && r.ended() {
			return nil
		}
		if b.full() {
			return errTooManyEvents(maxBatchEvents)
		}
		start := r.at
		body = eventBody{adjusts: b.adjusts}
		r.object(&body)
		for c := r.peek(); c == ' ' || c == '\t' || c == '\r'; c = r.peek() {
			r.at++
		}
		c := r.peek()
		ok := r.err == nil && (r.ended() || c == '\n' || c == '{' || c == '/')
		switch {
		case ok && r.ended() && len(b.items) == 0 && body.wrapped():
			return errWrapped(body.wrapper)
		case ok:
			b.add(&body)
		default:
			r.fail("unexpected %s after the end", r.here())
			b.reject(r.forget())
			if line := strings.IndexByte(r.text[start:], '\n'); line >= 0 {
				r.at = start + line
			} else {
				r.at = len(r.text)
			}
		}
	}
}

func (b *batch) full() bool { return len(b.items) == maxBatchEvents }

// add checks one conversion.
func (b *batch) add(body *eventBody) {
	id := b.ingestID()
	b.items = append(b.items, item{})
	it := &b.items[len(b.items)-1]
	if b.adjusts {
		it.adjusts = new(warehouse.Adjustment)
		it.refused = body.toAdjust(it.adjusts, "", b.tokenAccount, b.receivedAt, b.server.cfg.Limits)
	} else {
		it.refused = body.conversion(&it.row, "", b.tokenAccount, b.receivedAt, b.server.cfg.Limits)
	}
	if it.refused != nil {
		b.rejected = append(b.rejected, it.refused.Code)
		return
	}
	it.body = body.sent
	start := len(b.buf)
	if b.adjusts {
		it.adjusts.IngestID = id
		b.buf = EncodeAdjustment(b.buf, it.adjusts)
	} else {
		it.row.IngestID = id
		b.buf = EncodeConversion(b.buf, &it.row)
	}
	b.records = append(b.records, b.buf[start:])
}

// ingestID is a UUID of version 7 for the next item: when the batch was received, the place
// in it, and 62 random bits. Of copies in one batch the first has the smallest (R5).
func (b *batch) ingestID() (id uuid.UUID) {
	const _ = uint(1<<12 - maxBatchEvents) // places have 12 bits
	random, err := b.random.Peek(8)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	copy(id[8:], random)
	_, _ = b.random.Discard(8) // it is there
	const version = 7 << 12
	binary.BigEndian.PutUint64(id[:8], uint64(b.receivedAt.UnixMilli())<<16|version|uint64(len(b.items)))
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id
}

func (b *batch) reject(reason *apiError) {
	b.items = append(b.items, item{refused: reason})
	b.rejected = append(b.rejected, reason.Code)
}

// answer is the JSON of the whole batch's result, once what was accepted is stored.
func (b *batch) answer() []byte {
	var missing map[ConversionKey]bool
	if b.adjusts {
		missing = b.missing()
	}
	answer := fmt.Appendf(make([]byte, 0, 40*len(b.items)+64), `{"accepted":%d,"rejected":%d,"results":[`, len(b.records), len(b.rejected))
	for i := range b.items {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = strconv.AppendInt(append(answer, `{"index":`...), int64(i), 10)
		if it := &b.items[i]; it.refused != nil {
			text, err := stdjson.Marshal(it.refused)
			if err != nil { // what was received is JSON and all else is text
				panic(fmt.Sprintf("encode %v: %v", it.refused, err))
			}
			answer = append(append(answer, `,"status":"rejected","error":`...), text...)
		} else {
			answer = append(answer, `,"status":"accepted"`...)
			if b.adjusts {
				answer = appendWarnings(answer, b.server.adjustmentWarnings(&it.body, it.adjusts, missing))
			} else {
				answer = appendWarnings(answer, b.server.warnings(&it.body, &it.row, !b.dryRun))
			}
		}
		answer = append(answer, '}')
	}
	answer = append(answer, ']')
	if b.dryRun {
		answer = append(answer, `,"stored":false`...)
	}
	return append(answer, '}')
}

// missing returns the keys of adjustments that no conversion was received with.
func (b *batch) missing() map[ConversionKey]bool {
	var accepted []*warehouse.Adjustment
	for i := range b.items {
		if b.items[i].refused == nil {
			accepted = append(accepted, b.items[i].adjusts)
		}
	}
	return b.server.missing(b.tokenAccount, accepted)
}

func errWrapped(field string) *apiError {
	return &apiError{
		Status: fiber.StatusBadRequest, Code: "invalid_event",
		Message: fmt.Sprintf("the body is one object that holds no conversion; if the field %q does, send the array inside it, or one object a line", field),
	}
}

func errTooManyEvents(limit int) *apiError {
	return &apiError{
		Status: fiber.StatusRequestEntityTooLarge, Code: "too_many_events",
		Message: fmt.Sprintf("more than %d events at once are not allowed", limit),
	}
}
