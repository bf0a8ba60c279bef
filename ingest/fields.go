package ingest

import (
	stdjson "encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

// Limits of spec 3.1 that are the same for backends and browsers.
const (
	maxIDBytes = 256

	// secondsBelow tells a stamp in seconds from one in milliseconds: as
	// milliseconds it would lie before March 1973.
	secondsBelow = 100_000_000_000
)

// maxValue is the first value that is too large: Decimal(18, 4) holds 14 digits.
var maxValue = decimal.New(1, 14)

// decodeObject reads a body that is one object into dest, a struct of
// jsontext.Value: strict JSON first, JSON5 only when that fails.
func decodeObject(body []byte, dest any) *apiError {
	if json.Unmarshal(body, dest) != nil {
		rewritten, apiErr := json5ToJSON(body)
		if apiErr != nil {
			return apiErr
		}
		if json.Unmarshal(rewritten, dest) != nil {
			return errInvalidJSON("the body must be an object", 0)
		}
		body = rewritten
	}
	if jsontext.Value(body).Kind() != '{' {
		return errInvalidJSON("the body must be an object", 0)
	}
	return nil
}

// jsonText is a JSON value as it was sent, empty where there is none.
type jsonText string

func (t jsonText) kind() jsontext.Kind {
	if t == "" {
		return 0
	}
	return jsontext.Value(t[:1]).Kind()
}

func (t jsonText) absent() bool { return t == "" || t[0] == 'n' }

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

// unquote returns what a JSON string means: a view into it where nothing is escaped.
func unquote(raw jsonText) (text string, err error) {
	if strings.IndexByte(string(raw), '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	unescaped, err := jsontext.AppendUnquote(nil, raw)
	return string(unescaped), err
}

// integer reads a whole number, or a string of digits, as WholeNumber does.
func (f *faults) integer(field string, raw jsonText) (n int64, ok bool) {
	if raw.absent() {
		f.add(field, "missing", "", "%s is required", field)
		return 0, false
	}
	text := string(raw)
	switch raw.kind() {
	case '0':
	case '"':
		var err error
		if text, err = unquote(raw); err != nil || !isDigits(text) {
			f.add(field, "wrong_type", raw, "%s must be a number of milliseconds, or a string of its digits", field)
			return 0, false
		}
	default:
		f.add(field, "wrong_type", raw, "%s must be a number of milliseconds", field)
		return 0, false
	}
	n, ok = WholeNumber(text)
	if !ok {
		f.add(field, "wrong_type", raw, "%s must be a whole number of milliseconds", field)
	}
	return n, ok
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
// places, half away from zero (spec 3.1). code is empty, value_negative or
// value_out_of_range.
func ParseValue(text string) (amount decimal.Decimal, code string) {
	if scaled, ok := plainAmount(text); ok {
		return decimal.New(scaled, -4), ""
	}
	approx, _ := strconv.ParseFloat(text, 64) // beyond float64 it is ±Inf or 0, which tells enough
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
