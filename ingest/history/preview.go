package history

import (
	"fmt"
	"strings"
	"time"

	"github.com/tieback/tieback/human"
)

// maxPreviews is how many rows a preview shows.
const maxPreviews = 10

// Row is a line as it is understood, for people.
type Row struct {
	Type     string
	Account  string
	What     string
	At       string // when it happened
	Received string
}

func (r *row) preview() Row {
	moment := func(ms int64) string { return human.Moment(time.UnixMilli(ms)) }
	value := func(valid bool, text string) string {
		if valid {
			return ", value " + text
		}
		return ""
	}
	interval := func(from time.Time, to *time.Time) string {
		if to == nil {
			return "from " + human.Moment(from)
		}
		return "from " + human.Moment(from) + " to " + human.Moment(*to)
	}
	switch {
	case r.clientEvent != nil:
		e := r.clientEvent
		what := "visitor " + human.Quote(e.VisitorID)
		switch e.Type {
		case "view":
			what += fmt.Sprintf(" saw variation %s of %s", human.Quote(e.VariationID), human.Quote(e.OptimizationID))
		case "identify":
			what += fmt.Sprintf(" is (%s, %s)", human.Quote(e.UserDomain), human.Quote(e.UserID))
		}
		return Row{e.Type, e.CustomerID, what, moment(e.OccurredAtMS), moment(e.ReceivedAtMS)}
	case r.conversion != nil:
		c := r.conversion
		what := fmt.Sprintf("%s %s of (%s, %s)%s", human.Quote(c.APIName), human.Quote(c.ActionID), human.Quote(c.UserDomain), human.Quote(c.UserID), value(c.Value.Valid, c.Value.Decimal.String()))
		return Row{"conversion", c.CustomerID, what, moment(c.ActionAtMS), moment(c.ReceivedAtMS)}
	case r.adjustment != nil:
		a := r.adjustment
		what := fmt.Sprintf("%s %s %s%s", a.Kind, human.Quote(a.APIName), human.Quote(a.ActionID), value(a.Value.Valid, a.Value.Decimal.String()))
		return Row{"adjustment", a.CustomerID, what, moment(a.AdjustedAtMS), moment(a.ReceivedAtMS)}
	case r.eventName != nil:
		n := r.eventName
		return Row{"event", n.CustomerID, fmt.Sprintf("event %s is called %s", human.Quote(n.EventID), human.Quote(n.APIName)), interval(n.From, n.To), ""}
	case r.rule != nil:
		return Row{"rule", r.rule.CustomerID, fmt.Sprintf("event %s: %s", human.Quote(r.rule.EventID), r.rule.Rule), interval(r.rule.From, r.rule.To), ""}
	default:
		var ids []string
		for _, v := range r.optimization.variations {
			ids = append(ids, human.Quote(v.VariationID))
		}
		return Row{"optimization", r.optimization.head.CustomerID, fmt.Sprintf("%s with the variations %s", human.Quote(r.optimization.head.OptimizationID), strings.Join(ids, ", ")), "", ""}
	}
}
