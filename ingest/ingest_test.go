package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/goleak"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest/contracttest"
	"github.com/tieback/tieback/ingest/snippet"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/warehouse"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // sleeps 10 s between two looks
		goleak.IgnoreAnyFunction("github.com/gofiber/fiber/v2/utils.StartTimeStampUpdater.func1"),
		goleak.IgnoreAnyFunction("github.com/gofiber/fiber/v2/internal/storage/memory.(*Storage).gc"))
}

// edge is a server with a catalog in memory and a spool that only remembers.
type edge struct {
	*Server
	t        *testing.T
	now      time.Time
	token    string
	contract *contracttest.Contract // every answer is held against it

	mu      sync.Mutex
	records [][]byte
	fail    error
}

func (e *edge) Append(_ context.Context, records ...[]byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail == nil {
		e.records = append(e.records, records...)
	}
	return e.fail
}

// stored returns what the spool was given and forgets it.
func (e *edge) stored() (conversions []warehouse.Conversion, clientEvents []warehouse.ClientEvent) {
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
	return found.conversions, found.clientEvents
}

// fixedCatalog is a catalog that does not change.
type fixedCatalog struct {
	snap *catalog.Snapshot
	fail error // of Refresh
}

func (c fixedCatalog) Snapshot() *catalog.Snapshot   { return c.snap }
func (c fixedCatalog) Refresh(context.Context) error { return c.fail }

func newEdge(t *testing.T, now time.Time) *edge {
	t.Helper()
	contract := contracttest.Load(t)
	e := &edge{t: t, now: now, contract: contract}
	secret, token := catalog.NewToken("123456789", "main", now)
	_, other := catalog.NewToken("other", "main", now)
	revokedSecret, revoked := catalog.NewToken("123456789", "old", now)
	revoked.RevokedAt = &now
	e.token = secret.Reveal()
	snap := &catalog.Snapshot{
		Accounts: map[string]catalog.Account{
			"123456789": {CustomerID: "123456789"},
			"strict":    {CustomerID: "strict", Origins: []string{"https://www.example.com"}},
		},
		Tokens: map[string]catalog.Token{token.Prefix: token, other.Prefix: other, revoked.Prefix: revoked},
	}
	withName(snap, "bought", "application-accepted", "refunded")
	t.Setenv("REVOKED", revokedSecret.Reveal())
	e.Server = NewServer(Config{Catalog: fixedCatalog{snap: snap}, Spool: e, Now: func() time.Time { return e.now }, Log: slog.New(slog.DiscardHandler)})
	return e
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
	code   string // of the error
	fields string // of the details, as "field:code field:code"
}

func (e *edge) post(path, body string, headers ...string) answer {
	e.t.Helper()
	return e.request(http.MethodPost, path, body, headers...)
}

func (e *edge) request(method, path, body string, headers ...string) answer {
	e.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "ApiKey "+e.token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := e.app.Test(req, -1)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	e.contract.Hold(e.t, req, res)
	text, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(text)}
	var told struct {
		Error struct {
			Code    string `json:"code"`
			Details []struct{ Field, Code string }
		} `json:"error"`
	}
	if json.Unmarshal(text, &told) == nil {
		a.code = told.Error.Code
		for i, d := range told.Error.Details {
			if i > 0 {
				a.fields += " "
			}
			a.fields += d.Field + ":" + d.Code
		}
	}
	return a
}

func seed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/seed/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var seedTime = time.UnixMilli(1578316150000).Add(time.Minute)

func TestSeedExamples(t *testing.T) {
	e := newEdge(t, seedTime)
	got := e.post("/event", seed(t, "event.txt"))
	want := `{"customerId":"123456789","apiName":"application-accepted","userDomain":"salesforce","userId":"72349876","actionId":"23823940","actionTimestamp":1578316150000,"value":149.99}`
	if got.status != 200 || got.body != want {
		t.Errorf("POST /event: %d %s", got.status, got.body)
	}
	conversions, _ := e.stored()
	if len(conversions) != 1 || conversions[0].Value.Decimal.String() != "149.99" || conversions[0].ReceivedAtMS != seedTime.UnixMilli() || conversions[0].IngestID.Version() != 7 {
		t.Errorf("stored %+v", conversions)
	}
	if got := e.post("/event", seed(t, "curl_template.txt")); got.status != 403 || got.code != "wrong_account" {
		t.Errorf("the template, with an account of its own: %d %s", got.status, got.body)
	}
	if got := e.post("/customer/123456789/event", seed(t, "customer_event.txt")); got.status != 400 || got.fields != "actionTimestamp:timestamp_in_seconds" {
		t.Errorf("the last example has its stamp in seconds: %d %s", got.status, got.body)
	}
	fixed := strings.Replace(seed(t, "customer_event.txt"), "1578316150", "1578316150000", 1)
	if got := e.post("/customer/123456789/event", fixed); got.status != 200 || !strings.Contains(got.body, `"customerId":"123456789","apiName":"application-accepted"`) {
		t.Errorf("the last example with milliseconds: %d %s", got.status, got.body)
	}
}

