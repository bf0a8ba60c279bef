package history

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tieback/tieback/warehouse"
)

// memory takes rows in the place of ClickHouse.
type memory struct {
	clientEvents []warehouse.ClientEvent
	conversions  []warehouse.Conversion
}

func (m *memory) InsertClientEvents(_ context.Context, _ string, rows []warehouse.ClientEvent) error {
	m.clientEvents = append(m.clientEvents, rows...)
	return nil
}

func (m *memory) InsertConversions(_ context.Context, _ string, rows []warehouse.Conversion) error {
	m.conversions = append(m.conversions, rows...)
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
	im := &Importer{Into: &m, Rejects: &file, Reject: func(_ string, number int64, reason error) {
		bad = append(bad, fmt.Sprintf("%d: %v", number, reason))
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
		`{"type":"activity","customerId":5,"visitorId":"v","occurredAt":1790000000000}`:                                  "customerId is no string",
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":-0.00001}`:                                          "negative",
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":1e400}`:                                             "below 10^14",
		`{` + conversion + `,"actionTimestamp":1790000000000,"value":"1"}`:                                               "no number",
		"{\"type\":\"activity\",\"customerId\":\"\xff\",\"visitorId\":\"v\",\"occurredAt\":1790000000000}":               "not readable",
		`{"type":"optimization","customerId":"c","optimizationId":"o","variations":[{"name":"x"}]}`:                      "id is missing",
		`{"pad":"` + strings.Repeat("x", maxLineBytes) + `"}`:                                                            "longer than",
		`{"pad":"` + strings.Repeat("x", 3*maxLineBytes) + `"}`:                                                          "longer than",
		`[]`: "not readable",
	} {
		m, bad, rejects := readAll(t, good+"\n"+line+"\r\n\n"+good)
		if rejects != line+"\n" {
			t.Errorf("%.80s: the file of rejects has %.200s", line, rejects)
		}
		if len(bad) != 1 || !strings.HasPrefix(bad[0], "2: ") || !strings.Contains(bad[0], reason) || len(m.clientEvents) != 2 {
			t.Errorf("%.80s: %.200v, %d loaded", line, bad, len(m.clientEvents))
		}
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
		if err == nil && r.clientEvent == nil && r.conversion == nil && r.eventName == nil && r.optimization == nil {
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
