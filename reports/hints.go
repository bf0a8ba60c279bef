package reports

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// hints says what may have gone wrong with a conversion that was not attributed: what nearly
// fits. copies are all that were received under its key.
func (x *explainer) hints(ctx context.Context, copies []copyRow) (hints []string, err error) {
	hints = []string{}
	add := func(more ...string) {
		for _, hint := range more {
			if hint != "" {
				hints = append(hints, hint)
			}
		}
	}
	add(otherUsers(copies))
	switch x.copy.Outcome {
	case "attributed", outcomePending, "duplicate":
		return hints, nil
	}
	for _, id := range []struct{ field, text string }{{"apiName", x.APIName}, {"userDomain", x.copy.UserDomain}, {"userId", x.copy.UserID}, {"actionId", x.ActionID}} {
		add(controlCharacter(id.field, id.text))
	}
	var more []string
	switch x.copy.Outcome {
	case "event_not_defined":
		more, err = x.nearNames(ctx)
	case "no_identity":
		more, err = x.nearUsers(ctx)
	case "no_view_before", "session_expired":
		add(x.timeZone(), x.cutMoment())
	}
	add(more...)
	return hints, err
}

// otherUsers notices one actionId that was used for several users: all but one of their
// conversions are duplicates.
func otherUsers(copies []copyRow) string {
	var users []string
	seen := map[string]bool{}
	for _, c := range copies {
		if user := userText(c.UserDomain, c.UserID); !seen[user] {
			seen[user] = true
			users = append(users, user)
		}
	}
	const shown = 4
	switch {
	case len(users) < 2:
		return ""
	case len(users) > shown:
		return fmt.Sprintf("copies with this actionId name %d users: %s and %d more; an actionId must be unique to one conversion, only the first copy counts",
			len(users), strings.Join(users[:shown], ", "), len(users)-shown)
	default:
		return fmt.Sprintf("copies with this actionId name %d users: %s; an actionId must be unique to one conversion, only the first copy counts", len(users), strings.Join(users, ", "))
	}
}

func controlCharacter(field, text string) string {
	i := strings.IndexFunc(text, unicode.IsControl)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("the %s %s contains the control character %U", field, human.Quote(text), []rune(text[i:])[0])
}

// nearNames finds names that differ from the conversion's in what people get wrong.
func (x *explainer) nearNames(ctx context.Context) (hints []string, err error) {
	var names []struct {
		APIName string `ch:"api_name"`
	}
	if err := x.db.Select(ctx, &names, sql.Report("explain_all_names").SQL, warehouse.Params{"customer_id": x.CustomerID}); err != nil {
		return nil, err
	}
	for _, n := range names {
		if n.APIName != x.APIName && catalog.SamePlainName(n.APIName, x.APIName) {
			hints = append(hints, fmt.Sprintf("an event bears or bore the name %s; names must be equal byte for byte", human.Quote(n.APIName)))
		}
	}
	return hints, nil
}

// nearUsers finds user ids that browsers have sent and that are nearly the conversion's.
func (x *explainer) nearUsers(ctx context.Context) (hints []string, err error) {
	var users []struct {
		Domain string `ch:"user_domain"`
		ID     string `ch:"user_id"`
	}
	c := x.copy
	from, to, digits := scientific(c.UserID)
	err = x.db.Select(ctx, &users, sql.Report("explain_near_users").SQL, warehouse.Params{
		"customer_id": x.CustomerID, "user_domain": c.UserDomain, "user_id": c.UserID,
		"plain_domain": plainDomain(c.UserDomain), "plain_id": plainID(c.UserID), "number_from": from, "number_to": to, "digits": digits,
	})
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		hints = append(hints, fmt.Sprintf("browsers have called setUserId with %s: %s", userText(u.Domain, u.ID), difference(c.UserDomain, c.UserID, u.Domain, u.ID)))
	}
	return hints, nil
}

// plainDomain is a text without what makes equal ones differ: case, spaces around, Unicode form.
// The SQL of explain_near_users does the same.
func plainDomain(text string) string {
	return strings.ToLower(strings.TrimFunc(norm.NFKC.String(text), unicode.IsSpace))
}

// plainID is plainDomain without leading zeros of a number.
func plainID(text string) string {
	plain := plainDomain(text)
	if plain == "" || strings.Trim(plain, "0123456789") != "" {
		return plain
	}
	if number := strings.TrimLeft(plain, "0"); number != "" {
		return number
	}
	return "0"
}

