package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/warehouse"
)

// adjustment is a good body that restates; changes are as those of event.
func adjustment(changes ...string) string {
	base := []string{"userDomain", "", "userId", "", "actionTimestamp", ""}
	defaults := map[string]string{"adjustment": `"restate"`, "value": "80"}
	for i := 0; i < len(changes); i += 2 {
		delete(defaults, changes[i])
	}
	for _, field := range []string{"adjustment", "value"} {
		if text, missing := defaults[field]; missing {
			base = append(base, field, text)
		}
	}
	return event(append(base, changes...)...)
}

// storedAdjustments returns what the spool was given and forgets it.
func (e *edge) storedAdjustments() []warehouse.Adjustment {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var found rows
	for _, record := range e.records {
		if err := found.add(string(record)); err != nil {
			e.t.Fatal(err)
		}
	}
	e.records = nil
	return found.adjustments
}

func TestAdjustments(t *testing.T) {
	e := newEdge(t, seedTime)
	received := seedTime.UnixMilli()
	got := e.post("/adjustment", `{ customerId: "123456789", apiName: "bought", actionId: "a1", adjustment: "restate", value: 80.5, adjustedAt: 1578316150000 }`)
	want := `{"customerId":"123456789","apiName":"bought","actionId":"a1","adjustment":"restate","value":80.5,"adjustedAt":1578316150000}`
	if got.status != 200 || got.body != want {
		t.Errorf("restate: %d %s", got.status, got.body)
	}
	got = e.post("/customer/123456789/adjustment", `{"eventName":"bought","actionId":"a1","adjustment":"retract"}`)
	want = fmt.Sprintf(`{"customerId":"123456789","apiName":"bought","actionId":"a1","adjustment":"retract","adjustedAt":%d}`, received)
	if got.status != 200 || got.body != want {
		t.Errorf("retract: %d %s", got.status, got.body)
	}
	rows := e.storedAdjustments()
	if len(rows) != 2 || rows[0].Value.Decimal.String() != "80.5" || rows[0].AdjustedAtMS != 1578316150000 || rows[0].ReceivedAtMS != received ||
		rows[0].IngestID.Version() != 7 || rows[1].Kind != warehouse.Retract || rows[1].Value.Valid || rows[1].AdjustedAtMS != received {
		t.Errorf("stored %+v", rows)
	}
	for _, path := range []string{"/adjustment?validateOnly=true", "/adjustments?validateOnly=true"} {
		body := adjustment()
		if got := e.post(path, body); got.status != 200 || !strings.Contains(got.body, `"stored":false`) || len(e.storedAdjustments()) > 0 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := e.post("/adjustment?dryRun=true", adjustment()); got.status != 400 || got.code != "unknown_parameter" || len(e.storedAdjustments()) > 0 {
		t.Errorf("an unknown parameter: %d %s", got.status, got.body)
	}
	if got := e.post("/customer/other/adjustment", adjustment("customerId", "")); got.status != 403 {
		t.Errorf("another account: %d", got.status)
	}
	if got := e.post("/adjustment", adjustment(), "Authorization", "ApiKey x"); got.status != 401 {
		t.Errorf("a wrong token: %d", got.status)
	}
	e.fail = errors.New("the disk is full")
	if got := e.post("/adjustment", adjustment()); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("a full disk: %d", got.status)
	}
}

