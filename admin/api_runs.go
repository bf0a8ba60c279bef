package admin

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
)

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
		return nil, refuse.NotFoundf("there is no run %s", id)
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
