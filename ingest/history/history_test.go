package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tieback/tieback/warehouse"
)

// memory takes rows in the place of ClickHouse.
type memory struct {
	clientEvents []warehouse.ClientEvent
	conversions  []warehouse.Conversion
	adjustments  []warehouse.Adjustment
}

func (m *memory) InsertClientEvents(_ context.Context, _ string, rows []warehouse.ClientEvent) error {
	m.clientEvents = append(m.clientEvents, rows...)
	return nil
}

func (m *memory) InsertConversions(_ context.Context, _ string, rows []warehouse.Conversion) error {
	m.conversions = append(m.conversions, rows...)
	return nil
}

func (m *memory) InsertAdjustments(_ context.Context, _ string, rows []warehouse.Adjustment) error {
	m.adjustments = append(m.adjustments, rows...)
	return nil
}

// read loads lines and returns what went where, and the reasons for the bad ones.
func read(t testing.TB, lines string) (m memory, bad []string) {
	t.Helper()
	m, bad, _ = readAll(t, lines)
	return m, bad
}

// readAll returns the file of the bad lines, too.
func readAll(t testing.TB, lines string) (m memory, bad []string, rejects string) {
	t.Helper()
	var file strings.Builder
	im := &Importer{Into: &m, Rejects: &file, Reject: func(where string, reason error) {
		bad = append(bad, fmt.Sprintf("%s: %v", where, reason))
	}}
	if err := im.Read(t.Context(), "test", strings.NewReader(lines)); err != nil {
		t.Fatal(err)
	}
	if err := im.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m, bad, file.String()
}

const conversion = `"type":"conversion","customerId":"c","apiName":"n","userDomain":"d","userId":"u","actionId":"a"`

func TestTheSameRowHasTheSameID(t *testing.T) {
	m, bad := read(t, strings.Join([]string{
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":1.5}`,
		`{ "value": 1.50000, "extra": [1], ` + conversion + `, "actionTimestamp": 1790000000000, "receivedAt": 1790000000000 }` + "\r",
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":1.50001,"receivedAt":null}`,
		`{` + conversion + `,"actionTimestamp":1790000000000}`,
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":null}`,
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":0}`,
	}, "\n"))
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	ids := map[string]int{}
	for _, c := range m.conversions {
		ids[c.IngestID.String()]++
	}
	if len(ids) != 3 || ids[m.conversions[0].IngestID.String()] != 3 || ids[m.conversions[3].IngestID.String()] != 2 {
		t.Errorf("ids %v", ids)
	}
}

func TestBadLinesAreToldAndStopNothing(t *testing.T) {
	good := `{"type":"activity","customerId":"c","visitorId":"v","occurredAt":1790000000000}`
	for line, reason := range map[string]string{
		`{"type":"activity","customerId":"c","visitorId":"v","occurredAt":946684799999}`:                                 "2000 to 2100",
		`{"type":"activity","customerId":"c","visitorId":"v","occurredAt":4133980800000}`:                                "2000 to 2100",
		`{"type":"activity","customerId":"c","visitorId":"v","occurredAt":1790000000000.5}`:                              "2000 to 2100",
		`{"type":"activity","customerId":"c","visitorId":"v","occurredAt":1790000000000,"receivedAt":1}`:                 "receivedAt is 1",
		`{"type":"activity","customerId":"c","visitorId":"` + strings.Repeat("x", 257) + `","occurredAt":1790000000000}`: "257 bytes",
		`{"type":"activity","customerId":5,"visitorId":"v","occurredAt":1790000000000}`:                                  "customerId is 5, and must be a string",
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":-0.00001}`:                                          "negative",
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":1e400}`:                                             "below 10^14",
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":"1"}`:                                               "without quotes",
		"{\"type\":\"activity\",\"customerId\":\"\xff\",\"visitorId\":\"v\",\"occurredAt\":1790000000000}":               "not readable",
		`{"type":"optimization","customerId":"c","optimizationId":"o","variations":[{"name":"x"}]}`:                      "id is missing",
		`{"pad":"` + strings.Repeat("x", maxLineBytes) + `"}`:                                                            "longer than",
		`{"pad":"` + strings.Repeat("x", 3*maxLineBytes) + `"}`:                                                          "longer than",
		`[]`: "not a JSON object",
	} {
		m, bad, rejects := readAll(t, good+"\n"+line+"\r\n\n"+good)
		if rejects != line+"\n" {
			t.Errorf("%.80s: the file of rejects has %.200s", line, rejects)
		}
		if len(bad) != 1 || !strings.HasPrefix(bad[0], "test line 2: ") || !strings.Contains(bad[0], reason) || len(m.clientEvents) != 2 {
			t.Errorf("%.80s: %.200v, %d loaded", line, bad, len(m.clientEvents))
		}
	}
}

