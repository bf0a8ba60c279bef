package ingest

import (
	"fmt"
	"testing"
	"time"
)

func TestToldOnceAnHour(t *testing.T) {
	var told told
	now := time.Unix(1e9, 0)
	for i, c := range []struct {
		account, reason string
		after           time.Duration
		want            bool
	}{
		{"c1", "too_old", 0, true},
		{"c1", "too_old", time.Minute, false},
		{"c1", "placeholder", time.Minute, true},
		{"c2", "too_old", time.Minute, true},
		{"c1", "too_old", time.Hour, true},
	} {
		if got := told.isNew(c.account, c.reason, now.Add(c.after)); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	for i := range 2 * mostTold {
		told.isNew(fmt.Sprint(i), "too_old", now)
	}
	if len(told.last) > mostTold {
		t.Errorf("%d are remembered", len(told.last))
	}
}
