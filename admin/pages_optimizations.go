package admin

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/reports"
)

// optimizationsData is the list, and the rows of the form that adds one.
type optimizationsData struct {
	List   []listedOptimization
	Rows   []variationRow
	Search string
	Hidden int // that don't match it
}

// listedOptimization is one with how it stands.
type listedOptimization struct {
	optimizationAnswer
	Status          string
	EnteredThisWeek uint64
	Verdict         string // of its first goal
	Better, Worse   bool
}

func (a *Admin) viewOptimizations(c *fiber.Ctx) (*view, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	data := optimizationsData{Rows: typedRows(c)}
	if data.Rows == nil {
		data.Rows = []variationRow{{Number: 1, Weight: "1", Baseline: true}, {Number: 2, Weight: "1"}}
	}
	all, err := reports.AccountResults(c.UserContext(), a.cfg.DB, snap, account.CustomerID, reports.Asked{})
	if err != nil {
		return nil, err
	}
	data.Search = query(c, "q")
	for _, results := range all {
		configured, known := snap.Optimizations[account.CustomerID][results.OptimizationID]
		if !known {
			configured = catalog.Optimization{CustomerID: account.CustomerID, OptimizationID: results.OptimizationID, Name: results.OptimizationID}
		}
		if wanted := strings.ToLower(data.Search); !strings.Contains(strings.ToLower(configured.Name+"\n"+configured.OptimizationID), wanted) {
			data.Hidden++
			continue
		}
		data.List = append(data.List, listOptimization(optimizationOf(snap, configured), results, known))
	}
	return &view{Title: "Optimizations", Account: account.CustomerID, Tab: "optimizations", Data: data}, nil
}

// listOptimization says how an optimization stands by its first goal.
func listOptimization(of optimizationAnswer, results *reports.Results, configured bool) listedOptimization {
	l := listedOptimization{optimizationAnswer: of, EnteredThisWeek: *results.EnteredThisWeek, Status: "running"}
	switch {
	case !configured:
		l.Status = "not configured"
	case *results.Entered == 0:
		l.Status = "not seen yet"
	case *results.EnteredThisWeek == 0:
		l.Status = "idle"
	}
	if len(results.Goals) == 0 {
		return l
	}
	goal := results.Goals[0].Experiment
	l.Verdict = goal.Verdict
	for _, v := range goal.Variations {
		l.Better, l.Worse = l.Better || v.RateVsBaseline.Better(), l.Worse || v.RateVsBaseline.Worse()
	}
	if l.Better || l.Worse {
		l.Status = "decided"
	}
	return l
}

// formNewOptimization makes one that is not there yet.
func (a *Admin) formNewOptimization(c *fiber.Ctx) (string, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return "", err
	}
	id := value(c, "optimizationId")
	if _, exists := snap.Optimizations[account.CustomerID][id]; exists {
		return "", refuse.Conflictf("there is an optimization %s already", id)
	}
	in := optimizationInput{Name: value(c, "name"), Variations: variations(typedRows(c))}
	if in.Name == "" {
		in.Name = id
	}
	_, err = a.putOptimization(c.UserContext(), source(c), account.CustomerID, id, in)
	return optimizationPath(account.CustomerID, id), err
}

func optimizationPath(customerID, optimizationID string) string {
	return home(customerID) + "/optimizations/" + url.PathEscape(optimizationID)
}

// variationRow is a line of a form, as it was typed or is stored.
type variationRow struct {
	Number   int // from 1
	ID, Name string
	Weight   string
	Baseline bool
}

