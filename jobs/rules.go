package jobs

import (
	"fmt"
	"time"
)

// The numbers of the rules (docs/rules.md). To change one, change it here: the next run computes all
// days with it.
const (
	// SessionGap ends a session, and SessionCap does at the latest (R1). A cap beyond a day, which
	// sql/nightly/20_sessions.sql can't do, does not compile.
	SessionGap = 30 * time.Minute
	SessionCap = 24 * time.Hour
	_          = uint(day - SessionCap)

	// ViewLookback is how far back a view may lie for a conversion not to be no_view_before (R6).
	ViewLookback = 7 * 24 * time.Hour

	// ClocksApart is by how much the clocks of two machines may differ: a page may have identified its
	// visitor so long after the conversion was received (R2).
	ClocksApart = time.Minute
)

// rules are the numbers as a text, by which a run sees whether the one before went by the same ones.
func rules() string {
	return fmt.Sprint(SessionGap, SessionCap, ViewLookback, ClocksApart)
}
