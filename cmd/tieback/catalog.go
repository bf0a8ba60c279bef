package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/jobs"
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

type optimizationCmd struct {
	Add    optimizationAddCmd    `cmd:"" help:"Add an optimization, or change its name and variations."`
	List   optimizationListCmd   `cmd:"" help:"List an account's optimizations."`
	Delete optimizationDeleteCmd `cmd:"" help:"Delete one that was made by mistake."`
}

type optimizationAddCmd struct {
	Customer  string   `arg:"" help:"The account's id."`
	ID        string   `arg:"" name:"id" help:"The optimization's id."`
	Name      string   `placeholder:"NAME" help:"What to call it; required for a new one."`
	Variation []string `placeholder:"ID[=NAME][:WEIGHT]" sep:"none" help:"A variation; give the flag once for each. Weights are 1 unless given. Of one that exists, what is not given stays; so do those that are not listed."`
	Baseline  string   `placeholder:"ID" help:"The variation that others are compared with; of a new one the first if not given."`
}

func (a *optimizationAddCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error {
		o, variations, err := a.over(e.Snapshot)
		if err != nil {
			return err
		}
		return e.PutOptimization(o, variations)
	})
}

// over lays what was given over what is there.
func (a *optimizationAddCmd) over(snap *catalog.Snapshot) (catalog.Optimization, []catalog.Variation, error) {
	o, exists := snap.Optimizations[a.Customer][a.ID]
	switch {
	case a.Name != "":
		o.Name = a.Name
	case !exists:
		return o, nil, usagef("--name is missing: what to call the new optimization")
	}
	o.CustomerID, o.OptimizationID = a.Customer, a.ID
	variations := snap.VariationsOf(a.Customer, a.ID)
	given := map[string]bool{}
	for _, text := range a.Variation {
		v, weight := parseVariation(text)
		if given[v.VariationID] {
			return o, nil, usagef("variation %s is given twice", human.Quote(v.VariationID))
		}
		given[v.VariationID] = true
		i := slices.IndexFunc(variations, func(other catalog.Variation) bool { return other.VariationID == v.VariationID })
		if i < 0 {
			v.Weight = 1
			if v.Name == "" {
				v.Name = v.VariationID
			}
			i, variations = len(variations), append(variations, v)
		}
		if v.Name != "" {
			variations[i].Name = v.Name
		}
		if weight != nil {
			variations[i].Weight = *weight
		}
	}
	if a.Baseline == "" {
		return o, variations, nil
	}
	found := false
	for i := range variations {
		variations[i].IsBaseline = variations[i].VariationID == a.Baseline
		found = found || variations[i].IsBaseline
	}
	if !found {
		return o, nil, usagef("--baseline %s is none of the variations", a.Baseline)
	}
	return o, variations, nil
}

// parseVariation reads ID[=NAME][:WEIGHT]; what is not given is empty, or nil.
func parseVariation(text string) (v catalog.Variation, weight *float64) {
	if colon := strings.LastIndexByte(text, ':'); colon >= 0 {
		if n, err := strconv.ParseFloat(text[colon+1:], 64); err == nil {
			text, weight = text[:colon], &n
		}
	}
	v.VariationID, v.Name, _ = strings.Cut(text, "=")
	return v, weight
}

type optimizationListCmd struct {
	Customer string `arg:"" help:"The account's id."`
}

func (l *optimizationListCmd) Run(ctx context.Context, p *program) error {
	return p.withCatalog(ctx, func(snap *catalog.Snapshot) error {
		t := newTable("optimization", "name", "variations", "goals")
		for _, id := range slices.Sorted(maps.Keys(snap.Optimizations[l.Customer])) {
			var variations, goals []string
			for _, v := range snap.VariationsOf(l.Customer, id) {
				text := v.VariationID + " (" + v.Name + ")"
				if v.IsBaseline {
					text += " baseline"
				}
				variations = append(variations, text)
			}
			for _, g := range snap.GoalsOf(l.Customer, id) {
				text := g.EventID
				if g.IsPrimary {
					text += " primary"
				}
				goals = append(goals, text)
			}
			t.AppendRow(table.Row{id, snap.Optimizations[l.Customer][id].Name, strings.Join(variations, "\n"), strings.Join(goals, "\n")})
		}
		return render(p.stdout, t)
	})
}

type optimizationDeleteCmd struct {
	Customer string `arg:"" help:"The account's id."`
	ID       string `arg:"" name:"id" help:"The optimization's id."`
}

func (d *optimizationDeleteCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error { return e.DeleteOptimization(d.Customer, d.ID) })
}

type goalCmd struct {
	Add    goalAddCmd    `cmd:"" help:"Let an event count for an optimization."`
	Remove goalRemoveCmd `cmd:"" help:"Let it count no longer."`
}

type goalAddCmd struct {
	Customer     string `arg:"" help:"The account's id."`
	Optimization string `arg:"" help:"The optimization's id."`
	EventID      string `arg:"" name:"eventid" help:"The event's id."`
	Primary      bool   `help:"It is the goal that the optimization is for."`
}

func (g *goalAddCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error {
		return e.AddGoal(catalog.Goal{CustomerID: g.Customer, OptimizationID: g.Optimization, EventID: g.EventID, IsPrimary: g.Primary})
	})
}

type goalRemoveCmd struct {
	Customer     string `arg:"" help:"The account's id."`
	Optimization string `arg:"" help:"The optimization's id."`
	EventID      string `arg:"" name:"eventid" help:"The event's id."`
}

func (g *goalRemoveCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error { return e.RemoveGoal(g.Customer, g.Optimization, g.EventID) })
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
