package ingest

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
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
	raw, apiErr := requestBody(c, maxEventBytes, maxInflatedBytes)
	if apiErr != nil {
		return apiErr
	}
	batch, apiErr := s.checkBatch(raw, tokenAccount, receivedAt)
	if apiErr != nil {
		return apiErr
	}
	validateOnly, apiErr := validateOnly(c)
	if apiErr != nil {
		return apiErr
	}
	for _, code := range batch.rejected {
		s.metrics.rejected.WithLabelValues(code).Inc()
	}
	if len(batch.records) > 0 && !validateOnly {
		if err := s.append(batch.records...); err != nil {
			return errNotDurable()
		}
		s.metrics.conversions.Add(float64(len(batch.records)))
	}
	return sendJSON(c, batch.answer())
}

// batch checks conversions one after the other, and gathers the records of those
// that are accepted and the result of each.
type batch struct {
	tokenAccount string
	receivedAt   time.Time
	limits       Limits
	random       *bufio.Reader // for ingest_ids, read for many at once

	records  [][]byte
	buf      []byte   // all records, one behind the other
	rejected []string // the code of each that was rejected
	results  []byte   // JSON, each result with a comma behind it
}

// checkBatch checks the events of a body: the elements of an array, or else its
// lines. A clean array takes one pass; where anything in it is not as it should be,
// its items are taken apart first.
func (s *Server) checkBatch(raw []byte, tokenAccount string, receivedAt time.Time) (*batch, *apiError) {
	b := &batch{tokenAccount: tokenAccount, receivedAt: receivedAt, limits: s.cfg.Limits, random: bufio.NewReader(rand.Reader)}
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
	b.buf = make([]byte, 0, len(raw))
	likely := min(maxBatchEvents, len(raw)/100)
	b.records, b.results = make([][]byte, 0, likely), make([]byte, 0, 40*likely)
	if b.addArray(raw) {
		return b, nil
	}
	b.records, b.rejected, b.results = b.records[:0], nil, b.results[:0]
	items, apiErr := splitBatch(raw)
	if apiErr != nil {
		return nil, apiErr
	}
	for _, item := range items {
		if body, apiErr := decodeEvent(item); apiErr != nil {
			b.reject(apiErr)
		} else {
			b.add(&body)
		}
	}
	return b, nil
}

// addArray adds the objects of an array; false when it is not one in strict JSON.
func (b *batch) addArray(raw []byte) bool {
	text := view(raw)
	at := skipSpace(text, 0)
	if at == len(text) || text[at] != '[' {
		return false
	}
	at = skipSpace(text, at+1)
	if at < len(text) && text[at] == ']' {
		return skipSpace(text, at+1) == len(text)
	}
	for b.count() < maxBatchEvents {
		var body eventBody
		end, err := body.readAt(raw, text, at)
		if err != nil {
			return false
		}
		b.add(&body)
		at = skipSpace(text, end)
		switch {
		case at == len(text):
			return false
		case text[at] == ',':
			at = skipSpace(text, at+1)
		case text[at] == ']':
			return skipSpace(text, at+1) == len(text)
		default:
			return false
		}
	}
	return false
}

func (b *batch) count() int { return len(b.records) + len(b.rejected) }

// add checks one conversion.
func (b *batch) add(body *eventBody) {
	row, apiErr := body.conversion("", b.tokenAccount, b.receivedAt, b.limits)
	if apiErr != nil {
		b.reject(apiErr)
		return
	}
	row.IngestID = b.ingestID()
	b.results = strconv.AppendInt(append(b.results, `{"index":`...), int64(b.count()), 10)
	b.results = append(b.results, `,"status":"accepted"},`...)
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
	return fmt.Appendf(make([]byte, 0, len(b.results)+64), `{"accepted":%d,"rejected":%d,"results":[%s]}`,
		len(b.records), len(b.rejected), bytes.TrimSuffix(b.results, []byte(",")))
}