// TestMessagesNameFields: what is wrong is told in the words of the file, not of this program.
func TestMessagesNameFields(t *testing.T) {
	const at = `,"occurredAt":1790000000000}`
	for line, says := range map[string]string{
		`{"type":"view","customerId":"c","visitorId":"v","optimizationId":"o","variationId":"b","occurredAt":1795000000}`:               "looks like seconds",
		`{"type":"view","customerId":"c","visitorId":"v","optimizationId":"o","variationId":"b","occurredAt":1795000000000000}`:         "looks like microseconds",
		`{"type":"Activity","customerId":"c","visitorId":"v"` + at:                                                                      `type is "Activity", and must be one of event`,
		`{"customerId":"c","visitorId":"v"` + at:                                                                                        "type is missing: one of event",
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":"12.50"}`:                                                          `value is "12.50", and must be a number without quotes`,
		`{"type":"optimization","customerId":"c","optimizationId":"o","variations":[{"id":"a","weight":"1"}]}`:                          `a variation's weight is "1", and must be a number`,
		`{"type":"optimization","customerId":"c","optimizationId":"o","variations":[{"id":"a","baseline":"yes"}]}`:                      `a variation's baseline is "yes", and must be true or false`,
		`{"type":"optimization","customerId":"c","optimizationId":"o","variations":[{"id":"a","name":7}]}`:                              "a variation's name is 7, and must be a string",
		`{"type":"optimization","customerId":"c","optimizationId":"o","variations":["a"]}`:                                              "variations must be an array of objects",
		`{"type":"optimization","customerId":"c","optimizationId":"o","variations":[{"id":"a"}],"goals":[{"eventId":"e","primary":1}]}`: "a goal's primary is 1, and must be true or false",
		`{` + conversion + `,"actionTimestamp":1790000000000,}`:                                                                         "not readable as JSON",
		`{"type":"activity","type":"view"}`:                                                                                             "a field is given twice (at byte",
	} {
		_, bad := read(t, line)
		if len(bad) != 1 || !strings.Contains(bad[0], says) || strings.Contains(bad[0], "json") || strings.Contains(bad[0], "Go ") {
			t.Errorf("%s: %q, expected %q", line, bad, says)
		}
	}
}

