package admin

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// upload sends a file as the page's form does.
func (h *house) upload(name, content string, fields map[string]string) (int, string) {
	h.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", name)
	if err != nil {
		h.t.Fatal(err)
	}
	_, _ = io.WriteString(file, content)
	for name, value := range fields {
		_ = form.WriteField(name, value)
	}
	form.Close()
	req := httptest.NewRequest(http.MethodPost, "/admin/import", &body)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.AddCookie(&http.Cookie{Name: cookieName, Value: h.admin.sessions.cookie(h.now)})
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res := h.do(req)
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestImportOnThePage: a file is previewed, and what was previewed is what is imported.
func TestImportOnThePage(t *testing.T) {
	h := newHouse(t)
	if status, text := h.page("GET", "/import", nil); status != 200 || !strings.Contains(text, `type="file"`) {
		t.Fatalf("%d %s", status, text)
	}
	table := "customerId;apiName;userDomain;userId;actionId;actionTimestamp;value\r\nc1;sale;crm;<b>u1</b>;9;2026-09-18 14:06:45;10.5\r\nc1;sale;crm;u1;10;18.9.2026;7\r\n"
	status, text := h.upload("Export.csv", table, map[string]string{"timeZone": "Europe/Berlin"})
	for _, want := range []string{"would import 2 lines", "2026-09-18 12:06:45.000 UTC", "value 10.5", "line 3: actionTimestamp", "&lt;b&gt;u1&lt;/b&gt;", "Import it"} {
		if status != 200 || !strings.Contains(text, want) {
			t.Errorf("%d, nothing says %q:\n%s", status, want, text)
		}
	}
	count := func() (n string) {
		t.Helper()
		if err := h.admin.cfg.DB.Row(t.Context(), "select toString(count()) from conversions where action_id = '9'", nil, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != "0" {
		t.Errorf("a preview stored %s", n)
	}
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(text)
	if id == nil {
		t.Fatal(text)
	}
	status, text = h.page("POST", "/import/store", map[string][]string{"id": {id[1]}})
	if status != 200 || !strings.Contains(text, "imported 2 lines") || !strings.Contains(text, "1 bad") || count() != "1" {
		t.Errorf("%d %s", status, text)
	}
	if status, text = h.page("POST", "/import/store", map[string][]string{"id": {id[1]}}); status != 409 || !strings.Contains(text, "choose it again") {
		t.Errorf("once more: %d %s", status, text)
	}
	for name, c := range map[string]struct {
		content, zone, says string
		status              int
	}{
		"a.ndjson": {"\x1f\x8b\x08", "", "packed with gzip", 400}, "b.csv": {"a,b\n1,2\n", "", "lacks the columns", 400}, "c.csv": {table, "Mars", "is not a time zone", 400},
		"d.ndjson": {"", "", "not empty", 400}, "e.ndjson": {table, "", "ends in .csv", 400}, "f.ndjson": {strings.Repeat(" ", maxFileBytes+1), "", "more than 10 MB", 400},
		"g.ndjson": {strings.Repeat(" ", 2*maxFileBytes), "", "may have", 413},
	} {
		if status, text := h.upload(name, c.content, map[string]string{"timeZone": c.zone}); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d, nothing says %q: %.2000s", name, status, c.says, text)
		}
	}
}
