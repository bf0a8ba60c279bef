package ingest

import (
	"fmt"
	"testing"
	"time"
)

func TestLoggedOnceAnHour(t *testing.T) {
	var noticed noticed
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
		if got := noticed.isNew(c.account, c.reason, now.Add(c.after)); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	for i := range 2 * mostNoticed {
		noticed.isNew(fmt.Sprint(i), "too_old", now)
	}
	if len(noticed.last) > mostNoticed {
		t.Errorf("%d are remembered", len(noticed.last))
	}
}
