package jobs_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

var sequences = flag.Int("sequences", 2, "random sequences of nights to check")

// TestRandomNights cuts random histories into random nights: rows become visible in any
// order, names change in between, runs are killed, dry, over a range, at odd cutoffs or
// earlier ones. After every night the tables must hold what the model has for the rows
// visible by then (R8), and at the end what a full run gives.
func TestRandomNights(t *testing.T) {
	t.Parallel()
	for i := range *sequences {
		seed := *firstSeed + i
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			checkNights(t, seed)
		})
	}
}

func checkNights(t *testing.T, seed int) {
	const histories, nights = 15, 4
	db := warehousetest.Open(t)
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	generator := rapid.Custom(drawStory)
	all, visible := make([]story, histories), make([]story, histories)
	for i := range all {
		all[i] = generator.Example(seed*histories + i).inAccountsOf(fmt.Sprintf("h%d", i))
		all[i].takeImportedIDs(t)
		all[i].addCopies(random, seed%3 == 2)
		if seed%2 == 0 {
			all[i].takeOddNames(i)
		}
	}
	runner := jobs.NewRunner(db, func() time.Time { return date(30, 0) }, slog.New(slog.DiscardHandler))
	runner.SetLimits(0, []uint64{1 << 40, 500}[random.IntN(2)])
	cutAnywhere(t, db)
	for night := range nights {
		appear(t, db, random, all, visible, night == nights-1)
		disturb(t, random, runner)
		req := jobs.Request{Cutoff: date(21+night+night/3, 0)}
		switch random.IntN(4) {
		case 0:
			req.Cutoff = time.UnixMilli(date(20, 0).UnixMilli() + random.Int64N(8*dayMS)).UTC()
		case 1:
			req.Full = random.IntN(3) == 0
		}
		record := mustRun(t, runner, req)
		t.Logf("night %d: cutoff %s, %s, %d days", night, record.Cutoff.Format(time.DateTime), record.Mode, record.Days)
		compareNight(t, db, visible, req.Cutoff)
		notedIsWhatIsPublished(t, db, req.Cutoff)
		if t.Failed() {
			return
		}
	}
	before := fingerprint(t, db)
	cutoff, err := jobs.PublishedCutoff(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if record := mustRun(t, runner, jobs.Request{Cutoff: cutoff}); record.Days != 0 {
		t.Errorf("a run after which nothing has changed published %d days", record.Days)
	}
	full := mustRun(t, runner, jobs.Request{Cutoff: cutoff, Full: true})
	var noted uint64
	if err := db.Row(t.Context(), "select count() from results_noted where run_id = {run:String}", warehouse.Params{"run": full.RunID}, &noted); err != nil || noted > 0 {
		t.Errorf("a rebuild at the same cutoff noted %d results that the nights had not, %v", noted, err)
	}
	if fingerprint(t, db) != before {
		t.Error("a full run gives other tables than the nights did")
	}
}

// takeOddNames gives everything in the story a name with bytes that have a meaning somewhere
// between here and the engine, or none as text.
func (s *story) takeOddNames(i int) {
	account := []string{"\x00", "'", "\\", "\t", "é", "\xff\xfe", "A", "a", "ab", "a'"}[i%10]
	visitors := map[string]string{"v1": "v\\1", "v2": "v\x00'\"2", "v3": strings.Repeat("z", 250) + "\t\n"}
	users := map[string]string{"": "", "u1": "\\N", "u2": "u\x002"}
	variations := map[string]string{"": "", "a": "\xff", "b": "a\x00", "c": "{c:String}"}
	for k := range s.clientEvents {
		e := &s.clientEvents[k]
		e.CustomerID += account
		e.VisitorID, e.UserID, e.VariationID = visitors[e.VisitorID], users[e.UserID], variations[e.VariationID]
	}
	for k := range s.conversions {
		c := &s.conversions[k]
		c.CustomerID += account
		c.UserID = users[c.UserID]
	}
	for k := range s.adjustments {
		s.adjustments[k].CustomerID += account
	}
	for k := range s.names {
		s.names[k].CustomerID += account
	}
	for k := range s.rules {
		s.rules[k].CustomerID += account
	}
}

// cutAnywhere lets slices begin at every sixteenth client event instead of every 8192nd.
func cutAnywhere(t *testing.T, db *warehouse.DB) {
	t.Helper()
	err := db.Holding(t.Context(), "client_events", func(ctx context.Context, db *warehouse.DB) error {
		var made string
		if err := db.Row(ctx, "select create_table_query from system.tables where database = currentDatabase() and name = 'client_events'", nil, &made); err != nil {
			return err
		}
		const usual = "index_granularity = 8192"
		if !strings.Contains(made, usual) {
			return fmt.Errorf("client_events is made by %s", made)
		}
		if err := db.Exec(ctx, "drop table client_events sync", nil); err != nil {
			return err
		}
		return db.Exec(ctx, strings.Replace(made, usual, "index_granularity = 16", 1), nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// appear makes some of the rows and names visible, the rest of them last.
func appear(t *testing.T, db *warehouse.DB, random *rand.Rand, all, visible []story, rest bool) {
	t.Helper()
	var clientEvents []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	var adjustments []warehouse.Adjustment
	err := catalog.NewStore(db, time.Now).Change(t.Context(), "test", func(e *catalog.Edit) error {
		for i := range all {
			from, to := &all[i], &visible[i]
			n := len(clientEvents)
			from.clientEvents, clientEvents = take(random, from.clientEvents, clientEvents, rest)
			to.clientEvents = append(to.clientEvents, clientEvents[n:]...)
			n = len(conversions)
			from.conversions, conversions = take(random, from.conversions, conversions, rest)
			to.conversions = append(to.conversions, conversions[n:]...)
			n = len(adjustments)
			from.adjustments, adjustments = take(random, from.adjustments, adjustments, rest)
			to.adjustments = append(to.adjustments, adjustments[n:]...)
			var names []catalog.EventName
			from.names, names = take(random, from.names, nil, rest)
			var rules []catalog.EventRule
			from.rules, rules = take(random, from.rules, nil, rest)
			_ = e.ImportRules(rules) // some overlap what is set
			// Some are set late, for the past.
			for _, name := range to.names {
				if random.IntN(6) > 0 {
					continue
				}
				rule := catalog.Rule{WindowDays: []uint16{0, 1, 2, 7, 30, 90}[random.IntN(6)], Credit: []string{"last", "first"}[random.IntN(2)]}
				from := time.UnixMilli(date(19, 0).UnixMilli() + random.Int64N(9*dayMS))
				if err := e.SetRule(name.CustomerID, name.EventID, rule, from); err != nil {
					return err
				}
			}
			for _, name := range names {
				// Some end early at first, and are corrected the night after.
				if !rest && random.IntN(3) == 0 {
					from.names = append(from.names, name)
					end := name.From.Add(time.Duration(random.Int64N(72)) * time.Hour)
					if name.To == nil || end.Before(*name.To) {
						name.To = &end
					}
				}
				to.names = replaceName(to.names, name)
				if err := e.PutName(name); err != nil {
					return err
				}
			}
			if i%5 == 0 { // each of them costs every run
				if err := compared(e, to.names); err != nil {
					return err
				}
			}
			to.takeRules(e.Snapshot)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.InsertClientEvents(t.Context(), "", clientEvents); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertConversions(t.Context(), "", conversions); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertAdjustments(t.Context(), "", adjustments); err != nil {
		t.Fatal(err)
	}
}

// takeRules notes the rules of the story's accounts as they are.
func (s *story) takeRules(snap *catalog.Snapshot) {
	s.rules = nil
	for customer, events := range snap.Rules {
		for event := range events {
			if slices.ContainsFunc(s.names, func(n catalog.EventName) bool { return n.CustomerID == customer && n.EventID == event }) {
				s.rules = append(s.rules, snap.RulesOf(customer, event)...)
			}
		}
	}
}

// take moves a third of the items, or all.
func take[T any](random *rand.Rand, from, to []T, all bool) (left, taken []T) {
	taken = to
	for _, item := range from {
		if all || random.IntN(3) == 0 {
			taken = append(taken, item)
		} else {
			left = append(left, item)
		}
	}
	return left, taken
}

func replaceName(names []catalog.EventName, name catalog.EventName) []catalog.EventName {
	for i, n := range names {
		if n.CustomerID == name.CustomerID && n.EventID == name.EventID && n.APIName == name.APIName && n.From.Equal(name.From) {
			names[i] = name
			return names
		}
	}
	return append(names, name)
}

// disturb has runs before the night that must leave no trace.
func disturb(t *testing.T, random *rand.Rand, runner *jobs.Runner) {
	t.Helper()
	req := jobs.Request{Cutoff: date(21+random.IntN(8), 0), Full: random.IntN(5) == 0}
	switch random.IntN(5) {
	case 0: // killed at some statement
		killed(t, runner, req, random.IntN(40))
	case 1: // ended at some statement
		ctx, cancel := context.WithCancel(t.Context())
		steps := random.IntN(40)
		runner.Progress = func(jobs.Progress) {
			if steps--; steps < 0 {
				cancel()
			}
		}
		_, _ = runner.Run(ctx, req)
		cancel()
	case 2:
		req.DryRun = true
		mustRun(t, runner, req)
	case 3:
		from := date(20+random.IntN(7), 0)
		to := from.AddDate(0, 0, random.IntN(3))
		if _, err := runner.Run(t.Context(), jobs.Request{From: &from, To: &to}); err != nil && err != jobs.ErrNothingYet {
			t.Fatal(err)
		}
	}
	runner.Progress = nil
}

// killed runs until some step begins, and has no last words after that.
func killed(t *testing.T, runner *jobs.Runner, req jobs.Request, steps int) {
	t.Helper()
	defer func() { _ = recover() }()
	runner.Progress = func(jobs.Progress) {
		if steps--; steps < 0 {
			panic("killed")
		}
	}
	_, _ = runner.Run(t.Context(), req)
}

// addCopies writes some rows twice under one ingest_id (R5). Client events are received before or after, with
// other content; at another moment or of another visitor they are events of their own. Where otherLinks is set
// they may name other users. Conversions are alike.
func (s *story) addCopies(random *rand.Rand, otherLinks bool) {
	for _, e := range s.clientEvents {
		if random.IntN(10) > 0 {
			continue
		}
		e.ReceivedAtMS += []int64{0, 1, -1, random.Int64N(4*dayMS) - 2*dayMS}[random.IntN(4)]
		switch kind := random.IntN(5); {
		case kind == 0:
			e.OccurredAtMS += random.Int64N(4*dayMS) - 2*dayMS
		case e.Type == "identify" && !otherLinks:
		case kind == 1:
			e.VisitorID = "v2"
		case kind == 2 && e.Type == "identify":
			e.UserID = "u2"
		case kind == 3 && e.Type == "view":
			e.VariationID = "c"
		case kind == 4 && e.Type == "view":
			e.Type, e.OptimizationID, e.VariationID, e.Attributes = "activity", "", "", ""
		}
		s.clientEvents = append(s.clientEvents, e)
	}
	for _, c := range s.conversions {
		if random.IntN(8) == 0 {
			s.conversions = append(s.conversions, c)
		}
	}
}

// compared is an optimization of each history with goals, so that runs note their results.
func compared(e *catalog.Edit, names []catalog.EventName) error {
	for _, name := range names {
		for _, id := range []string{"hero", "price"} {
			o := catalog.Optimization{CustomerID: name.CustomerID, OptimizationID: id, Name: id}
			if _, known := e.Optimizations[name.CustomerID][id]; !known {
				if err := e.PutOptimization(o, []catalog.Variation{{VariationID: "a", Weight: 1}, {VariationID: "b", Weight: 1}}); err != nil {
					return err
				}
			}
			if err := e.AddGoal(catalog.Goal{CustomerID: name.CustomerID, OptimizationID: id, EventID: name.EventID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// notedIsWhatIsPublished: the last that was noted of each optimization is what its tables give now, whatever runs were killed.
func notedIsWhatIsPublished(t *testing.T, db *warehouse.DB, cutoff time.Time) {
	t.Helper()
	snap, err := catalog.NewStore(db, time.Now).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, version, err := jobs.Published(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := experiment.Load(t.Context(), db, snap, experiment.Question{Cutoff: cutoff, Version: version})
	if err != nil {
		t.Fatal(err)
	}
	converters := uint64(0)
	for of, answer := range answers {
		if len(answer.Goals) == 0 {
			continue
		}
		past, err := experiment.Known(t.Context(), db, of[0], of[1], time.Now().AddDate(1, 0, 0))
		if err != nil {
			t.Errorf("%s: %v", of, err)
			continue
		}
		for _, g := range answer.Goals {
			i := slices.IndexFunc(past.Goals, func(was *experiment.Goal) bool { return was.EventID == g.EventID })
			if i < 0 {
				t.Errorf("%s: nothing was noted of %s", of, g.EventID)
				continue
			}
			figures := func(g *experiment.Goal) (text string) {
				for _, v := range g.Variations {
					converters += v.Converters
					text += fmt.Sprintln(v.VariationID, v.Entered, v.Mature, v.Converters, v.ValueTotal, v.SawAnother)
				}
				return text
			}
			if noted, now := figures(past.Goals[i]), figures(g); noted != now {
				t.Errorf("%s, %s: noted\n%snow\n%s", of, g.EventID, noted, now)
			}
		}
	}
	t.Logf("%d converters", converters/2)
}

// compareNight checks every history by itself.
func compareNight(t *testing.T, db *warehouse.DB, visible []story, cutoff time.Time) {
	t.Helper()
	got := byHistory(t, db)
	for i, s := range visible {
		want := model(s, cutoff.UnixMilli())
		for _, table := range publishedTables {
			if d := diff(want[table], got[table][fmt.Sprintf("h%d", i)]); d != "" {
				t.Errorf("history %d, %s:\n%s", i, table, d)
			}
		}
	}
}