// TestFilesThatAreNoLines are told once, by their first bytes.
func TestFilesThatAreNoLines(t *testing.T) {
	for content, says := range map[string]string{
		"\x1f\x8b\x08\x00rest\nof\nit":                    "gzip",
		"\x28\xb5\x2f\xfdrest":                            "zstd",
		"PK\x03\x04rest":                                  "zip archive",
		"\xff\xfe{\x00\"\x00\n\x00":                       "UTF-16",
		"\x00{\x00\"\x00\n":                               "UTF-16",
		"\x7fELF\x00\x01":                                 "not text",
		"M\xfcller \xe4\xf6\xfc und noch mehr\n1\n2\n3\n": "not UTF-8",
		"customerId,apiName\nimp,sale\nimp,sale":          `CSV, with the header "customerId,apiName"`,
		"\uFEFFcustomerId;apiName\r\nimp;sale":            "CSV",
	} {
		var bad int
		im := &Importer{Into: &memory{}, Reject: func(string, error) { bad++ }}
		err := im.Read(t.Context(), "a file", strings.NewReader(content))
		if !errors.Is(err, ErrNotLines) || !strings.Contains(err.Error(), says) || bad > 0 || im.summary.Lines > 0 {
			t.Errorf("%q: %v, %d bad lines", content, err, bad)
		}
	}
	line := `{"type":"activity","customerId":"c","visitorId":"v","occurredAt":1790000000000}` + "\n"
	if m, bad := read(t, line+line+"\x00\x00\x00\x00\n"+line); len(bad) != 1 || len(m.clientEvents) != 3 {
		t.Errorf("zeros between lines: %d events, %q", len(m.clientEvents), bad)
	}
	for _, content := range []string{"", "\n\n", "\uFEFF", "[]", " [ ] \n"} {
		if m, bad := read(t, content); len(bad) > 0 || len(m.clientEvents) > 0 {
			t.Errorf("%q: %v", content, bad)
		}
	}
}

func TestArrays(t *testing.T) {
	good := `{"type":"activity","customerId":"c","visitorId":"v","occurredAt":1790000000000}`
	m, bad, rejects := readAll(t, "\uFEFF \n[\n"+good+",\n{\"type\":\"x\"},\n"+good+", {\"a\":1,\"a\":2}\n]\n")
	if len(m.clientEvents) != 2 || len(bad) != 2 || !strings.HasPrefix(bad[0], "test element 2: ") || !strings.HasPrefix(bad[1], "test element 4: ") || rejects != "{\"type\":\"x\"}\n{\"a\":1,\"a\":2}\n" {
		t.Errorf("%d loaded, %q, %q", len(m.clientEvents), bad, rejects)
	}
	for content, says := range map[string]string{
		"[" + good + ",":        "element 2",
		"[" + good + "," + good: "element 3",
		"[" + good + "] {":      "goes on after the end",
		"[" + good + " x":       "element 2: not readable as JSON",
	} {
		var m memory
		im := &Importer{Into: &m, Reject: func(where string, reason error) { t.Errorf("%s: %v", where, reason) }}
		err := im.Read(t.Context(), "a file", strings.NewReader(content))
		if flushErr := im.Flush(t.Context()); err == nil || flushErr != nil || !strings.Contains(err.Error(), says) || len(m.clientEvents) == 0 {
			t.Errorf("%s: %v, %d loaded", content, err, len(m.clientEvents))
		}
	}
}

// TestWarnings of what is loaded and will probably not do what the file's author means.
func TestWarnings(t *testing.T) {
	line := func(user string, more string) string {
		return fmt.Sprintf(`{"type":"conversion","customerId":"c","apiName":"n","userDomain":"d","userId":%q,"actionId":"a","actionTimestamp":1790000000000%s}`, user, more)
	}
	im := &Importer{Into: &memory{}, Reject: func(where string, reason error) { t.Errorf("%s: %v", where, reason) }}
	text := strings.Join([]string{line("undefined", ""), line("undefined", ""), line("u", `,"currency":"JPY"`), line("u", `,"Value":5,"note":1`), line("u", `,"value":1`), line(" u", "")}, "\n")
	if err := im.Read(t.Context(), "test", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range im.Warnings() {
		got = append(got, fmt.Sprintf("%d: %s", w.Lines, w.Text))
	}
	want := []string{
		`2: userId is "undefined", which stands for no value: all who have it are taken for one`,
		`1: the field "Value" is ignored; the one that is read is called value`,
		`1: the field "currency" is ignored; the one that is read is called value`,
		`1: userId begins or ends with white space, which counts`,
	}
	if im.summary.Conversions != 6 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d loaded\n%s", im.summary.Conversions, strings.Join(got, "\n"))
	}
}

