package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/warehouse"
)

// A record of the spool is a kind byte and then the fields, texts with their length
// before them. A new form gets a new kind; old kinds stay readable.
const (
	kindConversion  = 1
	kindClientEvent = 2
	kindAdjustment  = 3
	kindView        = 4 // a client event with attributes
)

var errRecord = errors.New("the record is cut off")

// EncodeConversion appends a row to buf as a record of the spool. A value must be
// rounded to 4 places and below 10^14, so that its digits fit an int64.
func EncodeConversion(buf []byte, c *warehouse.Conversion) []byte {
	if buf == nil {
		buf = make([]byte, 0, 128)
	}
	buf = append(buf, kindConversion)
	buf = append(buf, c.IngestID[:]...)
	buf = binary.AppendVarint(buf, c.ReceivedAtMS)
	buf = binary.AppendVarint(buf, c.ActionAtMS)
	for _, text := range [...]string{c.CustomerID, c.APIName, c.UserDomain, c.UserID, c.ActionID} {
		buf = appendText(buf, text)
	}
	return appendValue(buf, c.Value)
}

// EncodeAdjustment is EncodeConversion for an adjustment.
func EncodeAdjustment(buf []byte, a *warehouse.Adjustment) []byte {
	buf = append(buf, kindAdjustment)
	buf = append(buf, a.IngestID[:]...)
	buf = binary.AppendVarint(buf, a.ReceivedAtMS)
	buf = binary.AppendVarint(buf, a.AdjustedAtMS)
	for _, text := range [...]string{a.CustomerID, a.APIName, a.ActionID, a.Kind} {
		buf = appendText(buf, text)
	}
	return appendValue(buf, a.Value)
}

func appendValue(buf []byte, value decimal.NullDecimal) []byte {
	if !value.Valid {
		return append(buf, 0)
	}
	buf = append(buf, 1)
	buf = binary.AppendVarint(buf, value.Decimal.CoefficientInt64())
	return binary.AppendVarint(buf, int64(value.Decimal.Exponent()))
}

func encodeClientEvent(e *warehouse.ClientEvent) []byte {
	buf := make([]byte, 0, 128)
	kind := byte(kindClientEvent)
	if e.Attributes != "" {
		kind = kindView
	}
	buf = append(buf, kind)
	buf = append(buf, e.IngestID[:]...)
	buf = binary.AppendVarint(buf, e.ReceivedAtMS)
	buf = binary.AppendVarint(buf, e.OccurredAtMS)
	for _, text := range []string{e.CustomerID, e.VisitorID, e.Type, e.OptimizationID, e.VariationID, e.UserDomain, e.UserID} {
		buf = appendText(buf, text)
	}
	if kind == kindView {
		buf = appendText(buf, string(e.Attributes))
	}
	return buf
}

func appendText(buf []byte, text string) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(text)))
	return append(buf, text...)
}

// rows are what records of the spool hold.
type rows struct {
	expected     int // how many of one kind there may be; it sizes the slices
	conversions  []warehouse.Conversion
	clientEvents []warehouse.ClientEvent
	adjustments  []warehouse.Adjustment
}

// empty keeps the memory for other rows, and nothing of what these refer to.
func (rows *rows) empty() {
	clear(rows.conversions)
	clear(rows.clientEvents)
	clear(rows.adjustments)
	rows.conversions, rows.clientEvents, rows.adjustments = rows.conversions[:0], rows.clientEvents[:0], rows.adjustments[:0]
}

// add decodes a record. The texts of the row are views into it.
func (rows *rows) add(record string) error {
	if record == "" {
		return errRecord
	}
	r := recordReader{data: record[1:]}
	switch record[0] {
	case kindConversion:
		c := warehouse.Conversion{IngestID: r.id(), ReceivedAtMS: r.number(), ActionAtMS: r.number()}
		c.CustomerID, c.APIName, c.UserDomain, c.UserID, c.ActionID = r.text(), r.text(), r.text(), r.text(), r.text()
		c.Value = r.value()
		if r.err == nil {
			if cap(rows.conversions) < rows.expected {
				rows.conversions = make([]warehouse.Conversion, 0, rows.expected)
			}
			rows.conversions = append(rows.conversions, c)
		}
	case kindClientEvent, kindView:
		e := warehouse.ClientEvent{IngestID: r.id(), ReceivedAtMS: r.number(), OccurredAtMS: r.number()}
		e.CustomerID, e.VisitorID, e.Type, e.OptimizationID = r.text(), r.text(), r.text(), r.text()
		e.VariationID, e.UserDomain, e.UserID = r.text(), r.text(), r.text()
		if record[0] == kindView {
			e.Attributes = warehouse.Attributes(r.text())
		}
		if r.err == nil {
			if cap(rows.clientEvents) < rows.expected {
				rows.clientEvents = make([]warehouse.ClientEvent, 0, rows.expected)
			}
			rows.clientEvents = append(rows.clientEvents, e)
		}
	case kindAdjustment:
		a := warehouse.Adjustment{IngestID: r.id(), ReceivedAtMS: r.number(), AdjustedAtMS: r.number()}
		a.CustomerID, a.APIName, a.ActionID, a.Kind = r.text(), r.text(), r.text(), r.text()
		a.Value = r.value()
		if r.err == nil {
			rows.adjustments = append(rows.adjustments, a)
		}
	default:
		return fmt.Errorf("a record of unknown kind %d", record[0])
	}
	return r.err
}

// recordReader takes fields from the front of data; err is set once they run out.
type recordReader struct {
	data string
	err  error
}

func (r *recordReader) id() (id uuid.UUID) {
	if len(r.data) < len(id) {
		r.fail()
		return id
	}
	copy(id[:], r.data)
	r.data = r.data[len(id):]
	return id
}

func (r *recordReader) number() int64 {
	zigzag := r.unsigned()
	return int64(zigzag>>1) ^ -int64(zigzag&1)
}

// unsigned is binary.Uvarint of a string.
func (r *recordReader) unsigned() (n uint64) {
	for i := 0; i < len(r.data) && i < binary.MaxVarintLen64; i++ {
		b := r.data[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.data = r.data[i+1:]
			return n
		}
	}
	r.fail()
	return 0
}

func (r *recordReader) flag() bool {
	if len(r.data) == 0 {
		r.fail()
		return false
	}
	set := r.data[0] != 0
	r.data = r.data[1:]
	return set
}

func (r *recordReader) value() decimal.NullDecimal {
	if !r.flag() {
		return decimal.NullDecimal{}
	}
	coefficient, exponent := r.number(), r.number()
	return decimal.NewNullDecimal(decimal.New(coefficient, int32(exponent)))
}

func (r *recordReader) text() string {
	n := r.unsigned()
	if n > uint64(len(r.data)) {
		r.fail()
		return ""
	}
	text := r.data[:n]
	r.data = r.data[n:]
	return text
}

func (r *recordReader) fail() { r.err, r.data = errRecord, "" }
