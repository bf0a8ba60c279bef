package warehouse

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// ClientEvent is a row of client_events. Times are Unix milliseconds.
type ClientEvent struct {
	CustomerID, VisitorID       string
	Type                        string     // view, identify or activity
	OptimizationID, VariationID string     // of a view
	Attributes                  Attributes // of a view
	UserDomain, UserID          string     // of an identify
	OccurredAtMS, ReceivedAtMS  int64
	IngestID                    uuid.UUID
}

// Conversion is a row of conversions. Times are Unix milliseconds.
type Conversion struct {
	CustomerID, APIName string
	UserDomain, UserID  string
	ActionID            string
	ActionAtMS          int64
	Value               decimal.NullDecimal // rounded to 4 places
	ReceivedAtMS        int64
	IngestID            uuid.UUID
}

// Adjustment is a row of adjustments (R10). Times are Unix milliseconds.
type Adjustment struct {
	CustomerID, APIName        string // the name that the conversion was sent under
	ActionID                   string
	Kind                       string              // Restate or Retract
	Value                      decimal.NullDecimal // to restate, rounded to 4 places
	AdjustedAtMS, ReceivedAtMS int64
	IngestID                   uuid.UUID
}

// Kinds of adjustments.
const (
	Restate = "restate"
	Retract = "retract"
)

// column is a column of a batch: its type in the table, and its values as a slice.
type column struct {
	name, kind string
	values     any
}

// InsertClientEvents inserts rows as one block; they are durable when it returns.
// Rows inserted before with the same token are not inserted again (a help only:
// R5 holds without).
func (db *DB) InsertClientEvents(ctx context.Context, token string, rows []ClientEvent) error {
	texts := func(field func(*ClientEvent) string) []string { return gather(rows, field) }
	numbers := func(field func(*ClientEvent) int64) []int64 { return gather(rows, field) }
	return db.insert(ctx, "client_events", token, len(rows), []column{
		{"customer_id", "String", texts(func(e *ClientEvent) string { return e.CustomerID })},
		{"visitor_id", "String", texts(func(e *ClientEvent) string { return e.VisitorID })},
		{"type", "LowCardinality(String)", texts(func(e *ClientEvent) string { return e.Type })},
		{"optimization_id", "String", texts(func(e *ClientEvent) string { return e.OptimizationID })},
		{"variation_id", "String", texts(func(e *ClientEvent) string { return e.VariationID })},
		{"attributes", "Map(LowCardinality(String), String)", attributePairs(rows)},
		{"user_domain", "String", texts(func(e *ClientEvent) string { return e.UserDomain })},
		{"user_id", "String", texts(func(e *ClientEvent) string { return e.UserID })},
		{"occurred_at", "DateTime64(3, 'UTC')", numbers(func(e *ClientEvent) int64 { return e.OccurredAtMS })},
		{"received_at", "DateTime64(3, 'UTC')", numbers(func(e *ClientEvent) int64 { return e.ReceivedAtMS })},
		{"ingest_id", "UUID", gather(rows, func(e *ClientEvent) uuid.UUID { return e.IngestID })},
	})
}

// InsertConversions is InsertClientEvents for conversions.
func (db *DB) InsertConversions(ctx context.Context, token string, rows []Conversion) error {
	texts := func(field func(*Conversion) string) []string { return gather(rows, field) }
	numbers := func(field func(*Conversion) int64) []int64 { return gather(rows, field) }
	return db.insert(ctx, "conversions", token, len(rows), []column{
		{"customer_id", "String", texts(func(c *Conversion) string { return c.CustomerID })},
		{"api_name", "String", texts(func(c *Conversion) string { return c.APIName })},
		{"user_domain", "String", texts(func(c *Conversion) string { return c.UserDomain })},
		{"user_id", "String", texts(func(c *Conversion) string { return c.UserID })},
		{"action_id", "String", texts(func(c *Conversion) string { return c.ActionID })},
		{"action_at", "DateTime64(3, 'UTC')", numbers(func(c *Conversion) int64 { return c.ActionAtMS })},
		{"value", "Nullable(Decimal(18, 4))", gather(rows, func(c *Conversion) *decimal.Decimal { return nullable(&c.Value) })},
		{"received_at", "DateTime64(3, 'UTC')", numbers(func(c *Conversion) int64 { return c.ReceivedAtMS })},
		{"ingest_id", "UUID", gather(rows, func(c *Conversion) uuid.UUID { return c.IngestID })},
	})
}

// InsertAdjustments is InsertClientEvents for adjustments.
func (db *DB) InsertAdjustments(ctx context.Context, token string, rows []Adjustment) error {
	texts := func(field func(*Adjustment) string) []string { return gather(rows, field) }
	numbers := func(field func(*Adjustment) int64) []int64 { return gather(rows, field) }
	return db.insert(ctx, "adjustments", token, len(rows), []column{
		{"customer_id", "String", texts(func(a *Adjustment) string { return a.CustomerID })},
		{"api_name", "String", texts(func(a *Adjustment) string { return a.APIName })},
		{"action_id", "String", texts(func(a *Adjustment) string { return a.ActionID })},
		{"kind", "Enum8('restate' = 1, 'retract' = 2)", texts(func(a *Adjustment) string { return a.Kind })},
		{"value", "Nullable(Decimal(18, 4))", gather(rows, func(a *Adjustment) *decimal.Decimal { return nullable(&a.Value) })},
		{"adjusted_at", "DateTime64(3, 'UTC')", numbers(func(a *Adjustment) int64 { return a.AdjustedAtMS })},
		{"received_at", "DateTime64(3, 'UTC')", numbers(func(a *Adjustment) int64 { return a.ReceivedAtMS })},
		{"ingest_id", "UUID", gather(rows, func(a *Adjustment) uuid.UUID { return a.IngestID })},
	})
}

