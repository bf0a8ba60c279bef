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
	var forgotten []jobs.Person
	h.admin.cfg.Forget = func(p jobs.Person) error {
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