var scientificNumber = regexp.MustCompile(`^([0-9])(?:\.([0-9]+))?[eE]\+?([0-9]{1,2})$`)

// scientific reads a number as spreadsheets shorten it, 1.23457E+17: between which numbers of
// how many digits the one must lie that was shortened. No digits stand for another text.
func scientific(text string) (from, to float64, digits uint8) {
	m := scientificNumber.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, 0
	}
	value, err := strconv.ParseFloat(text, 64)
	exponent, expErr := strconv.Atoi(m[3])
	if err != nil || expErr != nil || exponent > 60 {
		return 0, 0, 0
	}
	half := 0.5 * math.Pow10(exponent-len(m[2]))
	return value - half, value + half, uint8(exponent + 1)
}

// difference names how a known user id differs from the one that was sent.
func difference(sentDomain, sentID, domain, id string) string {
	var ways []string
	for _, part := range []struct{ what, sent, known string }{{"domain", sentDomain, domain}, {"id", sentID, id}} {
		switch way := wayOf(part.sent, part.known); {
		case part.sent == part.known:
		case way == "":
			ways = append(ways, fmt.Sprintf("the %s is another one", part.what))
		default:
			ways = append(ways, fmt.Sprintf("the %s differs in %s", part.what, way))
		}
	}
	return strings.Join(ways, ", and ")
}

// wayOf names in what two texts differ that mean the same, empty where they don't.
func wayOf(sent, known string) string {
	trim := func(text string) string { return strings.TrimFunc(text, unicode.IsSpace) }
	switch {
	case trim(sent) == trim(known):
		return "the spaces around it"
	case strings.EqualFold(sent, known):
		return "case"
	case norm.NFC.String(sent) == norm.NFC.String(known):
		return "its Unicode form (NFC or NFD), though it looks the same"
	case scientificNumber.MatchString(sent) || scientificNumber.MatchString(known):
		return "its notation: a spreadsheet has probably shortened the number"
	case plainDomain(sent) == plainDomain(known):
		return "case, spaces around it or Unicode form"
	case plainID(sent) == plainID(known):
		return "leading zeros"
	default:
		return ""
	}
}

// timeZone notices that a whole number of hours would bring the conversion into a session: its
// moment may be local time that was taken for UTC.
func (x *explainer) timeZone() string {
	const mostHours = 14 // the time zone of Kiritimati
	if v := x.nextView; v != nil {
		expires := v.NextSessionExpiresAt
		for hours := 1; hours <= mostHours; hours++ {
			moved := x.at().Add(time.Duration(hours) * time.Hour)
			if moved.After(v.NextViewedAt) && moved.Before(expires) {
				return fmt.Sprintf("%s later it would have happened in the session of the view that came after it: is actionTimestamp local time that was taken for UTC?", human.Count(int64(hours), "hour"))
			}
		}
	}
	nearest := x.copy.Facts.NearestView
	if nearest == nil || nearest.SessionExpiredAt == nil || nearest.Side != sideBefore || x.copy.ActionTimestamp <= x.copy.ReceivedAt {
		return ""
	}
	for hours := 1; hours <= mostHours; hours++ {
		moved := x.at().Add(-time.Duration(hours) * time.Hour).UnixMilli()
		if moved > nearest.ViewedAt && moved < *nearest.SessionExpiredAt {
			return fmt.Sprintf("it happened after it was received, and %s earlier it would have happened in the session of the last view: is actionTimestamp local time that was taken for UTC?", human.Count(int64(hours), "hour"))
		}
	}
	return ""
}

// cutMoment notices a view in the same second, minute or day as a moment that has no parts of
// those.
func (x *explainer) cutMoment() string {
	if x.nextView == nil {
		return ""
	}
	behind := x.nextView.NextViewedAt.Sub(x.at())
	for _, unit := range []struct {
		of    time.Duration
		words string
	}{{time.Second, "whole seconds"}, {time.Minute, "whole minutes"}, {24 * time.Hour, "a whole day"}} {
		if x.copy.ActionTimestamp%unit.of.Milliseconds() == 0 && behind < unit.of {
			return fmt.Sprintf("actionTimestamp is cut to %s, and a view came %s later: send milliseconds, or the moment at which the conversion was recorded", unit.words, human.Duration(behind))
		}
	}
	return ""
}
