package admin

import (
	"strings"
	"testing"

	"github.com/tieback/tieback/jobs"
)

// TestErase over the API and on the page: nothing goes without being asked twice.
func TestErase(t *testing.T) {
	h := newHouse(t)
	h.configure()
	h.insert("a1", "v1")
	h.insert("a2", "v2")
	var forgotten []jobs.Traces
	h.admin.cfg.Forget = func(p jobs.Traces) error {
		forgotten = append(forgotten, p)
		return nil
	}
	events := func() (n uint64) {
		t.Helper()
		if err := h.db.Row(t.Context(), "select count() from client_events where customer_id = 'c1'", nil, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := events()
	for body, status := range map[string]int{
		`{"visitorId":"v1"}`: 400, `{"dryRun":true}`: 400, `{"visitorId":"v1","userId":"u","dryRun":true}`: 400, `{"userDomain":"crm","dryRun":true}`: 400, `{"visitorID":"v1","dryRun":true}`: 400,
	} {
		h.call(status, "POST", "/accounts/c1/erase", body)
	}
	h.call(404, "POST", "/accounts/nobody/erase", `{"visitorId":"v1","dryRun":true}`)
	if answer := h.call(200, "POST", "/accounts/c1/erase", `{"visitorId":"v1","dryRun":true}`); strings.Contains(answer, `"clientEvents":0`) || events() != before || len(forgotten) > 0 {
		t.Errorf("a dry run: %s, %d of %d events", answer, events(), before)
	}
	if answer := h.call(200, "POST", "/accounts/c1/erase", `{"visitorId":"v1","dryRun":false}`); events() >= before || len(forgotten) != 1 || forgotten[0].VisitorID != "v1" {
		t.Errorf("%s, %d of %d events, %v", answer, events(), before, forgotten)
	}
	before = events()
	form := map[string][]string{"visitorId": {"v2"}}
	if status, text := h.page("POST", "/accounts/c1/erase", form); status != 200 || !strings.Contains(text, "What would be erased") || !strings.Contains(text, `name="visitorId" value="v2"`) || events() != before {
		t.Errorf("the preview: %d %s", status, text)
	}
	if status, text := h.page("POST", "/accounts/c1/erase/sure", form); status != 200 || !strings.Contains(text, ">Erased<") || events() != 0 || len(forgotten) != 2 {
		t.Errorf("%d %s, %d events", status, text, events())
	}
	if status, text := h.page("POST", "/accounts/c1/erase", map[string][]string{"visitorId": {""}}); status != 400 || !strings.Contains(text, "give either a visitor") {
		t.Errorf("%d %s", status, text)
	}
	if changes := h.call(200, "GET", "/accounts/c1/changes", ""); strings.Count(changes, "a person was erased: ") != 2 || strings.Contains(changes, "v2") {
		t.Errorf("changes: %s", changes)
	}
}

// TestDelete what was made by mistake, over the API and on the page.
func TestDelete(t *testing.T) {
	h := newHouse(t)
	h.configure()
	h.insert("a1", "v1")
	h.call(400, "DELETE", "/accounts/c1", "")
	h.call(400, "DELETE", "/accounts/c1?really=c2", "")
	if answer := h.call(409, "DELETE", "/accounts/c1?really=c1", ""); !strings.Contains(answer, "client events") {
		t.Error(answer)
	}
	h.call(200, "PUT", "/accounts/mistake", `{"origins":[]}`)
	h.call(201, "POST", "/accounts/mistake/events", `{"apiName":"x","eventId":"e"}`)
	h.call(204, "DELETE", "/accounts/mistake?really=mistake", "")
	h.call(404, "GET", "/accounts/mistake", "")
	h.call(201, "POST", "/accounts/c1/events", `{"apiName":"mistake","eventId":"m1"}`)
	h.call(204, "DELETE", "/accounts/c1/events/m1", "")
	h.call(404, "DELETE", "/accounts/c1/events/m1", "")
	h.call(200, "PUT", "/accounts/c1/optimizations/m2", `{"name":"m","variations":[{"id":"a"}]}`)
	h.call(204, "DELETE", "/accounts/c1/optimizations/m2", "")
	h.call(404, "DELETE", "/accounts/c1/optimizations/m2", "")
	h.call(200, "PUT", "/accounts/c1/optimizations/m3", `{"name":"m","variations":[{"id":"a"}]}`)
	h.call(201, "POST", "/accounts/c1/events", `{"apiName":"mistake","eventId":"m4"}`)
	h.call(200, "PUT", "/accounts/other", `{"origins":[]}`)
	for path, form := range map[string]map[string][]string{
		"/accounts/c1/optimizations/m3/delete": {}, "/accounts/c1/events/delete": {"eventId": {"m4"}}, "/accounts/other/delete": {"really": {"other"}},
	} {
		if status, text := h.page("POST", path, form); status != 303 {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, text := h.page("POST", "/accounts/c1/delete", map[string][]string{"really": {"c2"}}); status != 400 || !strings.Contains(text, "once more") {
		t.Errorf("%d %s", status, text)
	}
	h.call(404, "GET", "/accounts/other", "")
	if events := h.call(200, "GET", "/accounts/c1/events", ""); strings.Contains(events, "m4") || strings.Contains(events, "m1") {
		t.Error(events)
	}
}
