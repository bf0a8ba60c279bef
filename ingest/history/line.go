// Package history loads past events, conversions and configuration from JSON
// and tables straight into ClickHouse, and writes them out again (spec 6).
package history

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/warehouse"
)

// line is any line of the format; its type decides which fields are looked at, so
// what stands in the others does not matter.
type line struct {
	Type       jsontext.Value `json:"type"`
	CustomerID jsontext.Value `json:"customerId"`

	EventID    jsontext.Value `json:"eventId"`
	APIName    jsontext.Value `json:"apiName"`
	EventName  jsontext.Value `json:"eventName"`
	From       jsontext.Value `json:"from"`
	To         jsontext.Value `json:"to"`
	Goals      jsontext.Value `json:"goals"`
	Name       jsontext.Value `json:"name"`
	Variations jsontext.Value `json:"variations"`
	Window     jsontext.Value `json:"window"`
	Credit     jsontext.Value `json:"credit"`

	VisitorID      jsontext.Value `json:"visitorId"`
	OptimizationID jsontext.Value `json:"optimizationId"`
	VariationID    jsontext.Value `json:"variationId"`
	UserDomain     jsontext.Value `json:"userDomain"`
	UserID         jsontext.Value `json:"userId"`
	ActionID       jsontext.Value `json:"actionId"`
	ActionAt       jsontext.Value `json:"actionTimestamp"`
	OccurredAt     jsontext.Value `json:"occurredAt"`
	ReceivedAt     jsontext.Value `json:"receivedAt"`
	Value          jsontext.Value `json:"value"`
	Adjustment     jsontext.Value `json:"adjustment"`
	AdjustedAt     jsontext.Value `json:"adjustedAt"`
	IngestID       jsontext.Value `json:"ingestId"`
	Attributes     jsontext.Value `json:"attributes"`
	Visitors       jsontext.Value `json:"visitors"`

	Others jsontext.Value `json:",embed"` // an object of all other fields
}

type variationLine struct {
	ID       jsontext.Value `json:"id"`
	Name     jsontext.Value `json:"name"`
	Baseline jsontext.Value `json:"baseline"`
	Weight   jsontext.Value `json:"weight"`
}

type goalLine struct {
	EventID jsontext.Value `json:"eventId"`
	Primary jsontext.Value `json:"primary"`
	MDE     jsontext.Value `json:"mde"`
}

// row is what a line holds: one of these is set.
type row struct {
	clientEvent  *warehouse.ClientEvent
	conversion   *warehouse.Conversion
	adjustment   *warehouse.Adjustment
	eventName    *catalog.EventName
	rule         *catalog.EventRule
	optimization *optimization
	warnings     []string

	hasReceivedAt bool // of a conversion: it was given
	hasIngestID   bool
}

type optimization struct {
	head       catalog.Optimization
	variations []catalog.Variation
	goals      []catalog.Goal
}

// parseLine reads one line and checks it; the error names every fault.
func parseLine(text []byte) (row, error) {
	var l line
	if jsontext.Value(text).Kind() != '{' {
		return row{}, errors.New("not a JSON object")
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return row{}, syntaxError(err)
	}
	c := &checker{}
	var r row
	if absent(l.Type) {
		return row{}, errors.New("type is missing: one of " + lineTypes)
	}
	switch kind := unquoted(l.Type); kind {
	case "view", "identify", "activity":
		r.clientEvent = l.clientEvent(c, kind)
	case "conversion":
		r.conversion = l.conversion(c)
	case "adjustment":
		r.adjustment = l.adjustment(c)
	case "event":
		r.eventName = l.eventName(c)
	case "rule":
		r.rule = l.rule(c)
	case "optimization":
		r.optimization = l.optimization(c)
	default:
		c.fault("type is %.80s, and must be one of %s", l.Type, lineTypes)
	}
	c.others(l.Others)
	r.warnings = c.warnings
	r.hasReceivedAt, r.hasIngestID = !absent(l.ReceivedAt), !absent(l.IngestID)
	if len(c.faults) > 0 {
		return r, lineFaults(c.faults)
	}
	return r, nil
}

