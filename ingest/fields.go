package ingest

import (
	stdjson "encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

// Limits of docs/openapi.yaml that are the same for backends and browsers.
const (
	maxIDBytes = 256

	// secondsBelow separates stamps in seconds from stamps in milliseconds, which as
	// milliseconds would lie before March 1973, and microsecondsAbove those in
	// microseconds, which would lie after the year 5138.
	secondsBelow      = 100_000_000_000
	microsecondsAbove = 100_000_000_000_000
)

// maxValue is the first value that is too large: Decimal(18, 4) holds 14 digits.
var maxValue = decimal.New(1, 14)

// faults gathers what is wrong with an event.
type faults struct{ list []fault }

func (f *faults) add(field, code string, raw jsonText, format string, args ...any) {
	item := fault{Field: field, Code: code, Message: fmt.Sprintf(format, args...)}
	if len(raw) > 0 && len(raw) <= 2*maxIDBytes {
		item.Received = stdjson.RawMessage(raw)
	}
	f.list = append(f.list, item)
}

// id reads a text of 1 to 256 bytes.
func (f *faults) id(field string, raw jsonText) string {
	if raw.absent() {
		f.add(field, "missing", "", "%s is required", field)
		return ""
	}
	if raw.kind() != '"' {
		f.add(field, "wrong_type", raw, "%s must be a string", field)
		return ""
	}
	text, err := unquote(raw)
	if err != nil {
		f.add(field, "wrong_type", raw, "%s must be a string", field)
		return ""
	}
	switch {
	case text == "":
		f.add(field, "empty", raw, "%s must not be empty", field)
	case len(text) > maxIDBytes:
		f.add(field, "too_long", "", "%s has %d bytes, at most %d are allowed", field, len(text), maxIDBytes)
	}
	return text
}

// realID reads an id that stands for somebody or something: unlike a placeholder, which would
// tie all who send it to one another.
func (f *faults) realID(field string, raw jsonText) string {
	text := f.id(field, raw)
	if IsPlaceholder(text) {
		f.add(field, "placeholder", raw, "%s %s stands for no value: a variable was empty, or a template was not filled in", field, strconv.Quote(text))
	}
	return text
}

// IsPlaceholder reports whether an id is what programs write for no value, or a template left
// unfilled: white space, undefined, null, nan, none or [object object] in any case, {{…}}, ${…}
// or %…%.
func IsPlaceholder(id string) bool {
	if id == "" || !beginsPlaceholder[id[0]] {
		return false
	}
	switch last := id[len(id)-1]; {
	case last == '}':
		return strings.HasPrefix(id, "{{") && strings.HasSuffix(id, "}}") && len(id) >= 4 || strings.HasPrefix(id, "${")
	case last == '%':
		return id[0] == '%' && len(id) > 1
	case len(id) > len("[object object]"):
		return strings.TrimSpace(id) == ""
	}
	switch strings.ToLower(id) {
	case "undefined", "null", "nan", "none", "[object object]":
		return true
	}
	return strings.TrimSpace(id) == ""
}

// beginsPlaceholder has the bytes that one may begin with: most ids are told by their first.
var beginsPlaceholder = func() (begins [256]bool) {
	for c := range ' ' + 1 {
		begins[c] = true
	}
	for c := utf8.RuneSelf; c < len(begins); c++ {
		begins[c] = true // white space beyond ASCII, perhaps
	}
	for _, c := range "uUnN[{$%" {
		begins[c] = true
	}
	return begins
}()

// unquote returns what a JSON string means: a view into it where nothing is escaped.
func unquote(raw jsonText) (text string, err error) {
	if strings.IndexByte(string(raw), '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	unescaped, err := jsontext.AppendUnquote(nil, raw)
	return string(unescaped), err
}

// integer reads a whole number of milliseconds, or a string of digits, as WholeNumber does.
func (f *faults) integer(field string, raw jsonText) (n int64, ok bool) {
	if raw.absent() {
		f.add(field, "missing", "", "%s is required", field)
		return 0, false
	}
	const must = "%s must be Unix milliseconds, a whole number or a string of its digits"
	text := string(raw)
	switch raw.kind() {
	case '0':
		if n, ok = WholeNumber(text); !ok {
			f.add(field, "wrong_type", raw, must+"; this has a fraction%s", field, likelySeconds(text))
		}
		return n, ok
	case '"':
		var err error
		if text, err = unquote(raw); err == nil && isDigits(text) {
			return WholeNumber(text)
		}
		f.add(field, "wrong_type", raw, must+"%s", field, likelyStamp(text))
		return 0, false
	default:
		f.add(field, "wrong_type", raw, must, field)
		return 0, false
	}
}

// likelySeconds says that a number with a fraction looks like seconds, as many languages give
// the time.
func likelySeconds(text string) string {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n > 1e9 && n < secondsBelow {
		return ", and looks like seconds: multiply by 1000 and round"
	}
	return ""
}

// likelyStamp says what a text is that stands where a number of milliseconds should.
func likelyStamp(text string) string {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return fmt.Sprintf("; this is a date in ISO 8601, which is %d", at.UnixMilli())
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly} {
		if _, err := time.Parse(layout, text); err == nil {
			return "; this is a date in ISO 8601 without a time zone"
		}
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) {
		if whole, ok := WholeNumber(text); ok {
			return fmt.Sprintf("; this is the text of a decimal number: send %d", whole)
		}
		return "; this is the text of a number with a fraction" + likelySeconds(text)
	}
	return ""
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// WholeNumber reads the text of a JSON number that is whole, however it is written.
// One that is not of digits alone, or has too many for int64, is returned as 10^17 where
// it is beyond that: no limit is.
func WholeNumber(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	approx, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(approx, 0) {
		return 0, false
	}
	if math.Abs(approx) > 1e17 {
		return int64(math.Copysign(1e17, approx)), true
	}
	number, ok := boundedDecimal(text)
	if !ok || !number.IsInteger() {
		return 0, false
	}
	return number.IntPart(), true
}

// boundedDecimal parses a number whose text and exponent are of a size that is safe
// to compute with.
func boundedDecimal(text string) (decimal.Decimal, bool) {
	const most = 400
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if len(mantissa) > most {
		return decimal.Zero, false
	}
	if exponent != "" {
		if n, err := strconv.Atoi(exponent); err != nil || n > most || n < -most {
			return decimal.Zero, false
		}
	}
	number, err := decimal.NewFromString(text)
	return number, err == nil
}

// value reads an optional amount of money, rounded to 4 places, half away from zero.
func (f *faults) value(field string, raw jsonText) decimal.NullDecimal {
	if raw.absent() {
		return decimal.NullDecimal{}
	}
	if raw.kind() != '0' {
		f.add(field, "wrong_type", raw, "%s must be a number", field)
		return decimal.NullDecimal{}
	}
	amount, code := ParseValue(string(raw))
	switch code {
	case "value_negative":
		f.add(field, code, raw, "%s must not be negative", field)
	case "value_out_of_range":
		f.add(field, code, raw, "%s must be below 10^14", field)
	}
	return decimal.NewNullDecimal(amount)
}

// plainAmount reads what most amounts look like, up to 14 digits with up to 4 places,
// as ten-thousandths.
func plainAmount(text string) (scaled int64, ok bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if whole == "" || len(whole) > 14 || len(fraction) > 4 || strings.HasSuffix(text, ".") {
		return 0, false
	}
	for _, digits := range [...]string{whole, fraction} {
		for i := range len(digits) {
			if digits[i] < '0' || digits[i] > '9' {
				return 0, false
			}
			scaled = scaled*10 + int64(digits[i]-'0')
		}
	}
	for range 4 - len(fraction) {
		scaled *= 10
	}
	return scaled, true
}

// ParseValue reads the text of a JSON number as an amount of money, rounded to 4
// places, half away from zero (docs/openapi.yaml). code is empty, value_negative or
// value_out_of_range.
func ParseValue(text string) (amount decimal.Decimal, code string) {
	if scaled, ok := plainAmount(text); ok {
		return decimal.New(scaled, -4), ""
	}
	approx, _ := strconv.ParseFloat(text, 64) // beyond float64 it is ±Inf or 0, which says enough
	amount, ok := boundedDecimal(text)
	if !ok {
		amount = decimal.Zero
		if !math.IsInf(approx, 0) && math.Abs(approx) < 1e15 {
			amount = decimal.NewFromFloat(approx)
		}
	}
	amount = amount.Round(4)
	switch {
	case approx < 0:
		return amount, "value_negative"
	case math.IsInf(approx, 0) || approx >= 1e15 || amount.GreaterThanOrEqual(maxValue):
		return amount, "value_out_of_range"
	}
	return amount, ""
}
