package ingest

import "unicode/utf8"

// What machines write most is found by these, without a look at what it means: strings without
// escapes, and numbers without sign and exponent.

// plainValue returns where the plain string or number at text[at:] ends, 0 where there is
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
	if end < len(text) && (text[end]|0x20 == 'e' || text[end]|0x20 == 'x') {
		return 0
	}
	return end
}

func digits(text string, at int) (end int) {
	for end = at; end < len(text) && text[end] >= '0' && text[end] <= '9'; end++ {
	}
	return end
}
