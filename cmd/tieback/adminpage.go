package main

import (
	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/admin"
	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
)

func (s *service) forget(t jobs.Traces) error { return forget(s.dataDir, t) }

// openAdmin returns what adds the admin page and API, or what says that there is none.
func (s *service) openAdmin() (mount func(fiber.Router), err error) {
	if s.settings.AdminToken == "" {
		return func(app fiber.Router) {
			app.Get("/admin*", func(c *fiber.Ctx) error {
				return c.Status(fiber.StatusNotFound).SendString("There is no admin page: start the service with --admin-token or TIEBACK_ADMIN_TOKEN.\n")
			})
		}, nil
	}
	s.admin, err = admin.New(admin.Config{
		Token: s.settings.AdminToken, DB: s.db, Store: catalog.NewStore(s.db, s.now), Live: s.live,
		Drained: s.spool.WaitDrained, Forget: s.forget, NightMemory: s.nightMemory, Now: s.now, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	return s.admin.Mount, nil
}
