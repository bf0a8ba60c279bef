package ingest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonText is a JSON value in strict JSON, empty where there is none.
type jsonText string

func (t jsonText) kind() jsontext.Kind {
	if t == "" {
		return 0
	}
	return jsontext.Value(t[:1]).Kind()
}

func (t jsonText) absent() bool { return t == "" || t[0] == 'n' }

// fields are where an object's values go.
type fields interface {
	// field returns where the value of a key belongs, nil for a key that is not known.
	field(key string) *jsonText
	// other takes what stands under a key that is not known.
	other(key string, value jsonText)
}

// arrayReader are fields that read an array where it stands, element by element.
type arrayReader interface {
	// readArray reads the array that begins here and is the value of a key, or returns false.
	readArray(key string, r *jsonReader) bool
}

// jsonReader reads JSON, and JSON5 with it: the seed's examples have unquoted keys and must
// work when pasted into a shell. It is our own since bodies ask for more than a decoder gives:
// numbers keep their text (149.99 is money); a key given twice, NaN, Infinity and hexadecimal
// numbers are refused; an error knows its byte; one bad item leaves the others readable; and
// what machines write, plain strings and numbers, is read without a copy.
type jsonReader struct {
	text string
	at   int
	what string    // that is read, for an error
	err  *apiError // the first; nothing is read behind it
	out  []byte    // a value that is being rewritten in strict JSON
}

// newJSONReader reads raw, which nobody may write to while what was read is in use.
func newJSONReader(raw []byte) *jsonReader {
	r := &jsonReader{text: view(raw), what: "the body"}
	r.at = len(r.text) - len(strings.TrimPrefix(r.text, "\uFEFF"))
	return r
}

// view is raw as a string without a copy: for as long as nobody writes to raw, which
// holds for a body until its request is answered.
func view(raw []byte) string { return unsafe.String(unsafe.SliceData(raw), len(raw)) }

// maxJSONDepth bounds the recursion.
const maxJSONDepth = 64

func (r *jsonReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = errInvalidJSON(fmt.Sprintf(format, args...), int64(r.at))
	}
}

func (r *jsonReader) ended() bool { return r.at >= len(r.text) }

// peek returns the next byte, 0 at the end and after an error.
func (r *jsonReader) peek() byte {
	if r.err == nil && r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

// here is the next character, for an error.
func (r *jsonReader) here() string {
	if r.ended() {
		return "end of the body"
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return strconv.QuoteRune(c)
}

// rune returns the next character and its size; it refuses invalid UTF-8.
func (r *jsonReader) rune() (rune, int) {
	c, size := utf8.DecodeRuneInString(r.text[r.at:])
	if c == utf8.RuneError && size <= 1 {
		if size == 0 {
			r.fail("the body ends too early")
		} else {
			r.fail("invalid UTF-8")
		}
	}
	return c, size
}

// space skips white space and comments. Mostly there is none.
func (r *jsonReader) space() {
	if r.at < len(r.text) && r.text[r.at]-('/'+1) < utf8.RuneSelf-('/'+1) {
		return
	}
	r.skipSpace()
}

func (r *jsonReader) skipSpace() {
	for r.err == nil && r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			r.at++
		case c == '/':
			r.comment()
		case c > ' ' && c < utf8.RuneSelf:
			return
		default:
			c, size := r.rune()
			if !unicode.IsSpace(c) && c != '\uFEFF' {
				return
			}
			r.at += size
		}
	}
}

func (r *jsonReader) comment() {
	end := endOfComment(r.text, r.at)
	switch {
	case end == r.at:
		r.fail("unexpected %s", r.here())
		return
	case r.text[r.at+1] == '*' && (end < r.at+4 || !strings.HasSuffix(r.text[:end], "*/")):
		r.fail("a comment without end")
		return
	}
	for r.at < end && r.err == nil {
		_, size := r.rune()
		r.at += size
	}
}

// endOfComment returns what is behind a comment that begins at text[at], at if none does.
func endOfComment(text string, at int) int {
	end := ""
	switch {
	case strings.HasPrefix(text[at:], "//"):
		end = "\n"
	case strings.HasPrefix(text[at:], "/*"):
		end = "*/"
	default:
		return at
	}
	length := strings.Index(text[at+2:], end)
	if length < 0 {
		return len(text)
	}
	return at + 2 + length + len(end)
}

func (r *jsonReader) expect(c byte) {
	if r.peek() == c {
		r.at++
		return
	}
	r.fail("expected %q, found %s", string(c), r.here())
}

// object reads the object that begins here.
func (r *jsonReader) object(into fields) {
	if r.peek() != '{' {
		r.fail("%s must be an object", r.what)
		return
	}
	r.at++
	var others keys
	for r.space(); r.peek() != '}'; r.space() {
		start := r.at
		key := r.key()
		if r.err != nil {
			return
		}
		field := into.field(key)
		if field != nil && *field != "" || field == nil && !others.add(key) {
			r.at = start
			r.fail("the key %q is given twice", key)
			return
		}
		r.space()
		r.expect(':')
		r.space()
		value := jsonText("[]")
		if a, ok := into.(arrayReader); !ok || r.peek() != '[' || !a.readArray(key, r) {
			value = r.value()
		}
		if r.err != nil {
			return
		}
		if field != nil {
			*field = value
		} else {
			into.other(key, value)
		}
		r.space()
		if r.peek() != '}' {
			r.expect(',')
		}
		if r.err != nil {
			return
		}
	}
	r.at++
}

