package reports

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

const (
	outcomePending         = "pending" // no run has decided yet
	outcomeAttributed      = "attributed"
	outcomeRetracted       = "retracted"
	outcomeNoIdentity      = "no_identity"
	outcomeIdentityTooLate = "identity_too_late"
)

// explainer says what decided about one copy of a conversion.
type explainer struct {
	*Explanation
	db   *warehouse.DB
	copy *Copy
	now  time.Time

	names    []nameRow    // when events bore its name
	rule     catalog.Rule // that decided about it, or will
	ruleNow  catalog.Rule // that holds for it by now
	visitors []visitorRow // of the user, where the outcome hangs on them
	nextView *visitorRow  // the usable one that saw a variation soonest at or after the conversion
}

// at is when the conversion happened.
func (x *explainer) at() time.Time { return time.UnixMilli(x.copy.ActionTimestamp).UTC() }

// user is who the conversion names.
func (x *explainer) user() string { return userText(x.copy.UserDomain, x.copy.UserID) }

func userText(domain, id string) string {
	return fmt.Sprintf("(%s, %s)", human.Quote(domain), human.Quote(id))
}

// reason says in words what decided the outcome. first is the copy that counts.
func (x *explainer) reason(ctx context.Context, first copyRow) (string, error) {
	c := x.copy
	switch c.Outcome {
	case outcomePending:
		next := nextRun(c.ReceivedAt, x.now)
		at := next.UnixMilli()
		c.DecidedBy = &at
		return "not decided yet: the run at " + human.Moment(next) + " will", nil
	case "duplicate":
		c.Facts.CountedIngestID = first.IngestID
		return fmt.Sprintf("another copy with the same apiName and actionId was received first, at %s (%s)", human.Moment(first.ReceivedAt), first.IngestID), nil
	case outcomeRetracted:
		return "an adjustment has taken it back; the history says when", nil
	case "event_not_defined":
		return x.nameReason(), nil
	}
	text, err := x.ruledReason(ctx)
	if err == nil && x.ruleNow != x.rule {
		text += fmt.Sprintf("; by now the credit goes to %s, and the next run decides again", x.ruleNow)
	}
	return text, err
}

// ruledReason explains the outcomes that the rule has a part in.
func (x *explainer) ruledReason(ctx context.Context) (string, error) {
	switch {
	case x.copy.Outcome != outcomeAttributed:
		return x.visitorReason(ctx)
	case x.rule.WindowDays > 0:
		return fmt.Sprintf("variations were seen in the %s before it; the %s view of each optimization in them counts", human.Count(int64(x.rule.WindowDays), "day"), x.rule.Credit), nil
	default:
		return fmt.Sprintf("it happened while a session was open that had seen a variation before; the %s view of each optimization in it counts", x.rule.Credit), nil
	}
}

func (x *explainer) nameReason() string {
	name := human.Quote(x.APIName)
	if len(x.names) == 0 {
		return fmt.Sprintf("no event of the account has ever borne the name %s", name)
	}
	text := fmt.Sprintf("no event bore the name %s at %s; it was borne", name, human.Moment(x.at()))
	for i, n := range x.names {
		if i > 0 {
			text += ", and"
		}
		text += fmt.Sprintf(" by %s from %s", human.Quote(n.EventID), human.Moment(n.From))
		if n.To != nil {
			text += " to " + human.Moment(*n.To)
		}
	}
	return text
}

// visitorReason explains the outcomes that hang on who the user was and what they
// saw.
func (x *explainer) visitorReason(ctx context.Context) (string, error) {
	recent, err := jobs.PublishedCutoff(ctx, x.db)
	if err != nil {
		return "", err
	}
	c := x.copy
	if x.visitors, err = visitorsOf(ctx, x.db, x.CustomerID, *c, recent); err != nil {
		return "", err
	}
	if len(x.visitors) > 0 {
		first := x.visitors[0]
		occurred, received := first.LinkedAt.UnixMilli(), first.ReceivedAt.UnixMilli()
		c.Facts.IdentityOccurredAt, c.Facts.IdentityReceivedAt = &occurred, &received
	}
	switch c.Outcome {
	case outcomeNoIdentity:
		return "no browser has called setUserId with " + x.user(), nil
	case outcomeIdentityTooLate:
		if len(x.visitors) == 0 {
			return "setUserId with " + x.user() + " was called after the conversion was received", nil
		}
		late := x.visitors[0].LinkedAt.Sub(time.UnixMilli(c.ReceivedAt))
		lateMS := late.Milliseconds()
		c.Facts.IdentityLateByMS = &lateMS
		if x.oneMoment() { // a view after it may tell of a moment that is wrong
			x.nextView = x.soonestView(func(*visitorRow) bool { return true })
		}
		return fmt.Sprintf("setUserId with %s was first called at %s, %s after the conversion was received", x.user(), human.Moment(x.visitors[0].LinkedAt), human.Duration(late)), nil
	default:
		return x.viewReason(), nil
	}
}

