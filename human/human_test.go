package human

import (
	"testing"
	"time"
)

func TestGrouped(t *testing.T) {
	for number, want := range map[string]string{
		"0": "0", "999": "999", "1000": "1,000", "108839.06": "108,839.06", "-1234567.8901": "-1,234,567.8901", "123456": "123,456",
	} {
		if got := Grouped(number); got != want {
			t.Errorf("%s is written %s, expected %s", number, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 milliseconds", time.Millisecond: "1 millisecond", 650 * time.Millisecond: "650 milliseconds", 5 * time.Second: "5 seconds",
		1500 * time.Millisecond: "1.5 seconds", time.Minute: "60 seconds", 30 * time.Minute: "30 minutes", 90 * time.Minute: "90 minutes",
		5*time.Hour + 4*time.Second: "5 hours", 47*time.Hour + 30*time.Minute: "47 hours and 30 minutes", 168 * time.Hour: "7 days",
		191*time.Hour + 59*time.Minute: "8 days", -time.Second: "-1 second", 2*time.Minute + 999*time.Millisecond: "2 minutes and 1 second",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%d is %q, expected %q", d, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"plain é €😀\ttab\n": "plain é €😀\ttab\n", "\x1b[2Jgone": `\u001b[2Jgone`, "a\rb": `a\u000db`, "\u009b31m": `\u009b31m`,
		"\x00\x7f": `\u0000\u007f`, "evil\u202egpj": `evil\u202egpj`, "\xff": `\xff`, "�": "�",
	} {
		if got := Escape(text); got != want {
			t.Errorf("%q becomes %q, expected %q", text, got, want)
		}
	}
}
