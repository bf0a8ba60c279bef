package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/warehouse"
)

// checker gathers the faults of a line, and what to warn of.
type checker struct {
	faults   []error
	warnings []string
}

// others warns of fields that are not read, but look as if they were meant for ours.
func (c *checker) others(fields jsontext.Value) {
	if len(fields) == 0 {
		return
	}
	var named map[string]jsontext.Value
	if json.Unmarshal(fields, &named) != nil {
		return
	}
	for name := range named {
		if ours := ingest.IgnoredField(name); ours != "" {
			c.warnings = append(c.warnings, fmt.Sprintf("the field %s is ignored; the one that is read is called %s", human.Quote(name), ours))
		}
	}
}

// realID is an id that should stand for somebody or something.
func (c *checker) realID(field string, raw jsontext.Value) string {
	text := c.id(field, raw)
	if ingest.IsPlaceholder(text) {
		c.warnings = append(c.warnings, fmt.Sprintf("%s is %s, which stands for no value: all who have it are taken for one", field, human.Quote(text)))
	}
	return text
}

// fault notes a fault. Its kind is its format with the texts in it; numbers make no other kind.
func (c *checker) fault(format string, args ...any) {
	kind := format
	for _, arg := range args {
		if name, isName := arg.(string); isName {
			kind += "\x00" + name
		}
	}
	c.faults = append(c.faults, fault{kind, fmt.Sprintf(format, args...)})
}

// valueFault is fault for a value that is a text.
func (c *checker) valueFault(format, name, value string) {
	const most = 60
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "…"
	}
	c.faults = append(c.faults, fault{format + name, fmt.Sprintf(format, name, human.Quote(value))})
}

// absent reports whether a field is not there, or null.
func absent(raw jsontext.Value) bool { return len(raw) == 0 || raw.Kind() == 'n' }

// unquoted returns what a JSON string means, empty for anything else.
func unquoted(raw jsontext.Value) string {
	var text string
	if raw.Kind() == '"' {
		_ = json.Unmarshal(raw, &text) // the line was valid, and so is its part
	}
	return text
}

func (c *checker) id(field string, raw jsontext.Value) string {
	switch text := unquoted(raw); {
	case absent(raw):
		c.fault("%s is missing", field)
	case raw.Kind() != '"':
		c.fault("%s is %.40s, and must be a string", field, raw)
	case text == "":
		c.fault("%s is empty", field)
	case len(text) > catalog.MaxIDBytes:
		c.fault("%s has %d bytes, at most %d are allowed", field, len(text), catalog.MaxIDBytes)
	default:
		if first, last := text[0], text[len(text)-1]; first <= ' ' || last <= ' ' {
			c.warnings = append(c.warnings, fmt.Sprintf("%s begins or ends with white space, which counts", field))
		}
		return text
	}
	return ""
}

// The times that an import takes: the years 2000 to 2100.
var (
	firstMS = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	endMS   = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

func (c *checker) time(field string, raw jsontext.Value) int64 {
	if absent(raw) {
		c.fault("%s is missing", field)
		return 0
	}
	ms, whole := int64(0), false
	if raw.Kind() == '0' {
		ms, whole = ingest.WholeNumber(string(raw))
	}
	if !whole || ms < firstMS || ms >= endMS {
		c.fault("%s is %.40s, and must be Unix milliseconds from 2000 to 2100%s", field, raw, likelyUnit(ms, whole))
	}
	return ms
}

// likelyUnit says which other unit a moment looks like.
func likelyUnit(n int64, whole bool) string {
	between := func(unit int64) bool { return n >= firstMS/1000*unit && n < endMS/1000*unit }
	switch {
	case whole && between(1):
		return "; this looks like seconds: multiply by 1,000"
	case whole && between(1_000_000):
		return "; this looks like microseconds: divide by 1,000"
	default:
		return ""
	}
}

func (c *checker) timeOr(field string, raw jsontext.Value, otherwise int64) int64 {
	if absent(raw) {
		return otherwise
	}
	return c.time(field, raw)
}

// list reads an optional array.
func (c *checker) list(field string, raw jsontext.Value, dest any) {
	if absent(raw) {
		return
	}
	if json.Unmarshal(raw, dest) != nil {
		c.fault("%s must be an array of objects", field)
	}
}

// text reads an optional string.
func (c *checker) text(field string, raw jsontext.Value, otherwise string) string {
	switch {
	case absent(raw):
		return otherwise
	case raw.Kind() != '"':
		c.fault("%s is %.40s, and must be a string", field, raw)
		return otherwise
	default:
		return unquoted(raw)
	}
}

// flag reads an optional true or false.
func (c *checker) flag(field string, raw jsontext.Value) bool {
	if !absent(raw) && raw.Kind() != 't' && raw.Kind() != 'f' {
		c.fault("%s is %.40s, and must be true or false", field, raw)
	}
	return raw.Kind() == 't'
}

// number reads an optional number.
func (c *checker) number(field string, raw jsontext.Value, otherwise float64) float64 {
	if absent(raw) {
		return otherwise
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if raw.Kind() != '0' || err != nil {
		c.fault("%s is %.40s, and must be a number", field, raw)
	}
	return n
}

// positive reads a number above 0; 0 stands for none.
func (c *checker) positive(field string, raw jsontext.Value) float64 {
	n := c.number(field, raw, 0)
	if !absent(raw) && !(n > 0) {
		c.fault("%s is %.40s, and must be a number above 0", field, raw)
	}
	return n
}

// attributes reads those of a view. Other than from a browser, what is bad is a fault.
func (c *checker) attributes(raw jsontext.Value) warehouse.Attributes {
	if absent(raw) {
		return ""
	}
	attributes, bad := ingest.ReadAttributes(raw)
	for _, name := range bad {
		c.fault("attributes: %.40s can't be kept: up to 10 pairs of a name (a to z, 0 to 9 and _, up to 32) and a text of up to 64 bytes are", human.Quote(name))
	}
	return attributes
}

// visitors reads how many visitors an optimization is planned for; 0 where that is not given.
func (c *checker) visitors(raw jsontext.Value) uint64 {
	if absent(raw) {
		return 0
	}
	n, whole := ingest.WholeNumber(string(raw))
	if raw.Kind() != '0' || !whole || n < 1 {
		c.fault("visitors is %.40s, and must be a whole number from 1 up", raw)
		return 0
	}
	return uint64(n)
}
