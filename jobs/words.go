package jobs

import "strings"

// stepWords are the steps of the plan as people would call them.
var stepWords = map[string]string{
	"10_run_names": "event names", "11_run_rules": "attribution rules", "12_night_visitor_days": "visitors with new client events", "13_identifies": "identities",
	"20_sessions": "sessions", "21_night_visitor_days_after": "sessions over midnight", "22_exposures": "exposures", "28_night_days": "visitors of a day", "23_night_versions": "days that differ",
	"24_night_concerned": "visitors that are new", "25_night_first_views": "first views", "26_night_entries": "visitors of several variations", "27_entries": "entries",
	"30_night_keys": "conversions to decide", "31_night_conversions": "conversions", "32_night_links": "links of users", "33_night_candidates": "visitors of the users",
	"34_night_views": "views before conversions", "35_decisions": "attribution", "40_run_days": "causes", "41_run_changes": "changed figures", "42_published_days": "publication",
}

// StepText is a step of a run in words.
func StepText(step string) string {
	if words, known := stepWords[step]; known {
		return words
	}
	if check, found := strings.CutPrefix(step, "check "); found {
		return "check: " + strings.ReplaceAll(check, "_", " ")
	}
	return strings.ReplaceAll(strings.TrimPrefix(step, "query "), "_", " ")
}
