package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest/contracttest"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

func TestMain(m *testing.M) { warehousetest.Main(m) }

const testToken = "an-admin-token-for-tests"

// house is an Admin on a real ClickHouse, whose answers are held against the contract.
type house struct {
	t        *testing.T
	db       *warehouse.DB
	admin    *Admin
	app      *fiber.App
	contract *contracttest.Contract
	now      time.Time
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, db: warehousetest.Open(t), now: time.Date(2026, 9, 24, 12, 0, 0, 0, time.UTC), contract: contracttest.Load(t)}
	now := func() time.Time { return h.now }
	store := catalog.NewStore(h.db, now)
	live, err := catalog.NewLive(t.Context(), store, "")
	if err != nil {
		t.Fatal(err)
	}
	h.admin, err = New(Config{
		Token: testToken, DB: h.db, Store: store, Live: live, Now: now, Log: slog.New(slog.DiscardHandler),
		Drained: func(context.Context) error { return nil }, Forget: func(jobs.Traces) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.admin.Close)
	h.app = fiber.New(fiber.Config{DisableStartupMessage: true, ReadBufferSize: 16 << 10, BodyLimit: 64 << 20})
	h.admin.Mount(h.app)
	return h
}

func (h *house) do(req *http.Request) *http.Response {
	h.t.Helper()
	req.Host = "localhost:8080"
	res, err := h.app.Test(req, -1)
	if err != nil {
		h.t.Fatal(err)
	}
	h.contract.Hold(h.t, req, res)
	return res
}

// call makes an API call and returns what came, which must have the status.
func (h *house) call(want int, method, path, body string) string {
	h.t.Helper()
	req := httptest.NewRequest(method, "/admin/api"+path, strings.NewReader(body))
	req.Header.Set("Authorization", "bearer "+testToken)
	res := h.do(req)
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		h.t.Errorf("%s %s %s: %d %s %v, expected %d", method, path, body, res.StatusCode, text, err, want)
	}
	return string(text)
}

