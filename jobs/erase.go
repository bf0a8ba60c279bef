package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Person is who is to be erased: a visitor, or a user id.
type Person struct {
	CustomerID         string
	VisitorID          string // empty where it is a user id
	UserDomain, UserID string
}

func (p Person) valid() error {
	for what, id := range map[string]string{"the account's id": p.CustomerID, "the visitor's id": p.VisitorID, "the domain": p.UserDomain, "the user id": p.UserID} {
		if len(id) > catalog.MaxIDBytes {
			return refuse.Invalidf("%s has %d bytes, at most %d are allowed", what, len(id), catalog.MaxIDBytes)
		}
	}
	isVisitor, isUser := p.VisitorID != "", p.UserDomain != "" && p.UserID != ""
	if p.CustomerID == "" || isVisitor == isUser || !isUser && p.UserDomain+p.UserID != "" {
		return refuse.Invalidf("give either a visitor's id, or the domain and the id of a user")
	}
	return nil
}

// Erasure is what erasing a person deletes, and which figures it changes.
type Erasure struct {
	ErasedRows
	Figures []ErasedFigure `json:"figures"`
	// RunID is of the run that has brought the figures up to date; empty for a dry run, and where nothing was published.
	RunID string `json:"runId,omitempty"`
	// Changes are those that the run made to days that had been published.
	Changes []Change `json:"-"`
	// Traces name the person where rows may lie outside the tables.
	Traces Traces `json:"-"`
}

// Traces are by what a person is found: the user id, the visitors of whom everything goes, and the conversions.
type Traces struct {
	Person
	Visitors []string
	Keys     []ConversionKey
}

// ConversionKey names a conversion of the account.
type ConversionKey struct {
	APIName  string `ch:"api_name"`
	ActionID string `ch:"action_id"`
}

// ErasedRows counts what goes.
type ErasedRows struct {
	ClientEvents uint64 `json:"clientEvents" ch:"client_events"`
	Conversions  uint64 `json:"conversions" ch:"conversions"`
	Adjustments  uint64 `json:"adjustments" ch:"adjustments"`
	Links        uint64 `json:"links" ch:"links"`       // that earlier runs kept
	Visitors     uint64 `json:"visitors" ch:"visitors"` // of whom everything goes
	Days         uint64 `json:"days" ch:"days"`
}

// Rows is whether anything goes.
func (r ErasedRows) Rows() uint64 { return r.ClientEvents + r.Conversions + r.Adjustments + r.Links }

// ErasedFigure is a published figure with and without the person, over all days. Visitors have one without an event.
type ErasedFigure struct {
	OptimizationID    string          `json:"optimizationId" ch:"optimization_id"`
	VariationID       string          `json:"variationId" ch:"variation_id"`
	EventID           string          `json:"eventId" ch:"event_id"`
	VisitorsBefore    uint64          `json:"visitorsBefore" ch:"visitors_before"`
	VisitorsAfter     uint64          `json:"visitorsAfter" ch:"visitors_after"`
	ConversionsBefore uint64          `json:"conversionsBefore" ch:"conversions_before"`
	ConversionsAfter  uint64          `json:"conversionsAfter" ch:"conversions_after"`
	ValueBefore       decimal.Decimal `json:"valueBefore" ch:"value_before"`
	ValueAfter        decimal.Decimal `json:"valueAfter" ch:"value_after"`
}

// errNotErased says that rows of the person are left.
var errNotErased = errors.New("rows of the person came in meanwhile and are left; erase them once more")

// Erase deletes the rows of a person for good, but for what a spool or a backup holds: the parts of the tables that have
// some are written again. It then brings the published days up to date, at the published cutoff, with the cause
// erasure. Killed at any point, it is to be begun again: what was deleted stays so, and the next run computes
// all days. With dryRun it only looks. It waits for runs under way.
func (r *Runner) Erase(ctx context.Context, p Person, dryRun bool) (*Erasure, error) {
	if err := p.valid(); err != nil {
		return nil, err
	}
	last, err := ledger{r.db}.lastVersion(ctx)
	if err != nil {
		return nil, err
	}
	held, err := r.db.Lock(ctx, "run", last+1, func() { r.log.Info("a run is under way, waiting for its end") })
	if err != nil {
		return nil, err
	}
	defer held.Release()
	if err := r.checkTables(held.Context); err != nil {
		return nil, err
	}
	ctx, stop := r.db.Watched(held.Context)
	defer stop()
	defer func() { // nobody needs to know who it was
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		for _, table := range erased {
			_ = empty(closing, r.db, table)
		}
	}()
	e, err := r.find(ctx, p)
	if err != nil || dryRun || e.Rows() == 0 {
		return e, err
	}
	if err := r.eraseUnder(held, e); err != nil {
		return nil, err
	}
	left, err := r.find(ctx, p)
	if err == nil && left.Rows() > 0 {
		err = errNotErased
	}
	return e, err
}

// erased are the tables that say who goes; they are in memory.
var erased = []string{"erased_users", "erased_visitors", "erased_days", "erased_keys"}