func TestAdjustmentFaults(t *testing.T) {
	e := newEdge(t, seedTime)
	received := seedTime.UnixMilli()
	const day = 24 * 3600 * 1000
	for _, c := range []struct{ name, body, fields string }{
		{"all at once", adjustment("apiName", "", "actionId", `"undefined"`, "adjustment", `"delete"`, "value", "-1", "adjustedAt", "5"),
			"apiName:missing actionId:placeholder value:value_negative adjustedAt:timestamp_in_seconds adjustment:unknown_value"},
		{"no adjustment", adjustment("adjustment", ""), "adjustment:missing"},
		{"a number", adjustment("adjustment", "1"), "adjustment:wrong_type"},
		{"in upper case", adjustment("adjustment", `"Restate"`), "adjustment:unknown_value"},
		{"restate without a value", adjustment("value", ""), "value:missing"},
		{"restate with null", adjustment("value", "null"), "value:missing"},
		{"retract with a value", adjustment("adjustment", `"retract"`, "value", "0"), "value:conflict"},
		{"retract with null", adjustment("adjustment", `"retract"`, "value", "null"), ""},
		{"zero is a value", adjustment("value", "0"), ""},
		{"5 s ahead", adjustment("adjustedAt", fmt.Sprint(received+5000)), ""},
		{"5.001 s ahead", adjustment("adjustedAt", fmt.Sprint(received+5001)), "adjustedAt:timestamp_in_future"},
		{"400 days back", adjustment("adjustedAt", fmt.Sprint(received-400*day)), ""},
		{"400 days and 1 ms back", adjustment("adjustedAt", fmt.Sprint(received-400*day-1)), "adjustedAt:timestamp_too_old"},
		{"digits in a string", adjustment("adjustedAt", fmt.Sprintf(`"%d"`, received)), ""},
		{"null is now", adjustment("adjustedAt", "null"), ""},
		{"a date", adjustment("adjustedAt", `"2020-01-06T13:09:10Z"`), "adjustedAt:wrong_type"},
		{"fields of a conversion are ignored", adjustment("userId", "5", "userDomain", `""`, "actionTimestamp", "1"), ""},
	} {
		got, want := e.post("/adjustment", c.body), 200
		if c.fields != "" {
			want = 400
		}
		if got.status != want || got.fields != c.fields {
			t.Errorf("%s: %d %s\n%s", c.name, got.status, got.fields, got.body)
		}
	}
	got := e.post("/adjustments", "["+adjustment()+","+adjustment("value", "")+","+adjustment("customerId", `"other"`)+"]")
	if got.status != 200 || !strings.Contains(got.body, `"accepted":1,"rejected":2`) || !strings.Contains(got.body, `"code":"missing"`) || !strings.Contains(got.body, "wrong_account") {
		t.Errorf("a batch: %d %s", got.status, got.body)
	}
	e.storedAdjustments()
	if got := e.post("/adjustments", adjustment()+"\n"+adjustment("adjustment", `"retract"`, "value", "")+"\n"); got.status != 200 || len(e.storedAdjustments()) != 2 {
		t.Errorf("lines: %d %s", got.status, got.body)
	}
	if got := e.post("/adjustment", "["+adjustment()+"]"); got.status != 400 || !strings.Contains(got.body, "/adjustments") {
		t.Errorf("an array: %d %s", got.status, got.body)
	}
	if got := e.post("/event", event("adjustment", `"retract"`)); got.status != 200 || strings.Contains(got.body, "warnings") {
		t.Errorf("a conversion with a field of an adjustment: %d %s", got.status, got.body)
	}
}

func TestAdjustmentWarnings(t *testing.T) {
	e := newEdge(t, seedTime)
	asked := 0
	e.cfg.Received = func(_ context.Context, customerID string, keys []ConversionKey) (map[ConversionKey]bool, error) {
		asked++
		return map[ConversionKey]bool{{"bought", "there"}: customerID == "123456789"}, nil
	}
	for _, c := range []struct{ body, warns string }{
		{adjustment("actionId", `"there"`), ""},
		{adjustment("actionId", `"gone"`), "no_such_conversion"},
		{adjustment("actionId", `"there"`, "currency", `"EUR"`), "ignored_field"},
		{adjustment("actionId", `"there "`), "surrounding_space"},
		{adjustment("actionId", `"there"`, "apiName", `"never"`), "event_not_defined"},
	} {
		got := e.post("/adjustment", c.body)
		if got.status != 200 || strings.Contains(got.body, "warnings") != (c.warns != "") || !strings.Contains(got.body, c.warns) {
			t.Errorf("%s: %d %s", c.body, got.status, got.body)
		}
		if got := e.post("/adjustments", "["+c.body+"]"); got.status != 200 || strings.Contains(got.body, "warnings") != (c.warns != "") || !strings.Contains(got.body, c.warns) {
			t.Errorf("in a batch, %s: %d %s", c.body, got.status, got.body)
		}
	}
	// What the service has just accepted need not be in ClickHouse yet.
	e.post("/event", event("actionId", `"fresh"`))
	before := asked
	if got := e.post("/adjustment", adjustment("actionId", `"fresh"`)); strings.Contains(got.body, "warnings") || asked != before {
		t.Errorf("%s, after %d questions", got.body, asked-before)
	}
	e.cfg.Received = func(context.Context, string, []ConversionKey) (map[ConversionKey]bool, error) {
		return nil, errors.New("ClickHouse is away")
	}
	if got := e.post("/adjustment", adjustment("actionId", `"gone"`)); got.status != 200 || strings.Contains(got.body, "warnings") {
		t.Errorf("without ClickHouse: %d %s", got.status, got.body)
	}
}

func TestAdjustmentsSurviveTheSpool(t *testing.T) {
	for _, a := range []warehouse.Adjustment{
		{CustomerID: "c", APIName: "n", ActionID: "a", Kind: warehouse.Restate, Value: decimal.NewNullDecimal(decimal.RequireFromString("149.9900")), AdjustedAtMS: 1, ReceivedAtMS: -2, IngestID: uuid.Must(uuid.NewV7())},
		{CustomerID: "c\x00", APIName: "\xff", ActionID: strings.Repeat("a", 256), Kind: warehouse.Retract, AdjustedAtMS: 1 << 60, ReceivedAtMS: 5, IngestID: uuid.Must(uuid.NewV7())},
	} {
		record := EncodeAdjustment(nil, &a)
		var found rows
		if err := found.add(string(record)); err != nil || len(found.adjustments) != 1 || fmt.Sprint(found.adjustments[0]) != fmt.Sprint(a) {
			t.Errorf("%+v became %+v (%v)", a, found.adjustments, err)
		}
		for n := range record {
			if err := new(rows).add(string(record[:n])); err == nil {
				t.Errorf("%d of %d bytes were taken for a record", n, len(record))
			}
		}
	}
}