// page makes a request as a signed-in browser does on the page.
func (h *house) page(method, path string, form url.Values, header ...string) (int, string) {
	h.t.Helper()
	req := httptest.NewRequest(method, "/admin"+path, strings.NewReader(form.Encode()))
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.AddCookie(&http.Cookie{Name: cookieName, Value: h.admin.sessions.cookie(h.now)})
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res := h.do(req)
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// insert puts a conversion and what led to it there, as they were an hour ago.
func (h *house) insert(actionID, visitorID string) {
	h.t.Helper()
	at := h.now.Add(-time.Hour)
	params := warehouse.Params{"action": actionID, "visitor": visitorID, "at": warehouse.Time(at)}
	for _, statement := range []string{
		`insert into client_events (customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at, ingest_id)
			select 'c1', {visitor:String}, type, if(type = 'view', 'hero', ''), if(type = 'view', 'b', ''), if(type = 'view', '', 'crm'), if(type = 'view', '', {visitor:String}),
				{at:DateTime64(3, 'UTC')}, {at:DateTime64(3, 'UTC')}, generateUUIDv7(type)
			from (select arrayJoin(['view', 'identify']) as type)`,
		`insert into conversions (customer_id, api_name, user_domain, user_id, action_id, action_at, value, received_at, ingest_id)
			select 'c1', 'bought', 'crm', {visitor:String}, {action:String}, {at:DateTime64(3, 'UTC')} + interval 1 minute, 10, {at:DateTime64(3, 'UTC')} + interval 1 minute, generateUUIDv7()`,
	} {
		if err := h.db.Exec(h.t.Context(), statement, params); err != nil {
			h.t.Fatal(err)
		}
	}
}

// runs waits for the end of the run that was started.
func (h *house) runs() {
	h.t.Helper()
	h.admin.runs.work.Wait()
	var state runState
	if err := json.Unmarshal([]byte(h.call(200, "GET", "/runs/current", "")), &state); err != nil || state.State != "done" || state.Share != 1 {
		h.t.Fatalf("%+v %v", state, err)
	}
}

// configure makes what the seed's site admin makes.
func (h *house) configure() {
	h.call(200, "PUT", "/accounts/c1", `{"origins":["https://www.example.com"]}`)
	h.call(201, "POST", "/accounts/c1/tokens", `{"name":"crm"}`)
	h.call(201, "POST", "/accounts/c1/events", `{"apiName":"bought","eventId":"e1","from":"2026-09-01T00:00:00Z"}`)
	h.call(200, "PUT", "/accounts/c1/optimizations/hero", `{"name":"Hero","variations":[{"id":"a"},{"id":"b","weight":2}]}`)
	h.call(200, "PUT", "/accounts/c1/optimizations/hero/goals/e1", `{"primary":true}`)
}

func TestContractIsComplete(t *testing.T) {
	h := newHouse(t)
	h.contract.Covers(t, h.app, func(path string) bool { return strings.HasPrefix(path, "/admin/api/") && path != "/admin/api/" })
}

// TestAPI makes every call, good and bad, from an empty catalog to the result.
func TestAPI(t *testing.T) {
	h := newHouse(t)
	if got := h.call(200, "GET", "/accounts", ""); got != "[]" {
		t.Error(got)
	}
	h.call(204, "GET", "/runs/current", "")
	h.configure()
	for _, bad := range []struct {
		want               int
		method, path, body string
	}{
		{404, "GET", "/accounts/c2/tokens", ""}, {404, "POST", "/accounts/c2/tokens", `{"name":"x"}`}, {404, "GET", "/nothing", ""},
		{400, "PUT", "/accounts/c1", `{"origin":[]}`}, {400, "PUT", "/accounts/c1", `{"origins":["www.example.com"]}`}, {400, "PUT", "/accounts/c1", ``},
		{409, "POST", "/accounts/c1/tokens", `{"name":"crm"}`}, {400, "POST", "/accounts/c1/tokens", `{"name":""}`}, {404, "DELETE", "/accounts/c1/tokens/x", ""},
		{409, "POST", "/accounts/c1/events", `{"apiName":"bought"}`}, {400, "POST", "/accounts/c1/events", `{"apiName":"x","from":"yesterday"}`},
		{404, "POST", "/accounts/c1/events/e9/rule", `{"window":"30d"}`}, {400, "POST", "/accounts/c1/events/e1/rule", `{"window":"91d"}`},
		{400, "POST", "/accounts/c1/events/e1/rule", `{"window":"30d","credit":"both"}`}, {400, "POST", "/accounts/c1/events/e1/rule", `{}`},
		{400, "POST", "/accounts/c1/events/e1/rule", `{"window":"30d","from":"2100-01-01T00:00:00Z"}`},
		{404, "POST", "/accounts/c1/events/e9/rename", `{"apiName":"x"}`}, {409, "POST", "/accounts/c1/events/e1/rename", `{"apiName":"bought"}`},
		{400, "PUT", "/accounts/c1/optimizations/o", `{"name":"O","variations":[]}`},
		{400, "PUT", "/accounts/c1/optimizations/o", `{"name":"O","variations":[{"id":"a","weight":-1}]}`},
		{400, "PUT", "/accounts/c1/optimizations/o", `{"name":"O","variations":[{"id":"a","baseline":true},{"id":"b","baseline":true}]}`},
		{404, "PUT", "/accounts/c1/optimizations/hero/goals/e9", `{"primary":true}`}, {400, "PUT", "/accounts/c1/optimizations/hero/goals/e1", `{}`}, {400, "PUT", "/accounts/c1", `{}`}, {400, "PUT", "/accounts/..", `{"origins":[]}`}, {400, "PUT", "/accounts/%ff", `{"origins":[]}`}, {409, "POST", "/runs", `{"from":"2026-09-01","to":"2026-09-02"}`}, {404, "DELETE", "/accounts/c1/optimizations/hero/goals/e9", ""},
		{404, "GET", "/accounts/c1/optimizations/o/results", ""}, {400, "GET", "/accounts/c1/optimizations/hero/results?from=2026-09-01", ""},
		{400, "GET", "/accounts/c1/conversions?outcome=lost", ""}, {400, "GET", "/accounts/c1/conversions?limit=-1", ""},
		{404, "GET", "/accounts/c1/conversions/bought/none", ""}, {404, "GET", "/runs/none", ""},
		{400, "POST", "/runs", `{"from":"2026-09-02"}`}, {400, "POST", "/runs", `{"from":"2026-09-02","to":"2026-09-01"}`}, {400, "POST", "/runs", `{"cutoff":"2027-01-01T00:00:00Z"}`},
	} {
		h.call(bad.want, bad.method, bad.path, bad.body)
	}
	for body, says := range map[string]string{
		`{"apiname":"x"}`: `there is no field \"apiname\"`, `{"apiName":5}`: `\"apiName\" is of the wrong JSON type: number`,
		`[]`: "the body must be an object", `{"apiName":`: "not readable as JSON",
	} {
		if got := h.call(400, "POST", "/accounts/c1/events", body); !strings.Contains(got, says) || strings.Contains(got, "Go ") {
			t.Errorf("%s: no %q in %s", body, says, got)
		}
	}
	// Ids that are anything but easy in a path, a query, or a list.
	const hard = `v'"\/?#%&é`
	h.insert(hard, hard)
	h.insert("1", "v1")
	h.call(202, "POST", "/runs", `{"cutoff":"now"}`)
	h.runs()
	for path, want := range map[string]string{
		"/accounts/c1": `"origins":["https://www.example.com"]`, "/accounts/c1/tokens": `"name":"crm"`,
		"/accounts/c1/events": `{"apiName":"bought","from":1788220800000,"to":null}`, "/accounts/c1/optimizations": `"goals":[{"eventId":"e1","primary":true,"mde":10}]`,
		"/accounts/c1/changes":                                    `"source":"admin API from 0.0.0.0","change":"event e1 is the primary goal of optimization hero, a lift of 10 % is worth finding"`,
		"/accounts/c1/activity":                                   `"views":2,"identifies":2`,
		"/accounts/c1/optimizations/hero/results":                 `"as_of":"2026-09-24T12:00:00Z"`,
		"/accounts/c1/optimizations/hero/trend?eventId=e1":        `{"day":"2026-09-24","variation_id":"b","visitors":2,"conversions":2,"converters":2}`,
		"/accounts/c1/flags":                                      `{"crowdedUsers":[],"droppedEvents":[],"undefinedNames":[],"waitingAdjustments":[]}`,
		"/accounts/c1/outcomes":                                   `"days":[{"day":"2026-09-24","received":2,"outcomes":{"attributed":2}}]`,
		"/accounts/c1/conversions?outcome=attributed":             `"actionId":"1"`,
		"/accounts/c1/conversions/bought/" + url.PathEscape(hard): `"journey":{"visitors":[{"visitorId":"v'\"\\/?#%`,
		"/runs": `"state":"done"`,
	} {
		if got := h.call(200, "GET", path, ""); !strings.Contains(got, want) {
			t.Errorf("%s lacks %s: %s", path, want, got)
		}
	}
	journey := h.call(200, "GET", "/accounts/c1/conversions/bought/"+url.PathEscape(hard), "")
	if !strings.Contains(journey, `"sessions":[{"startedAt"`) || !strings.Contains(journey, `"type":"view"`) {
		t.Error("the journey lacks its session or view:", journey)
	}

	// A day computed again at the same cutoff; then what it changed, with a late conversion.
	h.call(202, "POST", "/runs", `{"from":"2026-09-24","to":"2026-09-24"}`)
	h.runs()
	h.now = h.now.Add(time.Hour)
	h.insert("2", "v1")
	h.call(202, "POST", "/runs", `{"cutoff":"now"}`)
	h.runs()
	var runs []runAnswer
	if err := json.Unmarshal([]byte(h.call(200, "GET", "/runs", "")), &runs); err != nil || len(runs) != 3 || runs[1].FromDay != "2026-09-24" {
		t.Fatal(runs, err)
	}
	if got := h.call(200, "GET", "/runs/"+runs[0].RunID, ""); !strings.Contains(got, `"conversionsBefore":2,"conversionsAfter":3`) {
		t.Error(got)
	}

	h.call(200, "POST", "/accounts/c1/events/e1/rename", `{"apiName":"sold"}`)
	if answer := h.call(200, "POST", "/accounts/c1/events/e1/rule", `{"window":"30d","credit":"first"}`); !strings.Contains(answer, `"rules":[{"window":"30d","credit":"first","from":`) {
		t.Errorf("a rule: %s", answer)
	}
	h.call(200, "POST", "/accounts/c1/events/e1/archive", "")
	h.call(200, "DELETE", "/accounts/c1/optimizations/hero/goals/e1", "")
	h.call(204, "DELETE", "/accounts/c1/tokens/crm", "")
	h.call(200, "PUT", "/accounts/c1", `{"origins":[]}`)
	if got := h.call(200, "GET", "/accounts/c1", ""); !strings.Contains(got, `"origins":[]`) {
		t.Error("the origins can't be cleared:", got)
	}
}

// TestDoors tries to get in without the token, with an old cookie, and from other sites.
func TestDoors(t *testing.T) {
	h := newHouse(t)
	h.configure()
	form := url.Values{"name": {"stolen"}}
	for name, header := range map[string][]string{
		"no cookie": {"Cookie", ""}, "a made-up cookie": {"Cookie", cookieName + "=99999999999.x.y"},
		"an expired cookie":       {"Cookie", cookieName + "=" + h.admin.sessions.cookie(h.now.Add(-sessionTime))},
		"another token's cookie":  {"Cookie", cookieName + "=" + newSessions("another-admin-token").cookie(h.now)},
		"another site":            {"Sec-Fetch-Site", "cross-site"},
		"a sister site":           {"Sec-Fetch-Site", "same-site"},
		"a forged origin":         {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"no word of where from":   {"Sec-Fetch-Site", ""},
		"an origin that is null":  {"Sec-Fetch-Site", "", "Origin", "null"},
		"the wrong token beside":  {"Authorization", "Bearer wrong"},
		"an account's token":      {"Authorization", "ApiKey " + testToken, "Cookie", ""},
		"nothing after the token": {"Authorization", "Bearer"},
	} {
		if status, _ := h.page("POST", "/accounts/c1/tokens", form, header...); status != 401 && status != 403 {
			t.Errorf("%s: a token can be made, status %d", name, status)
		}
		if status, text := h.page("POST", "/api/accounts/c1/tokens", nil, header...); status != 401 && status != 403 {
			t.Errorf("%s: the API answers %d %s", name, status, text)
		}
	}
	if got := h.call(200, "GET", "/accounts/c1/tokens", ""); strings.Contains(got, "stolen") {
		t.Error(got)
	}
	if status, _ := h.page("GET", "/runs", nil, "Cookie", ""); status != 303 {
		t.Errorf("without a cookie a page answers %d", status)
	}
	// Over plain HTTP browsers tell the origin only.
	if status, _ := h.page("POST", "/accounts/c1/tokens", url.Values{"name": {"mine"}}, "Sec-Fetch-Site", "", "Origin", "http://localhost:8080"); status != 200 {
		t.Errorf("the page's own form answers %d", status)
	}
	// Guessing gets slower: at one moment, twenty tries.
	refused := 0
	for range 40 {
		if status, _ := h.page("POST", "/login", url.Values{"token": {"guess"}}); status == 429 {
			refused++
		}
	}
	if refused < 10 {
		t.Errorf("of 40 guesses %d were refused", refused)
	}
	// Whoever has the token gets in all the same, and to pages of ours only.
	for next, want := range map[string]string{"/admin/runs": "/admin/runs", "https://evil.example/": "/admin/", "//evil.example/admin/": "/admin/", "/admin/\\evil": "/admin/"} {
		req := httptest.NewRequest("POST", "/admin/login", strings.NewReader(url.Values{"token": {testToken}, "next": {next}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		res := h.do(req)
		cookie := res.Header.Get("Set-Cookie")
		if res.Header.Get("Location") != want || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
			t.Errorf("%s leads to %s with %q", next, res.Header.Get("Location"), cookie)
		}
	}
}

// TestTokenIsShownOnce looks for a token's text on every page after the one that made it.
func TestTokenIsShownOnce(t *testing.T) {
	h := newHouse(t)
	h.configure()
	_, made := h.page("POST", "/accounts/c1/tokens", url.Values{"name": {"once"}})
	_, rest, found := strings.Cut(made, `id="secret">`)
	secret, _, _ := strings.Cut(rest, "<")
	if !found || !strings.HasPrefix(secret, "tb_") {
		t.Fatal(made)
	}
	status, again := h.page("POST", "/accounts/c1/tokens", url.Values{"name": {"once"}}) // the form sent again
	if status != 409 || strings.Contains(again, `id="secret">`) {
		t.Errorf("sent again: %d", status)
	}
	for _, path := range []string{"/", "/accounts/c1", "/accounts/c1/settings", "/runs", "/api/accounts/c1/tokens", "/api/accounts/c1/changes"} {
		if _, text := h.page("GET", path, nil); strings.Contains(text, secret) {
			t.Errorf("%s shows the token again", path)
		}
	}
}

// TestNamesAreText puts HTML into everything that has a name.
func TestNamesAreText(t *testing.T) {
	h := newHouse(t)
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`
	account := "/accounts/" + url.PathEscape(evil)
	quoted, _ := json.Marshal(evil)
	h.call(200, "PUT", account, `{"origins":[]}`)
	h.call(201, "POST", account+"/tokens", fmt.Sprintf(`{"name":%s}`, quoted))
	h.call(201, "POST", account+"/events", fmt.Sprintf(`{"apiName":%s,"eventId":%s}`, quoted, quoted))
	h.call(200, "PUT", account+"/optimizations/"+url.PathEscape(evil), fmt.Sprintf(`{"name":%s,"variations":[{"id":%s}]}`, quoted, quoted))
	h.call(200, "PUT", account+"/optimizations/"+url.PathEscape(evil)+"/goals/"+url.PathEscape(evil), `{"primary":false}`)
	for _, path := range []string{
		"/", account, account + "/settings", account + "/events", account + "/optimizations", account + "/optimizations/" + url.PathEscape(evil),
		account + "/optimizations/" + url.PathEscape(evil) + "/results", account + "/conversions",
		account + "/conversions/look?apiName=" + url.QueryEscape(evil) + "&actionId=" + url.QueryEscape(evil), "/accounts/" + url.PathEscape(evil+"x"),
	} {
		status, text := h.page("GET", path, nil)
		if strings.Contains(text, "<script>alert") || strings.Contains(text, "<img") || status >= 500 {
			t.Errorf("%s, %d, has names as HTML:\n%s", path, status, text)
		}
	}
}

// TestManyConversions lists 10,000, a page at a time: the first ten pages, and the last ones.
func TestManyConversions(t *testing.T) {
	h := newHouse(t)
	h.configure()
	err := h.db.Exec(t.Context(), `insert into conversions (customer_id, api_name, user_domain, user_id, action_id, action_at, received_at, ingest_id)
		select 'c1', 'bought', 'crm', 'u', toString(number), {at:DateTime64(3, 'UTC')} - toIntervalSecond(number), {at:DateTime64(3, 'UTC')}, generateUUIDv7(number)
		from numbers(10000)`, warehouse.Params{"at": warehouse.Time(h.now.Add(-time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	h.call(202, "POST", "/runs", `{"cutoff":"now"}`)
	h.runs()
	seen := map[string]bool{}
	path := "?from=2026-09-01&to=2026-09-24&outcome=no_identity"
	for pages := 0; path != ""; pages++ {
		_, text := h.page("GET", "/accounts/c1/conversions"+path, nil)
		if len(text) > 100_000 || pages > 20 {
			t.Fatalf("page %d has %d bytes", pages, len(text))
		}
		for _, row := range strings.Split(text, "actionId=")[1:] {
			id, _, _ := strings.Cut(row, `"`)
			seen[id] = true
		}
		_, older, more := strings.Cut(text, `<span class="muted">from number`)
		path = ""
		if _, link, found := strings.Cut(older, `<a href="`); more && found && strings.Contains(link, "Earlier ones") {
			path, _, _ = strings.Cut(strings.ReplaceAll(link, "&amp;", "&"), "#")
		}
		if pages == 9 {
			path = strings.Replace(path, "offset=500", "offset=9780", 1)
		}
	}
	if len(seen) != 500+220 {
		t.Errorf("%d of the first 500 and the last 220 are listed", len(seen))
	}
}

// TestFormsDoWhatTheySay fills in what the story in the browser does not.
func TestFormsDoWhatTheySay(t *testing.T) {
	h := newHouse(t)
	h.configure()
	for _, step := range []struct {
		path string
		form url.Values
		then string // what the API says afterwards
		want string
	}{
		{"/accounts/c1/origins", url.Values{"origins": {"https://a.example\r\nhttps://b.example"}}, "/accounts/c1", `"origins":["https://a.example","https://b.example"]`},
		{"/accounts/c1/events/rule", url.Values{"eventId": {"e1"}, "window": {"days"}, "days": {"7"}, "credit": {"last"}}, "/accounts/c1/events", `"rules":[{"window":"7d","credit":"last"`},
		{"/accounts/c1/events/rule", url.Values{"eventId": {"e1"}, "window": {"session"}, "days": {"30"}, "credit": {"first"}}, "/accounts/c1/events", `{"window":"session","credit":"first"`},
		{"/accounts/c1/events/rename", url.Values{"eventId": {"e1"}, "newName": {"sold"}}, "/accounts/c1/events", `"apiName":"sold","names":[{"apiName":"bought"`},
		{"/accounts/c1/optimizations/hero/goals/remove", url.Values{"eventId": {"e1"}}, "/accounts/c1/optimizations", `"goals":[]`},
		{"/accounts/c1/optimizations/hero/goals", url.Values{"eventId": {"e1"}}, "/accounts/c1/optimizations", `"goals":[{"eventId":"e1","primary":false,"mde":10}]`},
		{"/accounts/c1/optimizations/hero", url.Values{"name": {"H"}, "variationId": {"a", "", "c"}, "weight": {"1", "", "3"}, "baseline": {"3"}}, "/accounts/c1/optimizations",
			`"variations":[{"id":"a","name":"a","weight":1,"baseline":false},{"id":"c","name":"c","weight":3,"baseline":true}]`},
		{"/accounts/c1/events/archive", url.Values{"eventId": {"e1"}}, "/accounts/c1/events", `"eventId":"e1","apiName":""`},
		{"/accounts/c1/tokens/revoke", url.Values{"name": {"crm"}}, "/accounts/c1/tokens", `"revokedAt":1`},
	} {
		if status, text := h.page("POST", step.path, step.form); status != 303 {
			t.Errorf("%s: %d %s", step.path, status, text)
		}
		if got := h.call(200, "GET", step.then, ""); !strings.Contains(got, step.want) {
			t.Errorf("%s: %s lacks %s", step.path, got, step.want)
		}
	}
}

// TestRefusedFormsKeepWhatWasTyped, and leave the browser where a GET leads back.
func TestRefusedFormsKeepWhatWasTyped(t *testing.T) {
	h := newHouse(t)
	h.configure()
	h.call(200, "PUT", "/accounts/c1/optimizations/spaced", `{"name":"S","variations":[{"id":" b "}]}`)
	for path, form := range map[string]url.Values{
		"/accounts":           {"customerId": {"c1"}},
		"/accounts/c1/tokens": {"name": {"crm"}}, "/accounts/c1/origins": {"origins": {"https://a.example https://b.example/path"}},
		"/accounts/c1/events":                   {"apiName": {"kept-name"}, "from": {"21.9.2026"}},
		"/accounts/c1/optimizations":            {"optimizationId": {"kept-id"}, "variationId": {"kept-a", "kept-a"}},
		"/accounts/c1/optimizations/hero":       {"name": {"Kept"}, "variationId": {"kept-a"}, "weight": {"abc"}},
		"/accounts/c1/optimizations/hero/goals": {"eventId": {"none"}}, "/accounts/c1/events/rename": {"eventId": {"none"}, "newName": {"x"}},
		"/runs": {"from": {"2026-09-03"}, "to": {"2026-09-01"}},
	} {
		status, text := h.page("POST", path, form)
		if status < 400 || status >= 500 || !strings.Contains(text, `role="alert"`) {
			t.Errorf("%s: %d %s", path, status, text)
		}
		if strings.HasSuffix(path, "/goals") || strings.HasSuffix(path, "/rename") {
			form = nil // chosen, not typed
		}
		for _, values := range form {
			for _, value := range values {
				if !strings.Contains(text, `value="`+value+`"`) && !strings.Contains(text, value+"</textarea>") {
					t.Errorf("%s forgets %q", path, value)
				}
			}
		}
		if status, _ := h.page("GET", path, nil); status != 200 && status != 303 {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	if status, _ := h.page("POST", "/accounts/c1/optimizations/ghost", url.Values{"name": {"g"}, "variationId": {"a"}}); status != 404 {
		t.Errorf("the page of no optimization makes one: %d", status)
	}
	// Saved as it was, a variation stays the one that it is.
	h.page("POST", "/accounts/c1/optimizations/spaced", url.Values{"name": {"S"}, "variationId": {" b ", ""}, "variationName": {" b ", ""}, "weight": {"1", ""}, "baseline": {"1"}})
	if got := h.call(200, "GET", "/accounts/c1/optimizations", ""); !strings.Contains(got, `"id":" b "`) || strings.Contains(got, `"id":"b","name":"b","weight":1`) {
		t.Error(got)
	}
}

// TestJourneyTellsWhatCounts: the view that a conversion is attributed to is told however
// many others lie nearer, and by however many browsers.
func TestJourneyTellsWhatCounts(t *testing.T) {
	h := newHouse(t)
	h.configure()
	at := h.now.Add(-time.Hour)
	err := h.db.Exec(t.Context(), `insert into client_events (customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at, ingest_id)
		select 'c1', 'v' || toString(number), 'identify', '', '', 'crm', 'u', {at:DateTime64(3, 'UTC')}, {at:DateTime64(3, 'UTC')} + toIntervalMillisecond(number), generateUUIDv7(number) from numbers(8)
		union all
		select 'c1', 'v7', 'view', 'hero', 'b', '', '', {at:DateTime64(3, 'UTC')} + toIntervalMillisecond(1000), {at:DateTime64(3, 'UTC')} + toIntervalMillisecond(1000), generateUUIDv7(1)
		union all
		select 'c1', 'v7', 'view', 'other', 'x', '', '', {at:DateTime64(3, 'UTC')} + toIntervalMillisecond(2000 + number), {at:DateTime64(3, 'UTC')} + toIntervalMillisecond(2000 + number), generateUUIDv7(number) from numbers(300)`,
		warehouse.Params{"at": warehouse.Time(at)})
	if err != nil {
		t.Fatal(err)
	}
	err = h.db.Exec(t.Context(), `insert into conversions (customer_id, api_name, user_domain, user_id, action_id, action_at, received_at, ingest_id)
		values ('c1', 'bought', 'crm', 'u', '1', {at:DateTime64(3, 'UTC')} + toIntervalMillisecond(60000), {at:DateTime64(3, 'UTC')} + toIntervalMillisecond(60000), generateUUIDv7())`, warehouse.Params{"at": warehouse.Time(at)})
	if err != nil {
		t.Fatal(err)
	}
	for _, decided := range []bool{false, true} {
		if decided {
			h.call(202, "POST", "/runs", `{"cutoff":"now"}`)
			h.runs()
		}
		var found lookup
		if err := json.Unmarshal([]byte(h.call(200, "GET", "/accounts/c1/conversions/bought/1", "")), &found); err != nil {
			t.Fatal(err)
		}
		j := found.Journey
		if len(j.Visitors) != 5 || j.VisitorsLeftOut != 3 || !j.EventsLeftOut || j.Visitors[0].VisitorID != "v7" || len(j.Visitors[0].Events) < 150 {
			t.Errorf("decided %t: %d visitors, %d left out, first %s with %d events", decided, len(j.Visitors), j.VisitorsLeftOut, j.Visitors[0].VisitorID, len(j.Visitors[0].Events))
		}
		_, page := h.page("GET", "/accounts/c1/conversions/look?apiName=bought&actionId=1", nil)
		if winners := strings.Count(page, `class="winner"`); decided && winners != 2 || !decided && winners != 0 { // hero and other
			t.Errorf("decided %t: %d views win", decided, winners)
		}
	}
}

// unread is a catalog that can be written, but not read just now.
type unread struct{ Live }

func (unread) Refresh(context.Context) error { return errUnavailable }

// TestWrittenIsDone: a change that was written is told as done, with the token's text,
// even where it can't be read back.
func TestWrittenIsDone(t *testing.T) {
	h := newHouse(t)
	h.configure()
	h.admin.cfg.Live = unread{h.admin.cfg.Live}
	if got := h.call(201, "POST", "/accounts/c1/tokens", `{"name":"t"}`); !strings.Contains(got, `"token":"tb_`) {
		t.Error(got)
	}
	if _, text := h.page("POST", "/accounts/c1/tokens", url.Values{"name": {"u"}}); !strings.Contains(text, `id="secret">tb_`) {
		t.Error(text)
	}
}

func TestGoodbyes(t *testing.T) {
	h := newHouse(t)
	cookie := cookieName + "=" + h.admin.sessions.cookie(h.now)
	if status, _ := h.page("GET", "/runs", nil, "Cookie", cookie); status != 200 {
		t.Fatal(status)
	}
	h.page("POST", "/logout", url.Values{}, "Cookie", cookie)
	if status, _ := h.page("GET", "/runs", nil, "Cookie", cookie); status != 303 {
		t.Errorf("a cookie that was signed out opens pages: %d", status)
	}
	h.admin.Close()
	if got := h.call(409, "POST", "/runs", `{}`); !strings.Contains(got, "stopping") {
		t.Error(got)
	}
}
