package ingest

import (
	"bytes"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"

	"github.com/tieback/tieback/ingest/snippet"
)

// getSnippet gives the script that an account's pages load (docs/snippet.md). With its version
// in the URL it may be kept for good; without, for some minutes.
func (s *Server) getSnippet(c *fiber.Ctx) error {
	customerID := strings.Clone(c.Query("customerId"))
	if customerID == "" {
		return &apiError{Status: fiber.StatusBadRequest, Code: "bad_request", Message: "customerId is required, as in /snippet.js?customerId=123456789"}
	}
	if _, apiErr := account(c.Context(), s.cfg.Catalog, customerID); apiErr != nil {
		return apiErr
	}
	c.Set(fiber.HeaderContentType, "text/javascript; charset=utf-8")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set("Cross-Origin-Resource-Policy", "cross-origin") // any site may load it
	c.Set(fiber.HeaderAccessControlAllowOrigin, "*")      // as a module, and with integrity, too
	c.Set(fiber.HeaderCacheControl, "public, max-age=300")
	if c.Query("v") == snippet.Version {
		c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	}
	c.Vary(fiber.HeaderAcceptEncoding)
	tag := `W/"` + snippet.Version + `"` // the account is part of the URL
	c.Set(fiber.HeaderETag, tag)
	if strings.Contains(c.Get(fiber.HeaderIfNoneMatch), tag) {
		return c.SendStatus(fiber.StatusNotModified)
	}
	script, err := snippet.For(customerID)
	if err != nil {
		return err
	}
	if !strings.Contains(c.Get(fiber.HeaderAcceptEncoding), "gzip") { // curl asks for none
		return c.SendString(script)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(script)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentEncoding, "gzip")
	return c.Send(packed.Bytes())
}
