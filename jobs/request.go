package jobs

import (
	"errors"
	"fmt"
	"time"
)

// ErrInvalid says that a request can't be read or makes no sense, whatever is there.
var ErrInvalid = errors.New("invalid")

// invalid is ErrInvalid with a message that stands by itself.
type invalid struct{ error }

func (invalid) Is(target error) bool { return target == ErrInvalid }
func (i invalid) Unwrap() error      { return i.error }

func invalidf(format string, args ...any) error { return invalid{fmt.Errorf(format, args...)} }

// ParseRequest reads a request as people write it (spec 5): from and to are days, cutoff
// is a time; each may be empty. Its errors wrap ErrInvalid.
func ParseRequest(from, to, cutoff string, now time.Time) (req Request, err error) {
	switch {
	case (from == "") != (to == ""):
		return req, invalidf("--from and --to go together")
	case from != "" && cutoff != "":
		return req, invalid{ErrCutoffWithRange}
	}
	if from != "" {
		if req.From, err = ParseDay(from); err != nil {
			return req, err
		}
		if req.To, err = ParseDay(to); err != nil {
			return req, err
		}
		if req.To.Before(*req.From) {
			return req, invalidf("--to %s lies before --from %s", to, from)
		}
	}
	if cutoff != "" {
		if req.Cutoff, err = ParseTime(cutoff, now); err != nil {
			return req, err
		}
		if req.Cutoff.After(now) {
			return req, invalidf("%w: %s", ErrFutureCutoff, cutoff)
		}
	}
	return req, nil
}

// ParseTime reads TIME of spec 5: RFC 3339 or now.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now.UTC().Truncate(time.Millisecond), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, invalidf("%q is no time: give RFC 3339, as 2026-09-21T14:00:00Z, or now", text)
	}
	return t.UTC().Truncate(time.Millisecond), inRange(t)
}

// ParseDay reads DAY of spec 5: YYYY-MM-DD.
func ParseDay(text string) (*time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, invalidf("%q is no day: give YYYY-MM-DD, as 2026-09-21", text)
	}
	return &t, inRange(t)
}

// inRange holds times to what an import takes, too (spec 6).
func inRange(t time.Time) error {
	if year := t.UTC().Year(); year < 2000 || year > 2100 {
		return invalidf("%s lies outside the years 2000 to 2100", t.Format(time.RFC3339))
	}
	return nil
}
