package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/warehouse"
)

// Limits of POST /events (spec 3.1).
const (
	maxBatchEvents   = 1000
	maxInflatedBytes = 10 << 20
)

// batchAnswer is the answer to POST /events.
type batchAnswer struct {
	Accepted int          `json:"accepted"`
	Rejected int          `json:"rejected"`
	Results  []itemResult `json:"results"`
}

type itemResult struct {
	Index  int       `json:"index"`
	Status string    `json:"status"` // accepted or rejected
	Error  *apiError `json:"error,omitempty"`
}

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
	items, apiErr := readBatch(raw)
	if apiErr != nil {
		return apiErr
	}
	answer, records := s.checkBatch(items, tokenAccount, receivedAt)
	validateOnly, apiErr := validateOnly(c)
	if apiErr != nil {
		return apiErr
	}
	if len(records) > 0 && !validateOnly {
		if err := s.append(c.Context(), records...); err != nil {
			return s.notDurable(err)
		}
		s.metrics.accepted.WithLabelValues("conversion").Add(float64(len(records)))
	}
	return c.JSON(answer)
}

// item is an event of a batch as it was read, or why it can't be.
type item struct {
	body eventBody
	err  *apiError
}

func (s *Server) checkBatch(items []item, tokenAccount string, receivedAt time.Time) (answer batchAnswer, records [][]byte) {
	answer.Results = make([]itemResult, len(items))
	records = make([][]byte, 0, len(items))
	buf := make([]byte, 0, 128*len(items)) // all records, one behind the other
	for i := range items {
		row, apiErr := items[i].check(tokenAccount, receivedAt, s.cfg.Limits)
		if apiErr != nil {
			s.metrics.rejected.WithLabelValues(apiErr.Code).Inc()
			answer.Rejected++
			answer.Results[i] = itemResult{Index: i, Status: "rejected", Error: apiErr}
			continue
		}
		answer.Accepted++
		answer.Results[i] = itemResult{Index: i, Status: "accepted"}
		start := len(buf)
		buf = EncodeConversion(buf, row)
		records = append(records, buf[start:])
	}
	return answer, records
}

func (it *item) check(tokenAccount string, receivedAt time.Time, limits Limits) (*warehouse.Conversion, *apiError) {
	if it.err != nil {
		return nil, it.err
	}
	return it.body.conversion("", tokenAccount, receivedAt, limits)
}

// readBatch reads the events of a body: the elements of an array, or else its lines.
func readBatch(raw []byte) ([]item, *apiError) {
	if items, ok := readCleanArray(raw); ok {
		return items, nil
	}
	texts, apiErr := splitBatch(raw)
	if apiErr != nil {
		return nil, apiErr
	}
	items := make([]item, len(texts))
	for i, text := range texts {
		items[i].body, items[i].err = decodeEvent(text)
	}
	return items, nil
}

// readCleanArray reads an array of objects in one pass; false when anything in it is
// not as it should be, for readBatch to find out what.
func readCleanArray(raw []byte) (items []item, ok bool) {
	decoder := jsontext.NewDecoder(bytes.NewReader(raw))
	if decoder.PeekKind() != '[' {
		return nil, false
	}
	if _, err := decoder.ReadToken(); err != nil {
		return nil, false
	}
	for decoder.PeekKind() == '{' && len(items) <= maxBatchEvents {
		var it item
		if it.body.read(decoder, raw) != nil {
			return nil, false
		}
		items = append(items, it)
	}
	if len(items) > maxBatchEvents || decoder.PeekKind() != ']' {
		return nil, false
	}
	if _, err := decoder.ReadToken(); err != nil {
		return nil, false
	}
	_, err := decoder.ReadToken()
	return items, errors.Is(err, io.EOF)
}

// splitBatch cuts a body into its items: the elements of an array, or else the lines
// that are not empty.
func splitBatch(raw []byte) ([][]byte, *apiError) {
	var items [][]byte
	var apiErr *apiError
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		items, apiErr = splitArray(raw)
		if apiErr != nil {
			// The seed's unquoted keys, in an array.
			rewritten, json5Err := json5ToJSON(raw)
			if json5Err != nil {
				return nil, apiErr
			}
			items, apiErr = splitArray(rewritten)
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
