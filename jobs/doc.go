// Package jobs is the night: what turns the rows received into sessions, exposures,
// attributions and outcomes, and when.
//
// [Runner.Run] is the whole of it. It takes a cutoff and nothing from the clock: only
// rows received before the cutoff take part (spec R8). The scheduler calls it at
// 00:00 UTC, `tieback run` by hand, the tests a thousand times; all the same way.
//
// Lineage, in the order of the files in sql/nightly:
//
//	client_events ─► 10_night_events ──┬─► 30_night_links ──────┐
//	conversions ───► 20_night_conversions ─────────┬────────────┤
//	event_names ──┘                    │           │            │
//	                                   ├─► 40_night_sessions ─► 50_night_candidates
//	                                   │           │                 │
//	                                   │     60_sessions       80_attributions
//	                               70_exposures                      │
//	                                                          90_conversion_outcomes
//
// The night_* tables are the working set of one run and emptied before it. The last
// four steps write the rows of the days asked for under a new version, where nobody
// sees them. After the queries of sql/checks have found nothing wrong, one insert into
// published_days names that version for those days. That insert is atomic, and the
// views sessions, exposures, attributions and conversion_outcomes all look there, so
// a reader sees a day of all four tables as it was or as it is now.
//
// A run that is killed leaves rows of a version that published_days never named. The
// next run drops them as it begins, along with the versions that were replaced; those
// live until then, so that a query under way keeps its rows.
//
// For now every run computes all days of its range from all rows before the cutoff.
package jobs
