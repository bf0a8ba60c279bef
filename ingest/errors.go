package ingest

import (
	"fmt"
	"strconv"

	"github.com/gofiber/fiber/v2"
)

// apiError is an answer that refuses a request; its JSON form is part of the
// contract (docs/openapi.yaml).
type apiError struct {
	Status     int     `json:"-"`
	RetryAfter int     `json:"-"` // seconds, 0 for none
	Code       string  `json:"code"`
	Message    string  `json:"message"`
	Offset     *int64  `json:"offset,omitempty"` // of the byte at which a body stops being readable
	Details    []fault `json:"details,omitempty"`
}

// fault is one thing wrong with one field.
type fault struct {
	Field    string `json:"field"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Received any    `json:"received,omitempty"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// send writes the error as the answer.
func (e *apiError) send(c *fiber.Ctx) error {
	if e.RetryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(e.RetryAfter))
	}
	return c.Status(e.Status).JSON(struct {
		Error *apiError `json:"error"`
	}{e})
}

func errInvalidJSON(message string, offset int64) *apiError {
	return &apiError{
		Status: fiber.StatusBadRequest, Code: "invalid_json", Offset: &offset,
		Message: fmt.Sprintf("%s (at byte %d)", message, offset),
	}
}

func errInvalidEvent(what string, faults []fault) *apiError {
	message := fmt.Sprintf("the %s has a fault; see details", what)
	if len(faults) > 1 {
		message = fmt.Sprintf("the %s has %d faults; see details", what, len(faults))
	}
	return &apiError{Status: fiber.StatusBadRequest, Code: "invalid_event", Message: message, Details: faults}
}

func errTooLarge(limit int) *apiError {
	return &apiError{
		Status: fiber.StatusRequestEntityTooLarge, Code: "too_large",
		Message: fmt.Sprintf("the body may have %d bytes", limit),
	}
}

func errNotDurable() *apiError {
	return &apiError{
		Status: fiber.StatusServiceUnavailable, Code: "not_durable", RetryAfter: 5,
		Message: "the event could not be made durable and was not accepted; send it again",
	}
}

// errUnavailable answers where ClickHouse is needed and does not answer.
func errUnavailable() *apiError {
	return &apiError{
		Status: fiber.StatusServiceUnavailable, Code: "unavailable", RetryAfter: 5,
		Message: "ClickHouse does not answer now; ask again",
	}
}

var (
	errInvalidToken = &apiError{
		Status: fiber.StatusUnauthorized, Code: "invalid_token",
		Message: "the Authorization header must be `ApiKey TOKEN` with a token that is valid",
	}
	errWrongAccount = &apiError{
		Status: fiber.StatusForbidden, Code: "wrong_account",
		Message: "the token belongs to another account than customerId",
	}
	errUnknownAccount = &apiError{
		Status: fiber.StatusNotFound, Code: "unknown_account",
		Message: "there is no account with this customerId",
	}
	errWrongOrigin = &apiError{
		Status: fiber.StatusForbidden, Code: "wrong_origin",
		Message: "pages of this origin may not send for the account; `tieback account add CUSTOMER --origin URL` allows it",
	}
	errCutOff = &apiError{
		Status: fiber.StatusBadRequest, Code: "bad_request",
		Message: "the body did not arrive whole",
	}
	errEncoding = &apiError{
		Status: fiber.StatusUnsupportedMediaType, Code: "unsupported_encoding",
		Message: "Content-Encoding may be gzip or identity",
	}
)
