package history

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones by name, also on machines without a list of them

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/refuse"
)

// csvColumns are the columns that a table of conversions may have: the fields of POST /event, and those that an
// import adds.
var csvColumns = []string{"customerId", "apiName", "eventName", "userDomain", "userId", "actionId", "actionTimestamp", "value", "receivedAt", "ingestId"}

// csvFile reads a table of conversions under a header.
type csvFile struct {
	reader  *csv.Reader
	header  []string
	columns []string // what each is read as, empty where it is not read
	zone    *time.Location
	raw     recorder
}

// recorder keeps what was read since the last record, so that a bad one can be written as it was.
type recorder struct {
	io.Reader
	kept  []byte
	taken int64 // how many bytes were forgotten
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.kept = append(r.kept, p[:n]...)
	return n, err
}

// upTo returns what lies before an offset and was not taken yet, and forgets what was taken before.
func (r *recorder) upTo(offset int64) []byte {
	text := r.kept[:offset-r.taken]
	r.kept, r.taken = r.kept[len(text):], offset
	return text
}

// ReadCSV loads every row of a table of conversions; source names it in what is told. Its delimiter, comma,
// semicolon or tab, is seen in the header. The error of one without the columns needed is ErrNotLines.
func (im *Importer) ReadCSV(ctx context.Context, source string, r io.Reader) error {
	reader, start, err := im.begin(source, r)
	if err != nil {
		return err
	}
	if err := looksWrong(start, true); err != nil {
		return fmt.Errorf("%s is %w", source, err)
	}
	file := &csvFile{zone: im.Zone, raw: recorder{Reader: reader}}
	file.reader = csv.NewReader(&file.raw)
	file.reader.FieldsPerRecord, file.reader.ReuseRecord = -1, true
	head, _, _ := strings.Cut(string(start), "\n")
	for _, delimiter := range ";\t" {
		if strings.Count(head, string(delimiter)) > strings.Count(head, string(file.reader.Comma)) {
			file.reader.Comma = delimiter
		}
	}
	header, err := file.reader.Read()
	if errors.Is(err, io.EOF) {
		return nil // an empty file
	}
	if err != nil {
		return fmt.Errorf("%s is %w", source, notLines("its header can't be read as CSV: %v", err))
	}
	rawHeader := file.raw.upTo(file.reader.InputOffset())
	if err := im.takeHeader(file, header); err != nil {
		return fmt.Errorf("%s is %w", source, err)
	}
	rejectsHeader := bytes.Clone(rawHeader)
	for {
		record, err := file.reader.Read()
		raw := file.raw.upTo(file.reader.InputOffset())
		if errors.Is(err, io.EOF) {
			return nil
		}
		var wrong *csv.ParseError
		switch {
		case errors.As(err, &wrong):
			im.summary.Lines++
			im.rejectRecord(&rejectsHeader, raw)
			im.bad(Place{source, "line", int64(wrong.StartLine)}, fault{wrong.Err.Error(), fmt.Sprintf("not readable as CSV: %v (column %d)", wrong.Err, wrong.Column)})
		case err != nil:
			return fmt.Errorf("read %s: %w", source, err)
		default:
			line, _ := file.reader.FieldPos(0)
			at := Place{source, "line", int64(line)}
			if wrong := im.csvRecord(file, at, record); wrong != nil {
				im.rejectRecord(&rejectsHeader, raw)
				im.bad(at, wrong)
			}
		}
		if err := im.flushFull(ctx); err != nil {
			return err
		}
	}
}

// rejectRecord writes a bad row as it was, the first time below its header.
func (im *Importer) rejectRecord(header *[]byte, raw []byte) {
	im.keep(*header)
	*header = nil
	im.keep(raw)
	if !bytes.HasSuffix(raw, []byte("\n")) {
		im.keep([]byte("\n"))
	}
}

// takeHeader finds out which column is what.
func (im *Importer) takeHeader(file *csvFile, header []string) error {
	has := map[string]bool{}
	for _, name := range header {
		name = strings.TrimSpace(name)
		file.header = append(file.header, name)
		switch {
		case !slices.Contains(csvColumns, name):
			file.columns = append(file.columns, "")
			if ours := ingest.IgnoredField(name); ours != "" {
				im.warnings[fmt.Sprintf("the column %s is ignored; the one that is read is called %s", human.Quote(name), ours)]++
			}
			continue
		case has[name]:
			return notLines("its header has the column %s twice", name)
		}
		has[name] = true
		file.columns = append(file.columns, name)
	}
	var missing []string
	for _, name := range []string{"customerId", "apiName", "userDomain", "userId", "actionId", "actionTimestamp"} {
		if !has[name] && !(name == "apiName" && has["eventName"]) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return notLines("its header %s lacks the columns %s; a table of conversions needs them all, and may have value and receivedAt",
			human.Quote(strings.Join(header, string(file.reader.Comma))), strings.Join(missing, ", "))
	}
	return nil
}

