package admin

import (
	"cmp"
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/reports"
)

// What a form or an API call may ask for. The JSON names are the API's.
type (
	accountInput struct {
		Origins *[]string `json:"origins"` // required: nothing must not open the account to all
	}
	tokenInput struct {
		Name string `json:"name"`
	}
	eventInput struct {
		APIName string `json:"apiName"`
		EventID string `json:"eventId"` // made up when empty
		From    string `json:"from"`    // TIME of docs/settings.md; now when empty
	}
	renameInput struct {
		APIName string `json:"apiName"`
	}
	ruleInput struct {
		Window string `json:"window"` // session, or days as 30d
		Credit string `json:"credit"` // last when empty
		From   string `json:"from"`   // TIME of docs/settings.md; now when empty
	}
	optimizationInput struct {
		Name       string           `json:"name"`
		Visitors   *uint64          `json:"visitors"` // planned; stays when missing
		Variations []variationInput `json:"variations"`
	}
	variationInput struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`     // the id when empty
		Weight   *float64 `json:"weight"`   // 1 when missing
		Baseline bool     `json:"baseline"` // the first one where none is
	}
	goalInput struct {
		Primary *bool    `json:"primary"` // required: nothing must not end a primary goal
		MDE     *float64 `json:"mde"`     // per cent; stays when missing
	}
	runInput struct {
		From   string `json:"from"`
		To     string `json:"to"`
		Cutoff string `json:"cutoff"`
		Full   bool   `json:"full"`
	}
)

// change edits the catalog and lets the service see it at once. Once it is written it is
// done: a service that can't read it now does so a moment later.
func (a *Admin) change(ctx context.Context, source string, edit func(*catalog.Edit) error) error {
	if err := a.cfg.Store.Change(ctx, source, edit); err != nil {
		return err
	}
	if err := a.cfg.Live.Refresh(ctx); err != nil {
		a.cfg.Log.Warn("a change was written, but can't be read yet", "err", err)
	}
	return nil
}

// checkNames refuses what a person can't type or a path can't hold; an import may have it.
func checkNames(names ...string) error {
	for _, name := range names {
		switch {
		case name == "." || name == "..":
			return refuse.Invalidf("%q can't be a name", name)
		case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
			return refuse.Invalidf("the name %q has characters that can't be typed", name)
		}
	}
	return nil
}

func (a *Admin) putAccount(ctx context.Context, source, customerID string, in accountInput) (answer accountAnswer, err error) {
	if in.Origins == nil {
		return answer, refuse.Invalidf("origins is missing; an empty list lets pages of any origin send")
	}
	if err := checkNames(customerID); err != nil {
		return answer, err
	}
	err = a.change(ctx, source, func(e *catalog.Edit) error {
		err := e.SetOrigins(customerID, *in.Origins)
		answer = accountOf(e.Accounts[customerID])
		return err
	})
	return answer, err
}

// addAccount adds an account and leaves one that is there as it is.
func (a *Admin) addAccount(ctx context.Context, source, customerID string) error {
	if err := checkNames(customerID); err != nil {
		return err
	}
	return a.change(ctx, source, func(e *catalog.Edit) error {
		if _, exists := e.Accounts[customerID]; exists {
			return refuse.Conflictf("there is an account %s already", customerID)
		}
		return e.PutAccount(customerID, nil)
	})
}

// addToken returns the token with its text, which nothing can show again.
func (a *Admin) addToken(ctx context.Context, source, customerID string, in tokenInput) (answer tokenAnswer, err error) {
	if err := checkNames(in.Name); err != nil {
		return answer, err
	}
	err = a.change(ctx, source, func(e *catalog.Edit) error {
		secret, err := e.AddToken(customerID, in.Name)
		answer = tokenOf(e.Tokens[secret.Prefix()])
		answer.Token = secret.Reveal()
		return err
	})
	return answer, err
}

func (a *Admin) revokeToken(ctx context.Context, source, customerID, name string) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.RevokeToken(customerID, name) })
}

func (a *Admin) addEvent(ctx context.Context, source, customerID string, in eventInput) (answer eventAnswer, err error) {
	if err := checkNames(in.APIName, in.EventID); err != nil {
		return answer, err
	}
	from, err := jobs.ParseTime(cmp.Or(in.From, "now"), a.cfg.Now())
	if err != nil {
		return answer, err
	}
	err = a.change(ctx, source, func(e *catalog.Edit) error {
		id, err := e.AddEvent(customerID, in.APIName, in.EventID, from)
		answer = eventIn(e.Snapshot, customerID, id)
		return err
	})
	return answer, err
}

func (a *Admin) renameEvent(ctx context.Context, source, customerID, eventID string, in renameInput) (answer eventAnswer, err error) {
	if err := checkNames(in.APIName); err != nil {
		return answer, err
	}
	err = a.change(ctx, source, func(e *catalog.Edit) error {
		err := e.RenameEvent(customerID, eventID, in.APIName)
		answer = eventIn(e.Snapshot, customerID, eventID)
		return err
	})
	return answer, err
}

func (a *Admin) archiveEvent(ctx context.Context, source, customerID, eventID string) (answer eventAnswer, err error) {
	err = a.change(ctx, source, func(e *catalog.Edit) error {
		err := e.ArchiveEvent(customerID, eventID)
		answer = eventIn(e.Snapshot, customerID, eventID)
		return err
	})
	return answer, err
}

// deleteAccount deletes an account for which nothing was received; really is its id once more.
func (a *Admin) deleteAccount(ctx context.Context, source, customerID, really string) error {
	if really != customerID {
		return refuse.Invalidf("give the account's id once more to delete it")
	}
	settled, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	if err := a.cfg.Drained(settled); err != nil {
		return refuse.Conflictf("nothing was deleted: events accepted before still wait in the spool, and may be of this account")
	}
	if err := reports.NothingReceived(ctx, a.cfg.DB, customerID); err != nil {
		return err
	}
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.DeleteAccount(customerID) })
}

func (a *Admin) deleteToken(ctx context.Context, source, customerID, name string) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.DeleteToken(customerID, name) })
}

func (a *Admin) deleteEvent(ctx context.Context, source, customerID, eventID string) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.DeleteEvent(customerID, eventID) })
}

func (a *Admin) deleteOptimization(ctx context.Context, source, customerID, optimizationID string) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.DeleteOptimization(customerID, optimizationID) })
}

// setRule says how an event's conversions are attributed from a moment on.
func (a *Admin) setRule(ctx context.Context, source, customerID, eventID string, in ruleInput) (answer eventAnswer, err error) {
	rule, err := catalog.ParseRule(in.Window, in.Credit)
	if err != nil {
		return answer, err
	}
	from, err := jobs.ParseTime(cmp.Or(in.From, "now"), a.cfg.Now())
	if err != nil {
		return answer, err
	}
	err = a.change(ctx, source, func(e *catalog.Edit) error {
		err := e.SetRule(customerID, eventID, rule, from)
		answer = eventIn(e.Snapshot, customerID, eventID)
		return err
	})
	return answer, err
}

func eventIn(snap *catalog.Snapshot, customerID, eventID string) eventAnswer {
	for _, event := range snap.EventsOf(customerID) {
		if event.EventID == eventID {
			return eventOf(snap, customerID, event)
		}
	}
	return eventAnswer{}
}

func (a *Admin) putOptimization(ctx context.Context, source, customerID, optimizationID string, in optimizationInput) (answer optimizationAnswer, err error) {
	names := []string{optimizationID, in.Name}
	var variations []catalog.Variation
	for _, v := range in.Variations {
		variation := catalog.Variation{VariationID: v.ID, Name: v.Name, IsBaseline: v.Baseline, Weight: 1}
		if variation.Name == "" {
			variation.Name = v.ID
		}
		if v.Weight != nil {
			variation.Weight = *v.Weight
		}
		names = append(names, v.ID, v.Name)
		variations = append(variations, variation)
	}
	if err := checkNames(names...); err != nil {
		return answer, err
	}
	err = a.change(ctx, source, func(e *catalog.Edit) error {
		o := catalog.Optimization{CustomerID: customerID, OptimizationID: optimizationID, Name: in.Name}
		if in.Visitors != nil {
			if o.PlannedVisitors = *in.Visitors; o.PlannedVisitors == 0 {
				return refuse.Invalidf("visitors is 0, and must be how many visitors are planned to be compared")
			}
		}
		err := e.PutOptimization(o, variations)
		answer = optimizationOf(e.Snapshot, e.Optimizations[customerID][optimizationID])
		return err
	})
	return answer, err
}

func (a *Admin) putGoal(ctx context.Context, source, customerID, optimizationID, eventID string, in goalInput) (optimizationAnswer, error) {
	if in.Primary == nil {
		return optimizationAnswer{}, refuse.Invalidf("primary is missing: true or false")
	}
	g := catalog.Goal{CustomerID: customerID, OptimizationID: optimizationID, EventID: eventID, IsPrimary: *in.Primary}
	if in.MDE != nil {
		if g.MDEPercent = *in.MDE; !(g.MDEPercent > 0) {
			return optimizationAnswer{}, refuse.Invalidf("mde is %g, and must be a lift in per cent above 0", g.MDEPercent)
		}
	}
	return a.changeGoals(ctx, source, customerID, optimizationID, func(e *catalog.Edit) error { return e.AddGoal(g) })
}

func (a *Admin) removeGoal(ctx context.Context, source, customerID, optimizationID, eventID string) (optimizationAnswer, error) {
	return a.changeGoals(ctx, source, customerID, optimizationID, func(e *catalog.Edit) error {
		return e.RemoveGoal(customerID, optimizationID, eventID)
	})
}

func (a *Admin) changeGoals(ctx context.Context, source, customerID, optimizationID string, edit func(*catalog.Edit) error) (answer optimizationAnswer, err error) {
	err = a.change(ctx, source, func(e *catalog.Edit) error {
		err := edit(e)
		answer = optimizationOf(e.Snapshot, e.Optimizations[customerID][optimizationID])
		return err
	})
	return answer, err
}

// startRun begins a run in the background and records who wanted it. What only the run
// itself can find wrong is in its state later.
func (a *Admin) startRun(ctx context.Context, source string, in runInput) error {
	req, err := jobs.ParseRequest(in.From, in.To, in.Cutoff, a.cfg.Now())
	if err != nil {
		return err
	}
	req.Full = in.Full
	if req.From != nil {
		published, err := jobs.PublishedCutoff(ctx, a.cfg.DB)
		if err != nil {
			return err
		}
		if published.IsZero() {
			return jobs.ErrNothingYet
		}
	}
	if err := a.runs.start(req); err != nil {
		return err
	}
	what := "a run was started by hand"
	switch {
	case in.From != "":
		what += " of the days " + in.From + " to " + in.To
	case in.Cutoff != "":
		what += " with the cutoff " + in.Cutoff
	}
	if in.Full {
		what += ", of all rows"
	}
	return a.change(ctx, source, func(e *catalog.Edit) error {
		e.Remark("", what)
		return nil
	})
}

func ms(t time.Time) int64 { return t.UnixMilli() }
