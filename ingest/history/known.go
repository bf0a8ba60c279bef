package history

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/warehouse"
)

// leaveOut takes out of the batch what is there already, and the conversions that are known with something
// else: their values become adjustments if that was asked for.
func (im *Importer) leaveOut(ctx context.Context) error {
	b := &im.batch
	if im.Known == nil {
		return nil
	}
	events, err := im.Known.KnownClientEvents(ctx, b.clientEvents, b.givenIDs)
	if err != nil {
		return err
	}
	all := b.rows()
	i := -1
	b.clientEvents = slices.DeleteFunc(b.clientEvents, func(warehouse.ClientEvent) bool { i++; return events[i] })
	adjustments, err := im.Known.KnownAdjustments(ctx, b.adjustments)
	if err != nil {
		return err
	}
	b.adjustments = slices.DeleteFunc(b.adjustments, func(a warehouse.Adjustment) bool { return adjustments[a.IngestID] })
	im.summary.Known += int64(all - b.rows())
	return im.leaveOutConversions(ctx)
}

func (im *Importer) leaveOutConversions(ctx context.Context) error {
	b := &im.batch
	there, err := im.Known.KnownConversions(ctx, b.conversions)
	if err != nil {
		return err
	}
	var asked []warehouse.Conversion
	var places []int
	for i := range b.conversions {
		if !b.hasReceivedAt[i] && (im.Restate || !there[b.conversions[i].IngestID]) {
			asked, places = append(asked, b.conversions[i]), append(places, i)
		}
	}
	byKey, err := im.Known.ConversionsByKey(ctx, asked)
	if err != nil {
		return err
	}
	known := map[int]warehouse.KnownConversion{}
	for k, i := range places {
		if of, found := byKey[k]; found {
			known[i] = of
		}
	}
	last := map[string]int{} // of the lines of one key the last one counts
	for i := range known {
		key := keyOf(&b.conversions[i])
		last[key] = max(last[key], i)
	}
	i := -1
	b.conversions = slices.DeleteFunc(b.conversions, func(c warehouse.Conversion) bool {
		i++
		of, found := known[i]
		return im.isKnown(&c, there[c.IngestID], found, &of, found && im.Restate && last[keyOf(&c)] == i)
	})
	return nil
}

// isKnown decides about a conversion of the batch: whether it is left out, and what that is counted as. of is what is
// known under its key, where found; its value is taken over where restates is set.
func (im *Importer) isKnown(c *warehouse.Conversion, there, found bool, of *warehouse.KnownConversion, restates bool) bool {
	if !found {
		if there {
			im.summary.Known++
		}
		return there
	}
	user, moment, value := c.UserDomain != of.UserDomain || c.UserID != of.UserID, c.ActionAtMS != of.ActionAtMS, !sameValue(c, &of.Current)
	restated := restates && value && c.Value.Valid
	if restated {
		im.restate(c)
		value = false
	}
	switch {
	case there || restated && !user && !moment:
		if !restated {
			im.summary.Known++
		}
		return true
	case !user && !moment && !value:
		holds := sameValue(c, &of.Value) // else it was restated to what the line says
		if !holds {
			im.summary.Known++
		}
		return !holds
	default:
		d := &im.summary.Differing
		d.Lines++
		for of, differs := range map[*int64]bool{&d.User: user, &d.Moment: moment, &d.Value: value} {
			if differs {
				*of++
			}
		}
		return true
	}
}

func sameValue(c *warehouse.Conversion, known *decimal.NullDecimal) bool {
	return c.Value.Valid == known.Valid && (!known.Valid || c.Value.Decimal.Equal(known.Decimal))
}

func keyOf(c *warehouse.Conversion) string {
	return fmt.Sprintf("%q %q %q", c.CustomerID, c.APIName, c.ActionID)
}

// restate makes the value of a line an adjustment of the conversion that is known. Of several lines the last one counts.
func (im *Importer) restate(c *warehouse.Conversion) {
	key := keyOf(c)
	at := im.Now.UnixMilli() + im.restated[key]
	im.restated[key]++
	a := warehouse.Adjustment{
		CustomerID: c.CustomerID, APIName: c.APIName, ActionID: c.ActionID, Kind: warehouse.Restate, Value: c.Value,
		AdjustedAtMS: at, ReceivedAtMS: im.Now.UnixMilli(),
	}
	a.IngestID = adjustmentID(&a)
	im.batch.adjustments = append(im.batch.adjustments, a)
	im.summary.Restated++
}

// adjustmentID is derived from the row as it is stored.
func adjustmentID(a *warehouse.Adjustment) uuid.UUID {
	return ingest.DerivedID("adjustments", a.CustomerID, a.APIName, a.ActionID, a.Kind, storedValue(a.Value),
		fmt.Sprint(a.AdjustedAtMS), fmt.Sprint(a.ReceivedAtMS))
}
