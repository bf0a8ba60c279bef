package admin

import (
	"slices"

	"github.com/tieback/tieback/catalog"
)

// Answers of the API. Times are Unix milliseconds.
type (
	accountAnswer struct {
		CustomerID string   `json:"customerId"`
		Origins    []string `json:"origins"` // none: any
		CreatedAt  int64    `json:"createdAt"`
	}
	tokenAnswer struct {
		Name      string `json:"name"`
		Begins    string `json:"begins"` // the public part of the token
		CreatedAt int64  `json:"createdAt"`
		RevokedAt *int64 `json:"revokedAt"`
		Token     string `json:"token,omitempty"` // in the answer to its making only
	}
	eventAnswer struct {
		EventID string       `json:"eventId"`
		APIName string       `json:"apiName"` // now; empty when it is archived
		Names   []nameAnswer `json:"names"`
		Rules   []ruleAnswer `json:"rules"` // other than session, last
	}
	ruleAnswer struct {
		Window string `json:"window"` // session, or days as 30d
		Credit string `json:"credit"`
		From   int64  `json:"from"`
		To     *int64 `json:"to"`
	}
	nameAnswer struct {
		APIName string `json:"apiName"`
		From    int64  `json:"from"`
		To      *int64 `json:"to"`
	}
	optimizationAnswer struct {
		OptimizationID string            `json:"optimizationId"`
		Name           string            `json:"name"`
		Visitors       uint64            `json:"visitors"` // planned
		Variations     []variationAnswer `json:"variations"`
		Goals          []goalAnswer      `json:"goals"` // the primary one first
	}
	variationAnswer struct {
		ID       string  `json:"id"`
		Name     string  `json:"name"`
		Weight   float64 `json:"weight"`
		Baseline bool    `json:"baseline"`
	}
	goalAnswer struct {
		EventID string  `json:"eventId"`
		Primary bool    `json:"primary"`
		MDE     float64 `json:"mde"` // per cent
	}
)

func accountOf(account catalog.Account) accountAnswer {
	return accountAnswer{account.CustomerID, slices.Clone(account.Origins), ms(account.CreatedAt)}
}

func tokenOf(t catalog.Token) tokenAnswer {
	answer := tokenAnswer{Name: t.Name, Begins: "tb_" + t.Prefix, CreatedAt: ms(t.CreatedAt)}
	if t.RevokedAt != nil {
		at := ms(*t.RevokedAt)
		answer.RevokedAt = &at
	}
	return answer
}

func eventOf(snap *catalog.Snapshot, customerID string, e catalog.Event) eventAnswer {
	answer := eventAnswer{EventID: e.EventID, APIName: e.Current(), Rules: []ruleAnswer{}}
	for _, r := range snap.RulesOf(customerID, e.EventID) {
		rule := ruleAnswer{Window: r.Window(), Credit: r.Credit, From: ms(r.From)}
		if r.To != nil {
			rule.To = new(ms(*r.To))
		}
		answer.Rules = append(answer.Rules, rule)
	}
	for _, n := range e.Names {
		name := nameAnswer{APIName: n.APIName, From: ms(n.From)}
		if n.To != nil {
			at := ms(*n.To)
			name.To = &at
		}
		answer.Names = append(answer.Names, name)
	}
	return answer
}

func optimizationOf(snap *catalog.Snapshot, o catalog.Optimization) optimizationAnswer {
	answer := optimizationAnswer{OptimizationID: o.OptimizationID, Name: o.Name, Visitors: o.PlannedVisitors, Variations: []variationAnswer{}, Goals: []goalAnswer{}}
	for _, v := range snap.VariationsOf(o.CustomerID, o.OptimizationID) {
		answer.Variations = append(answer.Variations, variationAnswer{v.VariationID, v.Name, v.Weight, v.IsBaseline})
	}
	for _, g := range snap.GoalsOf(o.CustomerID, o.OptimizationID) {
		answer.Goals = append(answer.Goals, goalAnswer{g.EventID, g.IsPrimary, g.MDEPercent})
	}
	return answer
}
