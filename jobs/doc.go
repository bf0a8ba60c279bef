// Package jobs is the night: what turns the rows received into sessions, exposures,
// attributions and outcomes, and when.
//
// [Runner.Run] is the whole of it. It takes a cutoff and nothing from the clock: only
// rows received before the cutoff take part (R8). The scheduler calls it at
// 00:00 UTC, `tieback run` by hand, the tests a thousand times; all the same way.
//
// # What is computed
//
// A run computes what can have changed since the last one that ended well, and the
// tables then hold what a full rebuild would give. Two units are computed anew:
// visitor-days (sessions, exposures) and conversions by their key (attributions,
// outcomes). What changes them, and why nothing else can:
//
//   - A client event is new to the tables when it became visible since the last run
//     read, or was received between the two cutoffs, in whatever direction the cutoff
//     moved. It moves the sessions of its chain, the run of events without a gap that it
//     falls into, from the chain's first event to its last (R1 looks no further), and
//     the exposures of its day. Sessions know where their chain began, so the days of a
//     marathon are found without reading events; an event within a gap of midnight draws
//     in the other day.
//   - A visitor-day matters to the conversions of the users linked to the visitor, from
//     that day to the look-back of R6 after it.
//   - A conversion is new like a client event. All copies of its key are decided
//     together, whichever days they name (R5).
//   - A link (R2) matters to all conversions of its user. What counts is when its first
//     identify happened; later ones change nothing, whenever they are received.
//   - A name (R3) matters to the conversions under it since the moment from which its
//     intervals differ from those that the last run used.
//   - A copy under one ingest_id (R5) draws in wherever the others are. Copies of a
//     client event that is new to the tables are looked for among what was received
//     within 8 days of it: a browser tries again for 7, every other copy repeats
//     received_at. Those that were found are remembered.
//
// Days after the last one published have no visitors to spare: they are computed
// whole, like those of a range, with all conversions in reach of them.
//
// Nothing else enters a rule. Goals, accounts and optimizations don't (R4). Rows that
// were deleted or altered in ClickHouse leave mutations, which make the next run a full
// one, like the first run ever and one that must forget a link.
//
// # How
//
//	05-09  the names as this run sees them, and what has come a second time
//	10-18  what is concerned: night_days, night_keys, and the links read
//	19-22  the conversions, and their users' links
//	23-24  which copies count
//	30-40  sessions and exposures of the visitor-days concerned
//	45-47  which days have other sessions or exposures now; the other visitors' rows are carried over
//	50-70  candidates, attributions, outcomes
//	72-74  which days have others now; they are staged with those of the other conversions
//	80-85  why, and which figures of the past differ now
//	95-98  published; and what the next run must know
//
// Parts that don't read what the other one writes go on beside each other, as most statements
// are too small to keep all processors busy: 06 beside 10 to 16, 15 to 22 beside 30 to 45 (in a
// full run before them), the check of the sessions beside 50 to 85, 74 beside 73 to 85.
//
// 30 and 40 read the most. They are run on slices, of visitors and of visitor-days, as many
// at once as there are processors, each with a processor to itself: that bounds the memory,
// and the groups of a slice stay in the processor's cache. Merges of what they write wait
// for an hour (see the migrations).
//
// All rows are staged under the run's version, where nobody sees them. After the queries
// of sql/checks have found nothing wrong, one insert into published_days names that
// version for the days and tables concerned. That insert is atomic, and the views
// sessions, exposures, attributions and conversion_outcomes all look there, so a reader
// sees a day of all four tables as it was or as it is now. What was computed anew and came
// out the same is not written again: a day of which only outcomes changed keeps its
// attributions.
//
// A run that is killed leaves rows of a version that published_days never named. The
// next run drops them beside its first steps, along with the versions that were replaced; those
// live until then, so that a query under way keeps its rows. It goes on from the last
// run that ended well: what a killed one had published meanwhile lies between the
// cutoffs that it looks at, and is computed once more.
//
// A run over a range takes the changes into account as well, computes all visitors and
// conversions of its days, and publishes those days only; the next run over all days
// does not rely on it.
package jobs
