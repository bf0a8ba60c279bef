package history

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Export writes what an account has configured, and everything received for it that happened on the days from from to
// to, both inclusive, as lines that an Importer reads: its published rows come out the same elsewhere. It returns how
// many lines there are.
func Export(ctx context.Context, db *warehouse.DB, snap *catalog.Snapshot, customerID string, from, to time.Time, w io.Writer) (lines int64, err error) {
	out := &exporter{w: bufio.NewWriterSize(w, 1<<16), customerID: customerID}
	out.config(snap)
	params := warehouse.Params{"customer_id": customerID, "from_day": warehouse.Day(from), "to_day": warehouse.Day(to)}
	for _, part := range []struct {
		report string
		row    func(scan func(...any) error) error
	}{
		{"export_client_events", out.clientEvent}, {"export_conversions", out.conversion}, {"export_adjustments", out.adjustment},
	} {
		if err := db.Each(ctx, sql.Report(part.report).SQL, params, part.row); err != nil {
			return out.lines, fmt.Errorf("%s: %w", part.report, err)
		}
	}
	return out.lines, out.w.Flush()
}

// exporter writes lines. A writer that fails says so at the end, as a bufio.Writer does.
type exporter struct {
	w          *bufio.Writer
	customerID string
	lines      int64
	buf        []byte
}

// begin starts a line.
func (x *exporter) begin(kind string) {
	x.buf = append(x.buf[:0], `{"type":"`...)
	x.buf = append(append(x.buf, kind...), '"')
	x.text("customerId", x.customerID)
}

func (x *exporter) text(name, text string) {
	x.name(name)
	x.buf, _ = jsontext.AppendQuote(x.buf, text) // bad UTF-8 comes in nowhere, and becomes U+FFFD
}

func (x *exporter) name(name string) {
	x.buf = append(append(append(x.buf, `,"`...), name...), `":`...)
}

func (x *exporter) raw(name, text string) {
	x.name(name)
	x.buf = append(x.buf, text...)
}

func (x *exporter) moment(name string, at time.Time) {
	x.name(name)
	x.buf = strconv.AppendInt(x.buf, at.UnixMilli(), 10)
}

func (x *exporter) until(at *time.Time) {
	if at == nil {
		x.raw("to", "null")
		return
	}
	x.moment("to", *at)
}

func (x *exporter) value(value *decimal.Decimal) {
	if value != nil {
		x.raw("value", value.String())
	}
}

func (x *exporter) end() error {
	x.lines++
	x.buf = append(x.buf, "}\n"...)
	_, err := x.w.Write(x.buf)
	return err
}

// received ends the line of something that was received.
func (x *exporter) received(at time.Time, id uuid.UUID) error {
	x.moment("receivedAt", at)
	x.text("ingestId", id.String())
	return x.end()
}

func (x *exporter) clientEvent(scan func(...any) error) error {
	var visitorID, kind, optimizationID, variationID, userDomain, userID string
	var occurredAt, receivedAt time.Time
	var attributes map[string]string
	var id uuid.UUID
	if err := scan(&visitorID, &kind, &optimizationID, &variationID, &attributes, &userDomain, &userID, &occurredAt, &receivedAt, &id); err != nil {
		return err
	}
	x.begin(kind)
	x.text("visitorId", visitorID)
	switch kind {
	case "view":
		x.text("optimizationId", optimizationID)
		x.text("variationId", variationID)
		if len(attributes) > 0 {
			x.raw("attributes", string(warehouse.AttributesOf(attributes)))
		}
	case "identify":
		x.text("userDomain", userDomain)
		x.text("userId", userID)
	}
	x.moment("occurredAt", occurredAt)
	return x.received(receivedAt, id)
}

func (x *exporter) conversion(scan func(...any) error) error {
	var apiName, userDomain, userID, actionID string
	var actionAt, receivedAt time.Time
	var value *decimal.Decimal
	var id uuid.UUID
	if err := scan(&apiName, &userDomain, &userID, &actionID, &actionAt, &value, &receivedAt, &id); err != nil {
		return err
	}
	x.begin("conversion")
	x.text("apiName", apiName)
	x.text("userDomain", userDomain)
	x.text("userId", userID)
	x.text("actionId", actionID)
	x.moment("actionTimestamp", actionAt)
	x.value(value)
	return x.received(receivedAt, id)
}

func (x *exporter) adjustment(scan func(...any) error) error {
	var apiName, actionID, kind string
	var adjustedAt, receivedAt time.Time
	var value *decimal.Decimal
	var id uuid.UUID
	if err := scan(&apiName, &actionID, &kind, &value, &adjustedAt, &receivedAt, &id); err != nil {
		return err
	}
	x.begin("adjustment")
	x.text("apiName", apiName)
	x.text("actionId", actionID)
	x.text("adjustment", kind)
	x.value(value)
	x.moment("adjustedAt", adjustedAt)
	return x.received(receivedAt, id)
}

// config writes what the account has configured. The writer's errors come with its Flush.
func (x *exporter) config(snap *catalog.Snapshot) {
	for _, n := range snap.Names[x.customerID] {
		x.begin("event")
		x.text("eventId", n.EventID)
		x.text("apiName", n.APIName)
		x.moment("from", n.From)
		x.until(n.To)
		_ = x.end()
	}
	for _, eventID := range slices.Sorted(maps.Keys(snap.Rules[x.customerID])) {
		for _, r := range snap.RulesOf(x.customerID, eventID) {
			x.begin("rule")
			x.text("eventId", eventID)
			x.text("window", r.Window())
			x.text("credit", r.Credit)
			x.moment("from", r.From)
			x.until(r.To)
			_ = x.end()
		}
	}
	for _, id := range slices.Sorted(maps.Keys(snap.Optimizations[x.customerID])) {
		x.optimization(snap, id)
	}
}

func (x *exporter) optimization(snap *catalog.Snapshot, id string) {
	x.begin("optimization")
	x.text("optimizationId", id)
	x.text("name", snap.Optimizations[x.customerID][id].Name)
	x.raw("visitors", strconv.FormatUint(snap.Optimizations[x.customerID][id].PlannedVisitors, 10))
	x.raw("variations", "[")
	for i, v := range snap.VariationsOf(x.customerID, id) {
		x.buf = append(x.buf, ","[:min(i, 1)]...)
		x.buf = append(x.buf, `{"id":`...)
		x.buf, _ = jsontext.AppendQuote(x.buf, v.VariationID)
		x.text("name", v.Name)
		x.raw("baseline", strconv.FormatBool(v.IsBaseline))
		x.raw("weight", strconv.FormatFloat(v.Weight, 'g', -1, 64))
		x.buf = append(x.buf, '}')
	}
	x.buf = append(x.buf, `],"goals":[`...)
	for i, g := range snap.GoalsOf(x.customerID, id) {
		x.buf = append(x.buf, ","[:min(i, 1)]...)
		x.buf = append(x.buf, `{"eventId":`...)
		x.buf, _ = jsontext.AppendQuote(x.buf, g.EventID)
		x.raw("primary", strconv.FormatBool(g.IsPrimary))
		x.raw("mde", strconv.FormatFloat(g.MDEPercent, 'g', -1, 64))
		x.buf = append(x.buf, '}')
	}
	x.buf = append(x.buf, ']')
	_ = x.end()
}
