package ingest

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/refuse"
)

// Resulter computes the results of an optimization as they were asked for: a value to send as JSON, or a refusal.
type Resulter func(ctx context.Context, customerID, optimizationID string, asked ResultsAsked) (any, error)

// ResultsAsked are the parameters of the address, as they came; empty where they were not given.
type ResultsAsked struct{ From, To, Cap, Segment, By, KnownAt string }

// getResults answers with the figures of R11 and R9, those that `tieback results` shows.
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
	results, err := s.cfg.Results(ctx, customerID, optimizationID, ResultsAsked{
		From: c.Query("from"), To: c.Query("to"), Cap: c.Query("cap"), Segment: c.Query("segment"), By: c.Query("by"), KnownAt: c.Query("knownAt"),
	})
	switch {
	case errors.Is(err, refuse.NotFound):
		return &apiError{Status: fiber.StatusNotFound, Code: "not_found", Message: refuse.Of(err).Message}
	case errors.Is(err, refuse.Invalid):
		return &apiError{Status: fiber.StatusBadRequest, Code: "bad_request", Message: refuse.Of(err).Message}
	case err != nil:
		s.cfg.Log.Error("compute results", "err", err)
		return errUnavailable()
	}
	return c.JSON(results)
}