// csvRecord loads a row, and returns what is wrong with it.
func (im *Importer) csvRecord(file *csvFile, at Place, record []string) error {
	im.summary.Lines++
	var l line
	c := &checker{}
	if len(record) != len(file.header) {
		c.fault("the row has %d cells, the header %d", len(record), len(file.header))
	} else {
		l = file.line(c, record)
	}
	var r row
	if len(c.faults) == 0 {
		r.conversion = l.conversion(c)
		r.hasReceivedAt, r.warnings = !absent(l.ReceivedAt), c.warnings
	}
	if len(c.faults) > 0 {
		return lineFaults(c.faults)
	}
	im.take(at, nil, r)
	return nil
}

// line makes the cells the fields of a line. An empty one is as if it were not there.
func (file *csvFile) line(c *checker, record []string) (l line) {
	for i, name := range file.columns {
		cell := record[i]
		if name == "" || cell == "" {
			continue
		}
		switch name {
		case "customerId":
			l.CustomerID = quoted(c, name, cell)
		case "apiName", "eventName":
			l.APIName = quoted(c, name, cell)
		case "userDomain":
			l.UserDomain = quoted(c, name, cell)
		case "userId":
			l.UserID = quoted(c, name, cell)
		case "actionId":
			l.ActionID = quoted(c, name, cell)
		case "ingestId":
			l.IngestID = quoted(c, name, cell)
		case "actionTimestamp":
			l.ActionAt = file.moment(c, name, cell)
		case "receivedAt":
			l.ReceivedAt = file.moment(c, name, cell)
		case "value":
			if !plainNumber.MatchString(strings.TrimSpace(cell)) {
				c.valueFault("%s is %s, and must be a plain decimal, as 1234.56, without signs of thousands or currencies", name, cell)
				continue
			}
			l.Value = jsontext.Value(strings.TrimLeft(strings.TrimSpace(cell), "+"))
		}
	}
	return l
}

var plainNumber = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// quoted is a cell as a JSON string.
func quoted(c *checker, name, cell string) jsontext.Value {
	text, err := json.Marshal(cell)
	if err != nil { // it is no UTF-8
		c.valueFault("%s is %s, which is not UTF-8", name, strings.ToValidUTF8(cell, "?"))
	}
	return text
}

// moment reads milliseconds or ISO 8601 as a JSON number of milliseconds.
func (file *csvFile) moment(c *checker, name, cell string) jsontext.Value {
	cell = strings.TrimSpace(cell)
	if strings.Trim(cell, "0123456789") == "" {
		return jsontext.Value(strings.TrimLeft(cell[:len(cell)-1], "0") + cell[len(cell)-1:])
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 Z0700",
		"2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00"} {
		if at, err := time.Parse(layout, cell); err == nil { // fractions of a second are read, too
			return jsontext.Value(fmt.Sprint(at.UnixMilli()))
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if at, err := time.ParseInLocation(layout, cell, cmpZone(file.zone)); err == nil {
			if file.zone == nil {
				c.valueFault("%s is %s, without a time zone: give --time-zone, as Europe/Berlin or UTC, or write the offset, as 2026-11-18T14:06:45+01:00", name, cell)
				return nil
			}
			return jsontext.Value(fmt.Sprint(at.UnixMilli()))
		}
	}
	if _, err := time.Parse(time.DateOnly, cell); err == nil {
		c.valueFault("%s is %s, a day without the time of day, before which no view of that day would lie", name, cell)
		return nil
	}
	c.valueFault("%s is %s, and must be Unix milliseconds or ISO 8601, as 2026-11-18T14:06:45+01:00", name, cell)
	return nil
}

// ParseZone reads a time zone by its name; empty is none.
func ParseZone(name string) (*time.Location, error) {
	if name == "" {
		return nil, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, refuse.Invalidf("%s is no time zone; give a name as Europe/Berlin, America/New_York or UTC", human.Quote(name))
	}
	return zone, nil
}

// cmpZone is the zone to try, where none was given.
func cmpZone(zone *time.Location) *time.Location {
	if zone == nil {
		return time.UTC
	}
	return zone
}
