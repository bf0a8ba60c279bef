package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
)

// What a form or an API call may ask for. The JSON names are the API's.
type (
	accountInput struct {
		Origins []string `json:"origins"`
	}
	tokenInput struct {
		Name string `json:"name"`
	}
	eventInput struct {
		APIName string `json:"apiName"`
		EventID string `json:"eventId"` // made up when empty
		From    string `json:"from"`    // TIME of spec 5; now when empty
	}
	renameInput struct {
		APIName string `json:"apiName"`
	}
	optimizationInput struct {
		Name       string           `json:"name"`
		Variations []variationInput `json:"variations"`
	}
	variationInput struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`     // the id when empty
		Weight   *float64 `json:"weight"`   // 1 when missing
		Baseline bool     `json:"baseline"` // the first one where none is
	}
	goalInput struct {
		Primary bool `json:"primary"`
	}
	runInput struct {
		From   string `json:"from"`
		To     string `json:"to"`
		Cutoff string `json:"cutoff"`
		Full   bool   `json:"full"`
	}
)

// change edits the catalog and lets the service see it at once.
func (a *Admin) change(ctx context.Context, source string, edit func(*catalog.Edit) error) error {
	if err := a.cfg.Store.Change(ctx, source, edit); err != nil {
		return err
	}
	return a.cfg.Live.Refresh(ctx)
}

func (a *Admin) putAccount(ctx context.Context, source, customerID string, in accountInput) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.SetOrigins(customerID, in.Origins) })
}

func (a *Admin) addToken(ctx context.Context, source, customerID string, in tokenInput) (secret catalog.Secret, err error) {
	err = a.change(ctx, source, func(e *catalog.Edit) (err error) {
		secret, err = e.AddToken(customerID, in.Name)
		return err
	})
	return secret, err
}

func (a *Admin) revokeToken(ctx context.Context, source, customerID, name string) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.RevokeToken(customerID, name) })
}

func (a *Admin) addEvent(ctx context.Context, source, customerID string, in eventInput) (eventID string, err error) {
	if in.From == "" {
		in.From = "now"
	}
	from, err := jobs.ParseTime(in.From, a.cfg.Now())
	if err != nil {
		return "", err
	}
	err = a.change(ctx, source, func(e *catalog.Edit) (err error) {
		eventID, err = e.AddEvent(customerID, in.APIName, in.EventID, from)
		return err
	})
	return eventID, err
}

func (a *Admin) renameEvent(ctx context.Context, source, customerID, eventID string, in renameInput) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.RenameEvent(customerID, eventID, in.APIName) })
}

func (a *Admin) archiveEvent(ctx context.Context, source, customerID, eventID string) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.ArchiveEvent(customerID, eventID) })
}

func (a *Admin) putOptimization(ctx context.Context, source, customerID, optimizationID string, in optimizationInput) error {
	var variations []catalog.Variation
	for _, v := range in.Variations {
		variation := catalog.Variation{VariationID: v.ID, Name: v.Name, IsBaseline: v.Baseline, Weight: 1}
		if variation.Name == "" {
			variation.Name = v.ID
		}
		if v.Weight != nil {
			variation.Weight = *v.Weight
		}
		variations = append(variations, variation)
	}
	o := catalog.Optimization{CustomerID: customerID, OptimizationID: optimizationID, Name: in.Name}
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.PutOptimization(o, variations) })
}

func (a *Admin) putGoal(ctx context.Context, source, customerID, optimizationID, eventID string, in goalInput) error {
	g := catalog.Goal{CustomerID: customerID, OptimizationID: optimizationID, EventID: eventID, IsPrimary: in.Primary}
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.AddGoal(g) })
}

func (a *Admin) removeGoal(ctx context.Context, source, customerID, optimizationID, eventID string) error {
	return a.change(ctx, source, func(e *catalog.Edit) error { return e.RemoveGoal(customerID, optimizationID, eventID) })
}

// startRun begins a run in the background. What only the run itself can find wrong is
// in its state later.
func (a *Admin) startRun(source string, in runInput) error {
	req, err := jobs.ParseRequest(in.From, in.To, in.Cutoff, a.cfg.Now())
	if err != nil {
		return err
	}
	req.Full = in.Full
	a.cfg.Log.Info("a run is started by hand", "by", source, "from", in.From, "to", in.To, "cutoff", in.Cutoff, "full", in.Full)
	return a.runs.start(req)
}

// lookable is an outcome to filter by, or empty for all.
func lookable(outcome string, known []string) error {
	if outcome == "" {
		return nil
	}
	for _, name := range known {
		if name == outcome {
			return nil
		}
	}
	return fmt.Errorf("%w: %q is no outcome; there are %v", catalog.ErrInvalid, outcome, known)
}

func ms(t time.Time) int64 { return t.UnixMilli() }