// typedRows are those of a form that was sent, none of a GET.
func typedRows(c *fiber.Ctx) (rows []variationRow) {
	names, weights, baseline := values(c, "variationName"), values(c, "weight"), value(c, "baseline")
	for i, id := range values(c, "variationId") {
		row := variationRow{Number: i + 1, ID: id, Baseline: baseline == strconv.Itoa(i+1)}
		if i < len(names) {
			row.Name = names[i]
		}
		if i < len(weights) {
			row.Weight = strings.TrimSpace(weights[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// variations reads rows; those without an id are left out.
func variations(rows []variationRow) (list []variationInput) {
	for _, row := range rows {
		if strings.TrimSpace(row.ID) == "" {
			continue
		}
		v := variationInput{ID: row.ID, Name: strings.TrimSpace(row.Name), Baseline: row.Baseline}
		if row.Weight != "" {
			weight, err := strconv.ParseFloat(row.Weight, 64)
			if err != nil {
				weight = -1 // refused as no weight
			}
			v.Weight = &weight
		}
		list = append(list, v)
	}
	return list
}

// optimizationData is the page on which an optimization is edited.
type optimizationData struct {
	optimizationAnswer
	Rows  []variationRow
	Names map[string]string // of the events, by id
	Other []catalog.Event   // that are no goals yet
}

const moreRows = 2 // for variations to be added

func (a *Admin) viewOptimization(c *fiber.Ctx) (*view, error) {
	customerID, id, snap, err := a.optimization(c)
	if err != nil {
		return nil, err
	}
	configured, known := snap.Optimizations[customerID][id]
	if !known {
		return nil, refuse.NotFoundf("account %s has no optimization %s", customerID, id)
	}
	data := optimizationData{optimizationAnswer: optimizationOf(snap, configured), Rows: typedRows(c), Names: map[string]string{}}
	if data.Rows == nil {
		for i, v := range data.Variations {
			data.Rows = append(data.Rows, variationRow{i + 1, v.ID, v.Name, strconv.FormatFloat(v.Weight, 'g', -1, 64), v.Baseline})
		}
		for range moreRows {
			data.Rows = append(data.Rows, variationRow{Number: len(data.Rows) + 1})
		}
	}
	for _, event := range snap.EventsOf(customerID) {
		data.Names[event.EventID] = event.Current()
		isGoal := slices.ContainsFunc(data.Goals, func(g goalAnswer) bool { return g.EventID == event.EventID })
		if event.Current() != "" && !isGoal {
			data.Other = append(data.Other, event)
		}
	}
	return &view{Title: configured.Name, Account: customerID, Tab: "optimizations", Data: data}, nil
}

func (a *Admin) formOptimization(c *fiber.Ctx) (string, error) {
	customerID, id, snap, err := a.optimization(c)
	if err != nil {
		return "", err
	}
	if _, known := snap.Optimizations[customerID][id]; !known {
		return "", refuse.NotFoundf("account %s has no optimization %s", customerID, id)
	}
	visitors, err := positive(c, "visitors")
	if err != nil {
		return "", err
	}
	in := optimizationInput{Name: value(c, "name"), Variations: variations(typedRows(c))}
	if visitors != nil {
		whole := uint64(*visitors)
		if float64(whole) != *visitors {
			return "", refuse.Invalidf("visitors is %q, and must be a whole number", value(c, "visitors"))
		}
		in.Visitors = &whole
	}
	_, err = a.putOptimization(c.UserContext(), source(c), customerID, id, in)
	return optimizationPath(customerID, id), err
}

func (a *Admin) formGoal(c *fiber.Ctx) (string, error) {
	customerID, id, _, err := a.optimization(c)
	if err != nil {
		return "", err
	}
	primary := value(c, "primary") != ""
	mde, err := positive(c, "mde")
	if err != nil {
		return "", err
	}
	_, err = a.putGoal(c.UserContext(), source(c), customerID, id, exactly(c, "eventId"), goalInput{Primary: &primary, MDE: mde})
	return optimizationPath(customerID, id), err
}

func (a *Admin) formRemoveGoal(c *fiber.Ctx) (string, error) {
	customerID, id, _, err := a.optimization(c)
	if err != nil {
		return "", err
	}
	_, err = a.removeGoal(c.UserContext(), source(c), customerID, id, exactly(c, "eventId"))
	return optimizationPath(customerID, id), err
}

// positive reads a number of a form, nil where it is left empty.
func positive(c *fiber.Ctx, field string) (*float64, error) {
	text := value(c, field)
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0 && n < 1e15) {
		return nil, refuse.Invalidf("%s is %q, and must be a number above 0", field, text)
	}
	return &n, nil
}
