package jobs_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/warehouse"
)

// This file is the reference: the rules of docs/rules.md as plain loops over everything,
// slow and meant to be obviously right. It shares nothing with the SQL.

// story is everything that was ever received, and the names of the events.
type story struct {
	clientEvents []warehouse.ClientEvent
	conversions  []warehouse.Conversion
	adjustments  []warehouse.Adjustment
	names        []catalog.EventName
	rules        []catalog.EventRule
}

const (
	minuteMS = int64(60_000)
	hourMS   = 60 * minuteMS
	dayMS    = 24 * hourMS
)

type session struct {
	customer, visitor               string
	startedAt, lastEventAt, expires int64
	events, views                   int
}

// model returns the rows that the published tables must hold, as text, sorted.
func model(h story, cutoff int64) map[string][]string {
	clientEvents := countedClientEvents(h.clientEvents, cutoff)
	conversions := countedConversions(h.conversions, cutoff)
	sessions := sessionsOf(clientEvents)

	rows := map[string][]string{"sessions": {}, "exposures": {}, "entries": {}, "attributions": {}, "conversion_outcomes": {}}
	for _, s := range sessions {
		rows["sessions"] = append(rows["sessions"], line(s.customer, s.visitor, dayOf(s.startedAt), at(s.startedAt), at(s.lastEventAt), at(s.expires), s.events, s.views))
	}
	rows["exposures"] = exposuresOf(clientEvents)
	for _, e := range entriesOf(clientEvents) {
		rows["entries"] = append(rows["entries"], line(e.CustomerID, e.OptimizationID, e.VisitorID, e.VariationID, at(e.OccurredAtMS), e.Attributes))
	}
	for _, c := range conversions {
		retracted, worth := adjusted(c, h.adjustments, cutoff)
		outcome, event, attributions := decide(c, retracted, worth, conversions, clientEvents, identifiesOf(h.clientEvents, cutoff), sessions, h.names, h.rules)
		rows["conversion_outcomes"] = append(rows["conversion_outcomes"],
			line(c.CustomerID, dayOf(c.ActionAtMS), c.APIName, c.ActionID, at(c.ActionAtMS), at(c.ReceivedAtMS), c.IngestID, outcome, event, c.UserDomain, c.UserID, valueOf(c.Value)))
		rows["attributions"] = append(rows["attributions"], attributions...)
	}
	for _, table := range rows {
		slices.Sort(table)
	}
	return rows
}

// countedClientEvents applies the cutoff (R8) and counts the copies of an event once: alike in visitor,
// moment and ingest_id. The one received first counts, then the one with the smaller content (R5).
func countedClientEvents(all []warehouse.ClientEvent, cutoff int64) []warehouse.ClientEvent {
	var counted []warehouse.ClientEvent
	for i, e := range all {
		if e.ReceivedAtMS >= cutoff {
			continue
		}
		first := true
		for j, o := range all {
			alike := o.IngestID == e.IngestID && o.CustomerID == e.CustomerID && o.VisitorID == e.VisitorID && o.OccurredAtMS == e.OccurredAtMS
			earlier := cmp.Or(
				cmp.Compare(o.ReceivedAtMS, e.ReceivedAtMS), cmp.Compare(o.Type, e.Type),
				cmp.Compare(o.OptimizationID, e.OptimizationID), cmp.Compare(o.VariationID, e.VariationID),
				cmp.Compare(o.UserDomain, e.UserDomain), cmp.Compare(o.UserID, e.UserID), cmp.Compare(j, i)) < 0
			if alike && earlier {
				first = false
			}
		}
		if first {
			counted = append(counted, e)
		}
	}
	return counted
}

// identifiesOf are those that link (R2): each one received, copies too.
func identifiesOf(all []warehouse.ClientEvent, cutoff int64) (identifies []warehouse.ClientEvent) {
	for _, e := range all {
		if e.Type == "identify" && e.ReceivedAtMS < cutoff {
			identifies = append(identifies, e)
		}
	}
	return identifies
}

// countedConversions applies the cutoff, and counts a row that was written twice once (R5).
func countedConversions(all []warehouse.Conversion, cutoff int64) []warehouse.Conversion {
	var counted []warehouse.Conversion
	for i, c := range all {
		if c.ReceivedAtMS >= cutoff {
			continue
		}
		first := true
		for j, o := range all {
			if o.IngestID == c.IngestID && j < i {
				first = false
			}
		}
		if first {
			counted = append(counted, c)
		}
	}
	return counted
}