func TestFieldsOfOtherTypesDoNotMatter(t *testing.T) {
	m, bad := read(t, "\uFEFF"+strings.Join([]string{
		`{"type":"view","customerId":"c","visitorId":"v","optimizationId":"o","variationId":"b","occurredAt":1790000000000,"from":"google","name":5,"actionTimestamp":"x"}`,
		`{"type":"activity","customerId":"c","visitorId":"v","occurredAt":1790000000000,"goals":"x","eventId":7}`,
	}, "\r\n"))
	if len(bad) > 0 || len(m.clientEvents) != 2 {
		t.Errorf("%v, %d loaded", bad, len(m.clientEvents))
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"type":"view","customerId":"c","visitorId":"v","optimizationId":"o","variationId":"b","occurredAt":1790000300000}`))
	f.Add([]byte(`{` + conversion + `,"actionTimestamp":1790000000000,"value":1e2}`))
	f.Add([]byte(`{"type":"event","customerId":"c","eventId":"e","apiName":"n","from":1790000000000,"to":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseLine(text)
		if err == nil && r.clientEvent == nil && r.conversion == nil && r.adjustment == nil && r.rule == nil && r.eventName == nil && r.optimization == nil {
			t.Errorf("%q is neither bad nor anything", text)
		}
		if err == nil && r.conversion != nil && r.conversion.Value.Valid && r.conversion.Value.Decimal.IsNegative() {
			t.Errorf("%q has a negative value", text)
		}
		if bytes.Contains(text, []byte{0xff}) && err == nil {
			t.Errorf("%q is invalid UTF-8 and loaded", text)
		}
	})
}