// event is a good body; changes are pairs of a field and its JSON, empty to leave it
// out.
func event(changes ...string) string {
	fields := []string{"customerId", `"123456789"`, "apiName", `"bought"`, "userDomain", `"crm"`, "userId", `"u1"`, "actionId", `"a1"`, "actionTimestamp", "1578316150000"}
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		for j := 0; j < len(changes); j += 2 {
			if changes[j] == fields[i] {
				fields[i+1] = changes[j+1]
				changes = append(changes[:j:j], changes[j+2:]...)
				break
			}
		}
	}
	for _, pair := range [][]string{fields, changes} {
		for i := 0; i < len(pair); i += 2 {
			if pair[i+1] != "" {
				fmt.Fprintf(&b, ",%q:%s", pair[i], pair[i+1])
			}
		}
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

func TestFieldFaults(t *testing.T) {
	e := newEdge(t, seedTime)
	received := seedTime.UnixMilli()
	long := `"` + strings.Repeat("x", 257) + `"`
	for _, c := range []struct{ name, body, fields string }{
		{"all at once", event("apiName", "", "userDomain", "5", "userId", `""`, "actionId", long, "actionTimestamp", "1578316150", "value", "-1"),
			"apiName:missing userDomain:wrong_type userId:empty actionId:too_long actionTimestamp:timestamp_in_seconds value:value_negative"},
		{"null is missing", event("userId", "null"), "userId:missing"},
		{"customerId missing", event("customerId", ""), "customerId:missing"},
		{"256 bytes are allowed", event("actionId", `"`+strings.Repeat("x", 256)+`"`), ""},
		{"bytes count, not letters", event("actionId", `"`+strings.Repeat("ü", 129)+`"`), "actionId:too_long"},
		{"two names that differ", event("eventName", `"sold"`), "apiName:conflict"},
		{"two names that agree", event("eventName", `"bought"`), ""},
		{"digits in a string", event("actionTimestamp", `"1578316150000"`), ""},
		{"letters in a string", event("actionTimestamp", `"1578316150000x"`), "actionTimestamp:wrong_type"},
		{"a fraction", event("actionTimestamp", "1578316150000.5"), "actionTimestamp:wrong_type"},
		{"a whole number with exponent", event("actionTimestamp", "1.57831615e12"), ""},
		{"a boolean", event("actionTimestamp", "true"), "actionTimestamp:wrong_type"},
		{"the last second stamp", event("actionTimestamp", "99999999999"), "actionTimestamp:timestamp_in_seconds"},
		{"a stamp of 1973", event("actionTimestamp", "100000000000"), "actionTimestamp:timestamp_too_old"},
		{"negative", event("actionTimestamp", "-5"), "actionTimestamp:timestamp_in_seconds"},
		{"5 s ahead", event("actionTimestamp", fmt.Sprint(received+5000)), ""},
		{"5.001 s ahead", event("actionTimestamp", fmt.Sprint(received+5001)), "actionTimestamp:timestamp_in_future"},
		{"the last millisecond stamp", event("actionTimestamp", "100000000000000"), "actionTimestamp:timestamp_in_future"},
		{"microseconds", event("actionTimestamp", "100000000000001"), "actionTimestamp:timestamp_in_microseconds"},
		{"nanoseconds in a text", event("actionTimestamp", `"1578316150000000000"`), "actionTimestamp:timestamp_in_microseconds"},
		{"far beyond int64", event("actionTimestamp", "1e300"), "actionTimestamp:timestamp_in_microseconds"},
		{"seconds with a fraction", event("actionTimestamp", "1578316150.25"), "actionTimestamp:wrong_type"},
		{"a date", event("actionTimestamp", `"2020-01-06T13:09:10Z"`), "actionTimestamp:wrong_type"},
		{"placeholders", event("userId", `"undefined"`, "actionId", `" "`, "userDomain", `"{{domain}}"`), "userDomain:placeholder userId:placeholder actionId:placeholder"},

		{"7 days ago", event("actionTimestamp", fmt.Sprint(received-7*24*3600*1000)), ""},
		{"7 days and 1 ms ago", event("actionTimestamp", fmt.Sprint(received-7*24*3600*1000-1)), "actionTimestamp:timestamp_too_old"},
		{"value in a string", event("value", `"1"`), "value:wrong_type"},
		{"the largest value", event("value", "99999999999999.9999"), ""},
		{"one that rounds up to 10^14", event("value", "99999999999999.99995"), "value:value_out_of_range"},
		{"1e400", event("value", "1e400"), "value:value_out_of_range"},
		{"-1e400", event("value", "-1e400"), "value:value_negative"},
		{"an exponent that no computer should expand", event("value", "1e999999999"), "value:value_out_of_range"},
		{"a tiny one", event("value", "1e-999999999"), ""},
		{"a long one", event("value", "1."+strings.Repeat("3", 5000)), ""},
		{"unknown fields are ignored", event("currency", `{"a":[1,2]}`), ""},
	} {
		got := e.post("/event", c.body)
		want := 200
		if c.fields != "" {
			want = 400
		}
		if got.status != want || got.fields != c.fields {
			t.Errorf("%s: %d %s\n%s", c.name, got.status, got.fields, got.body)
		}
	}
}

func TestValueIsRoundedHalfAwayFromZero(t *testing.T) {
	for text, want := range map[string]string{
		"149.99": "149.99", "0": "0", "1.00005": "1.0001", "1.00004999": "1", "0.00005": "0.0001", "1e2": "100", "-0": "0", "12345678901234.5678": "12345678901234.5678",
	} {
		if got, code := ParseValue(text); code != "" || got.String() != want {
			t.Errorf("%s became %s (%s), expected %s", text, got, code, want)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	e := newEdge(t, seedTime)
	good := event()
	for _, c := range []struct {
		name    string
		got     answer
		status  int
		code    string
		message string // contained in the body
	}{
		{"no token", e.post("/event", good, "Authorization", ""), 401, "invalid_token", ""},
		{"unknown token", e.post("/event", good, "Authorization", "ApiKey AbCdEf123456"), 401, "invalid_token", ""},
		{"revoked token", e.post("/event", good, "Authorization", "ApiKey "+os.Getenv("REVOKED")), 401, "invalid_token", ""},
		{"another scheme", e.post("/event", good, "Authorization", "Bearer "+e.token), 401, "invalid_token", ""},
		{"the token in upper case", e.post("/event", good, "Authorization", "ApiKey "+strings.ToUpper(e.token)), 401, "invalid_token", ""},
		{"401 before anything", e.post("/event", "{", "Authorization", ""), 401, "invalid_token", ""},
		{"another account in the body", e.post("/event", event("customerId", `"other"`, "userId", "")), 403, "wrong_account", ""},
		{"another account in the path", e.post("/customer/other/event", "{"), 403, "wrong_account", ""},
		{"path and body differ", e.post("/customer/123456789/event", event("customerId", `"other"`)), 400, "invalid_event", `"customerId","code":"conflict"`},
		{"no JSON", e.post("/event", `{"a":`), 400, "invalid_json", `"offset":5`},
		{"empty", e.post("/event", ""), 400, "invalid_json", `"offset":0`},
		{"an array", e.post("/event", "[]"), 400, "invalid_json", "object"},
		{"null", e.post("/event", "null"), 400, "invalid_json", "object"},
		{"a key twice", e.post("/event", `{"userId":"a","userId":"b"}`), 400, "invalid_json", `twice (at byte 14)`},
		{"a key twice, JSON5", e.post("/event", `{userId:"a",'userId':"b"}`), 400, "invalid_json", "twice"},
		{"invalid UTF-8", e.post("/event", "{\"userId\":\"\xff\"}"), 400, "invalid_json", "UTF-8 (at byte 11)"},
		{"NaN", e.post("/event", "{value:NaN}"), 400, "invalid_json", "(at byte 7)"},
		{"Infinity", e.post("/event", "{value:-Infinity}"), 400, "invalid_json", ""},
		{"hexadecimal", e.post("/event", "{value:0x10}"), 400, "invalid_json", "hexadecimal"},
		{"two bodies", e.post("/event", good+good), 400, "invalid_json", "after the end"},
		{"deep", e.post("/event", "{a:"+strings.Repeat("[", 100_000)), 400, "invalid_json", "deeper"},
		{"a wrapper", e.post("/event", `{"data":`+good+"}"), 400, "invalid_event", `the field \"data\"`},
		{"invalid UTF-8 in a comment", e.post("/event", "{/* \xff */a:1}"), 400, "invalid_json", "UTF-8 (at byte 4)"},
		{"validateOnly of neither", e.post("/event?validateOnly=maybe", good), 400, "unknown_parameter", "validateOnly"},
		{"validateOnly without a value", e.post("/event?validateOnly", good), 400, "unknown_parameter", "validateOnly"},
		{"validateOnly misspelt", e.post("/event?validateonly=true", good), 400, "unknown_parameter", "did you mean validateOnly?"},
		{"validateOnly in the way of Python", e.post("/customer/123456789/event?validate_only=true", good), 400, "unknown_parameter", "did you mean validateOnly?"},
		{"a dry run of another name", e.post("/events?dryRun=true", good), 400, "unknown_parameter", "did you mean validateOnly?"},
		{"another parameter", e.post("/events?source=crm", good), 400, "unknown_parameter", "source"},
		{"a parameter and a fault", e.post("/event?x=1", event("userId", "")), 400, "unknown_parameter", `"field":"userId","code":"missing"`},
		{"a parameter of another account", e.post("/event?x=1", event("customerId", `"other"`)), 403, "wrong_account", ""},
		{"unknown encoding", e.post("/event", good, "Content-Encoding", "br"), 415, "unsupported_encoding", ""},
		{"gzip bomb", e.post("/event", gzipped(strings.Repeat(" ", 50<<20)), "Content-Encoding", "gzip"), 413, "too_large", ""},
		{"no gzip", e.post("/event", good, "Content-Encoding", "gzip"), 400, "invalid_json", "gzip"},
		{"not a path", e.post("/nowhere", good), 404, "not_found", ""},
		{"not a method", e.request(http.MethodDelete, "/event", good), 405, "method_not_allowed", ""},
		{"collect: unknown account", e.post("/collect", `{"customerId":"x","visitorId":"v","sentAt":1,"events":[]}`), 404, "unknown_account", ""},
		{"collect: wrong origin", e.post("/collect", `{"customerId":"strict","visitorId":"v","sentAt":1,"events":[]}`, "Origin", "https://evil.example"), 403, "wrong_origin", ""},
		{"collect: not readable", e.post("/collect", `{"customerId":`), 400, "invalid_json", ""},
		{"collect: no envelope", e.post("/collect", `{"events":5}`), 400, "invalid_event", `"sentAt","code":"missing"`},
		{"collect: too large", e.post("/collect", strings.Repeat(" ", maxCollectBytes+1)), 413, "too_large", ""},
	} {
		if c.got.status != c.status || c.got.code != c.code || !strings.Contains(c.got.body, c.message) {
			t.Errorf("%s: %d %s", c.name, c.got.status, c.got.body)
		}
	}
	if len(e.records) > 0 {
		t.Errorf("%d refused events were stored", len(e.records))
	}
	for _, answer := range strings.Fields("postEvent_400 postEvent_401 postEvent_403 postEvent_413 postEvent_415 postCustomerEvent_403 postCollect_400 postCollect_403 postCollect_404 postCollect_413") {
		if !e.contract.Answers[strings.ReplaceAll(answer, "_", " ")] {
			t.Errorf("no request showed %s", answer)
		}
	}
	e.cfg.Catalog = fixedCatalog{snap: e.cfg.Catalog.Snapshot(), fail: errors.New("down")}
	if got := e.post("/event", good, "Authorization", "ApiKey tb_0000000000_x"); got.status != 503 || got.code != "unavailable" {
		t.Errorf("an unknown token while the catalog can't be read: %d %s", got.status, got.body)
	}
	e.fail = errors.New("disk full")
	for _, got := range []answer{
		e.post("/event", good),
		e.post("/collect", `{"customerId":"123456789","visitorId":"v","sentAt":1,"events":[{"type":"activity","occurredAt":1}]}`),
	} {
		if got.status != 503 || got.code != "not_durable" || got.header.Get("Retry-After") == "" {
			t.Errorf("not durable: %d %s", got.status, got.body)
		}
	}
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestAcceptedForms(t *testing.T) {
	e := newEdge(t, seedTime)
	for name, got := range map[string]answer{
		"scheme in lower case": e.post("/event", event(), "Authorization", "apikey "+e.token),
		"gzip":                 e.post("/event", gzipped(event()), "Content-Encoding", "gzip"),
		"any content type":     e.post("/event", event(), "Content-Type", "text/plain"),
		"escaped path":         e.post("/customer/%3123456789/event", event("customerId", "")),
		"account in both":      e.post("/customer/123456789/event", event()),
		"JSON5":                e.post("/event", "{/* c */ customerId:'123456789', apiName:\"bought\", userDomain:'crm', userId:'u\\x31', actionId:'a1', actionTimestamp:+1578316150000, value:.5, // end\n}"),
	} {
		if got.status != 200 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	conversions, _ := e.stored()
	if len(conversions) != 6 {
		t.Fatalf("%d events stored", len(conversions))
	}
	for _, path := range []string{"/event", "/events", "/customer/123456789/event"} {
		if got := e.post(path+"?validateOnly=true", event()); got.status != 200 || len(e.records) != 0 || !strings.HasSuffix(got.body, `,"stored":false}`) {
			t.Errorf("%s, validateOnly: %d %s, %d stored", path, got.status, got.body, len(e.records))
		}
	}
	if got := e.post("/event?validateOnly=false", event()); got.status != 200 || len(e.records) != 1 || strings.Contains(got.body, "stored") {
		t.Errorf("validateOnly=false: %d %s, %d stored", got.status, got.body, len(e.records))
	}
}

func TestCollectKeepsAttributes(t *testing.T) {
	e := newEdge(t, seedTime)
	now := seedTime.UnixMilli()
	many := ""
	for i := range 12 {
		many += fmt.Sprintf(`,"z%02d":"x"`, i)
	}
	for _, attributes := range []string{
		`{"plan":"pro","device":"mobile","Upper":"x","number":5,"empty":"","long":"` + strings.Repeat("x", 65) + `","nothing":null}`,
		`{"a":"1"` + many + `}`, `"text"`, `null`,
	} {
		got := e.post("/collect", fmt.Sprintf(`{"customerId":"123456789","visitorId":"v1","sentAt":%d,"attributes":%s,"events":[
			{"type":"view","optimizationId":"o","variationId":"b","occurredAt":%d},{"type":"activity","occurredAt":%d}]}`, now, attributes, now, now))
		if got.status != 204 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	_, events := e.stored()
	var kept []string
	for _, v := range events {
		kept = append(kept, v.Type+" "+string(v.Attributes))
	}
	want := `view {"device":"mobile","plan":"pro"}, activity , ` +
		`view {"a":"1","z00":"x","z01":"x","z02":"x","z03":"x","z04":"x","z05":"x","z06":"x","z07":"x","z08":"x"}, activity , view , activity , view , activity `
	if got := strings.Join(kept, ", "); got != want {
		t.Errorf("stored\n%s\nexpected\n%s", got, want)
	}
	if dropped := e.request(http.MethodGet, "/metrics", "").body; !strings.Contains(dropped, `reason="bad_attribute"} 7`) {
		t.Errorf("dropped: %s", dropped)
	}
}

func TestCollectCorrectsTheClockAndKeepsTheGood(t *testing.T) {
	e := newEdge(t, seedTime)
	received := seedTime.UnixMilli()
	sent := received + 3_600_000 // the browser's clock is an hour ahead
	week := int64(7 * 24 * 3600 * 1000)
	got := e.post("/collect", fmt.Sprintf(`{"customerId":"123456789","visitorId":"v1","sentAt":%d,"events":[
		{"type":"view","optimizationId":"o","variationId":"b","occurredAt":%d,"id":"one"},
		{"type":"identify","userDomain":"crm","userId":"u1","occurredAt":%d},
		{"type":"activity","occurredAt":%d},
		{"type":"activity","occurredAt":%d},
		{"type":"view","optimizationId":"o","occurredAt":%d},
		{"type":"view","optimizationId":"o","variationId":"","occurredAt":%d},
		{"type":"click","occurredAt":%d},
		{"type":"activity"},
		{"type":"activity","occurredAt":%d,"id":"%s"},
		"nonsense"]}`, sent, sent-1000, sent+5000, sent-week, sent-week-1, sent, sent, sent, sent, strings.Repeat("x", 65)), "Content-Type", "text/plain")
	if got.status != 204 || got.body != "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	_, events := e.stored()
	var told []string
	for _, v := range events {
		told = append(told, fmt.Sprintf("%s %d %d", v.Type, v.OccurredAtMS-received, v.ReceivedAtMS-received))
	}
	want := fmt.Sprintf("view -1000 0, identify 0 0, activity %d 0", -week)
	if strings.Join(told, ", ") != want {
		t.Errorf("stored %s, expected %s", strings.Join(told, ", "), want)
	}
	body := fmt.Sprintf(`{"customerId":"123456789","visitorId":"v1","sentAt":%d,"events":[{"type":"view","optimizationId":"o","variationId":"b","occurredAt":%d,"id":"one"}]}`, sent+9, sent)
	e.post("/collect", body)
	if _, again := e.stored(); len(again) != 0 {
		t.Errorf("a retry of the browser was stored again: %+v", again)
	}
	e.now = e.now.Add(storedFor + time.Millisecond)
	e.post("/collect", body) // begins another generation
	e.now = e.now.Add(storedFor + time.Millisecond)
	e.post("/collect", body)
	if _, again := e.stored(); len(again) != 1 || again[0].IngestID != events[0].IngestID {
		t.Errorf("a retry of the browser long after got another ingest_id: %+v", again)
	}
	if got := e.post("/collect", `{"customerId":"123456789","visitorId":"v","sentAt":1,"events":[`+strings.Repeat(`{"type":"activity","occurredAt":1},`, 500)+`{"type":"activity","occurredAt":1}]}`); got.status != 413 {
		t.Errorf("501 events: %d %s", got.status, got.body)
	}
}

func TestCollectOrigins(t *testing.T) {
	e := newEdge(t, seedTime)
	body := `{"customerId":"strict","visitorId":"v","sentAt":1,"events":[{"type":"activity","occurredAt":1}]}`
	got := e.post("/collect", body, "Origin", "https://www.example.com")
	if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "https://www.example.com" {
		t.Errorf("a listed origin: %d %v", got.status, got.header)
	}
	if got := e.request(http.MethodOptions, "/collect", "", "Origin", "https://www.example.com"); got.status != 204 || got.header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("preflight: %d %v", got.status, got.header)
	}
	if got := e.post("/collect", body); got.status != 204 {
		t.Errorf("without Origin: %d", got.status)
	}
}

func TestRecordsSurviveTheSpool(t *testing.T) {
	e := newEdge(t, seedTime)
	e.post("/event", event("value", "0.1"))
	e.post("/event", event("userId", `"\u0000ü"`))
	conversions, _ := e.stored()
	if !conversions[0].Value.Valid || conversions[0].Value.Decimal.String() != "0.1" || conversions[1].Value.Valid || conversions[1].UserID != "\x00ü" {
		t.Errorf("%+v", conversions)
	}
	for _, cut := range []int{0, 1, 10, 30, 60} {
		record := EncodeConversion(nil, &conversions[0])
		if err := new(rows).add(string(record[:min(cut, len(record)-1)])); err == nil {
			t.Errorf("a record cut at %d is read", cut)
		}
	}
}

func TestGetConversion(t *testing.T) {
	e := newEdge(t, seedTime)
	if got := e.request(http.MethodGet, "/conversions/bought/1", ""); got.status != 404 {
		t.Errorf("without an explainer: %d %s", got.status, got.body)
	}
	var asked string
	e.cfg.Explain = func(_ context.Context, customerID, apiName, actionID string) (any, bool, error) {
		asked = customerID + " " + apiName + " " + actionID
		switch actionID {
		case "none":
			return nil, false, nil
		case "down":
			return nil, false, errors.New("down")
		}
		return map[string]any{"customerId": customerID, "apiName": apiName, "actionId": actionID, "copies": []any{map[string]any{
			"ingestId": "x", "userDomain": "d", "userId": "u", "actionTimestamp": 1, "receivedAt": 1, "outcome": "pending", "reason": "", "hints": []string{}, "facts": map[string]any{}, "attributions": []any{},
		}}, "history": []any{map[string]any{"kind": "received", "ingestId": "x", "receivedAt": 1, "change": "counts", "pending": true}}}, true, nil
	}
	if got := e.request(http.MethodGet, "/conversions/a%2Fb/x%20y", ""); got.status != 200 || asked != "123456789 a/b x y" {
		t.Errorf("asked for %q: %d %s", asked, got.status, got.body)
	}
	for action, status := range map[string]int{"none": 404, "down": 503} {
		if got := e.request(http.MethodGet, "/conversions/bought/"+action, ""); got.status != status {
			t.Errorf("%s: %d %s", action, got.status, got.body)
		}
	}
	if got := e.request(http.MethodGet, "/conversions/bought/1", "", "Authorization", ""); got.status != 401 {
		t.Errorf("without a token: %d", got.status)
	}
}

func TestGetResults(t *testing.T) {
	e := newEdge(t, seedTime)
	if got := e.request(http.MethodGet, "/results/hero", ""); got.status != 404 {
		t.Errorf("without results: %d %s", got.status, got.body)
	}
	var asked string
	e.cfg.Results = func(_ context.Context, customerID, optimizationID string, q ResultsAsked) (any, error) {
		asked = fmt.Sprint(customerID, " ", optimizationID, " ", q)
		err := map[string]error{"none": refuse.NotFoundf("none"), "range": refuse.Invalidf("odd"), "down": errors.New("secret")}[optimizationID]
		return json.RawMessage(`{"customer_id":"c","optimization_id":"o","name":"","from":"","to":"","as_of":"","entered":0,"entered_this_week":0,"visitors_of_several_variations":0,"sample_ratio":null,"variations":[],"goals":[],"notes":[]}`), err
	}
	if got := e.request(http.MethodGet, "/results/a%2Fb?from=2026-09-21&to=2026-09-22&cap=0.99&segment=device%3Dmobile&by=plan&knownAt=now", ""); got.status != 200 || asked != "123456789 a/b {2026-09-21 2026-09-22 0.99 device=mobile plan now}" {
		t.Errorf("asked for %q: %d %s", asked, got.status, got.body)
	}
	for optimization, status := range map[string]int{"none": 404, "range": 400, "down": 503} {
		if got := e.request(http.MethodGet, "/results/"+optimization, ""); got.status != status || strings.Contains(got.body, "secret") {
			t.Errorf("%s: %d %s", optimization, got.status, got.body)
		}
	}
	if got := e.request(http.MethodGet, "/results/hero", "", "Authorization", ""); got.status != 401 {
		t.Errorf("without a token: %d", got.status)
	}
}

func TestGetSnippet(t *testing.T) {
	e := newEdge(t, seedTime)
	plain := e.request(http.MethodGet, "/snippet.js?customerId=123456789", "", "Authorization", "")
	if plain.status != 200 || !strings.Contains(plain.body, `"123456789"`) || !strings.HasPrefix(plain.header.Get("Content-Type"), "text/javascript") || plain.header.Get("Cache-Control") != "public, max-age=300" || plain.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v %.80s", plain.status, plain.header, plain.body)
	}
	kept := e.request(http.MethodGet, "/snippet.js?customerId=123456789&v="+snippet.Version, "", "Accept-Encoding", "gzip")
	if kept.status != 200 || kept.header.Get("Content-Encoding") != "gzip" || !strings.Contains(kept.header.Get("Cache-Control"), "immutable") {
		t.Errorf("with its version: %d %v", kept.status, kept.header)
	}
	if again := e.request(http.MethodGet, "/snippet.js?customerId=123456789", "", "If-None-Match", plain.header.Get("ETag")); again.status != 304 || again.body != "" {
		t.Errorf("again: %d %q", again.status, again.body)
	}
	if old := e.request(http.MethodGet, "/snippet.js?customerId=123456789&v=old", ""); strings.Contains(old.header.Get("Cache-Control"), "immutable") {
		t.Error("another version may be kept for good")
	}
	for query, status := range map[string]int{"": 400, "?customerId=nobody": 404} {
		if got := e.request(http.MethodGet, "/snippet.js"+query, ""); got.status != status {
			t.Errorf("%q: %d %s", query, got.status, got.body)
		}
	}
}

func TestHealth(t *testing.T) {
	e := newEdge(t, seedTime)
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ready", "/metrics": "tieback_events_accepted_total"} {
		e.post("/event", event())
		if got := e.request(http.MethodGet, path, ""); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	e.cfg.Ready = func() error { return errors.New("ClickHouse does not answer") }
	if got := e.request(http.MethodGet, "/readyz", ""); got.status != 503 || !strings.Contains(got.body, "does not answer") {
		t.Errorf("not ready: %d %s", got.status, got.body)
	}
}

func TestBatches(t *testing.T) {
	e := newEdge(t, seedTime)
	good, bad, foreign := event(), event("userId", ""), event("customerId", `"other"`)
	twice := strings.Replace(good, "{", `{"userId":"x",`, 1)
	want := `{"accepted":2,"rejected":3,"results":[{"index":0,"status":"accepted"},{"index":1,"status":"rejected","error":{"code":"invalid_event"`
	for name, body := range map[string]string{
		"array":             "[" + strings.Join([]string{good, bad, foreign, twice, good}, ",") + "]",
		"lines":             strings.Join([]string{good, "", bad, foreign + "\r", twice, good, ""}, "\n"),
		"unquoted":          "[" + strings.ReplaceAll(strings.Join([]string{good, bad, foreign, `"x"`, good}, ","), `"userId"`, "userId") + "]",
		"a nonsense line":   strings.Join([]string{good, bad, foreign, "nonsense", good}, "\n"),
		"NaN":               "[" + strings.Join([]string{good, bad, foreign, event("value", "NaN"), good}, ",") + "]",
		"a key twice":       "[" + strings.Join([]string{good, bad, foreign, "{a: ']', a: 2}", good}, ",") + "/* ] */]",
		"no element":        "[" + strings.Join([]string{good, bad, foreign, " ", good}, ",") + ", // ,\n]",
		"a slash":           "[" + strings.Join([]string{good, bad, foreign, "1 / 2", good}, ",") + "]\n",
		"a byte order mark": "\uFEFF[" + strings.Join([]string{good, bad, foreign, twice, good}, ",") + "]",
	} {
		got := e.post("/events", body)
		if got.status != 200 || !strings.HasPrefix(got.body, want) || !strings.Contains(got.body, `"index":2,"status":"rejected","error":{"code":"wrong_account"`) ||
			!strings.Contains(got.body, `"index":3,"status":"rejected","error":{"code":"invalid_json"`) || !strings.HasSuffix(got.body, `{"index":4,"status":"accepted"}]}`) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if conversions, _ := e.stored(); len(conversions) != 2 || conversions[0].IngestID.String() >= conversions[1].IngestID.String() {
			t.Errorf("%s: stored %v", name, conversions)
		}
	}
	for name, c := range map[string]struct {
		got    answer
		status int
		says   string
	}{
		"empty":             {e.post("/events", ""), 200, `{"accepted":0,"rejected":0,"results":[]}`},
		"empty array":       {e.post("/events", "[]"), 200, `{"accepted":0,"rejected":0,"results":[]}`},
		"cut off":           {e.post("/events", "["+good), 400, "invalid_json"},
		"cut off in a text": {e.post("/events", "[{a:'x]"), 400, "invalid_json"},
		"another bracket":   {e.post("/events", "["+good+"}"), 400, "invalid_json"},
		"something behind":  {e.post("/events", "[NaN] []"), 400, "invalid_json"},
		"1,001":             {e.post("/events", strings.Repeat("{}\n", 1001)), 413, "too_many_events"},
		"gzip":              {e.post("/events", gzipped(strings.Repeat(good+"\n", 1000)), "Content-Encoding", "gzip"), 200, `"accepted":1000`},
		"a bomb":            {e.post("/events", gzipped(strings.Repeat(" ", maxInflatedBytes+1)), "Content-Encoding", "gzip"), 413, "too_large"},
		"no token":          {e.post("/events", good, "Authorization", ""), 401, "invalid_token"},
		"only to validate":  {e.post("/events?validateOnly=true", good), 200, `"accepted":1`},
		"all of them wrong": {e.post("/events", bad), 200, `"accepted":0,"rejected":1`},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.says) {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
	if conversions, _ := e.stored(); len(conversions) != 1000 {
		t.Errorf("%d stored, expected those of the gzip", len(conversions))
	}
}

func TestRateLimits(t *testing.T) {
	e := newEdge(t, seedTime)
	e.byToken, e.byAddress = newLimiter(2), newLimiter(5)
	statuses := func(n int, body string) (list []int) {
		for range n {
			list = append(list, e.post("/event", body).status)
		}
		return list
	}
	if got := fmt.Sprint(statuses(6, event())); got != "[200 200 200 200 429 429]" {
		t.Errorf("per token: %s", got)
	}
	got := e.post("/event", "{", "Authorization", "ApiKey x")
	if got.status != 401 {
		t.Errorf("another token is limited too: %d", got.status)
	}
	e.byAddress = newLimiter(5)
	for _, header := range []string{"APIKEY " + e.token, "apikey   " + e.token, " ApiKey " + e.token + " "} {
		if got := e.post("/event", event(), "Authorization", header); got.status != 429 {
			t.Errorf("the same token as %q: %d", header, got.status)
		}
	}
	e.byAddress = newLimiter(2)
	for range 5 {
		got = e.post("/collect", "{")
	}
	if got.status != 429 || got.code != "too_many_requests" || got.header.Get("Retry-After") != "1" {
		t.Errorf("per address: %d %s", got.status, got.body)
	}
	e.now = e.now.Add(time.Second)
	if got := fmt.Sprint(statuses(3, event())); got != "[200 200 429]" {
		t.Errorf("a second later: %s", got)
	}
}

// What is strict JSON is read as the standard decoder reads it, and what is rewritten is JSON.
func FuzzJSON(f *testing.F) {
	for _, body := range []string{
		"{a:1}", `{'a':"\u00e9",b:[1,.5,],/*c*/}`, "{a:0x1}", "{a:+1e5,b:null}", "[", "{\"\\ud83d\\ude00\":1}", "{/*/}", "{//\n}", "{}/", "{a:{a:1,a:2}}",
		`{"customerId":"c","apiName":"a","userDomain":"d","userId":"u","actionId":"1","actionTimestamp":1578316150000,"value":149.99}`,
		` { "value" : 0 } `, `{"value":00}`, `{"value":1.}`, `{"value":1e5}`, `{"value":1,"value":2}`, `{"userId":"é"}`, "{\"userId\":\"\xff\"}",
		`{"userId":"a\u0062"}`, `{"userId":"a",}`, `{}`, `{"userId":null}`, `{"other":1}`, `{"value":1}2`, `{"value":1`, "{\"userId\":\"\x00\"}", `{"value":1E5}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var strict struct {
			UserID jsontext.Value `json:"userId"`
			Value  jsontext.Value `json:"value"`
		}
		isStrict := jsonv2.Unmarshal(body, &strict) == nil && jsontext.Value(body).Kind() == '{'
		got, err := decodeBody(body, false)
		if err != nil {
			if isStrict && !strings.Contains(err.Message, "deeper") {
				t.Errorf("%q is strict JSON and was refused: %s", body, err.Message)
			}
			return
		}
		for _, pair := range []struct {
			read   jsonText
			strict jsontext.Value
		}{{got.userID, strict.UserID}, {got.value, strict.Value}} {
			if pair.read != "" && !json.Valid([]byte(pair.read)) {
				t.Errorf("%q: %q was read, which is no JSON", body, pair.read)
			}
			if isStrict && !sameJSON(pair.read, pair.strict) {
				t.Errorf("%q: %q was read, expected %q", body, pair.read, pair.strict)
			}
		}
	})
}

func sameJSON(a jsonText, b jsontext.Value) bool {
	if a == "" || len(b) == 0 {
		return a == "" && len(b) == 0
	}
	left := jsontext.Value(a)
	right := b.Clone()
	return left.Compact() == nil && right.Compact() == nil && (string(left) == string(right) || unquoted(left) == unquoted(right))
}

func unquoted(v jsontext.Value) string {
	var any any
	if err := json.Unmarshal(v, &any); err != nil {
		return "unreadable " + string(v)
	}
	return fmt.Sprintf("%#v", any)
}

// TestAnswersQuoteAsTheEncoderDoes, where a text is copied as it is and where not.
func TestAnswersQuoteAsTheEncoderDoes(t *testing.T) {
	for _, text := range []string{"", "plain", `"`, `a\b`, "\x00\x1f\x7f", "é €😀", "\u2028<&>", "tab\t"} {
		want, err := jsontext.AppendQuote([]byte("x"), text)
		if got := appendQuoted([]byte("x"), text); err != nil || string(got) != string(want) {
			t.Errorf("%q becomes %s, expected %s (%v)", text, got, want, err)
		}
	}
}