func nullable(value *decimal.NullDecimal) *decimal.Decimal {
	if !value.Valid {
		return nil
	}
	return &value.Decimal
}

func gather[R, V any](rows []R, field func(*R) V) []V {
	values := make([]V, len(rows))
	for i := range rows {
		values[i] = field(&rows[i])
	}
	return values
}

// insert sends columns as one block. Their types are given, so that clickhouse-go
// need not ask for them.
func (db *DB) insert(ctx context.Context, table, token string, rows int, columns []column) error {
	if rows == 0 {
		return nil
	}
	names := ""
	types := make([]clickhouse.ColumnNameAndType, len(columns))
	for i, c := range columns {
		types[i] = clickhouse.ColumnNameAndType{Name: c.name, Type: c.kind}
		if i > 0 {
			names += ", "
		}
		names += c.name
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(types))
	if token != "" {
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token}))
	}
	conn, err := db.connection(ctx)
	if err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	batch, err := conn.PrepareBatch(statement(ctx), "insert into "+table+" ("+names+")")
	if err != nil {
		return fmt.Errorf("insert into %s: %w", table, explain(err))
	}
	defer batch.Close()
	for i, c := range columns {
		if err := batch.Column(i).Append(c.values); err != nil {
			return fmt.Errorf("insert into %s: column %s: %w: %w", table, c.name, ErrBadRow, err)
		}
	}
	if err := batch.Send(); err != nil {
		err = explain(err)
		var told *Error
		if errors.As(err, &told) && badRowCodes[told.Code] {
			err = fmt.Errorf("%w: %w", ErrBadRow, err)
		}
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}

// DeletionEpoch changes when rows of the raw tables were deleted or altered. Tokens
// that stand for content must hold it: ClickHouse would take rows that are gone for
// rows that it has.
func (db *DB) DeletionEpoch(ctx context.Context) (string, error) {
	query := `select hex(MD5(toString((count(), max(create_time), max(mutation_id))))) from system.mutations
		where database = currentDatabase() and table in ('client_events', 'conversions', 'adjustments')`
	var epochs []string
	var adding sync.Mutex
	look := func(ctx context.Context, db *DB) error {
		var epoch string
		err := db.Row(ctx, query, nil, &epoch)
		adding.Lock()
		defer adding.Unlock()
		epochs = append(epochs, epoch)
		return err
	}
	err := look(ctx, db)
	if err == nil && db.cluster != "" {
		err = db.OnShards(ctx, look)
	}
	if err != nil {
		return "", fmt.Errorf("look for deletions: %w", err)
	}
	slices.Sort(epochs)
	return strings.Join(epochs, " "), nil
}

// ErrBadRow says that an insert failed for what a row holds: it will fail again, and
// without that row it may not.
var ErrBadRow = errors.New("a row is refused")

// badRowCodes are ClickHouse's errors about values. All others may pass by themselves.
var badRowCodes = map[proto.Error]bool{
	proto.ErrCannotParseText:                  true,
	proto.ErrCannotParseQuotedString:          true,
	proto.ErrCannotParseInputAssertionFailed:  true,
	proto.ErrCannotParseDate:                  true,
	proto.ErrCannotParseDatetime:              true,
	proto.ErrTypeMismatch:                     true,
	proto.ErrArgumentOutOfBound:               true,
	proto.ErrCannotConvertType:                true,
	proto.ErrCannotParseNumber:                true,
	proto.ErrIncorrectData:                    true,
	proto.ErrTooLargeStringSize:               true,
	proto.ErrCannotInsertNullInOrdinaryColumn: true,
	proto.ErrCannotParseUUID:                  true,
	proto.ErrFunctionThrowIfValueIsNonZero:    true,
	proto.ErrDecimalOverflow:                  true,
	proto.ErrViolatedConstraint:               true,
}

// InsertStructs inserts rows, structs whose `ch` tags name the table's columns, as
// one block. It asks for the table's types first, so it is for few rows at a time.
func InsertStructs[R any](ctx context.Context, db *DB, table string, rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	names := columnTags[R]()
	conn, err := db.connection(ctx)
	if err != nil {
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	batch, err := conn.PrepareBatch(statement(ctx), "insert into "+table+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return fmt.Errorf("insert into %s: %w", table, explain(err))
	}
	defer batch.Close()
	for i := range rows {
		if err := batch.AppendStruct(&rows[i]); err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert into %s: %w", table, explain(err))
	}
	return nil
}

func columnTags[R any]() []string {
	var names []string
	kind := reflect.TypeFor[R]()
	for i := range kind.NumField() {
		if kind.Field(i).Anonymous {
			for inner := range kind.Field(i).Type.NumField() {
				names = append(names, kind.Field(i).Type.Field(inner).Tag.Get("ch"))
			}
		}
		if name := kind.Field(i).Tag.Get("ch"); name != "" {
			names = append(names, name)
		}
	}
	return names
}
