package admin

import (
	"context"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
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
	asked, err := a.asked(c)
	if err != nil {
		return nil, err
	}
	return reports.OptimizationResults(c.UserContext(), a.cfg.DB, snap, customerID, id, asked)
}

// asked are the parameters of results.
func (a *Admin) asked(c *fiber.Ctx) (reports.Asked, error) {
	return reports.ParseAsked(query(c, "from"), query(c, "to"), query(c, "cap"), query(c, "segment"), query(c, "by"), query(c, "knownAt"), a.cfg.Now())
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

// getFlags shows what comes in and is probably not meant so.
func (a *Admin) getFlags(c *fiber.Ctx) (any, error) {
	account, _, err := a.account(c)
	if err != nil {
		return nil, err
	}
	return reports.AccountFlags(c.UserContext(), a.cfg.DB, account.CustomerID, a.cfg.Now())
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
	return a.conversions(c, account.CustomerID, reports.ConversionFilter{Days: days, Limit: limit, Offset: offset})
}

// conversions lists those that the query asks for.
func (a *Admin) conversions(c *fiber.Ctx, customerID string, f reports.ConversionFilter) ([]reports.ListedConversion, error) {
	f.Outcome, f.APIName, f.UserID, f.LeastValue = query(c, "outcome"), query(c, "apiName"), query(c, "userId"), query(c, "value")
	if err := reports.CheckOutcome(f.Outcome); err != nil {
		return nil, err
	}
	return reports.AccountConversions(c.UserContext(), a.cfg.DB, customerID, f)
}

// number reads a whole number from the query.
func number(c *fiber.Ctx, name string, missing, most uint32) (uint32, error) {
	text := c.Query(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > uint64(most) {
		return 0, refuse.Invalidf("%s must be a whole number up to %d", name, most)
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
		return nil, refuse.NotFoundf("no conversion with the apiName %q and the actionId %q was received for account %s", apiName, actionID, customerID)
	}
	journey, err := reports.ConversionJourney(ctx, a.cfg.DB, customerID, e.Copies[0], a.cfg.Now())
	return &lookup{e, journey}, err
}