// end refuses anything but white space and comments.
func (r *jsonReader) end() {
	if r.space(); r.err == nil && !r.ended() {
		r.fail("unexpected %s after the end", r.here())
	}
}

// keys are those of an object that are not known.
type keys struct {
	few  []string
	many map[string]bool
}

// add reports whether the key is a new one.
func (k *keys) add(key string) bool {
	const few = 8
	for _, one := range k.few {
		if one == key {
			return false
		}
	}
	if len(k.few) < few {
		k.few = append(k.few, key)
		return true
	}
	if k.many == nil {
		k.many = map[string]bool{}
	}
	seen := k.many[key]
	k.many[key] = true
	return !seen
}

// key reads a key, which JSON5 lets stand without quotes.
func (r *jsonReader) key() string {
	if end := plainString(r.text, r.at); end > 0 {
		key := r.text[r.at+1 : end-1]
		r.at = end
		return key
	}
	if c := r.peek(); c == '"' || c == '\'' {
		return r.quoted(c)
	}
	start := r.at
	for !r.ended() {
		c, size := r.rune()
		letter := c == '$' || c == '_' || unicode.IsLetter(c)
		if r.err != nil || !letter && (r.at == start || !unicode.IsDigit(c)) {
			break
		}
		r.at += size
	}
	if r.at == start {
		r.fail("expected a key, found %s", r.here())
	}
	return r.text[start:r.at]
}

// value reads any value: as it stands where it is a plain one, and rewritten in strict JSON
// where not.
func (r *jsonReader) value() jsonText {
	if end := plainValue(r.text, r.at); end > 0 {
		value := r.text[r.at:end]
		r.at = end
		return jsonText(value)
	}
	r.out = r.out[:0]
	r.rewrite(0)
	if r.err != nil {
		return ""
	}
	return jsonText(r.out)
}

// rewrite appends the next value to r.out.
func (r *jsonReader) rewrite(depth int) {
	if depth > maxJSONDepth {
		r.fail("nested deeper than %d", maxJSONDepth)
		return
	}
	switch c := r.peek(); {
	case c == '{':
		r.rewriteObject(depth)
	case c == '[':
		r.rewriteArray(depth)
	case c == '"' || c == '\'':
		r.quote(r.quoted(c))
	case c == '+' || c == '-' || c == '.' || c >= '0' && c <= '9':
		r.number()
	default:
		r.literal()
	}
}

func (r *jsonReader) rewriteObject(depth int) {
	r.at++
	r.out = append(r.out, '{')
	var seen keys
	for r.space(); r.peek() != '}' && r.err == nil; r.space() {
		if len(seen.few) > 0 {
			r.out = append(r.out, ',')
		}
		start := r.at
		key := r.key()
		if r.err == nil && !seen.add(key) {
			r.at = start
			r.fail("the key %q is given twice", key)
		}
		r.quote(key)
		r.out = append(r.out, ':')
		r.space()
		r.expect(':')
		r.space()
		r.rewrite(depth + 1)
		r.space()
		if r.peek() != '}' {
			r.expect(',')
		}
	}
	r.at++
	r.out = append(r.out, '}')
}

func (r *jsonReader) rewriteArray(depth int) {
	r.at++
	r.out = append(r.out, '[')
	for first := true; r.err == nil; first = false {
		if r.space(); r.peek() == ']' {
			break
		}
		if !first {
			r.out = append(r.out, ',')
		}
		r.rewrite(depth + 1)
		if r.space(); r.peek() != ']' {
			r.expect(',')
		}
	}
	r.at++
	r.out = append(r.out, ']')
}

// quote appends text as a JSON string.
func (r *jsonReader) quote(text string) { r.out = appendQuoted(r.out, text) }

// quoted reads a string and returns what it means.
func (r *jsonReader) quoted(mark byte) string {
	r.at++
	var text []byte
	for r.err == nil {
		c, size := r.rune()
		switch {
		case r.err != nil:
		case c == rune(mark):
			r.at++
			return string(text)
		case c == '\\':
			text = r.escape(text)
		case c == '\n' || c == '\r':
			r.fail("a line break in a string")
		default:
			text = utf8.AppendRune(text, c)
			r.at += size
		}
	}
	return ""
}

var simpleEscapes = map[rune]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '0': 0}

func (r *jsonReader) escape(text []byte) []byte {
	r.at++
	c, size := r.rune()
	r.at += size
	switch c {
	case 'u':
		return r.unicodeEscape(text)
	case 'x':
		return utf8.AppendRune(text, r.hex(2))
	case '\r':
		if r.peek() == '\n' {
			r.at++
		}
		return text
	case '\n', '\u2028', '\u2029':
		return text
	}
	if meaning, ok := simpleEscapes[c]; ok {
		return utf8.AppendRune(text, meaning)
	}
	return utf8.AppendRune(text, c)
}

