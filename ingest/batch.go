package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"
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
	items, apiErr := splitBatch(raw)
	if apiErr != nil {
		return apiErr
	}
	answer, records := s.checkBatch(items, tokenAccount, receivedAt)
	if len(records) > 0 && c.Query("validateOnly") != "true" {
		if err := s.append(c.Context(), records...); err != nil {
			return s.notDurable(err)
		}
		s.metrics.accepted.WithLabelValues("conversion").Add(float64(len(records)))
	}
	return c.JSON(answer)
}

func (s *Server) checkBatch(items [][]byte, tokenAccount string, receivedAt time.Time) (answer batchAnswer, records [][]byte) {
	answer.Results = make([]itemResult, len(items))
	for i, item := range items {
		record, apiErr := s.checkItem(item, tokenAccount, receivedAt)
		if apiErr != nil {
			s.metrics.rejected.WithLabelValues(apiErr.Code).Inc()
			answer.Rejected++
			answer.Results[i] = itemResult{Index: i, Status: "rejected", Error: apiErr}
			continue
		}
		answer.Accepted++
		answer.Results[i] = itemResult{Index: i, Status: "accepted"}
		records = append(records, record)
	}
	return answer, records
}

func (s *Server) checkItem(item []byte, tokenAccount string, receivedAt time.Time) ([]byte, *apiError) {
	var body eventBody
	if apiErr := decodeObject(item, &body); apiErr != nil {
		return nil, apiErr
	}
	row, apiErr := body.conversion("", tokenAccount, receivedAt, s.cfg.Limits)
	if apiErr != nil {
		return nil, apiErr
	}
	return encodeConversion(row), nil
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
