package jobs

import (
	"fmt"
	"time"
)

// The numbers of the rules (docs/rules.md). Whoever changes one need do no more: the next run
// computes all days.
const (
	// SessionGap ends a session, and SessionCap does at the latest (R1).
	SessionGap = 30 * time.Minute
	SessionCap = 24 * time.Hour

	// ViewLookback is how far back a view may lie for an outcome to tell of it (R6).
	ViewLookback = 7 * 24 * time.Hour

	// ClocksApart is by how much the clocks of two machines may differ, or one be set back: a page may
	// have identified its visitor so long after the conversion was received (R2).
	ClocksApart = time.Minute
)

// rules are the numbers as a text: it tells whether two runs went by the same ones.
func rules() string {
	return fmt.Sprint(SessionGap, SessionCap, ViewLookback, ClocksApart)
}