func (r *jsonReader) unicodeEscape(text []byte) []byte {
	start := r.at
	c := r.hex(4)
	const highFirst, lowFirst, lowLast = 0xD800, 0xDC00, 0xDFFF
	if c >= highFirst && c <= lowLast {
		low := rune(0)
		if c < lowFirst && strings.HasPrefix(r.text[r.at:], `\u`) {
			r.at += 2
			low = r.hex(4)
		}
		if low < lowFirst || low > lowLast {
			r.at = start
			r.fail("half of a surrogate pair")
			return text
		}
		c = 0x10000 + (c-highFirst)<<10 + (low - lowFirst)
	}
	return utf8.AppendRune(text, c)
}

func (r *jsonReader) hex(digits int) rune {
	if r.at+digits > len(r.text) {
		r.fail("an escape without end")
		return 0
	}
	n, err := strconv.ParseUint(r.text[r.at:r.at+digits], 16, 32)
	if err != nil {
		r.fail("an escape that is not hexadecimal")
		return 0
	}
	r.at += digits
	return rune(n)
}

// number copies a decimal number, in the form that JSON has for it.
func (r *jsonReader) number() {
	if c := r.peek(); c == '+' || c == '-' {
		if c == '-' {
			r.out = append(r.out, '-')
		}
		r.at++
	}
	whole := r.digits()
	if len(whole) > 1 && whole[0] == '0' || whole == "0" && r.peek()|0x20 == 'x' {
		r.fail("hexadecimal numbers and leading zeroes are not allowed")
		return
	}
	fraction := ""
	if r.peek() == '.' {
		r.at++
		fraction = r.digits()
	}
	switch {
	case whole != "":
		r.out = append(r.out, whole...)
	case fraction != "":
		r.out = append(r.out, '0')
	default:
		r.fail("expected a number, found %s", r.here())
		return
	}
	if fraction != "" {
		r.out = append(append(r.out, '.'), fraction...)
	}
	r.exponent()
}

func (r *jsonReader) exponent() {
	if r.peek()|0x20 != 'e' {
		return
	}
	r.at++
	r.out = append(r.out, 'e')
	if c := r.peek(); c == '+' || c == '-' {
		r.out = append(r.out, c)
		r.at++
	}
	digits := r.digits()
	if digits == "" {
		r.fail("expected an exponent, found %s", r.here())
	}
	r.out = append(r.out, digits...)
}

func (r *jsonReader) digits() string {
	start := r.at
	r.at = digits(r.text, start)
	return r.text[start:r.at]
}

func (r *jsonReader) literal() {
	for _, word := range [...]string{"true", "false", "null"} {
		if r.err == nil && strings.HasPrefix(r.text[r.at:], word) {
			r.out = append(r.out, word...)
			r.at += len(word)
			return
		}
	}
	r.fail("unexpected %s", r.here())
}

// elements reads the elements of the array that begins here, each with read, which reports
// whether one more is allowed; the error is tooMany where not. done gets what is wrong with each
// element, nil for nothing: one that can't be read leaves the others readable, as long as its
// brackets and quotes are closed.
func (r *jsonReader) elements(read func() (allowed bool), done func(bad *apiError), tooMany *apiError) {
	r.at++
	for r.space(); r.peek() != ']'; r.space() {
		start := r.at
		if !read() {
			r.err = tooMany
			return
		}
		if r.space(); r.peek() != ',' && r.peek() != ']' {
			r.fail("expected a comma or the end of the array, found %s", r.here())
		}
		bad := r.forget()
		if bad != nil && !r.recover(start) {
			r.at = len(r.text)
			r.fail("the array does not end, or has a bracket or quote too many; the first element that can't be read: %s", bad.Message)
			return
		}
		done(bad)
		if r.peek() == ',' {
			r.at++
		}
	}
	r.at++
}

// forget returns the error and lets reading go on.
func (r *jsonReader) forget() (err *apiError) {
	err, r.err = r.err, nil
	return err
}

// recover moves behind the element of an array that begins at start and can't be read: to the
// comma or bracket after it, going by brackets, strings and comments alone. It reports whether
// there is one.
func (r *jsonReader) recover(start int) bool {
	depth := 0
	for r.at = start; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '"', '\'':
			if r.at = endOfString(r.text, r.at); r.at < 0 {
				return false
			}
		case '/':
			if end := endOfComment(r.text, r.at); end > r.at {
				r.at = end - 1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return r.text[r.at] == ']'
			}
			depth--
		case ',':
			if depth == 0 {
				return true
			}
		}
	}
	return false
}

// endOfString returns where the string that begins at text[at] has its other quote, or -1.
func endOfString(text string, at int) int {
	quote := text[at]
	for at++; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case quote:
			return at
		}
	}
	return -1
}
