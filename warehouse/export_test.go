package warehouse

import "time"

// HurryLocks makes locks of servers expire soon.
func HurryLocks(expiry time.Duration) (restore func()) {
	before := []time.Duration{lockExpiry, lockSilence, lockBeat}
	lockExpiry, lockSilence, lockBeat = expiry, expiry*2/3, expiry/6
	return func() { lockExpiry, lockSilence, lockBeat = before[0], before[1], before[2] }
}

// Freeze stops a holder's signs of life, as if its process stood still.
func (h *Held) Freeze() { h.stop() }
