package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/warehouse"
)

type accountCmd struct {
	Add    accountAddCmd    `cmd:"" help:"Add an account, or set the origins of one."`
	List   accountListCmd   `cmd:"" help:"List the accounts."`
	Delete accountDeleteCmd `cmd:"" help:"Delete an account that was made by mistake, and for which nothing was received."`
}

type accountAddCmd struct {
	Customer string   `arg:"" help:"The account's id (customerId)."`
	Origin   []string `placeholder:"URL" sep:"none" help:"An origin that its browsers may send from, as https://www.example.com; any if none is given."`
}

func (a *accountAddCmd) Run(ctx context.Context, p *program) error {
	return p.adding(ctx, func(db *warehouse.DB) error {
		return catalog.NewStore(db, p.now).Change(ctx, "command", func(e *catalog.Edit) error { return e.PutAccount(a.Customer, a.Origin) })
	})
}

type accountListCmd struct{}

func (*accountListCmd) Run(ctx context.Context, p *program) error {
	return p.withCatalog(ctx, func(snap *catalog.Snapshot) error {
		t := newTable("account", "origins", "created at")
		for _, id := range slices.Sorted(maps.Keys(snap.Accounts)) {
			a := snap.Accounts[id]
			origins := "any"
			if len(a.Origins) > 0 {
				origins = strings.Join(a.Origins, "\n")
			}
			t.AppendRow(table.Row{id, origins, stamp(a.CreatedAt)})
		}
		return render(p.stdout, t)
	})
}

type accountDeleteCmd struct {
	Customer string `arg:"" help:"The account's id."`
	Really   string `required:"" placeholder:"CUSTOMER" help:"Its id once more."`
}

func (d *accountDeleteCmd) Run(ctx context.Context, p *program) error {
	if d.Really != d.Customer {
		return usagef("--really %s is not the account %s: nothing was deleted", human.Quote(d.Really), human.Quote(d.Customer))
	}
	return p.adding(ctx, func(db *warehouse.DB) error {
		if err := p.settleSpool(ctx, db); err != nil {
			return err
		}
		if err := reports.NothingReceived(ctx, db, d.Customer); err != nil {
			return err
		}
		return p.changeIn(ctx, db, func(e *catalog.Edit) error { return e.DeleteAccount(d.Customer) })
	})
}

type tokenCmd struct {
	Add    tokenAddCmd    `cmd:"" help:"Make a token and print it, this once."`
	List   tokenListCmd   `cmd:"" help:"List an account's tokens."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token's life."`
	Delete tokenDeleteCmd `cmd:"" help:"End a token's life, and list it no longer."`
}

type tokenAddCmd struct {
	Customer string `arg:"" help:"The account's id."`
	Name     string `arg:"" help:"What to call the token."`
}

func (t *tokenAddCmd) Run(ctx context.Context, p *program) error {
	var secret catalog.Secret
	err := p.change(ctx, func(e *catalog.Edit) (err error) {
		secret, err = e.AddToken(t.Customer, t.Name)
		return err
	})
	if err == nil {
		fmt.Fprintln(p.stdout, secret.Reveal())
	}
	return err
}

type tokenListCmd struct {
	Customer string `arg:"" help:"The account's id."`
}

func (l *tokenListCmd) Run(ctx context.Context, p *program) error {
	return p.withCatalog(ctx, func(snap *catalog.Snapshot) error {
		t := newTable("name", "begins with", "created at", "revoked at")
		for _, token := range snap.TokensOf(l.Customer) {
			t.AppendRow(table.Row{token.Name, "tb_" + token.Prefix, stamp(token.CreatedAt), stampOr(token.RevokedAt, "")})
		}
		return render(p.stdout, t)
	})
}

type tokenRevokeCmd struct {
	Customer string `arg:"" help:"The account's id."`
	Name     string `arg:"" help:"The token's name."`
}

func (t *tokenRevokeCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error { return e.RevokeToken(t.Customer, t.Name) })
}

type tokenDeleteCmd struct {
	Customer string `arg:"" help:"The account's id."`
	Name     string `arg:"" help:"The token's name."`
}

func (t *tokenDeleteCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error { return e.DeleteToken(t.Customer, t.Name) })
}

func newTable(columns ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = 0 // as they are written here
	t.AppendHeader(table.Row(columns))
	return t
}

func render(w io.Writer, t table.Writer) error {
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func stampOr(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return stamp(*t)
}