// sessionsOf walks each visitor's events in order of time (R1).
func sessionsOf(clientEvents []warehouse.ClientEvent) []session {
	inOrder := slices.Clone(clientEvents)
	slices.SortStableFunc(inOrder, func(a, b warehouse.ClientEvent) int {
		return cmp.Or(cmp.Compare(a.CustomerID, b.CustomerID), cmp.Compare(a.VisitorID, b.VisitorID), cmp.Compare(a.OccurredAtMS, b.OccurredAtMS))
	})
	var sessions []session
	for _, e := range inOrder {
		open := false
		if n := len(sessions); n > 0 {
			s := sessions[n-1]
			open = s.customer == e.CustomerID && s.visitor == e.VisitorID &&
				e.OccurredAtMS < s.lastEventAt+30*minuteMS && e.OccurredAtMS < s.startedAt+24*hourMS
		}
		if !open {
			sessions = append(sessions, session{customer: e.CustomerID, visitor: e.VisitorID, startedAt: e.OccurredAtMS})
		}
		s := &sessions[len(sessions)-1]
		s.lastEventAt = e.OccurredAtMS
		s.expires = min(s.lastEventAt+30*minuteMS, s.startedAt+24*hourMS)
		s.events++
		if e.Type == "view" {
			s.views++
		}
	}
	return sessions
}

// exposuresOf lists who saw what on which day (R9).
func exposuresOf(clientEvents []warehouse.ClientEvent) []string {
	type key struct{ customer, optimization, variation, visitor, day string }
	first := map[key]int64{}
	views := map[key]int{}
	for _, e := range clientEvents {
		if e.Type != "view" {
			continue
		}
		k := key{e.CustomerID, e.OptimizationID, e.VariationID, e.VisitorID, dayOf(e.OccurredAtMS)}
		if views[k] == 0 || e.OccurredAtMS < first[k] {
			first[k] = e.OccurredAtMS
		}
		views[k]++
	}
	rows := []string{}
	for k, n := range views {
		rows = append(rows, line(k.customer, k.optimization, k.variation, k.visitor, k.day, at(first[k]), n))
	}
	return rows
}

// entriesOf returns the views that visitors entered optimizations with (R11).
func entriesOf(clientEvents []warehouse.ClientEvent) []warehouse.ClientEvent {
	type key struct{ customer, optimization, visitor string }
	entries := map[key]warehouse.ClientEvent{}
	for _, e := range clientEvents {
		if e.Type != "view" {
			continue
		}
		k := key{e.CustomerID, e.OptimizationID, e.VisitorID}
		first, found := entries[k]
		if !found || cmp.Or(cmp.Compare(e.OccurredAtMS, first.OccurredAtMS), cmp.Compare(e.ReceivedAtMS, first.ReceivedAtMS),
			cmp.Compare(e.VariationID, first.VariationID), cmp.Compare(e.IngestID.String(), first.IngestID.String())) < 0 {
			entries[k] = e
		}
	}
	return slices.Collect(maps.Values(entries))
}

