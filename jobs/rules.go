package jobs

import (
	"fmt"
	"time"
)

// The numbers of the rules (docs/rules.md). To change one, change it here, and what says the rule in
// words: the model and the stories of the tests, docs/rules.md, docs/snippet.md. The next run computes
// all days with it. What the SQL can't express does not compile.
const (
	// SessionGap ends a session, in whole minutes, and SessionCap does at the latest, in whole hours (R1):
	// a day at most, as a day of sql/nightly/20_sessions.sql looks back no further than the one before.
	SessionGap = 30 * time.Minute
	SessionCap = 24 * time.Hour
	_          = uint(day-SessionCap) + uint(-(SessionGap % time.Minute)) + uint(-(SessionCap % time.Hour))

	// ViewLookback is how far back a view may lie for a conversion not to be no_view_before, in whole days (R6).
	ViewLookback = 7 * day
	_            = uint(ViewLookback-day) + uint(-(ViewLookback % day))

	// ClocksApart is by how much the clocks of two machines may differ: a page may have identified its
	// visitor so long after the conversion was received (R2).
	ClocksApart = time.Minute
	_           = uint(-(ClocksApart % time.Second))
)

// rules are the numbers as a text, by which a run sees whether the one before went by the same ones.
func rules() string {
	return fmt.Sprint(SessionGap, SessionCap, ViewLookback, ClocksApart)
}