// readTable loads a table and returns the conversions, what is wrong by kind, and the file of rejects.
func readTable(t testing.TB, text string, zone *time.Location) (conversions []warehouse.Conversion, faults []string, rejects string) {
	t.Helper()
	var m memory
	var file strings.Builder
	im := &Importer{Into: &m, Rejects: &file, Zone: zone}
	if err := im.ReadCSV(t.Context(), "test", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if err := im.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range im.Faults() {
		faults = append(faults, f.String())
	}
	return m.conversions, faults, file.String()
}

const tableHeader = "customerId,apiName,userDomain,userId,actionId,actionTimestamp,value"

// TestTables: what spreadsheets and CRMs export.
func TestTables(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 18, 13, 6, 45, 0, time.UTC).UnixMilli()
	for name, text := range map[string]string{
		"plain":                      tableHeader + "\nc,sale,crm,u1,a1,1795007205000,12.5\n",
		"a mark and CRLF":            "\uFEFF" + tableHeader + "\r\nc,sale,crm,u1,a1,1795007205000,12.5\r\n",
		"semicolons and quotes":      "\"customerId\";\"apiName\";\"userDomain\";\"userId\";\"actionId\";\"actionTimestamp\";\"value\"\r\n\"c\";\"sale\";\"crm\";\"u1\";\"a1\";\"1795007205000\";\"12.5\"\r\n",
		"tabs":                       strings.ReplaceAll(tableHeader+"\nc,sale,crm,u1,a1,1795007205000,12.5\n", ",", "\t"),
		"without an end":             tableHeader + "\nc,sale,crm,u1,a1,1795007205000,12.5",
		"empty lines":                tableHeader + "\n\nc,sale,crm,u1,a1,1795007205000,12.5\n\n",
		"other columns and order":    "note,value,actionTimestamp,actionId,userId,userDomain,eventName,customerId\n\"he said \"\"x\"\"\nand left\",12.50,1795007205000,a1,u1,crm,sale,c\n",
		"ISO 8601 in UTC":            tableHeader + "\nc,sale,crm,u1,a1,2026-11-18T13:06:45Z,12.5\n",
		"ISO 8601 with an offset":    tableHeader + "\nc,sale,crm,u1,a1,2026-11-18T14:06:45.000+01:00,12.5\n",
		"with a space":               tableHeader + "\nc,sale,crm,u1,a1,2026-11-18 14:06:45 +0100,12.5\n",
		"without an offset":          tableHeader + "\nc,sale,crm,u1,a1,2026-11-18 14:06:45,12.5\n",
		"without an offset, T":       tableHeader + "\nc,sale,crm,u1,a1,2026-11-18T14:06:45,+12.5000\n",
		"CR alone":                   strings.ReplaceAll(tableHeader+"\nc,sale,crm,u1,a1,1795007205000,12.5\n", "\n", "\r"),
		"sep= of Excel":              "sep=;\r\n" + strings.ReplaceAll(tableHeader+"\r\nc,sale,crm,u1,a1,1795007205000,12.5\r\n", ",", ";"),
		"as PostgreSQL writes it":    tableHeader + "\nc,sale,crm,u1,a1,2026-11-18 14:06:45+01,12.5\n",
		"basic":                      tableHeader + "\nc,sale,crm,u1,a1,20261118T130645Z,12.5\n",
		"basic without an offset":    tableHeader + "\nc,sale,crm,u1,a1,20261118T140645,12.5\n",
		"both names alike":           tableHeader + ",eventName\nc,sale,crm,u1,a1,1795007205000,12.5,sale\n",
		"spaces around cells to cut": tableHeader + "\nc,sale,crm,u1,a1, 1795007205000 , 12.5 \n",
	} {
		rows, faults, _ := readTable(t, text, berlin)
		if len(faults) > 0 || len(rows) != 1 {
			t.Errorf("%s: %d rows, %q", name, len(rows), faults)
			continue
		}
		c := rows[0]
		if c.CustomerID != "c" || c.APIName != "sale" || c.UserDomain != "crm" || c.UserID != "u1" || c.ActionID != "a1" || c.ActionAtMS != at || c.ReceivedAtMS != at || c.Value.Decimal.String() != "12.5" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	same, _ := read(t, `{"type":"conversion","customerId":"c","apiName":"sale","userDomain":"crm","userId":"u1","actionId":"a1","actionTimestamp":1795007205000,"value":12.5}`)
	if rows, _, _ := readTable(t, tableHeader+"\nc,sale,crm,u1,a1,2026-11-18T13:06:45Z,12.50\n", nil); rows[0].IngestID != same.conversions[0].IngestID {
		t.Error("a row of a table and the same line have different ids")
	}
	if rows, _, _ := readTable(t, tableHeader+"\nc,sale,crm,u1,a1,2026-11-18T13:06:45.250Z,\n", nil); rows[0].ActionAtMS != at+250 || rows[0].Value.Valid {
		t.Errorf("%+v", rows[0])
	}
}

func TestTableFaults(t *testing.T) {
	good := "c,sale,crm,u1,a1,1795007205000,12.5\n"
	for row, says := range map[string]string{
		"c,sale,crm,u1,a1,2026-11-18 14:06:45,1":       "line 3: actionTimestamp is \"2026-11-18 14:06:45\", without a time zone: give --time-zone",
		"c,sale,crm,u1,a1,2026-11-18,1":                "a day without the time of day",
		"c,sale,crm,u1,a1,18.11.2026 14:06,1":          "must be Unix milliseconds or ISO 8601",
		"c,sale,crm,u1,a1,1795007205,1":                "looks like seconds",
		`c,sale,crm,u1,a1,1795007205000,"1.234,56"`:    `value is "1.234,56", and must be a plain decimal`,
		"c,sale,crm,u1,a1,1795007205000,1e3":           "must be a plain decimal",
		"c,sale,crm,u1,a1,1795007205000,€ 5":           "must be a plain decimal",
		"c,sale,crm,u1,a1,1795007205000,-5":            "value is negative",
		"c,sale,crm,,a1,1795007205000,5":               "userId is missing",
		"c,sale,crm,u1,a1,1795007205000":               "the row has 6 cells, the header 7",
		"c,sale,crm,u1,a1,1795007205000,5,6":           "the row has 8 cells, the header 7",
		"c,sale,crm,u\"1,a1,1795007205000,5":           "a quotation mark is not closed",
		`c,sale,crm,"u"1,a1,1795007205000,5`:           "not readable as CSV",
		"c,sale,crm,u\xff,a1,1795007205000,5":          "is not UTF-8",
		`"c",sale,crm,"u ""1""",a1,yesterday,"7` + `"`: "yesterday",
	} {
		rows, faults, rejects := readTable(t, tableHeader+"\n"+good+row+"\n"+good, nil)
		if len(rows) != 2 || len(faults) != 1 || !strings.Contains(faults[0], says) || !strings.HasPrefix(faults[0], "test line 3: ") {
			t.Errorf("%s: %d rows, %q", row, len(rows), faults)
		}
		if rejects != tableHeader+"\n"+row+"\n" {
			t.Errorf("%s: the file of rejects has %q", row, rejects)
		}
	}
	for content, says := range map[string]string{
		"customerId,apiName,userId\nc,sale,u1\n":      "lacks the columns userDomain, actionId, actionTimestamp",
		tableHeader + ",value\n":                      "the column value twice",
		"{\"type\":\"view\"}\n":                       "looks like JSON",
		"\xff\xfec\x00u\x00":                          "UTF-16",
		"PK\x03\x04":                                  "zip archive",
		"\x1f\x8b\x08":                                "gzip",
		"customerId,M\xfcller,x\n1,2,3\n1,2,3\n1,2,3": "not UTF-8",
	} {
		im := &Importer{Into: &memory{}}
		if err := im.ReadCSV(t.Context(), "a file", strings.NewReader(content)); !errors.Is(err, ErrNotLines) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", content, err)
		}
	}
	im := &Importer{Into: &memory{}}
	if err := im.ReadCSV(t.Context(), "a file", strings.NewReader("Value,CustomerID,customerId,apiName,userDomain,userId,actionId,actionTimestamp\n")); err != nil {
		t.Fatal(err)
	}
	if warnings := fmt.Sprint(im.Warnings()); !strings.Contains(warnings, `"Value" is ignored; the one that is read is called value`) || !strings.Contains(warnings, `"CustomerID"`) {
		t.Errorf("warnings: %s", warnings)
	}
}

