package ingest

import (
	_ "embed"

	"github.com/gofiber/fiber/v2"
)

//go:embed front.html
var frontPage string

// getFront says what answers here, to whoever opens the address in a browser.
func (s *Server) getFront(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'")
	return c.SendString(frontPage)
}
