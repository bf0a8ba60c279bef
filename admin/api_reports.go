package admin

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
)

const (
	maxChanges   = 200 // of the catalog and of a run that are shown
	maxListed    = 1000
	defaultDays  = 30
	activityTime = 24 * time.Hour // that the page looks back for the first event
)

func (a *Admin) getChanges(c *fiber.Ctx) (any, error) {
	account, _, err := a.account(c)
	if err != nil {
		return nil, err
	}
	return reports.CatalogChanges(c.UserContext(), a.cfg.DB, account.CustomerID, maxChanges)
}

func (a *Admin) getActivity(c *fiber.Ctx) (any, error) {
	account, _, err := a.account(c)
	if err != nil {
		return nil, err
	}
	return a.activity(c.UserContext(), account.CustomerID)
}

func (a *Admin) activity(ctx context.Context, customerID string) (reports.Activity, error) {
	return reports.AccountActivity(ctx, a.cfg.DB, customerID, a.cfg.Now().Add(-activityTime))
}

func (a *Admin) getResults(c *fiber.Ctx) (any, error) {
	customerID, id, snap, err := a.optimization(c)
	if err != nil {
		return nil, err
	}
	days, err := a.days(c, 0)
	if err != nil {
		return nil, err
	}
	return reports.OptimizationResults(c.UserContext(), a.cfg.DB, snap, customerID, id, days)
}

func (a *Admin) getTrend(c *fiber.Ctx) (any, error) {
	customerID, id, _, err := a.optimization(c)
	if err != nil {
		return nil, err
	}
	days, err := a.days(c, defaultDays)
	if err != nil {
		return nil, err
	}
	return reports.Trend(c.UserContext(), a.cfg.DB, customerID, id, query(c, "eventId"), days)
}

// outcomesAnswer is what became of an account's conversions.
type outcomesAnswer struct {
	From    string               `json:"from"`
	To      string               `json:"to"`
	AsOf    int64                `json:"asOf"`    // cutoff of the last run, 0 before the first
	Waiting uint64               `json:"waiting"` // received since, decided by the next run
	Days    []reports.OutcomeDay `json:"days"`
}

func (a *Admin) getOutcomes(c *fiber.Ctx) (any, error) {
	account, _, err := a.account(c)
	if err != nil {
		return nil, err
	}
	days, err := a.days(c, defaultDays)
	if err != nil {
		return nil, err
	}
	return a.outcomes(c.UserContext(), account.CustomerID, days)
}

func (a *Admin) outcomes(ctx context.Context, customerID string, days reports.Days) (answer outcomesAnswer, err error) {
	cutoff, err := jobs.PublishedCutoff(ctx, a.cfg.DB)
	if err != nil {
		return answer, err
	}
	answer.From, answer.To = days.From.Format(time.DateOnly), days.To.Format(time.DateOnly)
	if !cutoff.IsZero() {
		answer.AsOf = ms(cutoff)
	}
	if answer.Waiting, err = reports.Waiting(ctx, a.cfg.DB, customerID, cutoff); err != nil {
		return answer, err
	}
	answer.Days, err = reports.AccountOutcomes(ctx, a.cfg.DB, customerID, days)
	return answer, err
}

func (a *Admin) getConversions(c *fiber.Ctx) (any, error) {
	account, _, err := a.account(c)
	if err != nil {
		return nil, err
	}
	days, err := a.days(c, defaultDays)
	if err != nil {
		return nil, err
	}
	limit, err := number(c, "limit", 100, maxListed)
	if err != nil {
		return nil, err
	}
	offset, err := number(c, "offset", 0, 1_000_000_000)
	if err != nil {
		return nil, err
	}
	return a.conversions(c.UserContext(), account.CustomerID, query(c, "outcome"), days, limit, offset)
}

