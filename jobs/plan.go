package jobs

import "context"

// plan is the night: stages that follow each other, each of lanes that go on at the same time, each of
// steps in order. A step is a file of sql/nightly; how it is run stands before it:
//
//	once      one statement
//	changes   one statement, in a run that does not compute everything
//	crowded   one statement, if there are users with very many visitors
//	emptied   not a statement: takes away what crowded wrote
//	walk      day by day, each from what the day before left open; with the step that finds out who goes on
//	eachDay   all days, as many at once as there are processors
//	entries   the steps that find who entered, of as many visitors at once as memory holds
//	decide    one statement, of the days that the conversions lie on
//	versions  says which days of a table came out different
//	check     the queries of sql/checks that read the table
//
// Lanes of a stage don't read what another one of it writes. Most statements are too small to keep all
// processors busy, and the largest ones have a processor each.
var plan = []stage{
	{lane{once("10_run_names"), once("11_run_rules"), newDays}},
	{lane{changes("12_night_visitor_days")}, lane{once("13_identifies")}},
	{lane{walk("20_sessions", "21_night_visitor_days_after"), versions("sessions_versions")}},
	{lane{changes("30_night_keys"), endIfNothingChanged}},
	{
		lane{eachDay("22_exposures"), versions("exposures_versions"), entries, versions("entries_versions")},
		lane{once("31_night_conversions"), once("32_night_links")},
		lane{once("28_night_days")},
	},
	{lane{crowded("34_night_views"), once("33_night_candidates"), emptied("night_views"), once("34_night_views")}},
	{
		lane{decide("35_decisions"), versions("decisions_versions"), once("40_run_days"), once("41_run_changes"), check("decisions_versions")},
		lane{check("sessions_versions")},
	},
}

// publication follows where nothing is wrong and the run is not a dry one.
var publication = once("42_published_days")

type (
	stage []lane
	lane  []part
	part  func(ctx context.Context, n *night) error
)

// working are the tables that hold one run's working set.
var working = []string{
	"night_visitor_days", "night_concerned", "night_first_views", "night_entries", "night_days", "night_keys", "night_conversions", "night_links", "night_candidates", "night_views", "night_versions",
}

// published are the tables with versions of days.
var published = []string{"sessions_versions", "exposures_versions", "entries_versions", "decisions_versions"}

func once(name string) part {
	return func(ctx context.Context, n *night) error {
		_, err := n.step(ctx, name, n.params.With("crowded", flag(n.crowded)).With("of_crowds", flag(false)))
		return err
	}
}

func changes(name string) part {
	return func(ctx context.Context, n *night) error {
		if n.full {
			return nil
		}
		return once(name)(ctx, n)
	}
}

func crowded(name string) part {
	return func(ctx context.Context, n *night) error {
		var users uint64
		query := "select count() from (select 1 from night_links group by customer_id, user_domain, user_id having count() >= {many_visitors:UInt32} limit 1)"
		if err := n.ask(ctx, "crowded users", query, &users); err != nil || users == 0 {
			return err
		}
		n.crowded = true
		_, err := n.step(ctx, name, n.params.With("of_crowds", flag(true)))
		return err
	}
}

func emptied(table string) part {
	return func(ctx context.Context, n *night) error {
		if !n.crowded {
			return nil
		}
		n.tables.Store(table, uint64(0))
		return empty(ctx, n.db, table)
	}
}

func walk(name, after string) part {
	return func(ctx context.Context, n *night) error { return n.walk(ctx, name, after) }
}

func eachDay(name string) part {
	return func(ctx context.Context, n *night) error { return n.eachDay(ctx, name) }
}

func decide(name string) part {
	return func(ctx context.Context, n *night) error { return n.decide(ctx, name) }
}

func entries(ctx context.Context, n *night) error { return n.entries(ctx) }

func versions(table string) part {
	return func(ctx context.Context, n *night) error { return n.versions(ctx, table) }
}

func check(table string) part {
	return func(ctx context.Context, n *night) error { return n.check(ctx, table) }
}

func newDays(ctx context.Context, n *night) error { return n.newDays(ctx) }

// endIfNothingChanged ends the run with errNothingChanged.
func endIfNothingChanged(ctx context.Context, n *night) error {
	if n.full || n.req.From != nil || len(n.days) > 0 {
		return nil
	}
	keys, err := n.count(ctx, "night_keys")
	if err == nil && keys == 0 {
		return errNothingChanged
	}
	return err
}
