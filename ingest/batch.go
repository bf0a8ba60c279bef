package ingest

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	stdjson "encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
)

// Limits of POST /events (spec 3.1).
const (
	maxBatchEvents   = 1000
	maxInflatedBytes = 10 << 20
)

// postEvents accepts many conversions, each by itself. Those that are accepted are
// made durable together.
func (s *Server) postEvents(c *fiber.Ctx) error {
	receivedAt := s.now()
	tokenAccount, apiErr := s.authorize(c)
	if apiErr != nil {
		return apiErr
	}
	return withBody(c, maxEventBytes, maxInflatedBytes, func(raw []byte) error {
		return s.acceptEvents(c, raw, tokenAccount, receivedAt)
	})
}

// acceptEvents answers for a body whose token is good.
func (s *Server) acceptEvents(c *fiber.Ctx, raw []byte, tokenAccount string, receivedAt time.Time) error {
	validateOnly, unknown := validateOnly(c)
	batch := s.newBatch(len(raw), tokenAccount, receivedAt)
	batch.validateOnly = validateOnly
	if apiErr := unknown.with(batch.check(raw)); apiErr != nil {
		return apiErr
	}
	for _, code := range batch.rejected {
		s.metrics.rejected.add(code, 1)
	}
	if len(batch.records) > 0 && !validateOnly {
		if err := s.append(batch.records...); err != nil {
			return errNotDurable()
		}
		s.metrics.conversions.Add(uint64(len(batch.records)))
	}
	return sendJSON(c, batch.answer())
}

// batch checks conversions one after the other, and gathers the records of those
// that are accepted and the result of each.
type batch struct {
	server       *Server
	tokenAccount string
	receivedAt   time.Time
	validateOnly bool
	random       *bufio.Reader // for ingest_ids, read for many at once

	records  [][]byte
	buf      []byte   // all records, one behind the other
	rejected []string // the code of each that was rejected
	results  []byte   // JSON, each result with a comma behind it
}

func (s *Server) newBatch(bytes int, tokenAccount string, receivedAt time.Time) *batch {
	likely := min(maxBatchEvents, bytes/100)
	return &batch{
		server: s, tokenAccount: tokenAccount, receivedAt: receivedAt, random: bufio.NewReader(rand.Reader),
		buf: make([]byte, 0, bytes), records: make([][]byte, 0, likely), results: make([]byte, 0, 40*likely),
	}
}

// check reads a body, the elements of an array or else objects one after the other, and
// judges each by itself. The error is one of the whole body.
func (b *batch) check(raw []byte) *apiError {
	r := newJSONReader(raw)
	if r.space(); r.err != nil {
		return r.err
	}
	if r.peek() != '[' {
		return b.lines(r)
	}
	var body eventBody
	return r.elements(func() bool {
		body = eventBody{}
		r.object(&body)
		return !b.full()
	}, func(bad *apiError) {
		if bad != nil {
			b.reject(bad)
		} else {
			b.add(&body)
		}
	}, errTooManyEvents(maxBatchEvents))
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
		body = eventBody{}
		r.object(&body)
		for c := r.peek(); c == ' ' || c == '\t' || c == '\r'; c = r.peek() {
			r.at++
		}
		c := r.peek()
		ok := r.err == nil && (r.ended() || c == '\n' || c == '{' || c == '/')
		switch {
		case ok && r.ended() && b.count() == 0 && body.wrapped():
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

func (b *batch) count() int { return len(b.records) + len(b.rejected) }
func (b *batch) full() bool { return b.count() == maxBatchEvents }

// add checks one conversion.
func (b *batch) add(body *eventBody) {
	row, apiErr := body.conversion("", b.tokenAccount, b.receivedAt, b.server.cfg.Limits)
	if apiErr != nil {
		b.reject(apiErr)
		return
	}
	row.IngestID = b.ingestID()
	b.results = strconv.AppendInt(append(b.results, `{"index":`...), int64(b.count()), 10)
	b.results = append(b.results, `,"status":"accepted"`...)
	b.results = appendWarnings(b.results, b.server.warnings(body, &row, !b.validateOnly))
	b.results = append(b.results, "},"...)
	start := len(b.buf)
	b.buf = EncodeConversion(b.buf, &row)
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
	binary.BigEndian.PutUint64(id[:8], uint64(b.receivedAt.UnixMilli())<<16|version|uint64(b.count()))
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id
}

func (b *batch) reject(reason *apiError) {
	text, err := stdjson.Marshal(reason)
	if err != nil { // what was received is JSON and all else is text
		panic(fmt.Sprintf("encode %v: %v", reason, err))
	}
	b.results = strconv.AppendInt(append(b.results, `{"index":`...), int64(b.count()), 10)
	b.results = append(b.results, `,"status":"rejected","error":`...)
	b.results = append(append(b.results, text...), "},"...)
	b.rejected = append(b.rejected, reason.Code)
}

// answer is the JSON of the whole batch's result.
func (b *batch) answer() []byte {
	stored := ""
	if b.validateOnly {
		stored = `,"stored":false`
	}
	return fmt.Appendf(make([]byte, 0, len(b.results)+64), `{"accepted":%d,"rejected":%d,"results":[%s]%s}`,
		len(b.records), len(b.rejected), bytes.TrimSuffix(b.results, []byte(",")), stored)
}

func errWrapped(field string) *apiError {
	return &apiError{
		Status: fiber.StatusBadRequest, Code: "invalid_event",
		Message: fmt.Sprintf("the body is one object that holds no conversion, only the field %q: send the array inside it, or one object a line", field),
	}
}

func errTooManyEvents(limit int) *apiError {
	return &apiError{
		Status: fiber.StatusRequestEntityTooLarge, Code: "too_many_events",
		Message: fmt.Sprintf("more than %d events at once are not allowed", limit),
	}
}
