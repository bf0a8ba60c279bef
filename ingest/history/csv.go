package history

import (
	"bytes"
	"cmp"
	"context"
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
	rows    rowReader
	header  []string
	columns []string // what each is read as, empty where it is not read
	zone    *time.Location
}

// ReadCSV loads every row of a table of conversions; source names it in what is reported. Its delimiter, comma,
// semicolon or tab, is seen in the header. The error of one without the columns needed is ErrNotLines.
func (im *Importer) ReadCSV(ctx context.Context, source string, r io.Reader) error {
	reader, start, err := im.begin(source, r)
	if err != nil {
		return err
	}
	if err := looksWrong(start, true); err != nil {
		return fmt.Errorf("%s is %w", source, err)
	}
	file := &csvFile{zone: im.Zone, rows: newRowReader(reader, start)}
	header, rawHeader, _, err := file.rows.next()
	if said, ok := strings.CutPrefix(string(rawHeader), "sep="); ok && strings.TrimSpace(said) != "" { // Excel's
		file.rows.delimiter = []rune(said)[0]
		header, rawHeader, _, err = file.rows.next()
	}
	if errors.Is(err, io.EOF) {
		return nil // an empty file
	}
	if err != nil {
		return fmt.Errorf("%s is %w", source, notLines("its header can't be read as CSV: %v", err))
	}
	if err := im.takeHeader(file, header); err != nil {
		return fmt.Errorf("%s is %w", source, err)
	}
	for {
		record, raw, line, err := file.rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, errReading) {
			return fmt.Errorf("read %s: %w", source, err)
		}
		at := Place{source, "line", line}
		if err == nil {
			err = im.csvRecord(file, at, record)
		} else {
			im.summary.Lines++
		}
		if err != nil {
			raw = file.rows.onlyFirst(raw) // what follows is read by itself: a quotation mark may stand there by mistake
			im.rejectRecord(&rawHeader, raw)
			im.bad(at, err)
		}
		if err := im.flushFull(ctx); err != nil {
			return err
		}
	}
}

// rejectRecord writes a bad row as it was, the first time below its header.
func (im *Importer) rejectRecord(header *[]byte, raw []byte) {
	for _, text := range [][]byte{*header, raw} {
		if im.keep(text); len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			im.keep([]byte("\n"))
		}
	}
	*header = nil
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
			human.Quote(strings.Join(header, string(file.rows.delimiter))), strings.Join(missing, ", "))
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
		case "apiName":
			l.APIName = quoted(c, name, cell)
		case "eventName":
			l.EventName = quoted(c, name, cell)
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
	for _, layout := range isoWithOffset {
		if at, err := time.Parse(layout, cell); err == nil { // fractions of a second are read, too
			return jsontext.Value(fmt.Sprint(at.UnixMilli()))
		}
	}
	for _, layout := range isoWithout {
		if at, err := time.ParseInLocation(layout, cell, cmp.Or(file.zone, time.UTC)); err == nil {
			if file.zone == nil {
				c.valueFault("%s is %s, without a time zone: give --time-zone, as Europe/Berlin or UTC, or write the offset, as 2026-11-18T14:06:45+01:00", name, cell)
				return nil
			}
			return jsontext.Value(fmt.Sprint(firstOf(at).UnixMilli()))
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
		return nil, refuse.Invalidf("%s is not a time zone; give a name as Europe/Berlin, America/New_York or UTC", human.Quote(name))
	}
	return zone, nil
}

// Forms of ISO 8601, extended and basic, and with a space as databases write them.
var isoWithOffset, isoWithout = func() (with, without []string) {
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "20060102T150405", "20060102T1504"} {
		without = append(without, form)
		for _, offset := range []string{"Z07:00", "Z0700", "Z07", " Z07:00", " Z0700"} {
			with = append(with, form+offset)
		}
	}
	return with, without
}()

// firstOf returns the first of two moments that a clock shows alike, as when it is set back in autumn.
func firstOf(at time.Time) time.Time {
	for _, back := range []time.Duration{time.Hour, 30 * time.Minute} {
		if earlier := at.Add(-back); earlier.Format(time.DateTime) == at.Format(time.DateTime) {
			return earlier
		}
	}
	return at
}
