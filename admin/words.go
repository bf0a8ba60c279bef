package admin

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tieback/tieback/catalog"
)

// What templates write: rules, figures, moments and outcomes in words.

// ruleText puts an attribution rule into words (R4).
func ruleText(window, credit string) string {
	rule, err := catalog.ParseRule(window, credit)
	if err != nil {
		return window + ", " + credit
	}
	return rule.String()
}

// toJSON writes a value for an attribute, which html/template escapes.
func toJSON(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

// figureText is a value of a chart.
func figureText(value *float64, unit string) string {
	switch {
	case value == nil:
		return ""
	case unit == "":
		return fmt.Sprintf("%.0f", *value)
	default:
		return fmt.Sprintf("%.2f %s", *value, unit)
	}
}

// momentText writes RFC 3339 as the pages write times.
func momentText(text string) string {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return stamp(at)
}

// stamp writes a moment to the second, for people.
func stamp(moment any) string { return format(moment, "2006-01-02 15:04:05 UTC") }

// exact writes a moment to the millisecond, where that decides (R3, R4).
func exact(moment any) string { return format(moment, "2006-01-02 15:04:05.000 UTC") }

// format writes Unix milliseconds, a time or a pointer to one of them.
func format(moment any, layout string) string {
	var at time.Time
	switch m := moment.(type) {
	case int64:
		at = time.UnixMilli(m)
	case *int64:
		if m == nil {
			return ""
		}
		at = time.UnixMilli(*m)
	case time.Time:
		at = m
	case *time.Time:
		if m == nil {
			return ""
		}
		at = *m
	}
	return at.UTC().Format(layout)
}

// outcomeText is an outcome of R6 in words.
func outcomeText(outcome string) string {
	words := map[string]string{
		"attributed": "attributed", "duplicate": "sent twice", "retracted": "taken back", "event_not_defined": "no event of that name then",
		"no_identity": "user never identified", "identity_too_late": "user identified too late",
		"no_view_before": "no view before it", "session_expired": "session had expired", "pending": "not decided yet",
	}
	if text, known := words[outcome]; known {
		return text
	}
	return outcome
}
