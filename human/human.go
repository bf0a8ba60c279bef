// Package human writes values for people: durations as they are said, moments in UTC, and
// texts that came from outside so that no terminal obeys them.
package human

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Duration writes a duration as people say it, in two units at most: 7 days, 1 hour and
// 30 minutes, 1.5 seconds.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	for _, form := range []struct {
		from, unit, part time.Duration
		name, partName   string
	}{
		{48 * time.Hour, 24 * time.Hour, time.Hour, "day", "hour"},
		{2 * time.Hour, time.Hour, time.Minute, "hour", "minute"},
		{2 * time.Minute, time.Minute, time.Second, "minute", "second"},
	} {
		if d < form.from {
			continue
		}
		d = d.Round(form.part)
		text := Count(int64(d/form.unit), form.name)
		if rest := d % form.unit; rest > 0 {
			text += " and " + Count(int64(rest/form.part), form.partName)
		}
		return text
	}
	if d < time.Second {
		return Count(d.Milliseconds(), "millisecond")
	}
	if d%time.Second == 0 {
		return Count(int64(d/time.Second), "second")
	}
	return strings.TrimRight(fmt.Sprintf("%.3f", d.Seconds()), "0") + " seconds"
}

// Count writes a number with its noun: 1 day, 2 days.
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// And lists texts: a, b and c.
func And(texts []string) string {
	last := len(texts) - 1
	if last < 1 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:last], ", ") + " and " + texts[last]
}

// Grouped writes a decimal number with commas between thousands: 108,839.06.
func Grouped(number string) string {
	whole, fraction, hasFraction := strings.Cut(number, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if hasFraction {
		whole += "." + fraction
	}
	return sign + whole
}

// Moment writes a time in UTC, to the millisecond.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

// Quote writes a text between quotation marks, with escapes for all that can't be seen: a
// space at its end shows, and so does a control character.
func Quote(text string) string { return strconv.Quote(text) }

// Escape replaces what a terminal obeys by \u001b and the like: control characters other than
// tab and line feed, and marks that change the direction of writing.
func Escape(text string) string {
	if strings.IndexFunc(text, obeyed) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case obeyed(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

func obeyed(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}
