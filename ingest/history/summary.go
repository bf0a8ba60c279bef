package history

import (
	"fmt"
	"strings"

	"github.com/tieback/tieback/human"
)

// Summary counts what an import did.
type Summary struct {
	Lines        int64 // read, empty ones aside; of an array its elements, of a table its rows
	Known        int64 // of them, there already
	Differing    Differing
	Restated     int64 // values that were taken over as adjustments
	ClientEvents int64
	Conversions  int64
	Adjustments  int64
	Catalog      int64 // events, rules and optimizations
	Bad          int64
}

// Differing counts conversions without receivedAt that are known with something else, and were not stored (docs/import.md).
type Differing struct {
	Lines int64
	// What is other; one line may be in several.
	Value, User, Moment int64
}

// Texts says in words what an import did, or with dryRun would do.
func (s Summary) Texts(dryRun bool) []string {
	did, became, end := "imported", "became", ""
	if dryRun {
		did, became, end = "would import", "would become", "; nothing was stored"
	}
	known := ""
	if s.Known > 0 {
		known = fmt.Sprintf(", %d of them known already", s.Known)
	}
	adjustments := ""
	if s.Adjustments > 0 {
		adjustments = fmt.Sprintf("%d adjustments, ", s.Adjustments)
	}
	texts := []string{fmt.Sprintf("%s %s%s: %d client events, %d conversions, %s%d events and optimizations; %d bad%s",
		did, human.Count(s.Lines, "line"), known, s.ClientEvents, s.Conversions, adjustments, s.Catalog, s.Bad, end)}
	if s.Restated > 0 {
		texts = append(texts, fmt.Sprintf("%d values that differ from those known %s adjustments", s.Restated, became))
	}
	if s.Differing.Lines > 0 {
		var what []string
		for _, d := range []struct {
			n    int64
			what string
		}{{s.Differing.Value, "value"}, {s.Differing.User, "user"}, {s.Differing.Moment, "moment"}} {
			if d.n > 0 {
				what = append(what, fmt.Sprintf("%d are known with another %s", d.n, d.what))
			}
		}
		text := "not stored: " + strings.Join(what, ", ")
		if s.Differing.Value > 0 {
			text += "; --restate takes the values over"
		}
		texts = append(texts, text)
	}
	return texts
}
