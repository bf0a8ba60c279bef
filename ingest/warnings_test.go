package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/warehouse"
)

// warned returns the warnings of an answer as "field:code", and their texts.
func warned(t *testing.T, body string) (codes, texts string) {
	t.Helper()
	var answer struct {
		Warnings []warning `json:"warnings"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var list, messages []string
	for _, w := range answer.Warnings {
		list, messages = append(list, w.Field+":"+w.Code), append(messages, w.Message)
	}
	return strings.Join(list, " "), strings.Join(messages, "; ")
}

func TestWarnings(t *testing.T) {
	e := newEdge(t, seedTime)
	snap := e.cfg.Catalog.Snapshot()
	to := seedTime.Add(-time.Hour)
	snap.Names["123456789"] = append(snap.Names["123456789"], catalog.EventName{CustomerID: "123456789", EventID: "gone", APIName: "was-archived", From: time.UnixMilli(0), To: &to})
	for _, c := range []struct{ name, body, codes, says string }{
		{"nothing", event(), "", ""},
		{"an unknown name", event("apiName", `"sold"`), "apiName:event_not_defined", `no event bears the name "sold"`},
		{"another case", event("apiName", `"Application Accepted"`), "apiName:event_not_defined", `one bears "application-accepted"`},
		{"a space behind", event("apiName", `"bought "`), "apiName:event_not_defined apiName:surrounding_space", `"bought "`},
		{"an archived name", event("apiName", `"was-archived"`), "apiName:event_not_defined", "at another time"},
		{"the other field", event("apiName", "", "eventName", `"sold"`), "eventName:event_not_defined", ""},
		{"spaces", event("userDomain", `"crm\n"`, "userId", `"\u00a0u1"`, "actionId", `" a1"`), "userDomain:surrounding_space userId:surrounding_space actionId:surrounding_space", `userDomain "crm\n" begins or ends`},
		{"money of other names", event("currency", `"EUR"`, "Value", "5", "action_id", "1", "amount", "{}"), "currency:ignored_field Value:ignored_field action_id:ignored_field amount:ignored_field", `"action_id" is ignored; the one that is read is called actionId`},
		{"other fields", event("note", `"x"`, "values", "5"), "", ""},
	} {
		got := e.post("/event?validateOnly=true", c.body)
		codes, texts := warned(t, got.body)
		if got.status != 200 || codes != c.codes || !strings.Contains(texts, c.says) {
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
		if (codes == "") == strings.Contains(got.body, "warnings") {
			t.Errorf("%s: %s", c.name, got.body)
		}
	}
	got := e.post("/events", "["+event("apiName", `"sold"`)+","+event("userId", `"u2"`)+"]")
	if !strings.Contains(got.body, `{"index":0,"status":"accepted","warnings":[{"field":"apiName","code":"event_not_defined"`) || !strings.Contains(got.body, `{"index":1,"status":"accepted"}`) {
		t.Errorf("of a batch: %s", got.body)
	}
}

func TestWarningOfAKeySentBefore(t *testing.T) {
	e := newEdge(t, seedTime)
	first := event("actionId", `"k1"`, "value", "10")
	for _, c := range []struct{ path, body, codes string }{
		{"/event?validateOnly=true", event("actionId", `"k1"`, "value", "9"), ""}, // not stored, so it is no earlier copy
		{"/event", first, ""},
		{"/event", first, ""}, // a retry
		{"/event", event("actionId", `"k1"`, "value", "10.00"), ""},
		{"/event?validateOnly=true", event("actionId", `"k1"`, "value", "11"), "actionId:differs_from_earlier"},
		{"/event", event("actionId", `"k1"`, "value", "11"), "actionId:differs_from_earlier"},
		{"/event", event("actionId", `"k1"`), "actionId:differs_from_earlier"},
		{"/event", event("actionId", `"k1"`, "value", "10", "userId", `"u2"`), "actionId:differs_from_earlier"},
		{"/event", event("actionId", `"k1"`, "value", "10", "actionTimestamp", "1578316150001"), "actionId:differs_from_earlier"},
		{"/event", event("actionId", `"k1"`, "apiName", `"refunded"`), ""},
		{"/event", event("actionId", `"k2"`, "value", "11"), ""},
	} {
		got := e.post(c.path, c.body)
		if codes, _ := warned(t, got.body); got.status != 200 || codes != c.codes {
			t.Errorf("%s %s: %d %s", c.path, c.body, got.status, got.body)
		}
	}
}

// freshCatalog gets a name when it is read again.
type freshCatalog struct {
	fixedCatalog
	later *catalog.Snapshot
	reads *int
}

func (c freshCatalog) Snapshot() *catalog.Snapshot {
	if *c.reads > 0 {
		return c.later
	}
	return c.snap
}

func TestANewNameIsLookedForAgain(t *testing.T) {
	e := newEdge(t, seedTime)
	reads := 0
	e.cfg.Catalog = countingCatalog{freshCatalog{fixedCatalog{snap: e.cfg.Catalog.Snapshot()}, withName(&catalog.Snapshot{
		Accounts: e.cfg.Catalog.Snapshot().Accounts, Tokens: e.cfg.Catalog.Snapshot().Tokens,
	}, "brand-new"), &reads}}
	if codes, _ := warned(t, e.post("/event", event("apiName", `"brand-new"`)).body); codes != "" || reads != 1 {
		t.Errorf("a name that was just made gets %q after %d reads", codes, reads)
	}
	e.now = e.now.Add(nameInterval)
	var unknown []string // each of its own name: the catalog is read once for all
	for i := range maxBatchEvents {
		unknown = append(unknown, event("apiName", fmt.Sprintf(`"never %d"`, i)))
	}
	got := e.post("/events", "["+strings.Join(unknown, ",")+"]")
	if strings.Count(got.body, "event_not_defined") != maxBatchEvents || reads != 2 {
		t.Errorf("%d warnings of %d unknown names, after %d reads", strings.Count(got.body, "event_not_defined"), maxBatchEvents, reads)
	}
	if codes, _ := warned(t, e.post("/event", event("apiName", `"never"`)).body); codes != "apiName:event_not_defined" || reads != 2 {
		t.Errorf("at the same moment: %q, %d reads", codes, reads)
	}
}

type countingCatalog struct{ freshCatalog }

func (c countingCatalog) Refresh(context.Context) error { *c.reads++; return nil }

func TestPlaceholders(t *testing.T) {
	for _, id := range []string{"undefined", "NULL", "NaN", "None", "[object Object]", " ", "\t\n", "\u00a0", strings.Repeat(" ", 40), "{{user.id}}", "${userId}", "%USER_ID%", "%%"} {
		if !IsPlaceholder(id) {
			t.Errorf("%q is taken for an id", id)
		}
	}
	for _, id := range []string{"", "0", "u1", "undefined1", " null", "nan@example.com", "{user}", "{{user}} x", "a%", "%", "100%", "$5", "{}", "}"} {
		if IsPlaceholder(id) {
			t.Errorf("%q is taken for a placeholder", id)
		}
	}
}

// TestStampsAreNamedForWhatTheyAre: what backends send instead of milliseconds.
func TestStampsAreNamedForWhatTheyAre(t *testing.T) {
	e := newEdge(t, seedTime)
	for stamp, says := range map[string]string{
		`"2020-01-06T13:09:10Z"`:          "a date in ISO 8601, which is 1578316150000",
		`"2020-01-06T14:09:10.5+0100"`:    "a date in ISO 8601, which is 1578316150500",
		`"2020-01-06 13:09:10"`:           "without a time zone",
		`"1578316150000.0"`:               "the text of a decimal number: send 1578316150000",
		`1578316150.123`:                  "looks like seconds: multiply by 1000",
		`"1578316150.123"`:                "looks like seconds: multiply by 1000",
		`1578316150000000`:                "looks like microseconds",
		`1578316150000.5`:                 "has a fraction",
		`1577709749999`:                   "more than 7 days before it was received (2020-01-06 13:10:10.000 UTC)",
		`1578316215001`:                   "more than 5 seconds after it was received",
		`"yesterday"`:                     "a whole number or a string of its digits",
		`{"seconds":1578316150,"nano":0}`: "a whole number or a string of its digits",
	} {
		if got := e.post("/event", event("actionTimestamp", stamp)); got.status != 400 || !strings.Contains(got.body, says) {
			t.Errorf("%s: %d %s, expected %q", stamp, got.status, got.body, says)
		}
	}
}

// TestBatchesAsSendersGetThemWrong: newlines stripped by curl's --data, a wrapper around the array.
func TestBatchesAsSendersGetThemWrong(t *testing.T) {
	e := newEdge(t, seedTime)
	one, two := event("actionId", `"1"`), event("actionId", `"2"`)
	for name, c := range map[string]struct {
		body, says string
		status     int
	}{
		"end to end":             {one + two, `{"accepted":2,"rejected":0`, 200},
		"end to end with spaces": {one + "  " + two + " ", `{"accepted":2,"rejected":0`, 200},
		"with comments":          {"// of today\n" + one + "/* and */" + two, `{"accepted":2,"rejected":0`, 200},
		"over several lines":     {strings.ReplaceAll(one, ",", ",\n  ") + "\n" + two, `{"accepted":2,"rejected":0`, 200},
		"three, one of them bad": {one + event("userId", "") + two, `{"accepted":2,"rejected":1`, 200},
		"garbage behind":         {one + "x\n" + two, `{"accepted":1,"rejected":1,"results":[{"index":0,"status":"rejected"`, 200},
		"cut off":                {one[:len(one)-10] + "\n" + two, `{"accepted":1,"rejected":1`, 200},
		"an open brace":          {`{"userId":{` + "\n" + two, `{"accepted":1,"rejected":1`, 200},
		"an open string":         {`{"userId":"x` + "\n" + two, `{"accepted":1,"rejected":1`, 200},
		"data":                   {`{"data":[` + one + "]}", `the field \"data\"`, 400},
		"events and more":        {`{"source":"crm","events":[` + one + "]}", `the field \"events\"`, 400},
		"meta before events":     {`{"meta":{"x":1},"events":[` + one + "]}", `the field \"events\"`, 400},
	} {
		got := e.post("/events", c.body)
		if got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestAStalledReportShiftsNothing: a report of 20 s ago must not move its view behind the ones
// that were sent later and arrived before (cases 11).
func TestAStalledReportShiftsNothing(t *testing.T) {
	for _, c := range []struct{ apart, occurred, want int64 }{
		{20_000, -21_000, -21_000}, {60_000, -61_000, -61_000}, {60_001, -60_101, -100}, {-60_000, 59_900, 0}, {-60_001, 59_901, -100}, {0, 5, 0},
	} {
		e := newEdge(t, seedTime)
		received := seedTime.UnixMilli()
		e.post("/collect", fmt.Sprintf(`{"customerId":"123456789","visitorId":"v","sentAt":%d,"events":[{"type":"view","optimizationId":"hero","variationId":"b","occurredAt":%d}]}`,
			received-c.apart, received+c.occurred))
		if _, events := e.stored(); len(events) != 1 || events[0].OccurredAtMS-received != c.want {
			t.Errorf("sent %d ms before its receipt: %+v, expected %d", c.apart, events, c.want)
		}
	}
}

// TestDroppedEventsAreCounted by account and reason.
func TestDroppedEventsAreCounted(t *testing.T) {
	e := newEdge(t, seedTime)
	now := seedTime.UnixMilli()
	identify := func(id string) string {
		return fmt.Sprintf(`{"type":"identify","userDomain":"bad","userId":%s,"occurredAt":%d}`, id, now)
	}
	got := e.post("/collect", fmt.Sprintf(`{"customerId":"123456789","visitorId":"v","sentAt":%d,"events":[%s,{"type":"click","occurredAt":1},{"type":"activity","occurredAt":1},{"type":"view","optimizationId":"o","occurredAt":%d},7,{},{"type":"activity","occurredAt":%d}]}`,
		now, strings.Join([]string{identify(`"undefined"`), identify(`"{{user.id}}"`), identify(`"  "`), identify(`0`), identify(`"0"`)}, ","), now, now))
	if _, events := e.stored(); got.status != 204 || len(events) != 2 || events[0].UserID != "0" {
		t.Errorf("%d %s: %+v", got.status, got.body, events)
	}
	want := map[Dropped]uint64{{"123456789", "placeholder"}: 3, {"123456789", "unknown_type"}: 2, {"123456789", "too_old"}: 1, {"123456789", "missing"}: 1, {"123456789", "unreadable"}: 1, {"123456789", "wrong_type"}: 1}
	if got := e.metrics.Figures().DroppedBy; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dropped %v, expected %v", got, want)
	}
	if got := e.request(http.MethodGet, "/metrics", ""); !strings.Contains(got.body, `tieback_client_events_dropped_total{account="123456789",reason="placeholder"} 3`) {
		t.Errorf("%s", got.body)
	}
	for i := range 2 * mostDropping {
		e.metrics.drop(fmt.Sprint(i), []string{"too_old"})
	}
	if got := e.metrics.Figures().DroppedBy; len(got) > mostDropping+10 || got[Dropped{OtherAccounts, "too_old"}] != mostDropping+1 {
		t.Errorf("%d counters after %d accounts, %d of others", len(got), 2*mostDropping, got[Dropped{OtherAccounts, "too_old"}])
	}
}

// TestCopiesThatArriveTogetherAreStoredOnce, and one that could not be stored is not remembered.
func TestCopiesThatArriveTogetherAreStoredOnce(t *testing.T) {
	e := newEdge(t, seedTime)
	body := fmt.Sprintf(`{"customerId":"123456789","visitorId":"v","sentAt":%[1]d,"events":[{"id":"a","type":"activity","occurredAt":%[1]d},{"id":"b","type":"activity","occurredAt":%[1]d},{"id":"a","type":"activity","occurredAt":%[1]d}]}`, seedTime.UnixMilli())
	e.fail = errors.New("disk full")
	if got := e.post("/collect", body); got.status != 503 {
		t.Errorf("on a full disk: %d", got.status)
	}
	e.mu.Lock()
	e.fail = nil
	e.mu.Unlock()
	var sending sync.WaitGroup
	for range 8 {
		sending.Go(func() {
			req := httptest.NewRequest(http.MethodPost, "/collect", strings.NewReader(body))
			if res, err := e.app.Test(req, -1); err != nil || res.StatusCode != 204 {
				t.Errorf("%v %v", res, err)
			}
		})
	}
	sending.Wait()
	if _, events := e.stored(); len(events) != 2 {
		t.Errorf("%d events stored, expected a and b", len(events))
	}
}

// TestClaimsWaitForOneAnother: of two requests with events in common the second waits for the
// first, and stores what the first could not.
func TestClaimsWaitForOneAnother(t *testing.T) {
	row := func(id string) *warehouse.ClientEvent {
		return &warehouse.ClientEvent{IngestID: DerivedID(id)}
	}
	for firstStores, want := range map[bool]int{true: 1, false: 2} {
		synctest.Test(t, func(t *testing.T) {
			var s storedIDs
			fresh, settle := s.claim([]*warehouse.ClientEvent{row("a"), row("b")}, seedTime)
			second := -1
			go func() {
				fresh, settle := s.claim([]*warehouse.ClientEvent{row("c"), row("b")}, seedTime)
				settle(true)
				second = len(fresh)
			}()
			synctest.Wait()
			if second != -1 {
				t.Errorf("the second did not wait, and got %d rows", second)
			}
			settle(firstStores)
			synctest.Wait()
			if len(fresh) != 2 || second != want {
				t.Errorf("first stored: %v; %d rows of the first, %d of the second", firstStores, len(fresh), second)
			}
		})
	}
}

// TestAPanicWhileStoringIsNoClaim: a retry must not wait for it forever.
func TestAPanicWhileStoringIsNoClaim(t *testing.T) {
	e := newEdge(t, seedTime)
	body := fmt.Sprintf(`{"customerId":"123456789","visitorId":"v","sentAt":%[1]d,"events":[{"id":"a","type":"activity","occurredAt":%[1]d}]}`, seedTime.UnixMilli())
	e.cfg.Spool = panicking{}
	res, err := e.app.Test(httptest.NewRequest(http.MethodPost, "/collect", strings.NewReader(body)), -1)
	if err != nil || res.StatusCode != 500 {
		t.Errorf("with a bug: %v %v", res, err)
	}
	e.cfg.Spool = e
	if got := e.post("/collect", body); got.status != 204 || len(e.records) != 1 {
		t.Errorf("without it: %d, %d stored", got.status, len(e.records))
	}
}

type panicking struct{}

func (panicking) Append(context.Context, ...[]byte) error { panic("a bug") }

// TestRefusedBatchesAreNotRemembered: what was not stored is no earlier copy.
func TestRefusedBatchesAreNotRemembered(t *testing.T) {
	e := newEdge(t, seedTime)
	first, second := event("actionId", `"k"`, "value", "1"), event("actionId", `"k"`, "value", "2")
	for _, c := range []struct{ path, body string }{
		{"/events?validateonly=true", first}, {"/events?validateOnly=true", first}, {"/events", "[" + first}, {"/events", strings.Repeat(first+"\n", maxBatchEvents+1)},
	} {
		e.post(c.path, c.body)
	}
	e.fail = errors.New("disk full")
	e.post("/event", first)
	e.post("/events", first)
	e.fail = nil
	if got := e.post("/event", second); got.status != 200 || strings.Contains(got.body, "warnings") {
		t.Errorf("the first that is stored: %d %s", got.status, got.body)
	}
	if got := e.post("/events?x=1", "[{"); got.code != "unknown_parameter" || !strings.Contains(got.body, "besides, the array does not end") || !strings.Contains(got.body, `"offset":`) {
		t.Errorf("a parameter and a body that can't be read: %s", got.body)
	}
}

// TestOneBadEventOfAReport costs itself only, also where it is no JSON.
func TestOneBadEventOfAReport(t *testing.T) {
	e := newEdge(t, seedTime)
	got := e.post("/collect", fmt.Sprintf(`{"events":[{"type":"activity","occurredAt":%[1]d},{"type":"activity","type":"view"},{"type":NaN},{"type":"activity","occurredAt":%[1]d}],"customerId":"123456789","visitorId":"v","sentAt":%[1]d}`, seedTime.UnixMilli()))
	if _, events := e.stored(); got.status != 204 || len(events) != 2 {
		t.Errorf("%d %s, %d stored", got.status, got.body, len(events))
	}
}
