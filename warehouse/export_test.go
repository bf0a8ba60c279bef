package warehouse

// Freeze stops a holder's signs of life, as if its process stood still.
func (h *Held) Freeze() { h.stop() }
