package ingest

import (
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// The seed's examples have unquoted keys and must work when pasted into a shell, so
// a body that is no JSON is read as JSON5 and rewritten as JSON. Written here since
// the contract asks for more than a decoder gives: numbers keep their text (149.99
// is money), a key given twice, NaN, Infinity and hexadecimal numbers are refused,
// and an error knows its byte.

// json5ToJSON rewrites a JSON5 text as JSON.
func json5ToJSON(text []byte) ([]byte, *apiError) {
	t := &json5{in: text, out: make([]byte, 0, len(text)+16)}
	if !utf8.Valid(text) {
		for t.err == nil {
			_, size := t.rune()
			t.at += size
		}
		return nil, t.err
	}
	t.space()
	t.value(0)
	t.space()
	if t.err == nil && t.at < len(t.in) {
		t.fail("unexpected %s after the end", t.here())
	}
	return t.out, t.err
}

// maxJSON5Depth bounds the recursion.
const maxJSON5Depth = 64

type json5 struct {
	in, out []byte
	at      int
	err     *apiError
}

func (t *json5) fail(format string, args ...any) {
	if t.err == nil {
		t.err = errInvalidJSON(fmt.Sprintf(format, args...), int64(t.at))
		t.at = len(t.in) // ends every loop
	}
}

// peek returns the next byte, 0 at the end.
func (t *json5) peek() byte {
	if t.at < len(t.in) {
		return t.in[t.at]
	}
	return 0
}

func (t *json5) here() string {
	if t.at >= len(t.in) {
		return "end of the body"
	}
	r, _ := utf8.DecodeRune(t.in[t.at:])
	return strconv.QuoteRune(r)
}

// rune reads one character; it refuses invalid UTF-8.
func (t *json5) rune() (rune, int) {
	r, size := utf8.DecodeRune(t.in[t.at:])
	if r == utf8.RuneError && size <= 1 {
		if size == 0 {
			t.fail("the body ends too early")
		} else {
			t.fail("invalid UTF-8")
		}
		return 0, 0
	}
	return r, size
}

// space skips white space and comments.
func (t *json5) space() {
	for t.at < len(t.in) {
		if t.in[t.at] == '/' {
			t.comment()
			continue
		}
		r, size := utf8.DecodeRune(t.in[t.at:])
		if !unicode.IsSpace(r) && r != '\uFEFF' {
			return
		}
		t.at += size
	}
}

func (t *json5) comment() {
	if t.at+1 >= len(t.in) {
		t.fail("unexpected %s", t.here())
		return
	}
	start := t.at
	switch t.in[t.at+1] {
	case '/':
		for t.at < len(t.in) && t.in[t.at] != '\n' && t.in[t.at] != '\r' {
			t.at++
		}
	case '*':
		for t.at += 2; t.at+1 < len(t.in); t.at++ {
			if t.in[t.at] == '*' && t.in[t.at+1] == '/' {
				t.at += 2
				return
			}
		}
		t.at = start
		t.fail("a comment without end")
	default:
		t.fail("unexpected %s", t.here())
	}
}

func (t *json5) value(depth int) {
	if depth > maxJSON5Depth {
		t.fail("nested deeper than %d", maxJSON5Depth)
		return
	}
	switch c := t.peek(); {
	case c == '{':
		t.object(depth)
	case c == '[':
		t.array(depth)
	case c == '"' || c == '\'':
		t.quoted(t.text(c))
	case c == '+' || c == '-' || c == '.' || c >= '0' && c <= '9':
		t.number()
	default:
		t.literal()
	}
}

func (t *json5) object(depth int) {
	t.at++
	t.out = append(t.out, '{')
	seen := map[string]bool{}
	for t.err == nil {
		t.space()
		if t.peek() == '}' {
			t.at++
			break
		}
		if len(seen) > 0 {
			t.out = append(t.out, ',')
		}
		start := t.at
		key := t.key()
		if seen[key] && t.err == nil {
			t.at = start
			t.fail("the key %q is given twice", key)
		}
		seen[key] = true
		t.quoted(key)
		t.out = append(t.out, ':')
		t.space()
		t.expect(':')
		t.space()
		t.value(depth + 1)
		t.space()
		if t.peek() != '}' {
			t.expect(',')
		}
	}
	t.out = append(t.out, '}')
}

func (t *json5) array(depth int) {
	t.at++
	t.out = append(t.out, '[')
	for first := true; t.err == nil; first = false {
		t.space()
		if t.peek() == ']' {
			t.at++
			break
		}
		if !first {
			t.out = append(t.out, ',')
		}
		t.value(depth + 1)
		t.space()
		if t.peek() != ']' {
			t.expect(',')
		}
	}
	t.out = append(t.out, ']')
}

func (t *json5) expect(c byte) {
	if t.peek() != c || t.at >= len(t.in) {
		t.fail("expected %q, found %s", string(c), t.here())
		return
	}
	t.at++
}

func (t *json5) key() string {
	if c := t.peek(); c == '"' || c == '\'' {
		return t.text(c)
	}
	start := t.at
	for t.at < len(t.in) {
		r, size := t.rune()
		letter := r == '$' || r == '_' || unicode.IsLetter(r)
		if !letter && (t.at == start || !unicode.IsDigit(r)) {
			break
		}
		t.at += size
	}
	if t.at == start {
		t.fail("expected a key, found %s", t.here())
	}
	return string(t.in[start:min(t.at, len(t.in))])
}

// text reads a quoted string and returns what it means.
func (t *json5) text(quote byte) string {
	t.at++
	var text []byte
	for t.err == nil {
		r, size := t.rune()
		if t.err != nil {
			break
		}
		switch {
		case r == rune(quote):
			t.at++
			return string(text)
		case r == '\\':
			text = t.escape(text)
		case r == '\n' || r == '\r':
			t.fail("a line break in a string")
		default:
			text = utf8.AppendRune(text, r)
			t.at += size
		}
	}
	return ""
}

var simpleEscapes = map[rune]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '0': 0}

