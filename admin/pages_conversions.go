package admin

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/reports"
)

// pageSize is how many conversions a page lists.
const pageSize = 50

// conversionsData is what became of an account's conversions.
type conversionsData struct {
	outcomesAnswer
	Names     []string // of the outcomes
	Totals    map[string]uint64
	Received  uint64
	Outcome   string // listed; empty for all
	APIName   string // what else the list is confined to
	UserID    string
	Value     string
	APINames  []string // to choose from
	Chart     []stack
	List      []reports.ListedConversion
	Newer     string // links to the other pages of the list, empty where there are none
	Older     string
	First     uint32
	MatchRate *float64 // attributed, of those received without duplicates and those taken back; nil where there are none
	Flags     *reports.Flags
}

func (a *Admin) viewConversions(c *fiber.Ctx) (*view, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	days, err := a.days(c, defaultDays)
	if err != nil {
		return nil, err
	}
	offset, err := number(c, "offset", 0, 1_000_000_000)
	if err != nil {
		return nil, err
	}
	// Attributed comes first, where a phone shows it.
	last := len(reports.OutcomeNames) - 1
	names := slices.Concat(reports.OutcomeNames[last:], reports.OutcomeNames[:last])
	data := conversionsData{Names: names, Totals: map[string]uint64{}, Outcome: query(c, "outcome"), First: offset + 1, APIName: query(c, "apiName"), UserID: query(c, "userId"), Value: query(c, "value")}
	if data.outcomesAnswer, err = a.outcomes(c.UserContext(), account.CustomerID, days); err != nil {
		return nil, err
	}
	for _, day := range data.Days {
		data.Received += day.Received
		for outcome, n := range day.Outcomes {
			data.Totals[outcome] += n
		}
	}
	if counted := data.Received - data.Totals["duplicate"] - data.Totals["retracted"]; counted > 0 {
		rate := float64(data.Totals["attributed"]) / float64(counted)
		data.MatchRate = &rate
	}
	if data.Flags, err = reports.AccountFlags(c.UserContext(), a.cfg.DB, account.CustomerID, a.cfg.Now()); err != nil {
		return nil, err
	}
	for _, event := range snap.EventsOf(account.CustomerID) {
		for _, name := range event.Names {
			data.APINames = append(data.APINames, name.APIName)
		}
	}
	slices.Sort(data.APINames)
	data.APINames = slices.Compact(data.APINames)
	data.Chart = stackDays(data.Days, names, days)
	list, err := a.conversions(c, account.CustomerID, reports.ConversionFilter{Days: days, Limit: pageSize + 1, Offset: offset})
	if err != nil {
		return nil, err
	}
	at := func(offset uint32) string {
		return "?" + url.Values{
			"from": {data.From}, "to": {data.To}, "outcome": {data.Outcome}, "apiName": {data.APIName}, "userId": {data.UserID}, "value": {data.Value}, "offset": {strconv.Itoa(int(offset))},
		}.Encode() + "#list"
	}
	if len(list) > pageSize {
		list, data.Older = list[:pageSize], at(offset+pageSize)
	}
	if offset > 0 {
		data.Newer = at(offset - min(offset, pageSize))
	}
	data.List = list
	return &view{Title: "Conversions", Account: account.CustomerID, Tab: "conversions", Data: data}, nil
}

// stack is a day's conversions, one above the other by their outcome, in the coordinates of a drawing 100 high.
type stack struct {
	X, Width float64
	Day      string
	Parts    []stackPart
}

type stackPart struct {
	Outcome   string
	N         uint64
	Y, Height float64
}

// stackWidth is how wide the drawing of all days is.
const stackWidth = 600

// stackDays draws the days of a range, none for ranges that leave no room.
func stackDays(list []reports.OutcomeDay, names []string, days reports.Days) []stack {
	count := int(days.To.Sub(days.From)/(24*time.Hour)) + 1
	if count < 2 || count > 400 {
		return nil
	}
	most := uint64(1)
	for _, day := range list {
		most = max(most, day.Received)
	}
	width := stackWidth / float64(count)
	var stacks []stack
	for _, day := range list {
		at, err := time.Parse(time.DateOnly, day.Day)
		if err != nil {
			continue
		}
		s := stack{X: float64(at.Sub(days.From)/(24*time.Hour)) * width, Width: width * 0.85, Day: day.Day}
		y := 100.0
		for _, name := range names {
			if n := day.Outcomes[name]; n > 0 {
				height := 100 * float64(n) / float64(most)
				y -= height
				s.Parts = append(s.Parts, stackPart{name, n, y, height})
			}
		}
		stacks = append(stacks, s)
	}
	return stacks
}

// conversionData is one conversion, and what led to it.
type conversionData struct {
	APIName, ActionID string
	Found             *lookup // nil where there is none
	Timeline          *timeline
	Pending           bool
}

func (a *Admin) viewConversion(c *fiber.Ctx) (*view, error) {
	account, _, err := a.account(c)
	if err != nil {
		return nil, err
	}
	data := conversionData{APIName: query(c, "apiName"), ActionID: query(c, "actionId")}
	v := &view{Title: "A conversion", Account: account.CustomerID, Tab: "conversions"}
	data.Found, err = a.lookUp(c.UserContext(), account.CustomerID, data.APIName, data.ActionID)
	switch {
	case errors.Is(err, refuse.NotFound):
		data.Found = nil
	case err != nil:
		return nil, err
	default:
		data.Timeline = newTimeline(data.Found.Copies[0], data.Found.Journey)
		data.Pending = data.Found.Copies[0].DecidedBy != nil
	}
	v.Data = data
	return v, nil
}

// runsData is the ledger, and what is under way.
type runsData struct {
	Runs    []runAnswer
	Current *runState
	Day     string // yesterday, for the form
}

func (a *Admin) viewRuns(c *fiber.Ctx) (*view, error) {
	list, err := a.recentRuns(c.UserContext(), 50)
	if err != nil {
		return nil, err
	}
	yesterday := a.cfg.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	return &view{Title: "Runs", Tab: "runs", Data: runsData{list, a.runs.current(), yesterday}}, nil
}

func (a *Admin) formRun(c *fiber.Ctx) (string, error) {
	in := runInput{From: value(c, "from"), To: value(c, "to")}
	if value(c, "now") != "" {
		in = runInput{Cutoff: "now"}
	}
	return "/admin/runs", a.startRun(c.UserContext(), source(c), in)
}

func (a *Admin) viewRun(c *fiber.Ctx) (*view, error) {
	id, err := param(c, "runId")
	if err != nil {
		return nil, err
	}
	details, err := a.run(c.UserContext(), id)
	if err != nil {
		return nil, err
	}
	return &view{Title: "Run of " + stamp(details.StartedAt), Tab: "runs", Data: details}, nil
}
