package jobs

import "github.com/tieback/tieback/sql"

// working are the tables that hold one run's working set.
var working = []string{"night_events", "night_conversions", "night_links", "night_sessions", "night_candidates"}

// published are the tables that hold versions of days, with the column of the day.
var published = []struct{ table, dayColumn string }{
	{"sessions_versions", "session_day"},
	{"exposures_versions", "day"},
	{"attributions_versions", "conversion_day"},
	{"conversion_outcomes_versions", "conversion_day"},
}

// steps returns the statements of the night in their order.
func steps() []sql.Statement {
	return []sql.Statement{
		sql.Nightly("10_night_events"),
		sql.Nightly("20_night_conversions"),
		sql.Nightly("30_night_links"),
		sql.Nightly("40_night_sessions"),
		sql.Nightly("50_night_candidates"),
		sql.Nightly("60_sessions"),
		sql.Nightly("70_exposures"),
		sql.Nightly("80_attributions"),
		sql.Nightly("90_conversion_outcomes"),
	}
}

// The numbers of the rules, as parameters of the steps (spec R1, R6).
const (
	sessionGapMinutes = 30
	sessionCapHours   = 24
	viewLookbackDays  = 7
)
