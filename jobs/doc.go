// Package jobs is the night: it turns the rows received into sessions, exposures and decisions
// about conversions, and knows when to.
//
// [Runner.Run] is the whole of it. It takes a cutoff and nothing from the clock: only rows received
// before the cutoff take part (R8). The scheduler calls it at 00:00 UTC, `tieback run` by hand, the
// tests a thousand times; all the same way. The steps and their order are in plan.go, the numbers of
// the rules in rules.go, the statements in sql/nightly, the same in plain words in sql/plain. The rules
// R1 to R11 are in docs/rules.md.
//
// # The day is the fold
//
// A run walks the days of client events in order. A day's sessions come out of its events and the
// sessions that were open when it began. A session lasts 24 hours at most, so on one day the cap can
// cut only the session that came over midnight, and no day needs to look further back than the one
// before it. A session that goes on past midnight has a part in each of two days; the view sessions
// puts the two together.
//
// # What an incremental run computes
//
// It computes what can have changed since the last run that ended well, and the tables then hold what
// a full run would give:
//
//   - A client event is new to a run when it became visible since the last one read, or was received
//     between the cutoffs of the two, in whatever direction the cutoff moved. Its visitor's day is
//     computed again: sessions and exposures. Where that changes the session that is open at
//     midnight, the visitor's next day is computed, too, and so on.
//   - A day that was never published is computed whole, without a list of its visitors.
//   - Who entered an optimization (R11) is known by the published entries and the exposures computed again: of
//     a visitor whose first view may have changed all rows are staged, on whatever days they lie.
//   - A conversion is decided again when it is new, when its user is known to be another visitor or since
//     an earlier moment (R2), when a day of one of its user's visitors within its look-back is computed
//     again (R4, R6), or when its name's past has changed (R3). All copies of a key are decided
//     together (R5).
//
// Nothing else enters a rule. Goals, accounts and optimizations don't (R4). Rows that were deleted or
// altered in ClickHouse leave mutations, which make the next run a full one; so does a number in
// rules.go that has changed.
//
// A run over a range does the same, and computes and publishes the days asked for whether they have
// changed or not.
//
// # How it is published
//
// All rows are staged under the run's version, where nobody sees them. A day of a table that came out
// as it was keeps its version. After the queries of sql/checks have found nothing wrong, one insert
// into published_days names the new version for the days and tables that changed. That insert is
// atomic, and all published views look there, so a reader sees a day of all tables as it was or as it
// is now.
//
// A run that is killed leaves rows of a version that published_days never named. The next run drops
// them while its first steps are under way, along with the versions that were replaced; those live until
// then, so that a query under way keeps its rows. It goes on from the last run that ended well: what a
// killed one had published meanwhile lies between the cutoffs that it looks at, and is computed once
// more.
package jobs
