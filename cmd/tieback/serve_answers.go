package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// explain waits a moment for what was accepted before it to become visible, so that
// a conversion just posted is pending and not unknown.
func (s *service) explain(ctx context.Context, customerID, apiName, actionID string) (any, bool, error) {
	settled, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := s.spool.WaitDrained(settled); err != nil && ctx.Err() != nil {
		return nil, false, err
	}
	e, err := reports.Explain(ctx, s.db, customerID, apiName, actionID, s.now())
	if err != nil {
		return nil, false, err
	}
	return e, len(e.Copies) > 0, nil
}

// received says which conversions are in ClickHouse.
func (s *service) received(ctx context.Context, customerID string, keys []ingest.ConversionKey) (map[ingest.ConversionKey]bool, error) {
	var found []struct {
		APIName  string `ch:"api_name"`
		ActionID string `ch:"action_id"`
	}
	names, actions := make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		names[i], actions[i] = key.APIName, key.ActionID
	}
	params := warehouse.Params{"customer_id": customerID, "api_names": names, "action_ids": actions}
	if err := s.db.Select(ctx, &found, sql.Report("received_keys").SQL, params); err != nil {
		return nil, err
	}
	received := make(map[ingest.ConversionKey]bool, len(found))
	for _, f := range found {
		received[ingest.ConversionKey{APIName: f.APIName, ActionID: f.ActionID}] = true
	}
	return received, nil
}

// results are those of `tieback results`.
func (s *service) results(ctx context.Context, customerID, optimizationID string, q ingest.ResultsAsked) (any, error) {
	asked, err := reports.ParseAsked(q.From, q.To, q.Cap, q.Segment, q.By, q.KnownAt, s.now())
	if err != nil {
		return nil, err
	}
	return reports.OptimizationResults(ctx, s.db, s.live.Snapshot(), customerID, optimizationID, asked)
}

// ready is nil while events are accepted and get where they should. Anybody may ask: the
// reasons name no path and no address; the log does.
func (s *service) ready() error {
	switch err := s.spool.Accepts(); {
	case errors.Is(err, spool.ErrFull):
		return errors.New("events are refused: the disk of the data folder is nearly full")
	case err != nil:
		return errors.New("events are refused: the spool can't be written; the log says why")
	}
	if err := s.writer.Failing(); err != nil {
		return fmt.Errorf("events wait in the spool: %s", publicReason(err))
	}
	if s.gone.Load() {
		return errors.New("the catalog in ClickHouse was emptied, or an older one restored; events are accepted for what it held before; the log says what to do")
	}
	if s.stale.Load() {
		return errors.New("the catalog can't be read from ClickHouse now; events are accepted for what it held before")
	}
	return nil
}

// publicReason says why ClickHouse does not take events, for people who must not see the
// inside.
func publicReason(err error) string {
	var told *warehouse.Error
	var file *fs.PathError
	switch {
	case errors.As(err, &told):
		return fmt.Sprintf("ClickHouse refuses them (code %d); the log says why", told.Code)
	case errors.As(err, &file):
		return fmt.Sprintf("a file of the spool: %v", file.Err)
	case errors.Is(err, ingest.ErrStalled):
		return err.Error()
	default:
		return "ClickHouse does not answer; the log says why"
	}
}