func (a *Admin) conversions(ctx context.Context, customerID, outcome string, days reports.Days, limit, offset uint32) ([]reports.ListedConversion, error) {
	if err := lookable(outcome, reports.OutcomeNames); err != nil {
		return nil, err
	}
	return reports.AccountConversions(ctx, a.cfg.DB, customerID, outcome, days, limit, offset)
}

// number reads a whole number from the query.
func number(c *fiber.Ctx, name string, missing, most uint32) (uint32, error) {
	text := c.Query(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > uint64(most) {
		return 0, fmt.Errorf("%w: %s must be a whole number up to %d", catalog.ErrInvalid, name, most)
	}
	return uint32(n), nil
}

// lookup is a conversion with what became of it and what led to it.
type lookup struct {
	*reports.Explanation
	Journey *reports.Journey `json:"journey"` // of the copy that counts
}

func (a *Admin) getConversion(c *fiber.Ctx) (any, error) {
	account, _, err := a.account(c)
	if err != nil {
		return nil, err
	}
	apiName, err := param(c, "apiName")
	if err != nil {
		return nil, err
	}
	actionID, err := param(c, "actionId")
	if err != nil {
		return nil, err
	}
	return a.lookUp(c.UserContext(), account.CustomerID, apiName, actionID)
}

// settle waits a moment for what was just accepted to become visible.
const settle = 2 * time.Second

func (a *Admin) lookUp(ctx context.Context, customerID, apiName, actionID string) (*lookup, error) {
	settled, cancel := context.WithTimeout(ctx, settle)
	_ = a.cfg.Drained(settled)
	cancel()
	e, err := reports.Explain(ctx, a.cfg.DB, customerID, apiName, actionID, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	if len(e.Copies) == 0 {
		return nil, fmt.Errorf("%w: no conversion with the apiName %q and the actionId %q was received for account %s", catalog.ErrNotFound, apiName, actionID, customerID)
	}
	journey, err := reports.ConversionJourney(ctx, a.cfg.DB, customerID, e.Copies[0], a.cfg.Now())
	return &lookup{e, journey}, err
}

// runAnswer is a row of the ledger.
type runAnswer struct {
	RunID      string `json:"runId"`
	Cutoff     int64  `json:"cutoff"`
	StartedAt  int64  `json:"startedAt"`
	FinishedAt *int64 `json:"finishedAt"`
	State      string `json:"state"`
	Mode       string `json:"mode"`
	FromDay    string `json:"fromDay,omitempty"` // of a range
	ToDay      string `json:"toDay,omitempty"`
	Days       uint32 `json:"days"`
	Rows       uint64 `json:"rows"`
	Error      string `json:"error,omitempty"`
}

func runOf(r jobs.Record) runAnswer {
	answer := runAnswer{
		RunID: r.RunID, Cutoff: ms(r.Cutoff), StartedAt: ms(r.StartedAt), State: r.State, Mode: r.Mode,
		Days: r.Days, Rows: r.Rows, Error: r.Error,
	}
	if r.FinishedAt != nil {
		at := ms(*r.FinishedAt)
		answer.FinishedAt = &at
	}
	if r.FromDay != nil && r.ToDay != nil {
		answer.FromDay, answer.ToDay = r.FromDay.Format(time.DateOnly), r.ToDay.Format(time.DateOnly)
	}
	return answer
}

func (a *Admin) getRuns(c *fiber.Ctx) (any, error) {
	limit, err := number(c, "limit", 50, maxListed)
	if err != nil {
		return nil, err
	}
	return a.recentRuns(c.UserContext(), int(limit))
}

func (a *Admin) recentRuns(ctx context.Context, limit int) ([]runAnswer, error) {
	records, err := jobs.Recent(ctx, a.cfg.DB, limit)
	if err != nil {
		return nil, err
	}
	list := []runAnswer{}
	current := a.runs.current()
	for _, record := range records {
		run := runOf(record)
		// What was cut off has had no time to say so; the next run notes it.
		if current != nil && current.EndedAt != 0 && run.RunID == current.RunID && run.State == jobs.StateRunning {
			run.State, run.Error = current.State, current.Error
		}
		list = append(list, run)
	}
	return list, nil
}

func (a *Admin) apiStartRun(c *fiber.Ctx) (any, error) {
	var in runInput
	if err := decode(c, &in); err != nil {
		return nil, err
	}
	if err := a.startRun(c.UserContext(), source(c), in); err != nil {
		return nil, err
	}
	return accepted{a.runs.current()}, nil
}

func (a *Admin) getCurrentRun(*fiber.Ctx) (any, error) {
	if state := a.runs.current(); state != nil {
		return state, nil
	}
	return nil, nil
}

// runDetails is a run with why it computed what, and what that changed.
type runDetails struct {
	runAnswer
	Causes       []causeAnswer  `json:"causes"`
	Changes      []changeAnswer `json:"changes"` // the first ones
	ChangesTotal uint64         `json:"changesTotal"`
	Steps        []stepAnswer   `json:"steps"` // the slowest first
}

type (
	causeAnswer struct {
		Cause string `json:"cause"`
		Words string `json:"words"`
		Days  uint64 `json:"days"`
		First string `json:"firstDay"`
		Last  string `json:"lastDay"`
	}
	changeAnswer struct {
		CustomerID        string   `json:"customerId"`
		Day               string   `json:"day"`
		OptimizationID    string   `json:"optimizationId"`
		VariationID       string   `json:"variationId"`
		EventID           string   `json:"eventId"` // empty for the visitors of the variation
		VisitorsBefore    uint64   `json:"visitorsBefore"`
		VisitorsAfter     uint64   `json:"visitorsAfter"`
		ConversionsBefore uint64   `json:"conversionsBefore"`
		ConversionsAfter  uint64   `json:"conversionsAfter"`
		ValueBefore       string   `json:"valueBefore"`
		ValueAfter        string   `json:"valueAfter"`
		Causes            []string `json:"causes"`
		Because           string   `json:"because"`
	}
	stepAnswer struct {
		Step       string `json:"step"`
		DurationMS uint64 `json:"durationMs"`
		Rows       uint64 `json:"rows"`
	}
)

func (a *Admin) getRun(c *fiber.Ctx) (any, error) {
	id, err := param(c, "runId")
	if err != nil {
		return nil, err
	}
	return a.run(c.UserContext(), id)
}

func (a *Admin) run(ctx context.Context, id string) (*runDetails, error) {
	record, found, err := jobs.Find(ctx, a.cfg.DB, id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%w: there is no run %s", catalog.ErrNotFound, id)
	}
	d := &runDetails{runAnswer: runOf(record), Causes: []causeAnswer{}, Changes: []changeAnswer{}, Steps: []stepAnswer{}}
	causes, err := jobs.Causes(ctx, a.cfg.DB, id)
	if err != nil {
		return nil, err
	}
	for _, cause := range causes {
		d.Causes = append(d.Causes, causeAnswer{
			cause.Cause, jobs.CauseText(cause.Cause), cause.Days, cause.First.Format(time.DateOnly), cause.Last.Format(time.DateOnly),
		})
	}
	changes, total, err := jobs.Changes(ctx, a.cfg.DB, id, maxChanges)
	if err != nil {
		return nil, err
	}
	d.ChangesTotal = total
	for _, ch := range changes {
		d.Changes = append(d.Changes, changeAnswer{
			ch.CustomerID, ch.Day.Format(time.DateOnly), ch.OptimizationID, ch.VariationID, ch.EventID, ch.VisitorsBefore, ch.VisitorsAfter,
			ch.ConversionsBefore, ch.ConversionsAfter, ch.ValueBefore.String(), ch.ValueAfter.String(), ch.Causes, ch.Because(),
		})
	}
	steps, err := jobs.SlowestSteps(ctx, a.cfg.DB, id, 12)
	for _, step := range steps {
		d.Steps = append(d.Steps, stepAnswer{step.Step, step.DurationMS, step.Rows})
	}
	return d, err
}
