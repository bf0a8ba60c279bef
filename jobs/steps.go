package jobs

import "time"

// working are the tables that hold one run's working set.
var working = []string{
	"night_days", "night_keys", "night_key_days", "night_identifies", "night_conversions", "night_links", "night_view_days",
	"night_doubled_hashes", "night_doubled_ids", "night_doubles", "night_long_moments", "night_long_starts", "night_candidates", "night_views",
	"night_attributions", "night_outcomes", "night_versions", "identifies_next", "doubled_events_next",
}

// publishedTable is a table that holds versions of days, with the column of
// published_days that names the one to be seen.
type publishedTable struct{ table, versionColumn string }

var published = []publishedTable{
	{"sessions_versions", "sessions_version"},
	{"exposures_versions", "exposures_version"},
	{"attributions_versions", "attributions_version"},
	{"conversion_outcomes_versions", "outcomes_version"},
}

// longDay is what runs of events beyond the cap wait under to be cut into sessions: no
// time may be after 2100, and retention by age must not forget them.
var longDay = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	// visibilityOverlap is for how long before the last run a row may have been under
	// way into ClickHouse, and by how much clocks may differ.
	visibilityOverlap = 10 * time.Minute

	// copiesReach is how far apart copies of one client event are received: a browser
	// tries again for 7 days (docs/snippet.md), all other copies repeat received_at.
	copiesReach = 8 * day

	// fewRows is how many new rows are looked up one by one among those of copiesReach;
	// sorting the hashes of them all costs less when there are more.
	fewRows = 200_000

	// memory numbers what runs leave for the next one (identifies, doubled_events, chain
	// starts). A run after an upgrade that has changed it is a full one.
	memory = 3

	// eventsPerVisitorDay is assumed where slices are cut: more than most have.
	eventsPerVisitorDay = 50

	// rowsAtOnce is how many client events are sessionized at once, in all slices under way
	// together; it bounds the memory.
	rowsAtOnce = 10_000_000

	// daySliceRows is of how many client events exposures are computed at once. With more,
	// the groups don't stay in the processor's cache.
	daySliceRows = 2_000_000

	// slicesAtOnce is how many statements share the processors.
	slicesAtOnce = 4
)