// splitBatch cuts a body into its items: the elements of an array, or else the lines
// that are not empty.
func splitBatch(raw []byte) ([][]byte, *apiError) {
	var items [][]byte
	var apiErr *apiError
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		if items, apiErr = splitArray(raw); apiErr != nil {
			// The seed's unquoted keys, or an element that is not even that.
			found, whole := scanArray(trimmed)
			if !whole {
				return nil, apiErr
			}
			items, apiErr = found, nil
		}
	} else {
		for line := range bytes.Lines(raw) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				items = append(items, line)
			}
		}
	}
	if apiErr == nil && len(items) > maxBatchEvents {
		apiErr = &apiError{
			Status: fiber.StatusRequestEntityTooLarge, Code: "too_many_events",
			Message: fmt.Sprintf("%d events at once, at most %d are allowed", len(items), maxBatchEvents),
		}
	}
	return items, apiErr
}

// splitArray finds the elements of a JSON array. What is wrong inside one (a key
// given twice, invalid UTF-8) is left for it to answer for.
func splitArray(raw []byte) ([][]byte, *apiError) {
	decoder := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	fail := func(err error) ([][]byte, *apiError) {
		offset := decoder.InputOffset()
		var syntax *jsontext.SyntacticError
		if errors.As(err, &syntax) {
			offset = syntax.ByteOffset
		}
		return nil, errInvalidJSON("the array cannot be read", offset)
	}
	if _, err := decoder.ReadToken(); err != nil {
		return fail(err)
	}
	items := [][]byte{}
	for decoder.PeekKind() != ']' {
		value, err := decoder.ReadValue()
		if err != nil {
			return fail(err)
		}
		items = append(items, bytes.Clone(value))
	}
	if _, err := decoder.ReadToken(); err != nil {
		return fail(err)
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return fail(err)
	}
	return items, nil
}

// scanArray finds the elements of an array by its brackets, strings and comments alone,
// in JSON5, too, so that one that can't be read fails by itself. whole is false where
// the array does not end, or something follows it.
func scanArray(body []byte) (items [][]byte, whole bool) {
	raw := bytes.Clone(body) // with spaces for comments
	depth, start := 0, 1
	item := func(end int) []byte { return bytes.TrimSpace(raw[start:end]) }
	for at := 0; at < len(raw); at++ {
		switch raw[at] {
		case '"', '\'':
			if at = endOfString(raw, at); at < 0 {
				return nil, false
			}
		case '/':
			if end := endOfComment(raw, at); end > at {
				copy(raw[at:end], bytes.Repeat([]byte(" "), end-at))
				at = end - 1
			}
		case '[', '{':
			depth++
		case ',':
			if depth == 1 {
				items, start = append(items, item(at)), at+1
			}
		case ']', '}':
			if depth--; depth > 0 {
				continue
			}
			if last := item(at); len(last) > 0 { // else it is a comma before the bracket
				items = append(items, last)
			}
			return items, raw[at] == ']' && len(bytes.TrimSpace(raw[at+1:])) == 0
		}
	}
	return nil, false
}

// endOfString returns where the string that begins at raw[at] has its other quote, or -1.
func endOfString(raw []byte, at int) int {
	quote := raw[at]
	for at++; at < len(raw); at++ {
		switch raw[at] {
		case '\\':
			at++
		case quote:
			return at
		}
	}
	return -1
}

// endOfComment returns what is behind a comment that begins at raw[at], at if none does.
func endOfComment(raw []byte, at int) int {
	open, end := raw[at:], ""
	switch {
	case bytes.HasPrefix(open, []byte("//")):
		end = "\n"
	case bytes.HasPrefix(open, []byte("/*")):
		end = "*/"
	default:
		return at
	}
	length := bytes.Index(open[2:], []byte(end))
	if length < 0 {
		return len(raw)
	}
	return at + 2 + length + len(end)
}
