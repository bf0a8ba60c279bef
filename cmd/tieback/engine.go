package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/tieback/tieback/warehouse/chdb"
)

// engineCmd hosts the embedded engine. Whoever needs it starts it.
type engineCmd struct {
	Dir string `arg:"" help:"Data folder."`
}

func (e *engineCmd) Run(ctx context.Context) error {
	// ^C in a terminal is for the commands; the engine ends with its last client.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	return chdb.Serve(ctx, e.Dir)
}
