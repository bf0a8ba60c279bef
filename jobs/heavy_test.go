package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// TestOneUserIDForManyVisitors: an office login, or a placeholder. Every conversion of the user
// meets every visitor; a night that held all pairs with their views took 22 GB for this. It must
// do with little memory, and every conversion be attributed to the view seen last by any of them.
func TestOneUserIDForManyVisitors(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	const visitors, views, conversions = 500, 10, 2000
	at := date(20, 9)
	var events []warehouse.ClientEvent
	add := func(e warehouse.ClientEvent, visitor int, moment time.Time) {
		e.CustomerID, e.VisitorID, e.OccurredAtMS, e.ReceivedAtMS = "c1", fmt.Sprintf("v%03d", visitor), moment.UnixMilli(), moment.UnixMilli()
		e.IngestID = uuid.Must(uuid.NewV7())
		events = append(events, e)
	}
	for visitor := range visitors {
		add(warehouse.ClientEvent{Type: "identify", UserDomain: "crm", UserID: "office"}, visitor, at)
		for view := range views {
			add(warehouse.ClientEvent{Type: "view", OptimizationID: fmt.Sprint("o", view%5), VariationID: fmt.Sprint("b", visitor)},
				visitor, at.Add(time.Duration(view)*time.Minute+time.Duration(visitor)*time.Millisecond))
		}
	}
	insertEvents(t, db, events...)
	site(t, db) // the event
	var rows []warehouse.Conversion
	for i := range conversions {
		moment := at.Add(views*time.Minute + time.Duration(i)*time.Millisecond)
		rows = append(rows, warehouse.Conversion{
			CustomerID: "c1", APIName: "bought", UserDomain: "crm", UserID: "office", ActionID: fmt.Sprint(i),
			ActionAtMS: moment.UnixMilli(), ReceivedAtMS: moment.UnixMilli(), IngestID: uuid.Must(uuid.NewV7()),
		})
	}
	if err := db.InsertConversions(t.Context(), "", rows); err != nil {
		t.Fatal(err)
	}
	runner := runnerAt(db, date(29, 0))
	runner.Memory = 600 << 20 // that a statement would need several times, if it held all pairs
	mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
	var attributed, latest uint64
	err := db.Row(t.Context(), "select count(), countIf(variation_id = 'b499' and visitor_id = 'v499') from attributions", nil, &attributed, &latest)
	if err != nil || attributed != conversions*5 || latest != attributed {
		t.Errorf("%d attributions, %d of them to the view seen last, %v", attributed, latest, err)
	}
}