const lineTypes = "event, rule, optimization, view, identify, activity, conversion, adjustment"

// syntaxError says in a reader's words where a text is no JSON.
func syntaxError(err error) error {
	const unreadable = "not readable as JSON"
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return errors.New(unreadable)
	}
	what := syntax.Err
	if errors.Is(what, jsontext.ErrDuplicateName) {
		what = errors.New("a field is given twice")
	}
	return fault{unreadable, fmt.Sprintf("%s: %v (at byte %d)", unreadable, what, syntax.ByteOffset)}
}

func (l *line) clientEvent(c *checker, kind string) *warehouse.ClientEvent {
	e := &warehouse.ClientEvent{CustomerID: c.id("customerId", l.CustomerID), VisitorID: c.id("visitorId", l.VisitorID), Type: kind}
	switch kind {
	case "view":
		e.OptimizationID, e.VariationID = c.id("optimizationId", l.OptimizationID), c.id("variationId", l.VariationID)
		e.Attributes = c.attributes(l.Attributes)
	case "identify":
		e.UserDomain, e.UserID = c.realID("userDomain", l.UserDomain), c.realID("userId", l.UserID)
	}
	e.OccurredAtMS = c.time("occurredAt", l.OccurredAt)
	e.ReceivedAtMS = c.timeOr("receivedAt", l.ReceivedAt, e.OccurredAtMS)
	// The columns in order, so that the same row has the same id.
	row := []string{"client_events", e.CustomerID, e.VisitorID, e.Type, e.OptimizationID, e.VariationID,
		e.UserDomain, e.UserID, fmt.Sprint(e.OccurredAtMS), fmt.Sprint(e.ReceivedAtMS)}
	if e.Attributes != "" { // a column that came later
		row = append(row, string(e.Attributes))
	}
	e.IngestID = ingest.DerivedID(row...)
	l.ingestID(c, &e.IngestID)
	return e
}

func (l *line) conversion(c *checker) *warehouse.Conversion {
	v := &warehouse.Conversion{
		CustomerID: c.id("customerId", l.CustomerID), APIName: l.name(c),
		UserDomain: c.realID("userDomain", l.UserDomain), UserID: c.realID("userId", l.UserID), ActionID: c.realID("actionId", l.ActionID),
		ActionAtMS: c.time("actionTimestamp", l.ActionAt), Value: l.value(c),
	}
	v.ReceivedAtMS = c.timeOr("receivedAt", l.ReceivedAt, v.ActionAtMS)
	v.IngestID = ingest.DerivedID("conversions", v.CustomerID, v.APIName, v.UserDomain, v.UserID, v.ActionID,
		fmt.Sprint(v.ActionAtMS), storedValue(v.Value), fmt.Sprint(v.ReceivedAtMS))
	l.ingestID(c, &v.IngestID)
	return v
}

// name reads the event's name, which may be called eventName, too.
func (l *line) name(c *checker) string {
	switch {
	case absent(l.EventName):
		return c.id("apiName", l.APIName)
	case absent(l.APIName):
		return c.id("eventName", l.EventName)
	}
	name, alias := c.id("apiName", l.APIName), c.id("eventName", l.EventName)
	if name != alias {
		c.fault("apiName is %.80s and eventName %.80s; they mean the same", l.APIName, l.EventName)
	}
	return name
}

// storedValue is the text of a value as it is stored.
func storedValue(value decimal.NullDecimal) string {
	if !value.Valid {
		return "null"
	}
	return value.Decimal.StringFixed(4)
}

