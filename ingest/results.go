package ingest

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"
)

// Resulter computes the results of an optimization for a range of days, YYYY-MM-DD or
// both empty: a value to send as JSON, or ErrNoResults or ErrBadRange.
type Resulter func(ctx context.Context, customerID, optimizationID, from, to string) (any, error)

// What a Resulter blames the caller for. The message of the error is sent.
var (
	ErrNoResults = errors.New("no results")
	ErrBadRange  = errors.New("no range of days")
)

// getResults answers with the figures of R9, those that `tieback results` shows.
func (s *Server) getResults(c *fiber.Ctx) error {
	customerID, apiErr := s.authorize(c)
	if apiErr != nil {
		return apiErr
	}
	optimizationID, apiErr := pathParam(c, "optimizationId")
	if apiErr != nil {
		return apiErr
	}
	if s.cfg.Results == nil {
		return fiber.ErrNotFound
	}
	ctx, cancel := lookup()
	defer cancel()
	results, err := s.cfg.Results(ctx, customerID, optimizationID, c.Query("from"), c.Query("to"))
	switch {
	case errors.Is(err, ErrNoResults):
		return &apiError{Status: fiber.StatusNotFound, Code: "not_found", Message: err.Error()}
	case errors.Is(err, ErrBadRange):
		return &apiError{Status: fiber.StatusBadRequest, Code: "bad_request", Message: err.Error()}
	case err != nil:
		s.cfg.Log.Error("compute results", "err", err)
		return errUnavailable()
	}
	return c.JSON(results)
}
