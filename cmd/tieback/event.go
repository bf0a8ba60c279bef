package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/jobs"
)

type eventCmd struct {
	Add     eventAddCmd     `cmd:"" help:"Add an event and print its id."`
	Rename  eventRenameCmd  `cmd:"" help:"Give an event another name from now on."`
	Archive eventArchiveCmd `cmd:"" help:"Free an event's name from now on."`
	Delete  eventDeleteCmd  `cmd:"" help:"Delete an event that was made by mistake, as if it had never been there."`
	Rule    eventRuleCmd    `cmd:"" help:"Set how an event's conversions are attributed, from a moment on."`
	List    eventListCmd    `cmd:"" help:"List an account's events, the names they bore and their attribution rules."`
}

type eventAddCmd struct {
	Customer string `arg:"" help:"The account's id."`
	APIName  string `arg:"" name:"apiname" help:"The name that backends send (apiName)."`
	ID       string `name:"id" placeholder:"EVENTID" help:"The event's id; made up if not given."`
	From     string `placeholder:"TIME" default:"now" help:"Since when it bears the name, RFC 3339 or now; may lie in the past."`
}

func (a *eventAddCmd) Run(ctx context.Context, p *program) error {
	from, err := jobs.ParseTime(a.From, p.now())
	if err != nil {
		return err
	}
	var id, near string
	err = p.change(ctx, func(e *catalog.Edit) (err error) {
		id, err = e.AddEvent(a.Customer, a.APIName, a.ID, from)
		near = e.NearName(a.Customer, a.APIName, id)
		return err
	})
	if err == nil {
		fmt.Fprintln(p.stdout, id)
		p.warnOfName(a.APIName, near)
	}
	return err
}

type eventRenameCmd struct {
	Customer string `arg:"" help:"The account's id."`
	EventID  string `arg:"" name:"eventid" help:"The event's id."`
	NewName  string `arg:"" name:"newname" help:"Its name from now on."`
}

func (r *eventRenameCmd) Run(ctx context.Context, p *program) error {
	var near string
	err := p.change(ctx, func(e *catalog.Edit) error {
		near = e.NearName(r.Customer, r.NewName, r.EventID)
		return e.RenameEvent(r.Customer, r.EventID, r.NewName)
	})
	if err == nil {
		p.warnOfName(r.NewName, near)
	}
	return err
}

// warnOfName warns of a name that people will mix up with another one, empty for none.
func (p *program) warnOfName(name, near string) {
	if near != "" {
		fmt.Fprintf(p.stderr, "warning: another event is called %s, which differs from %s in case, spaces, hyphens or underscores only; conversions must match byte for byte\n", human.Quote(near), human.Quote(name))
	}
	if strings.TrimSpace(name) != name {
		fmt.Fprintf(p.stderr, "warning: the name %s begins or ends with white space, which counts\n", human.Quote(name))
	}
}

type eventArchiveCmd struct {
	Customer string `arg:"" help:"The account's id."`
	EventID  string `arg:"" name:"eventid" help:"The event's id."`
}

func (a *eventArchiveCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error { return e.ArchiveEvent(a.Customer, a.EventID) })
}

type eventDeleteCmd struct {
	Customer string `arg:"" help:"The account's id."`
	EventID  string `arg:"" name:"eventid" help:"The event's id. Conversions under its names are event_not_defined from the next run on; archive it to keep those of the past."`
}

func (d *eventDeleteCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error { return e.DeleteEvent(d.Customer, d.EventID) })
}

type eventRuleCmd struct {
	Customer string `arg:"" help:"The account's id."`
	EventID  string `arg:"" name:"eventid" help:"The event's id."`
	Window   string `required:"" placeholder:"session|Nd" help:"Which views count: those of the session that is open at the conversion, or of so many days before it, 1d to 90d."`
	Credit   string `default:"last" placeholder:"last|first" help:"Which of them gets the credit."`
	From     string `placeholder:"TIME" default:"now" help:"Since when, RFC 3339 or now; may lie in the past, and then concerns the conversions since. Replaces what was set from then on."`
}

func (r *eventRuleCmd) Run(ctx context.Context, p *program) error {
	from, err := jobs.ParseTime(r.From, p.now())
	if err != nil {
		return err
	}
	rule, err := catalog.ParseRule(r.Window, r.Credit)
	if err != nil {
		return usagef("%s", err)
	}
	return p.change(ctx, func(e *catalog.Edit) error { return e.SetRule(r.Customer, r.EventID, rule, from) })
}

type eventListCmd struct {
	Customer string `arg:"" help:"The account's id."`
}

func (l *eventListCmd) Run(ctx context.Context, p *program) error {
	return p.withCatalog(ctx, func(snap *catalog.Snapshot) error {
		t := newTable("event", "apiName", "from", "to")
		for _, event := range snap.EventsOf(l.Customer) {
			for _, n := range event.Names {
				t.AppendRow(table.Row{n.EventID, n.APIName, stamp(n.From), stampOr(n.To, "")})
			}
		}
		if err := render(p.stdout, t); err != nil {
			return err
		}
		rules := newTable("event", "window", "credit", "from", "to")
		for _, event := range snap.EventsOf(l.Customer) {
			for _, r := range snap.RulesOf(l.Customer, event.EventID) {
				rules.AppendRow(table.Row{event.EventID, r.Window(), r.Credit, stamp(r.From), stampOr(r.To, "")})
			}
		}
		if rules.Length() == 0 {
			return nil
		}
		fmt.Fprintln(p.stdout, "attribution rules (at other times: window session, credit last)")
		return render(p.stdout, rules)
	})
}