// decide returns the outcome of a conversion (R6), the event that bore its name, and its attribution rows (R4).
func decide(c warehouse.Conversion, retracted bool, worth decimal.NullDecimal, all []warehouse.Conversion, clientEvents, identifies []warehouse.ClientEvent, sessions []session, names []catalog.EventName, rules []catalog.EventRule) (outcome, event string, attributions []string) {
	for _, n := range names {
		if n.CustomerID == c.CustomerID && n.APIName == c.APIName && n.From.UnixMilli() <= c.ActionAtMS && (n.To == nil || c.ActionAtMS < n.To.UnixMilli()) {
			event = n.EventID
		}
	}
	for _, o := range all {
		sameKey := o.CustomerID == c.CustomerID && o.APIName == c.APIName && o.ActionID == c.ActionID
		earlier := o.ReceivedAtMS < c.ReceivedAtMS || o.ReceivedAtMS == c.ReceivedAtMS && o.IngestID.String() < c.IngestID.String()
		if sameKey && earlier {
			return "duplicate", event, nil
		}
	}
	if retracted {
		return "retracted", event, nil
	}
	if event == "" {
		return "event_not_defined", "", nil
	}
	identified := false
	usable := map[string]bool{}
	for _, e := range identifies {
		if e.CustomerID == c.CustomerID && e.UserDomain == c.UserDomain && e.UserID == c.UserID {
			identified = true
			if e.OccurredAtMS <= c.ReceivedAtMS+60_000 {
				usable[e.VisitorID] = true
			}
		}
	}
	if !identified {
		return "no_identity", event, nil
	}
	if len(usable) == 0 {
		return "identity_too_late", event, nil
	}
	rule := catalog.DefaultRule
	for _, r := range rules {
		if r.CustomerID == c.CustomerID && r.EventID == event && r.From.UnixMilli() <= c.ActionAtMS && (r.To == nil || c.ActionAtMS < r.To.UnixMilli()) {
			rule = r.Rule
		}
	}
	viewBefore := false
	type winner struct {
		view           warehouse.ClientEvent
		sessionStarted string
	}
	winners := map[string]winner{}
	for _, e := range clientEvents {
		if e.Type != "view" || e.CustomerID != c.CustomerID || !usable[e.VisitorID] || e.OccurredAtMS >= c.ActionAtMS {
			continue
		}
		if e.OccurredAtMS >= c.ActionAtMS-7*dayMS {
			viewBefore = true
		}
		if rule.WindowDays > 0 {
			if e.OccurredAtMS >= c.ActionAtMS-int64(rule.WindowDays)*dayMS {
				best, found := winners[e.OptimizationID]
				if !found || beats(rule.Credit, e, best.view) {
					winners[e.OptimizationID] = winner{view: e}
				}
			}
			continue
		}
		for _, s := range sessions {
			open := s.customer == e.CustomerID && s.visitor == e.VisitorID && s.startedAt <= c.ActionAtMS && c.ActionAtMS < s.expires
			if !open || e.OccurredAtMS < s.startedAt {
				continue
			}
			best, found := winners[e.OptimizationID]
			if !found || beats(rule.Credit, e, best.view) {
				winners[e.OptimizationID] = winner{e, at(s.startedAt)}
			}
		}
	}
	switch {
	case len(winners) == 0 && (!viewBefore || rule.WindowDays > 0):
		return "no_view_before", event, nil
	case len(winners) == 0:
		return "session_expired", event, nil
	}
	for optimization, w := range winners {
		attributions = append(attributions, line(c.CustomerID, dayOf(c.ActionAtMS), event, c.APIName, c.ActionID, c.UserDomain, c.UserID, at(c.ActionAtMS), valueOf(worth),
			optimization, w.view.VariationID, w.view.VisitorID, w.sessionStarted, at(w.view.OccurredAtMS)))
	}
	return "attributed", event, attributions
}

// adjusted says whether a conversion was taken back, and what it is worth now (R10).
func adjusted(c warehouse.Conversion, adjustments []warehouse.Adjustment, cutoff int64) (retracted bool, worth decimal.NullDecimal) {
	var last *warehouse.Adjustment
	for i := range adjustments {
		a := &adjustments[i]
		if a.CustomerID != c.CustomerID || a.APIName != c.APIName || a.ActionID != c.ActionID || a.ReceivedAtMS >= cutoff {
			continue
		}
		if last == nil || cmp.Or(cmp.Compare(a.AdjustedAtMS, last.AdjustedAtMS), cmp.Compare(a.ReceivedAtMS, last.ReceivedAtMS),
			cmp.Compare(a.IngestID.String(), last.IngestID.String())) > 0 {
			last = a
		}
	}
	switch {
	case last == nil:
		return false, c.Value
	case last.Kind == "retract":
		return true, decimal.NullDecimal{}
	default:
		return false, last.Value
	}
}

func valueOf(value decimal.NullDecimal) string {
	if !value.Valid {
		return ""
	}
	return value.Decimal.String()
}

// beats reports whether view a wins over b: later, received later, under first earlier, received
// earlier; then smaller variation, smaller visitor.
func beats(credit string, a, b warehouse.ClientEvent) bool {
	before := int64(1)
	if credit == catalog.CreditFirst {
		before = -1
	}
	return cmp.Or(
		cmp.Compare(before*b.OccurredAtMS, before*a.OccurredAtMS), cmp.Compare(before*b.ReceivedAtMS, before*a.ReceivedAtMS),
		cmp.Compare(a.VariationID, b.VariationID), cmp.Compare(a.VisitorID, b.VisitorID)) < 0
}

func at(ms int64) string    { return warehouse.Time(time.UnixMilli(ms)) }
func dayOf(ms int64) string { return warehouse.Day(time.UnixMilli(ms)) }

func line(cells ...any) string {
	text := ""
	for i, cell := range cells {
		if i > 0 {
			text += " | "
		}
		text += fmt.Sprint(cell)
	}
	return text
}
