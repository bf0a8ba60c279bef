package reports

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/warehouse"
)

// ParseAsked reads what was asked for, as the command's flags and the parameters of an address have it; empty texts mean nothing
// special. cap is a share such as 0.99, segment NAME=VALUE, by a name, knownAt RFC 3339 or now.
func ParseAsked(from, to, quantile, segment, by, knownAt string, now time.Time) (asked Asked, err error) {
	if asked.Days, err = ParseDays(from, to); err != nil {
		return asked, err
	}
	if asked.Cap, err = parseCap(quantile); err != nil {
		return asked, err
	}
	if segment != "" {
		name, value, found := strings.Cut(segment, "=")
		if !found || !attributeName.MatchString(name) {
			return asked, refuse.Invalidf("segment is %q, and must be NAME=VALUE, as device=mobile", segment)
		}
		asked.SegmentName, asked.SegmentValue = name, value
	}
	if by != "" {
		if !attributeName.MatchString(by) {
			return asked, refuse.Invalidf("by is %q, and must be the name of an attribute, as device", by)
		}
		if segment != "" {
			return asked, refuse.Invalidf("segment and by don't go together: by shows every segment")
		}
		asked.By = by
	}
	if knownAt == "" {
		return asked, nil
	}
	if from+quantile+segment+by != "" {
		return asked, refuse.Invalidf("what was known at a moment was noted for all visitors: it can't be asked with a range, cap or segment")
	}
	if knownAt == "now" {
		asked.KnownAt = now
		return asked, nil
	}
	at, err := time.Parse(time.RFC3339, knownAt)
	if err != nil {
		return asked, refuse.Invalidf("known-at is %q, and must be a time such as 2026-09-12T08:00:00Z, or now", knownAt)
	}
	if epoch := time.UnixMilli(0); at.Before(epoch) {
		at = epoch // nothing was known either; the zero time would mean that nothing is asked of the past
	}
	asked.KnownAt = at
	return asked, nil
}

var (
	attributeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	share         = regexp.MustCompile(`^0?\.[0-9]{1,6}0*$`)
)

// parseCap reads a quantile with up to six places, between 0 and 1.
func parseCap(text string) (experiment.Quantile, error) {
	if text == "" {
		return 0, nil
	}
	_, digits, _ := strings.Cut(text, ".")
	millionths, err := strconv.ParseUint((digits + "000000")[:6], 10, 32)
	if !share.MatchString(text) || err != nil || millionths == 0 {
		return 0, refuse.Invalidf("cap is %q, and must be a share between 0 and 1 with at most six places, as 0.99", text)
	}
	return experiment.Quantile(millionths), nil
}

// pastResults are the goals' experiments as they were known at a moment.
func pastResults(ctx context.Context, db *warehouse.DB, snap *catalog.Snapshot, customerID, optimizationID string, asked Asked) (*Results, error) {
	past, err := experiment.Known(ctx, db, customerID, optimizationID, asked.KnownAt)
	if err != nil {
		return nil, err
	}
	r := &Results{
		CustomerID: customerID, OptimizationID: optimizationID, Name: snap.Optimizations[customerID][optimizationID].Name,
		AsOf: past.Cutoff.Format(time.RFC3339Nano), KnownAt: past.KnownAt.Format(time.RFC3339Nano), RunID: past.RunID,
		Variations: []Shown{}, Goals: []GoalResults{}, Notes: []string{},
	}
	for _, g := range past.Goals {
		if len(r.Goals) == 0 { // all goals have the same
			r.SampleRatio, r.Entered = g.SampleRatio, new(uint64)
			for _, v := range g.Variations {
				*r.Entered += v.Entered
				r.Variations = append(r.Variations, Shown{VariationID: v.VariationID, Name: v.Name, IsBaseline: v.IsBaseline, Weight: v.Weight})
			}
		}
		goal := snap.Goals[customerID][optimizationID][g.EventID]
		goal.CustomerID, goal.OptimizationID, goal.EventID = customerID, optimizationID, g.EventID
		r.Goals = append(r.Goals, GoalResults{
			EventID: g.EventID, APIName: currentName(snap, goal), IsPrimary: goal.IsPrimary, MDEPercent: g.MDEPercent, Experiment: g, Arms: []Arm{},
		})
	}
	slices.SortStableFunc(r.Goals, func(a, b GoalResults) int {
		if a.IsPrimary == b.IsPrimary {
			return cmp.Compare(a.EventID, b.EventID)
		}
		if a.IsPrimary {
			return -1
		}
		return 1
	})
	if len(r.Goals) == 0 {
		r.Notes = append(r.Notes, "no goal was attached, so nothing was compared")
	}
	return r, nil
}

// AccountResults answers for all optimizations of an account that are configured or have been entered, by their ids, with one pass
// over the tables. What happened by day (R9) is left out.
func AccountResults(ctx context.Context, db *warehouse.DB, snap *catalog.Snapshot, customerID string, asked Asked) ([]*Results, error) {
	if !asked.KnownAt.IsZero() {
		return nil, refuse.Invalidf("what was known at a moment is asked of one optimization")
	}
	cutoff, version, err := jobs.Published(ctx, db)
	if err != nil {
		return nil, err
	}
	answers, err := experiment.Load(ctx, db, snap, experiment.Question{
		CustomerID: customerID, From: asked.Days.From, To: asked.Days.To, Cap: asked.Cap,
		SegmentName: asked.SegmentName, SegmentValue: asked.SegmentValue, By: asked.By, Cutoff: cutoff, Version: version,
	})
	if err != nil {
		return nil, err
	}
	if len(answers) == 0 {
		if err := snap.CheckAccount(customerID); err != nil {
			return nil, err
		}
	}
	list := []*Results{}
	for of, answer := range answers {
		r := &Results{
			CustomerID: customerID, OptimizationID: of[1], Name: snap.Optimizations[customerID][of[1]].Name, Variations: []Shown{}, Goals: []GoalResults{}, Notes: []string{},
		}
		if asked.Days != (Days{}) {
			r.From, r.To = warehouse.Day(asked.Days.From), warehouse.Day(asked.Days.To)
		}
		if !cutoff.IsZero() {
			r.AsOf = cutoff.Format(time.RFC3339Nano)
		}
		r.take(snap, answer)
		list = append(list, r)
	}
	sortByID(list)
	return list, nil
}
