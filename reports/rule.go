package reports

import (
	"context"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// ruleRow is an interval in which an event that bore a name had a rule other than the default.
type ruleRow struct {
	OfRun bool       `ch:"of_run"` // as the last run saw it, else as it is
	Days  uint16     `ch:"window_days"`
	Which string     `ch:"credit"`
	From  time.Time  `ch:"valid_from"`
	To    *time.Time `ch:"valid_to"`
}

// intervalsOf reads when events bore a name, and their rules then.
func intervalsOf(ctx context.Context, db *warehouse.DB, customerID, apiName string) (names []nameRow, rules []ruleRow, err error) {
	params := warehouse.Params{"customer_id": customerID, "api_name": apiName}
	if err := db.Select(ctx, &names, sql.Report("explain_names").SQL, params); err != nil {
		return nil, nil, err
	}
	return names, rules, db.Select(ctx, &rules, sql.Report("explain_rules").SQL, params)
}

// takeRule finds the rule that decided about the copy, and the one that holds for it by now.
func (x *explainer) takeRule(rules []ruleRow) {
	at := func(ofRun bool) catalog.Rule {
		for _, r := range rules {
			if r.OfRun == ofRun && covers(r.From, r.To, x.at()) {
				return catalog.Rule{WindowDays: r.Days, Credit: r.Which}
			}
		}
		return catalog.DefaultRule
	}
	x.rule, x.ruleNow = at(true), at(false)
	if x.copy.Outcome == outcomePending {
		x.rule = x.ruleNow
	}
	for _, n := range x.names {
		if covers(n.From, n.To, x.at()) {
			x.copy.Rule = &Rule{x.rule.Window(), x.rule.Credit}
		}
	}
}

func covers(from time.Time, to *time.Time, at time.Time) bool {
	return !at.Before(from) && (to == nil || at.Before(*to))
}