// find fills those tables, and counts.
func (r *Runner) find(ctx context.Context, p Person) (*Erasure, error) {
	for _, table := range erased {
		if err := empty(ctx, r.db, table); err != nil {
			return nil, fmt.Errorf("look for the person: %w", err)
		}
	}
	params := warehouse.Params{"customer_id": p.CustomerID, "visitor_id": p.VisitorID, "user_domain": p.UserDomain, "user_id": p.UserID}
	statements := []string{sql.Erase("1_erased_visitors").SQL, sql.Erase("2_erased_days").SQL, sql.Erase("3_erased_keys").SQL}
	if p.VisitorID == "" {
		statements = append([]string{"insert into erased_users select {customer_id:String}, {user_domain:String}, {user_id:String}"}, statements...)
	}
	for _, statement := range statements {
		if err := r.db.Exec(ctx, statement, params.For(statement)); err != nil {
			return nil, fmt.Errorf("look for the person: %w", err)
		}
	}
	e := &Erasure{Figures: []ErasedFigure{}}
	var rows []ErasedRows
	if err := r.db.Select(ctx, &rows, sql.Report("erase_rows").SQL, nil); err != nil {
		return nil, fmt.Errorf("count what would go: %w", err)
	}
	e.ErasedRows = rows[0]
	query := sql.Report("erase_figures").SQL
	if err := r.db.Select(ctx, &e.Figures, query, params.For(query)); err != nil {
		return nil, fmt.Errorf("count what would go: %w", err)
	}
	e.Traces.Person = p
	err := r.db.Row(ctx, "select groupArray(visitor_id) from erased_visitors where is_whole = 1", nil, &e.Traces.Visitors)
	if err == nil {
		err = r.db.Select(ctx, &e.Traces.Keys, "select distinct api_name, action_id from erased_keys where is_deleted = 1", nil)
	}
	if err != nil {
		return nil, fmt.Errorf("look for the person: %w", err)
	}
	return e, nil
}

// eraseUnder deletes the rows and runs, while the lock of runs is held.
func (r *Runner) eraseUnder(held *warehouse.Held, e *Erasure) error {
	ctx := held.Context
	cutoff, any, err := ledger{r.db}.published(ctx)
	if err != nil {
		return err
	}
	if !any || inFuture(cutoff, r.clock()) {
		if err := r.deleteRows(ctx); err != nil {
			return err
		}
		return r.forgetWork(ctx)
	}
	record, err := r.runUnder(held, Request{Cutoff: cutoff, erase: r.deleteRows})
	if err != nil {
		return fmt.Errorf("the erasure is not complete: %w; begin it again", err)
	}
	e.RunID = record.RunID
	if e.Changes, _, err = Changes(ctx, r.db, record.RunID, 1000); err != nil {
		return err
	}
	return r.forgetWork(ctx)
}

// forgetWork empties what runs work with, and drops the days that readers don't see: they hold the ids, too.
func (r *Runner) forgetWork(ctx context.Context) error {
	for _, table := range working {
		if err := empty(ctx, r.db, table); err != nil {
			return err
		}
	}
	for _, table := range published {
		err := r.db.Holding(ctx, table, func(ctx context.Context, db *warehouse.DB) error {
			unseen, err := unseenIn(ctx, db, table)
			if err != nil {
				return err
			}
			return dropPartitions(ctx, db, table, unseen)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteRows deletes what was found.
func (r *Runner) deleteRows(ctx context.Context) error {
	for _, part := range []struct{ statement, which string }{{"client_events", "rows > links"}, {"client_events_links", "links > 0"}} {
		var months []partition
		err := r.db.Select(ctx, &months, "select distinct toString(toYYYYMM(day)) as partition_id from erased_days where "+part.which+" order by partition_id", nil)
		if err != nil {
			return fmt.Errorf("delete the rows: %w", err)
		}
		for _, month := range months {
			statement := fmt.Sprintf(sql.Erase(part.statement).SQL, "in partition id '"+month.ID+"'")
			err := r.db.Holding(ctx, "client_events", func(ctx context.Context, db *warehouse.DB) error { return db.Exec(ctx, statement, nil) })
			if err != nil {
				return fmt.Errorf("delete the client events: %w", err)
			}
		}
	}
	for _, table := range []string{"adjustments", "conversions", "identifies"} {
		if err := r.db.Exec(ctx, sql.Erase(table).SQL, nil); err != nil {
			return fmt.Errorf("delete the %s: %w", table, err)
		}
	}
	return nil
}

// Text says in words what goes.
func (r ErasedRows) Text() string {
	count := func(n uint64, noun string) string { return human.Count(int64(n), noun) }
	return fmt.Sprintf("%s (everything of %s), %s, %s and %s, on %s", count(r.ClientEvents, "client event"), count(r.Visitors, "visitor"),
		count(r.Conversions, "conversion"), count(r.Adjustments, "adjustment"), count(r.Links, "link"), count(r.Days, "day"))
}

// Remark is what is noted of an erasure: that it happened, and not of whom.
func (r ErasedRows) Remark() string { return "a person was erased: " + r.Text() }
