package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
)

type eraseCmd struct {
	Customer string   `arg:"" help:"The account's id."`
	Visitor  string   `placeholder:"ID" xor:"person" required:"" help:"The visitor to erase: everything that its browser reported."`
	User     userFlag `placeholder:"DOMAIN ID" xor:"person" required:"" help:"The user id to erase: its conversions, their adjustments, its links, and all that visitors reported who are linked to no other user id."`
	DryRun   bool     `name:"dry-run" help:"Show what would go and which figures would change; delete nothing."`
}

// userFlag is a flag with two values.
type userFlag struct{ Domain, ID string }

// Decode implements kong.MapperValue.
func (u *userFlag) Decode(ctx *kong.DecodeContext) error {
	for _, into := range []*string{&u.Domain, &u.ID} {
		token := ctx.Scan.Pop() // as it is: an id may begin with a hyphen
		text, isText := token.Value.(string)
		if !isText || token.IsEOL() || strings.HasPrefix(text, "--") {
			return errors.New("expected two values, DOMAIN and ID")
		}
		*into = text
	}
	return nil
}

// Run deletes a person's rows for good, and brings the figures up to date.
func (e *eraseCmd) Run(ctx context.Context, p *program) error {
	person := jobs.Person{CustomerID: e.Customer, VisitorID: e.Visitor, UserDomain: e.User.Domain, UserID: e.User.ID}
	return p.withDB(ctx, func(db *warehouse.DB) error {
		store := catalog.NewStore(db, p.now)
		snap, err := store.Load(ctx)
		if err != nil {
			return err
		}
		if _, exists := snap.Accounts[e.Customer]; !exists {
			return fmt.Errorf("there is no account %s; `tieback account list` shows all", human.Quote(e.Customer))
		}
		if err := p.awaitSpool(ctx, db); err != nil { // what comes later would not be erased
			return fmt.Errorf("nothing was erased: %w", err)
		}
		runner := p.runner(db)
		runner.Progress = p.stepProgress()
		erasure, err := runner.Erase(ctx, person, e.DryRun)
		if isTerminal(p.rawErr) {
			fmt.Fprint(p.rawErr, "\r\033[K")
		}
		if err != nil {
			return err
		}
		if !e.DryRun {
			if err := forget(p.dataDir, erasure.Traces); err != nil {
				return err
			}
		}
		if !e.DryRun && erasure.Rows() > 0 {
			err := store.Change(ctx, "command", func(edit *catalog.Edit) error {
				edit.Remark(person.CustomerID, erasure.Remark())
				return nil
			})
			if err != nil {
				return err
			}
		}
		return printErasure(ctx, p, db, erasure, e.DryRun)
	})
}

// forget deletes what a data folder holds of a person outside the tables.
func forget(dataDir string, t jobs.Traces) error {
	who := ingest.Forgotten{CustomerID: t.CustomerID, Visitors: t.Visitors, UserDomain: t.UserDomain, UserID: t.UserID, Conversions: map[ingest.ConversionKey]bool{}}
	for _, key := range t.Keys {
		who.Conversions[ingest.ConversionKey(key)] = true
	}
	return ingest.Forget(spoolDir(dataDir), ingest.NewDeadLetters(dataDir), who)
}

func printErasure(ctx context.Context, p *program, db *warehouse.DB, e *jobs.Erasure, dryRun bool) error {
	if e.Rows() == 0 {
		fmt.Fprintln(p.stdout, "nothing is known of this person")
		return nil
	}
	verb := "deleted"
	if dryRun {
		verb = "would delete"
	}
	fmt.Fprintf(p.stdout, "%s %s\n", verb, e.Text())
	if err := printErasedFigures(p.stdout, e.Figures); err != nil || e.RunID == "" {
		return err
	}
	fmt.Fprintf(p.stdout, "run %s brought the figures up to date\n", e.RunID)
	return p.printChanges(ctx, db, e.RunID)
}

func printErasedFigures(w io.Writer, figures []jobs.ErasedFigure) error {
	if len(figures) == 0 {
		return nil
	}
	t := newTable("optimization", "variation", "event", "visitors", "conversions", "value")
	for _, f := range figures {
		if f.EventID == "" {
			t.AppendRow(table.Row{f.OptimizationID, f.VariationID, "", fmt.Sprintf("%d → %d", f.VisitorsBefore, f.VisitorsAfter), "", ""})
			continue
		}
		t.AppendRow(table.Row{f.OptimizationID, f.VariationID, f.EventID, "", fmt.Sprintf("%d → %d", f.ConversionsBefore, f.ConversionsAfter), fmt.Sprintf("%s → %s", f.ValueBefore, f.ValueAfter)})
	}
	fmt.Fprintln(w, "published figures of all days, with and without the person:")
	return render(w, t)
}
