package ingest

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Explainer shows what became of a conversion: a value to send as JSON, and false
// when none was received.
type Explainer func(ctx context.Context, customerID, apiName, actionID string) (explanation any, found bool, err error)

// lookupTimeout bounds a look-up.
const lookupTimeout = 10 * time.Second

// lookup returns the context of one. It is not the request's: Fiber uses that for the next one, while
// a connection that is being made in the background may still look at it.
func lookup() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), lookupTimeout)
}

// getConversion answers why a conversion was or was not attributed (docs/openapi.yaml).
func (s *Server) getConversion(c *fiber.Ctx) error {
	customerID, apiErr := s.authorize(c)
	if apiErr != nil {
		return apiErr
	}
	apiName, apiErr := pathParam(c, "apiName")
	if apiErr != nil {
		return apiErr
	}
	actionID, apiErr := pathParam(c, "actionId")
	if apiErr != nil {
		return apiErr
	}
	if s.cfg.Explain == nil {
		return fiber.ErrNotFound
	}
	ctx, cancel := lookup()
	defer cancel()
	explanation, found, err := s.cfg.Explain(ctx, customerID, apiName, actionID)
	if err != nil {
		s.cfg.Log.Error("look up a conversion", "err", err)
		return errUnavailable()
	}
	if !found {
		return &apiError{
			Status: fiber.StatusNotFound, Code: "not_found",
			Message: "no conversion with this apiName and actionId was received for the account",
		}
	}
	return c.JSON(explanation)
}
