// Package history loads past events, conversions and configuration from NDJSON
// straight into ClickHouse.
package history

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
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

// checker gathers the faults of a line, and what to warn of.
type checker struct {
	faults   []error
	warnings []string
}

// others warns of fields that are not read, but look as if they were meant for ours.
func (c *checker) others(fields jsontext.Value) {
	if len(fields) == 0 {
		return
	}
	var named map[string]jsontext.Value
	if json.Unmarshal(fields, &named) != nil {
		return
	}
	for name := range named {
		if ours := ingest.IgnoredField(name); ours != "" {
			c.warnings = append(c.warnings, fmt.Sprintf("the field %s is ignored; the one that is read is called %s", human.Quote(name), ours))
		}
	}
}

// realID is an id that should stand for somebody or something.
func (c *checker) realID(field string, raw jsontext.Value) string {
	text := c.id(field, raw)
	if ingest.IsPlaceholder(text) {
		c.warnings = append(c.warnings, fmt.Sprintf("%s is %s, which stands for no value: all who have it are taken for one", field, human.Quote(text)))
	}
	return text
}

// fault notes one, of a kind that the words tell: what was received, and numbers, make no other.
func (c *checker) fault(format string, args ...any) {
	kind := format
	for _, arg := range args {
		if name, isName := arg.(string); isName {
			kind += "\x00" + name
		}
	}
	c.faults = append(c.faults, fault{kind, fmt.Sprintf(format, args...)})
}

// valueFault is fault for a value that is a text.
func (c *checker) valueFault(format, name, value string) {
	const most = 60
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "…"
	}
	c.faults = append(c.faults, fault{format + name, fmt.Sprintf(format, name, human.Quote(value))})
}

// absent reports whether a field is not there, or null.
func absent(raw jsontext.Value) bool { return len(raw) == 0 || raw.Kind() == 'n' }

// unquoted returns what a JSON string means, empty for anything else.
func unquoted(raw jsontext.Value) string {
	var text string
	if raw.Kind() == '"' {
		_ = json.Unmarshal(raw, &text) // the line was valid, and so is its part
	}
	return text
}

func (c *checker) id(field string, raw jsontext.Value) string {
	switch text := unquoted(raw); {
	case absent(raw):
		c.fault("%s is missing", field)
	case raw.Kind() != '"':
		c.fault("%s is %.40s, and must be a string", field, raw)
	case text == "":
		c.fault("%s is empty", field)
	case len(text) > catalog.MaxIDBytes:
		c.fault("%s has %d bytes, at most %d are allowed", field, len(text), catalog.MaxIDBytes)
	default:
		if first, last := text[0], text[len(text)-1]; first <= ' ' || last <= ' ' {
			c.warnings = append(c.warnings, fmt.Sprintf("%s begins or ends with white space, which counts", field))
		}
		return text
	}
	return ""
}

// The times that an import takes: the years 2000 to 2100.
var (
	firstMS = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	endMS   = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

func (c *checker) time(field string, raw jsontext.Value) int64 {
	if absent(raw) {
		c.fault("%s is missing", field)
		return 0
	}
	ms, whole := int64(0), false
	if raw.Kind() == '0' {
		ms, whole = ingest.WholeNumber(string(raw))
	}
	if !whole || ms < firstMS || ms >= endMS {
		c.fault("%s is %.40s, and must be Unix milliseconds from 2000 to 2100%s", field, raw, likelyUnit(ms, whole))
	}
	return ms
}

// likelyUnit says which other unit a moment looks like.
func likelyUnit(n int64, whole bool) string {
	between := func(unit int64) bool { return n >= firstMS/1000*unit && n < endMS/1000*unit }
	switch {
	case whole && between(1):
		return "; this looks like seconds: multiply by 1,000"
	case whole && between(1_000_000):
		return "; this looks like microseconds: divide by 1,000"
	default:
		return ""
	}
}

func (c *checker) timeOr(field string, raw jsontext.Value, otherwise int64) int64 {
	if absent(raw) {
		return otherwise
	}
	return c.time(field, raw)
}

// list reads an optional array.
func (c *checker) list(field string, raw jsontext.Value, dest any) {
	if absent(raw) {
		return
	}
	if json.Unmarshal(raw, dest) != nil {
		c.fault("%s must be an array of objects", field)
	}
}

// text reads an optional string.
func (c *checker) text(field string, raw jsontext.Value, otherwise string) string {
	switch {
	case absent(raw):
		return otherwise
	case raw.Kind() != '"':
		c.fault("%s is %.40s, and must be a string", field, raw)
		return otherwise
	default:
		return unquoted(raw)
	}
}

// flag reads an optional true or false.
func (c *checker) flag(field string, raw jsontext.Value) bool {
	if !absent(raw) && raw.Kind() != 't' && raw.Kind() != 'f' {
		c.fault("%s is %.40s, and must be true or false", field, raw)
	}
	return raw.Kind() == 't'
}

// number reads an optional number.
func (c *checker) number(field string, raw jsontext.Value, otherwise float64) float64 {
	if absent(raw) {
		return otherwise
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if raw.Kind() != '0' || err != nil {
		c.fault("%s is %.40s, and must be a number", field, raw)
	}
	return n
}

func (l *line) clientEvent(c *checker, kind string) *warehouse.ClientEvent {
	e := &warehouse.ClientEvent{CustomerID: c.id("customerId", l.CustomerID), VisitorID: c.id("visitorId", l.VisitorID), Type: kind}
	switch kind {
	case "view":
		e.OptimizationID, e.VariationID = c.id("optimizationId", l.OptimizationID), c.id("variationId", l.VariationID)
	case "identify":
		e.UserDomain, e.UserID = c.realID("userDomain", l.UserDomain), c.realID("userId", l.UserID)
	}
	e.OccurredAtMS = c.time("occurredAt", l.OccurredAt)
	e.ReceivedAtMS = c.timeOr("receivedAt", l.ReceivedAt, e.OccurredAtMS)
	// The columns in order, so that the same row has the same id.
	e.IngestID = ingest.DerivedID("client_events", e.CustomerID, e.VisitorID, e.Type, e.OptimizationID, e.VariationID,
		e.UserDomain, e.UserID, fmt.Sprint(e.OccurredAtMS), fmt.Sprint(e.ReceivedAtMS))
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
		o.goals = append(o.goals, catalog.Goal{EventID: c.id("a goal's eventId", goal.EventID), IsPrimary: c.flag("a goal's primary", goal.Primary)})
	}
	return o
}
