package ingest

import (
	"unicode/utf8"
	"unsafe"
)

// readPlain takes the object at text[at:] where it is as machines write a conversion:
// strict JSON, each known field at most once and no other, no escapes, nothing nested.
// It returns where the object ends. Of anything else it says not ok, whether that is
// right or wrong JSON: the decoder, which costs ten times as much, has the word on it.
func (body *eventBody) readPlain(text string, at int) (end int, ok bool) {
	if at >= len(text) || text[at] != '{' {
		return 0, false
	}
	for at = skipSpace(text, at+1); ; at = skipSpace(text, at+1) {
		keyEnd := plainString(text, at)
		if keyEnd == 0 {
			return 0, false
		}
		field := body.field(text[at+1 : keyEnd-1])
		if field == nil || *field != "" {
			return 0, false
		}
		if at = skipSpace(text, keyEnd); at == len(text) || text[at] != ':' {
			return 0, false
		}
		at = skipSpace(text, at+1)
		valueEnd := plainValue(text, at)
		if valueEnd == 0 {
			return 0, false
		}
		*field = jsonText(text[at:valueEnd])
		if at = skipSpace(text, valueEnd); at == len(text) {
			return 0, false
		}
		switch text[at] {
		case ',':
		case '}':
			return at + 1, true
		default:
			return 0, false
		}
	}
}

func skipSpace(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r') {
		at++
	}
	return at
}

// plainValue returns where the string or number at text[at:] ends, 0 where there is
// neither.
func plainValue(text string, at int) (end int) {
	if at < len(text) && text[at] == '"' {
		return plainString(text, at)
	}
	return plainNumber(text, at)
}

// stopsString has the bytes that don't stand for themselves in a JSON string.
var stopsString = func() (stops [256]bool) {
	for c := range ' ' {
		stops[c] = true
	}
	stops['"'], stops['\\'] = true, true
	return stops
}()

// plainString returns where a string without escapes ends, 0 where there is none.
func plainString(text string, at int) (end int) {
	if at >= len(text) || text[at] != '"' {
		return 0
	}
	var bits byte
	for end = at + 1; end < len(text) && !stopsString[text[end]]; end++ {
		bits |= text[end]
	}
	if end == len(text) || text[end] != '"' || bits >= utf8.RuneSelf && !utf8.ValidString(text[at:end]) {
		return 0
	}
	return end + 1
}

// plainNumber returns where a number without sign and exponent ends, 0 where there is
// none.
func plainNumber(text string, at int) (end int) {
	whole := digits(text, at)
	if whole == at || text[at] == '0' && whole > at+1 {
		return 0
	}
	end = whole
	if end < len(text) && text[end] == '.' {
		if end = digits(text, whole+1); end == whole+1 {
			return 0
		}
	}
	if end < len(text) && (text[end] == 'e' || text[end] == 'E') {
		return 0
	}
	return end
}

func digits(text string, at int) (end int) {
	for end = at; end < len(text) && text[end] >= '0' && text[end] <= '9'; end++ {
	}
	return end
}

// view is raw as a string without a copy: for as long as nobody writes to raw, which
// holds for a body until its request is answered.
func view(raw []byte) string { return unsafe.String(unsafe.SliceData(raw), len(raw)) }
