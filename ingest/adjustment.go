package ingest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/warehouse"
)

// maxAdjustedAge is how long before its receipt an adjustment may claim to hold (spec 3.1).
const maxAdjustedAge = 400 * 24 * time.Hour

// ConversionKey names a conversion of an account.
type ConversionKey struct{ APIName, ActionID string }

// Receiver says which of an account's conversions were received.
type Receiver func(ctx context.Context, customerID string, keys []ConversionKey) (received map[ConversionKey]bool, err error)

// postAdjustment accepts one adjustment (docs/openapi.yaml).
func (s *Server) postAdjustment(c *fiber.Ctx) error {
	return s.postOne(c, func(raw []byte, pathAccount, tokenAccount string) error {
		body, apiErr := decodeBody(raw, true)
		if apiErr != nil {
			return apiErr
		}
		var row warehouse.Adjustment
		apiErr = body.toAdjust(&row, pathAccount, tokenAccount, s.now(), s.cfg.Limits)
		dry, unknown := dryRun(c)
		if apiErr = unknown.with(apiErr); apiErr != nil {
			return apiErr
		}
		if !dry {
			row.IngestID = uuid.Must(uuid.NewV7())
			if err := s.append(EncodeAdjustment(nil, &row)); err != nil {
				return errNotDurable()
			}
			s.metrics.adjustments.Add(1)
		}
		warnings := s.adjustmentWarnings(&body.sent, &row, s.missing(row.CustomerID, []*warehouse.Adjustment{&row}))
		return sendJSON(c, appendAdjustmentAnswer(make([]byte, 0, len(raw)+64), &row, dry, warnings))
	})
}

// toAdjust is conversion for an adjustment.
func (body *eventBody) toAdjust(a *warehouse.Adjustment, pathAccount, tokenAccount string, receivedAt time.Time, limits Limits) *apiError {
	var f faults
	account := body.account(&f, pathAccount)
	if account != "" && account != tokenAccount {
		return errWrongAccount
	}
	*a = warehouse.Adjustment{
		CustomerID: account, APIName: body.name(&f), ActionID: f.realID("actionId", body.actionID),
		Kind: f.id("adjustment", body.adjustment), Value: f.value("value", body.value),
		AdjustedAtMS: receivedAt.UnixMilli(), ReceivedAtMS: receivedAt.UnixMilli(),
	}
	if !body.adjustedAt.absent() {
		a.AdjustedAtMS = f.timestamp("adjustedAt", body.adjustedAt, receivedAt, limits.MaxFuture, maxAdjustedAge)
	}
	switch {
	case a.Kind == warehouse.Restate && body.value.absent():
		f.add("value", "missing", "", "value is required to restate")
	case a.Kind == warehouse.Retract && !body.value.absent():
		f.add("value", "conflict", body.value, "value must be left out to retract")
	case a.Kind != "" && a.Kind != warehouse.Restate && a.Kind != warehouse.Retract:
		f.add("adjustment", "unknown_value", body.adjustment, "adjustment must be restate or retract")
	}
	return body.invalid(f.list, "adjustment")
}

// adjustmentWarnings is warnings for an adjustment; missing are the keys of no conversion that can be seen.
func (s *Server) adjustmentWarnings(body *sent, a *warehouse.Adjustment, missing map[ConversionKey]bool) (list []warning) {
	snap, at := s.cfg.Catalog.Snapshot(), time.UnixMilli(a.AdjustedAtMS)
	if found := snap.LookUpName(a.CustomerID, a.APIName, at); found.EventID == "" && !found.Borne {
		list = append(list, warning{body.nameField(), "event_not_defined", nameMiss(snap, a.CustomerID, a.APIName, at)})
	}
	list = body.textWarnings(list, [][2]string{{body.nameField(), a.APIName}, {"actionId", a.ActionID}})
	if missing[ConversionKey{a.APIName, a.ActionID}] {
		list = append(list, warning{"actionId", "no_such_conversion", fmt.Sprintf(
			"no conversion with the apiName %s and the actionId %s was received yet; the adjustment waits for one, under the name that it is sent with", human.Quote(a.APIName), human.Quote(a.ActionID))})
	}
	return list
}

// missing returns the keys that no conversion was received with, as far as can be seen now: what the service
// remembers, and what ClickHouse has, if it answers soon.
func (s *Server) missing(customerID string, rows []*warehouse.Adjustment) map[ConversionKey]bool {
	var asked []ConversionKey
	for _, a := range rows {
		if !s.earlier.remembers(customerID, a.APIName, a.ActionID) {
			// Copies, as texts are parts of the body and a look-up may outlive it.
			asked = append(asked, ConversionKey{strings.Clone(a.APIName), strings.Clone(a.ActionID)})
		}
	}
	if len(asked) == 0 || s.cfg.Received == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), keyPatience)
	defer cancel()
	received, err := s.cfg.Received(ctx, strings.Clone(customerID), asked)
	if err != nil {
		return nil
	}
	missing := map[ConversionKey]bool{}
	for _, key := range asked {
		missing[key] = !received[key]
	}
	return missing
}

// keyPatience is how long an answer waits to know whether conversions are there.
const keyPatience = time.Second

// appendAdjustmentAnswer is appendAnswer for an adjustment.
func appendAdjustmentAnswer(buf []byte, a *warehouse.Adjustment, validateOnly bool, warnings []warning) []byte {
	for _, field := range [...]struct{ before, text string }{
		{`{"customerId":`, a.CustomerID}, {`,"apiName":`, a.APIName}, {`,"actionId":`, a.ActionID}, {`,"adjustment":`, a.Kind},
	} {
		buf = appendQuoted(append(buf, field.before...), field.text)
	}
	if a.Value.Valid {
		buf = append(append(buf, `,"value":`...), a.Value.Decimal.String()...)
	}
	buf = strconv.AppendInt(append(buf, `,"adjustedAt":`...), a.AdjustedAtMS, 10)
	if validateOnly {
		buf = append(buf, `,"stored":false`...)
	}
	return append(appendWarnings(buf, warnings), '}')
}
