package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

type deadLetterCmd struct {
	List  deadLetterListCmd  `cmd:"" help:"Show them with the reasons."`
	Retry deadLetterRetryCmd `cmd:"" help:"Insert them again; those that are refused again stay."`
}

type deadLetterListCmd struct{}

func (*deadLetterListCmd) Run(p *program) error {
	letters, err := ingest.NewDeadLetters(p.dataDir).List()
	if err != nil {
		return err
	}
	t := newTable("at", "table", "reason", "row")
	for _, letter := range letters {
		t.AppendRow(table.Row{stamp(letter.At), letter.Table, letter.Reason, string(letter.Row)})
	}
	return render(p.stdout, t)
}

type deadLetterRetryCmd struct{}

func (*deadLetterRetryCmd) Run(ctx context.Context, p *program) error {
	// Whoever holds the spool may add dead letters.
	held, err := spool.Open(spoolDir(p.dataDir), spool.Options{Log: p.log})
	if errors.Is(err, spool.ErrInUse) {
		return errors.New("a service runs on this data folder and may add dead letters meanwhile: stop it first")
	}
	if err != nil {
		return err
	}
	defer held.Close()
	return p.withDB(ctx, func(db *warehouse.DB) error {
		inserted, kept, err := ingest.NewDeadLetters(p.dataDir).Retry(ctx, db)
		if err == nil {
			fmt.Fprintf(p.stdout, "%d inserted, %d refused again\n", inserted, kept)
		}
		return err
	})
}
