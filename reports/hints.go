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
	case outcomeAttributed, outcomePending, outcomeRetracted, "duplicate":
		return hints, nil
	}
	for _, id := range []struct{ field, text string }{{"apiName", x.APIName}, {"userDomain", x.copy.UserDomain}, {"userId", x.copy.UserID}, {"actionId", x.ActionID}} {
		add(controlCharacter(id.field, id.text))
	}
	var more []string
	switch x.copy.Outcome {
	case "event_not_defined":
		more, err = x.nearNames(ctx)
	case outcomeNoIdentity:
		more, err = x.nearUsers(ctx)
	default:
		add(x.timeZone(), x.cutMoment())
		more, err = x.nearUsers(ctx)
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

// nearUsers finds user ids that browsers have sent and that are nearly the conversion's. Of a
// user who is known, the same id in another domain is another person's.
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
		if x.copy.Outcome != outcomeNoIdentity && plainDomain(u.Domain) != plainDomain(c.UserDomain) {
			continue
		}
		hints = append(hints, fmt.Sprintf("browsers have called setUserId with %s: %s", userText(u.Domain, u.ID), difference(c.UserDomain, c.UserID, u.Domain, u.ID)))
	}
	return hints, nil
}

// plainDomain is a text without what makes equal ones differ: case, spaces and what can't be seen,
// Unicode form. The SQL of explain_near_users does the same.
func plainDomain(text string) string {
	return strings.ToLower(withoutUnseen(norm.NFKC.String(text)))
}

// withoutUnseen leaves spaces out, and characters of no width.
func withoutUnseen(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
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

var scientificNumber = regexp.MustCompile(`^([0-9])(?:[.,]([0-9]+))?[eE]\+?([0-9]{1,2})$`)

// scientific reads a number as spreadsheets shorten it, 1.23457E+17: between which numbers of
// how many digits the one must lie that was shortened. No digits stand for another text.
func scientific(text string) (from, to float64, digits uint8) {
	m := scientificNumber.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, 0
	}
	value, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
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
	switch {
	case plainDomain(sent) == plainDomain(known):
		return strings.Join(plainWays(sent, known), " and ")
	case scientificNumber.MatchString(sent) || scientificNumber.MatchString(known):
		return "its notation: a spreadsheet has probably shortened the number"
	case plainID(sent) == plainID(known):
		return "leading zeros"
	default:
		return ""
	}
}

// plainWays names what plainDomain takes away from either text.
func plainWays(sent, known string) (ways []string) {
	sentCore, knownCore := strings.TrimFunc(sent, unicode.IsSpace), strings.TrimFunc(known, unicode.IsSpace)
	if sentCore != sent || knownCore != known {
		ways = append(ways, "the spaces around it")
	}
	sentSeen, knownSeen := withoutUnseen(sentCore), withoutUnseen(knownCore)
	if sentSeen != sentCore || knownSeen != knownCore {
		ways = append(ways, "spaces or characters of no width in it")
	}
	if norm.NFKC.String(sentSeen) != norm.NFKC.String(knownSeen) {
		ways = append(ways, "case")
	}
	if !strings.EqualFold(sentSeen, knownSeen) {
		ways = append(ways, "Unicode form, though it looks alike")
	}
	return ways
}

// zones are by how much local times differ from UTC: up to 14 hours, by whole ones, and by what
// India, Nepal and a few more add.
var zones = func() (zones []time.Duration) {
	for hours := time.Duration(1); hours <= 14; hours++ {
		zones = append(zones, hours*time.Hour)
	}
	for _, minutes := range []time.Duration{3*60 + 30, 4*60 + 30, 5*60 + 30, 5*60 + 45, 6*60 + 30, 9*60 + 30} {
		zones = append(zones, minutes*time.Minute)
	}
	return zones
}()

// rightAfter is how soon after a view a conversion must have happened for its distance in hours to
// be more than chance: people do call hours later, and a session covers half of every hour.
const rightAfter = 5 * time.Minute

// timeZone notices that whole hours would bring the conversion into a session: its moment may be
// local time that was taken for UTC.
func (x *explainer) timeZone() string {
	const question = "is actionTimestamp local time that was taken for UTC?"
	if v := x.nextView; v != nil {
		for _, zone := range zones {
			moved := x.at().Add(zone)
			if moved.After(v.NextViewedAt) && x.rule.WindowDays > 0 && x.usable(v) {
				return fmt.Sprintf("%s later it would have happened after the view that came after it: %s", human.Duration(zone), question)
			}
			if moved.After(v.NextViewedAt) && moved.Before(v.NextSessionExpiresAt) && (x.usable(v) || !moved.Before(v.LinkedAt)) {
				return fmt.Sprintf("%s later it would have happened in the session of the view that came after it: %s", human.Duration(zone), question)
			}
		}
	}
	nearest := x.copy.Facts.NearestView
	if nearest == nil || nearest.SessionExpiredAt == nil || nearest.Side != sideBefore {
		return ""
	}
	early := *nearest.SessionExpiredAt
	said := ""
	if x.copy.ActionTimestamp > x.copy.ReceivedAt {
		said = "it happened after it was received, and "
	} else {
		early = min(early, nearest.ViewedAt+rightAfter.Milliseconds())
	}
	for _, zone := range zones {
		if moved := x.at().Add(-zone).UnixMilli(); moved > nearest.ViewedAt && moved < early {
			return fmt.Sprintf("%s%s earlier it would have happened in the session of the last view: %s", said, human.Duration(zone), question)
		}
	}
	return ""
}

// cutMoment notices what came in the same second, minute or day as a moment that has no parts of
// those.
func (x *explainer) cutMoment() string {
	var what string
	var behind time.Duration
	switch {
	case x.copy.Outcome == outcomeIdentityTooLate && x.oneMoment() && len(x.visitors) > 0:
		what, behind = "setUserId", x.visitors[0].LinkedAt.Sub(x.at())
	case x.copy.Outcome != outcomeIdentityTooLate && x.nextView != nil:
		what, behind = "a view", x.nextView.NextViewedAt.Sub(x.at())
	}
	if behind <= 0 { // nothing, or a view at the very moment, which more digits would not help
		return ""
	}
	for _, unit := range []struct {
		of    time.Duration
		words string
	}{{time.Second, "whole seconds"}, {time.Minute, "whole minutes"}, {24 * time.Hour, "a whole day"}} {
		if x.copy.ActionTimestamp%unit.of.Milliseconds() == 0 && behind < unit.of {
			return fmt.Sprintf("actionTimestamp is cut to %s, and %s came %s later: send milliseconds, or the moment at which the conversion was recorded", unit.words, what, human.Duration(behind))
		}
	}
	return ""
}

// oneMoment reports whether one moment stands for when the conversion happened and when it was
// received, as in history that is imported without receivedAt.
func (x *explainer) oneMoment() bool { return x.copy.ReceivedAt == x.copy.ActionTimestamp }