// visitorsOf looks up the visitors that are known to be a conversion's user.
func visitorsOf(ctx context.Context, db *warehouse.DB, customerID string, c Copy, cutoff time.Time) (visitors []visitorRow, err error) {
	err = db.Select(ctx, &visitors, sql.Report("explain_visitors").SQL, warehouse.Params{
		"customer_id": customerID, "user_domain": c.UserDomain, "user_id": c.UserID,
		"action_at": warehouse.Time(time.UnixMilli(c.ActionTimestamp)), "cutoff": warehouse.Time(atLeastEpoch(cutoff)), "days_after": viewDaysAfter,
	})
	return visitors, err
}

// viewReason explains why no view counts, by the one that came nearest: before or after.
func (x *explainer) viewReason() string {
	before, beforeText := x.nearestBefore()
	after := x.nearestAfter()
	nearest := before
	if after != nil && (before == nil || after.MissedByMS < before.MissedByMS) {
		nearest = after
	}
	x.copy.Facts.NearestView = nearest
	switch {
	case before == nil && after == nil:
		return "no visitor known to be this user saw any variation before the conversion"
	case before == nil:
		return "no visitor known to be this user saw any variation before the conversion; " + afterText(after)
	case after == nil:
		return beforeText
	case nearest == after:
		return afterText(after) + "; before it, " + beforeText
	default:
		return beforeText + "; the next one was seen " + human.Duration(time.Duration(after.ViewedAt-x.copy.ActionTimestamp)*time.Millisecond) + " after the conversion"
	}
}

func afterText(after *NearestView) string {
	when := "at the moment of the conversion"
	if behind := after.MissedByMS - 1; behind > 0 {
		when = human.Duration(time.Duration(behind)*time.Millisecond) + " after the conversion"
	}
	return fmt.Sprintf("the nearest view, at %s by visitor %s, came %s, and must come before it",
		human.Moment(time.UnixMilli(after.ViewedAt)), human.Quote(after.VisitorID), when)
}

// nearestBefore is the last view before the conversion by a visitor linked in time, and why it
// does not count.
func (x *explainer) nearestBefore() (*NearestView, string) {
	var last *visitorRow
	for i := range x.visitors {
		if v := &x.visitors[i]; x.usable(v) && v.HasView != 0 && (last == nil || v.ViewedAt.After(last.ViewedAt)) {
			last = v
		}
	}
	if last == nil {
		return nil, ""
	}
	seen := fmt.Sprintf("the last view, at %s by visitor %s,", human.Moment(last.ViewedAt), human.Quote(last.VisitorID))
	view := &NearestView{VisitorID: last.VisitorID, ViewedAt: last.ViewedAt.UnixMilli(), Side: sideBefore}
	earlier, reach := x.at().Sub(last.ViewedAt), jobs.ViewLookback
	if x.rule.WindowDays > 0 {
		reach = time.Duration(x.rule.WindowDays) * 24 * time.Hour
	}
	switch {
	case earlier > reach:
		view.MissedByMS = (earlier - reach).Milliseconds()
		return view, fmt.Sprintf("%s was seen more than %s before the conversion, by %s", seen, human.Duration(reach), human.Duration(earlier-reach))
	case x.rule.WindowDays > 0:
		return view, seen + " lies in the window by now, and did not when the last run decided"
	case last.HasSession == 0 || x.at().Before(last.SessionExpiresAt):
		view.MissedByMS = earlier.Milliseconds()
		return view, seen + " lies in an earlier session than the one that was open at the conversion"
	}
	over := x.at().Sub(last.SessionExpiresAt)
	expiredAt := last.SessionExpiresAt.UnixMilli()
	view.SessionExpiredAt, view.MissedByMS = &expiredAt, over.Milliseconds()+1
	when := "the moment of the conversion"
	if over > 0 {
		when = human.Duration(over) + " before the conversion"
	}
	return view, fmt.Sprintf("%s lies in a session that expired at %s, %s", seen, human.Moment(last.SessionExpiresAt), when)
}

// nearestAfter is the first view at or after the conversion by a visitor linked in time.
func (x *explainer) nearestAfter() *NearestView {
	x.nextView = x.soonestView(x.usable)
	if x.nextView == nil {
		return nil
	}
	view := &NearestView{VisitorID: x.nextView.VisitorID, ViewedAt: x.nextView.NextViewedAt.UnixMilli(), Side: sideAfter}
	view.MissedByMS = view.ViewedAt - x.copy.ActionTimestamp + 1 // a view counts for what happens after it
	if expires := x.nextView.NextSessionExpiresAt; expires.After(x.nextView.NextViewedAt) {
		expiredAt := expires.UnixMilli()
		view.SessionExpiredAt = &expiredAt
	}
	return view
}

// soonestView is the visitor, of those that count, with the first view at or after the conversion.
func (x *explainer) soonestView(counts func(*visitorRow) bool) (soonest *visitorRow) {
	for i := range x.visitors {
		if v := &x.visitors[i]; v.HasNextView != 0 && counts(v) && (soonest == nil || v.NextViewedAt.Before(soonest.NextViewedAt)) {
			soonest = v
		}
	}
	return soonest
}

// usable reports whether the visitor was linked by the time of the conversion's receipt (R2).
func (x *explainer) usable(v *visitorRow) bool {
	return v.LinkedAt.UnixMilli() <= x.copy.ReceivedAt+jobs.ClocksApart.Milliseconds()
}