func (t *json5) escape(text []byte) []byte {
	t.at++
	r, size := t.rune()
	t.at += size
	switch r {
	case 'u':
		return t.unicodeEscape(text)
	case 'x':
		return utf8.AppendRune(text, t.hex(2))
	case '\r':
		if t.peek() == '\n' {
			t.at++
		}
		return text
	case '\n', '\u2028', '\u2029':
		return text
	}
	if meaning, ok := simpleEscapes[r]; ok {
		return utf8.AppendRune(text, meaning)
	}
	return utf8.AppendRune(text, r)
}

func (t *json5) unicodeEscape(text []byte) []byte {
	start := t.at
	r := t.hex(4)
	const highFirst, lowFirst, lowLast = 0xD800, 0xDC00, 0xDFFF
	if r >= highFirst && r <= lowLast {
		if r >= lowFirst || t.peek() != '\\' || t.at+1 >= len(t.in) || t.in[t.at+1] != 'u' {
			t.at = start
			t.fail("half of a surrogate pair")
			return text
		}
		t.at += 2
		low := t.hex(4)
		if low < lowFirst || low > lowLast {
			t.at = start
			t.fail("half of a surrogate pair")
			return text
		}
		r = 0x10000 + (r-highFirst)<<10 + (low - lowFirst)
	}
	return utf8.AppendRune(text, r)
}

func (t *json5) hex(digits int) rune {
	if t.at+digits > len(t.in) {
		t.fail("an escape without end")
		return 0
	}
	n, err := strconv.ParseUint(string(t.in[t.at:t.at+digits]), 16, 32)
	if err != nil {
		t.fail("an escape that is not hexadecimal")
		return 0
	}
	t.at += digits
	return rune(n)
}

// number copies a decimal number, in the form that JSON has for it.
func (t *json5) number() {
	if c := t.peek(); c == '+' || c == '-' {
		if c == '-' {
			t.out = append(t.out, '-')
		}
		t.at++
	}
	whole := t.digits()
	if len(whole) > 1 && whole[0] == '0' || len(whole) == 1 && whole[0] == '0' && (t.peek()|0x20) == 'x' {
		t.fail("hexadecimal numbers and leading zeroes are not allowed")
		return
	}
	var fraction []byte
	if t.peek() == '.' {
		t.at++
		fraction = t.digits()
	}
	if len(whole)+len(fraction) == 0 {
		t.fail("expected a number, found %s", t.here())
		return
	}
	if len(whole) == 0 {
		whole = []byte{'0'}
	}
	t.out = append(t.out, whole...)
	if len(fraction) > 0 {
		t.out = append(append(t.out, '.'), fraction...)
	}
	t.exponent()
}

func (t *json5) exponent() {
	if t.peek()|0x20 != 'e' {
		return
	}
	t.at++
	t.out = append(t.out, 'e')
	if c := t.peek(); c == '+' || c == '-' {
		t.out = append(t.out, c)
		t.at++
	}
	digits := t.digits()
	if len(digits) == 0 {
		t.fail("expected an exponent, found %s", t.here())
	}
	t.out = append(t.out, digits...)
}

func (t *json5) digits() []byte {
	start := t.at
	for t.at < len(t.in) && t.in[t.at] >= '0' && t.in[t.at] <= '9' {
		t.at++
	}
	return t.in[start:t.at]
}

func (t *json5) literal() {
	for _, word := range []string{"true", "false", "null"} {
		if len(t.in)-t.at >= len(word) && string(t.in[t.at:t.at+len(word)]) == word {
			t.out = append(t.out, word...)
			t.at += len(word)
			return
		}
	}
	t.fail("unexpected %s", t.here())
}

// quoted writes text as a JSON string.
func (t *json5) quoted(text string) {
	t.out = append(t.out, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			t.out = append(t.out, '\\', c)
		case c < 0x20:
			t.out = fmt.Appendf(t.out, `\u%04x`, c)
		default:
			t.out = append(t.out, c)
		}
	}
	t.out = append(t.out, '"')
}