func (l *line) adjustment(c *checker) *warehouse.Adjustment {
	a := &warehouse.Adjustment{
		CustomerID: c.id("customerId", l.CustomerID), APIName: l.name(c), ActionID: c.realID("actionId", l.ActionID),
		Kind: c.id("adjustment", l.Adjustment), AdjustedAtMS: c.time("adjustedAt", l.AdjustedAt), Value: l.value(c),
	}
	a.ReceivedAtMS = c.timeOr("receivedAt", l.ReceivedAt, a.AdjustedAtMS)
	switch {
	case a.Kind == warehouse.Restate && !a.Value.Valid && absent(l.Value):
		c.fault("value is missing: to restate, the new one is required")
	case a.Kind == warehouse.Retract && !absent(l.Value):
		c.fault("value is %.40s, and must be left out to retract", l.Value)
	case a.Kind != "" && a.Kind != warehouse.Restate && a.Kind != warehouse.Retract:
		c.fault("adjustment is %.40s, and must be restate or retract", l.Adjustment)
	}
	a.IngestID = adjustmentID(a)
	l.ingestID(c, &a.IngestID)
	return a
}

func (l *line) value(c *checker) decimal.NullDecimal {
	if absent(l.Value) {
		return decimal.NullDecimal{}
	}
	if l.Value.Kind() != '0' {
		c.fault("value is %.40s, and must be a number without quotes", l.Value)
		return decimal.NullDecimal{}
	}
	amount, code := ingest.ParseValue(string(l.Value))
	switch code {
	case "value_negative":
		c.fault("value is negative")
	case "value_out_of_range":
		c.fault("value is not below 10^14")
	}
	return decimal.NewNullDecimal(amount)
}

// ingestID takes the id that the line carries, if it does, in the place of the derived one.
func (l *line) ingestID(c *checker, id *uuid.UUID) {
	if absent(l.IngestID) {
		return
	}
	given, err := uuid.Parse(unquoted(l.IngestID))
	if err != nil || len(unquoted(l.IngestID)) != len(given.String()) {
		c.fault("ingestId is %.60s, and must be a UUID", l.IngestID)
		return
	}
	*id = given
}

func (l *line) eventName(c *checker) *catalog.EventName {
	n := &catalog.EventName{
		CustomerID: c.id("customerId", l.CustomerID), EventID: c.id("eventId", l.EventID), APIName: c.id("apiName", l.APIName),
		From: time.UnixMilli(c.time("from", l.From)).UTC(),
	}
	n.To = l.to(c)
	return n
}

// to reads the end of an interval, which may have none.
func (l *line) to(c *checker) *time.Time {
	if absent(l.To) {
		return nil
	}
	to := time.UnixMilli(c.time("to", l.To)).UTC()
	return &to
}

func (l *line) rule(c *checker) *catalog.EventRule {
	r := &catalog.EventRule{
		CustomerID: c.id("customerId", l.CustomerID), EventID: c.id("eventId", l.EventID),
		From: time.UnixMilli(c.time("from", l.From)).UTC(), To: l.to(c),
	}
	window, credit := c.id("window", l.Window), c.text("credit", l.Credit, catalog.CreditLast)
	if window == "" {
		return r // which was noted
	}
	rule, err := catalog.ParseRule(window, credit)
	if err != nil {
		c.faults = append(c.faults, err)
	}
	r.Rule = rule
	return r
}

func (l *line) optimization(c *checker) *optimization {
	o := &optimization{head: catalog.Optimization{
		CustomerID: c.id("customerId", l.CustomerID), OptimizationID: c.id("optimizationId", l.OptimizationID),
	}}
	o.head.Name = o.head.OptimizationID
	if !absent(l.Name) {
		o.head.Name = c.id("name", l.Name)
	}
	o.head.PlannedVisitors = c.visitors(l.Visitors)
	var variations []variationLine
	var goals []goalLine
	c.list("variations", l.Variations, &variations)
	c.list("goals", l.Goals, &goals)
	for _, shown := range variations {
		id := c.id("a variation's id", shown.ID)
		o.variations = append(o.variations, catalog.Variation{
			VariationID: id, Name: c.text("a variation's name", shown.Name, id),
			IsBaseline: c.flag("a variation's baseline", shown.Baseline), Weight: c.number("a variation's weight", shown.Weight, 1),
		})
	}
	for _, goal := range goals {
		o.goals = append(o.goals, catalog.Goal{EventID: c.id("a goal's eventId", goal.EventID), IsPrimary: c.flag("a goal's primary", goal.Primary), MDEPercent: c.positive("a goal's mde", goal.MDE)})
	}
	return o
}