// TestFaultsOfOneKindAreToldOnce, with where they are.
func TestFaultsOfOneKindAreToldOnce(t *testing.T) {
	var lines []string
	for i := range 3000 {
		switch {
		case i%1000 == 500:
			lines = append(lines, `{"type":"activity","customerId":"c","visitorId":"v","occurredAt":1790000000000}`)
		case i == 7:
			lines = append(lines, `{"type":"activity","customerId":"c","visitorId":7,"occurredAt":5}`)
		default:
			lines = append(lines, fmt.Sprintf(`{"type":"activity","customerId":"c","visitorId":"v","occurredAt":%d}`, 1_790_000_000+i))
		}
	}
	im := &Importer{Into: &memory{}}
	if err := im.Read(t.Context(), "test", strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range im.Faults() {
		got = append(got, f.String())
	}
	want := []string{
		"test lines 1 to 7, 9 to 500, 502 to 1500, 1502 to 2500, 2502 to 3000 (2996): occurredAt is 1790000000, and must be Unix milliseconds from 2000 to 2100; this looks like seconds: multiply by 1,000",
		"test line 8: visitorId is 7, and must be a string",
		"test line 8: occurredAt is 5, and must be Unix milliseconds from 2000 to 2100",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || im.summary.Bad != 2997 {
		t.Errorf("%d bad lines:\n%s", im.summary.Bad, strings.Join(got, "\n"))
	}
}

func FuzzTable(f *testing.F) {
	f.Add(tableHeader + "\nc,sale,crm,u1,a1,1795007205000,12.5\n")
	f.Add("a;b\n\"x\n")
	f.Fuzz(func(t *testing.T, text string) {
		var m memory
		im := &Importer{Into: &m, Zone: time.UTC}
		if err := im.ReadCSV(t.Context(), "test", strings.NewReader(text)); err != nil && !errors.Is(err, ErrNotLines) {
			t.Errorf("%q: %v", text, err)
		}
		if im.summary.Lines != im.summary.Bad+im.summary.Conversions {
			t.Errorf("%q: %+v", text, im.summary)
		}
	})
}

// TestStrayQuotes: a quotation mark that stands somewhere by mistake makes its own row bad, and no other.
func TestStrayQuotes(t *testing.T) {
	var rows []string
	for i := range 3000 {
		rows = append(rows, fmt.Sprintf("c,sale,crm,u1,a%d,1795007205000,5,x", i))
	}
	rows[4] = `c,sale,crm,u1,a4,1795007205000,5,"12 inch`
	rows[100] = `c,sale,crm,u1,a100,1795007205000,5,12" inch`
	rows[200] = "c,sale,crm,u1,a200,1795007205000,5,\"two\nlines\""
	rows[300] = `c,sale,crm,u1,a300,1795007205000,5,"` + strings.Repeat("x", 2*maxLineBytes)
	got, faults, rejects := readTable(t, tableHeader+",note\n"+strings.Join(rows, "\n")+"\n", nil)
	if len(got) != 2997 || len(faults) != 3 || strings.Count(rejects, "\n") != 4 || !strings.Contains(rejects, "12 inch\n") {
		t.Errorf("%d rows, %q, %.300q", len(got), faults, rejects)
	}
	if lines := fmt.Sprint(faults); !strings.Contains(lines, "test line 6:") || !strings.Contains(lines, "test line 102:") || !strings.Contains(lines, "test line 303:") {
		t.Errorf("%.300s", lines)
	}
}

// TestClocksSetBack: of an hour that comes twice the first one is taken, on either side of the ocean.
func TestClocksSetBack(t *testing.T) {
	for zone, moments := range map[string][2]string{
		"Europe/Berlin": {"2026-10-25 02:30:00", "2026-10-25T00:30:00Z"}, "America/New_York": {"2026-11-01 01:30:00", "2026-11-01T05:30:00Z"},
		"Australia/Lord_Howe": {"2026-04-05 01:45:00", "2026-04-04T14:45:00Z"}, "Asia/Tokyo": {"2026-04-05 01:45:00", "2026-04-04T16:45:00Z"},
	} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		rows, faults, _ := readTable(t, tableHeader+"\nc,sale,crm,u1,a1,"+moments[0]+",1\n", location)
		if len(rows) != 1 || time.UnixMilli(rows[0].ActionAtMS).UTC().Format(time.RFC3339) != moments[1] {
			t.Errorf("%s: %v %q", zone, rows, faults)
		}
	}
}

func TestBothNames(t *testing.T) {
	m, bad := read(t, `{"type":"conversion","customerId":"c","eventName":"sale","userDomain":"d","userId":"u","actionId":"a","actionTimestamp":1790000000000}
{"type":"adjustment","customerId":"c","eventName":"sale","actionId":"a","adjustment":"retract","adjustedAt":1790000000000}
{"type":"adjustment","customerId":"c","apiName":"sale","eventName":"sold","actionId":"a","adjustment":"retract","adjustedAt":1790000000000}`)
	if len(bad) != 1 || !strings.Contains(bad[0], "they mean the same") || m.conversions[0].APIName != "sale" || m.adjustments[0].APIName != "sale" {
		t.Errorf("%q, %+v", bad, m)
	}
	if _, faults, _ := readTable(t, tableHeader+",eventName\nc,sale,crm,u1,a1,1795007205000,12.5,sold\n", nil); len(faults) != 1 || !strings.Contains(faults[0], "they mean the same") {
		t.Errorf("%q", faults)
	}
}
