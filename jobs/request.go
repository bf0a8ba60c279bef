package jobs

import (
	"time"

	"github.com/tieback/tieback/refuse"
)

// ParseRequest reads a request as people write it (docs/settings.md): from and to are days, cutoff
// is a time; each may be empty. Its errors are refusals.
func ParseRequest(from, to, cutoff string, now time.Time) (req Request, err error) {
	switch {
	case (from == "") != (to == ""):
		return req, refuse.Invalidf("from and to go together")
	case from != "" && cutoff != "":
		return req, ErrCutoffWithRange
	}
	if from != "" {
		if req.From, err = ParseDay(from); err != nil {
			return req, err
		}
		if req.To, err = ParseDay(to); err != nil {
			return req, err
		}
		if req.To.Before(*req.From) {
			return req, refuse.Invalidf("the range ends on %s, before it begins on %s", to, from)
		}
	}
	if cutoff != "" {
		if req.Cutoff, err = ParseTime(cutoff, now); err != nil {
			return req, err
		}
		if req.Cutoff.After(now) {
			return req, refuse.Invalidf("the cutoff %s lies in the future", cutoff).Because(ErrFutureCutoff)
		}
	}
	return req, nil
}

// ParseTime reads TIME of docs/settings.md: RFC 3339 or now.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now.UTC().Truncate(time.Millisecond), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, refuse.Invalidf("%q is not a time: give RFC 3339, as 2026-09-21T14:00:00Z, or now", text)
	}
	return t.UTC().Truncate(time.Millisecond), inRange(t)
}

// ParseDay reads DAY of docs/settings.md: YYYY-MM-DD.
func ParseDay(text string) (*time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, refuse.Invalidf("%q is not a day: give YYYY-MM-DD, as 2026-09-21", text)
	}
	return &t, inRange(t)
}

// inRange holds times to what an import takes, too.
func inRange(t time.Time) error {
	if year := t.UTC().Year(); year < 2000 || year > 2100 {
		return refuse.Invalidf("%s lies outside the years 2000 to 2100", t.Format(time.RFC3339))
	}
	return nil
}
