package main

import (
	"bytes"
	"fmt"
	"net"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"
)

// The baselines: the same HTTP library with the same settings, answering as much,
// doing less. Nothing in them is slowed down.

func serveFiber(handler fiber.Handler) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true, BodyLimit: 16 << 20, ReadBufferSize: 16 << 10})
	app.Post("/event", handler)
	app.Post("/events", handler)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "msg=\"tieback listens\" address=%s\n", listener.Addr())
	return app.Listener(listener)
}

var fixedAnswer = bytes.Clone(singleBody())

// serveBare answers without looking at the body.
func serveBare() error {
	return serveFiber(func(c *fiber.Ctx) error { return c.Send(fixedAnswer) })
}

// decoded is a conversion as plainly as it can be decoded.
type decoded struct {
	CustomerID      string  `json:"customerId"`
	APIName         string  `json:"apiName"`
	UserDomain      string  `json:"userDomain"`
	UserID          string  `json:"userId"`
	ActionID        string  `json:"actionId"`
	ActionTimestamp int64   `json:"actionTimestamp"`
	Value           float64 `json:"value"`
}

// serveJSON decodes the body, one event or an array, and answers without a check.
func serveJSON() error {
	return serveFiber(func(c *fiber.Ctx) error {
		body := c.Body()
		if body[0] == '[' {
			var events []decoded
			if err := json.Unmarshal(body, &events); err != nil {
				return err
			}
			return c.Send(fixedAnswer)
		}
		var event decoded
		if err := json.Unmarshal(body, &event); err != nil {
			return err
		}
		return c.JSON(event)
	})
}
