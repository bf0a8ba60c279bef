package warehouse

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// formatClause finds a FORMAT at the end of a statement.
var formatClause = regexp.MustCompile(`(?is)\sformat\s+(\w+)\s*;?\s*$`)

// Format runs any statement and returns its result in one of ClickHouse's formats,
// unless the statement names one itself. Over the native protocol, where the client has to write
// them, these are the ones of NativeFormats.
func (db *DB) Format(ctx context.Context, format, sql string) (io.ReadCloser, error) {
	// clickhouse-go takes the format as an argument only.
	if m := formatClause.FindStringSubmatchIndex(sql); m != nil {
		format, sql = sql[m[2]:m[3]], sql[:m[0]]
	}
	conn, err := db.connection(ctx)
	if err != nil {
		return nil, err
	}
	if conn.options.Protocol == clickhouse.Native {
		return conn.formatNative(ctx, format, sql)
	}
	result, err := conn.QueryFormat(statement(ctx), format, sql)
	return result, explain(err)
}

// NativeFormats are those that Format writes over the native protocol.
const NativeFormats = "TabSeparated, TabSeparatedWithNames, CSV, CSVWithNames, JSONEachRow, JSONCompactEachRow, PrettyCompact, Vertical, Null"

// rowWriter writes a result. cells are pointers to values.
type rowWriter interface {
	head(columns []driver.ColumnType) error
	row(columns []driver.ColumnType, cells []any) error
	end() error
}

func newRowWriter(format string, w io.Writer) (rowWriter, error) {
	switch strings.ToLower(strings.TrimSuffix(format, "MonoBlock")) {
	case "tabseparated", "tsv":
		return &separated{w: w}, nil
	case "tabseparatedwithnames", "tsvwithnames":
		return &separated{w: w, names: true}, nil
	case "csv":
		return &commas{w: csv.NewWriter(w)}, nil
	case "csvwithnames":
		return &commas{w: csv.NewWriter(w), names: true}, nil
	case "jsoneachrow":
		return &jsonRows{w: w}, nil
	case "jsoncompacteachrow":
		return &jsonRows{w: w, compact: true}, nil
	case "prettycompact", "pretty":
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		return &separated{w: table, names: true, flush: table.Flush}, nil
	case "vertical":
		return &vertical{w: w}, nil
	case "null":
		return &separated{w: io.Discard}, nil
	}
	return nil, fmt.Errorf("the format %s needs ClickHouse's HTTP interface: give --clickhouse http://HOST:8123 for this command; over the native protocol there are %s", format, NativeFormats)
}

func (c *connected) formatNative(ctx context.Context, format, sql string) (io.ReadCloser, error) {
	reader, writer := io.Pipe()
	out, err := newRowWriter(format, writer)
	if err != nil {
		return nil, err
	}
	result, err := c.Query(statement(ctx), sql)
	if errors.Is(err, io.EOF) { // a statement without a result
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, explain(err)
	}
	go func() {
		err := writeRows(out, result)
		if closed := result.Close(); err == nil {
			err = closed
		}
		writer.CloseWithError(err) // nil is the end
	}()
	return reader, nil
}

func writeRows(out rowWriter, result driver.Rows) error {
	columns := result.ColumnTypes()
	if len(columns) == 0 {
		return explain(result.Err())
	}
	if err := out.head(columns); err != nil {
		return err
	}
	for result.Next() {
		cells := make([]any, len(columns))
		for i, column := range columns {
			cells[i] = newScanTarget(column)
		}
		if err := result.Scan(cells...); err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
		if err := out.row(columns, cells); err != nil {
			return err
		}
	}
	if err := result.Err(); err != nil {
		return explain(err)
	}
	return out.end()
}

// separated writes TabSeparated.
type separated struct {
	w     io.Writer
	names bool
	flush func() error
}

var escapes = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r", "\x00", "\\0")

func (s *separated) head(columns []driver.ColumnType) error {
	if !s.names {
		return nil
	}
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = escapes.Replace(column.Name())
	}
	_, err := io.WriteString(s.w, strings.Join(names, "\t")+"\n")
	return err
}

func (s *separated) row(columns []driver.ColumnType, cells []any) error {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		if texts[i] = "\\N"; value(columns[i], cell) != nil {
			texts[i] = escapes.Replace(fmt.Sprint(value(columns[i], cell)))
		}
	}
	_, err := io.WriteString(s.w, strings.Join(texts, "\t")+"\n")
	return err
}

func (s *separated) end() error {
	if s.flush == nil {
		return nil
	}
	return s.flush()
}

// commas writes CSV.
type commas struct {
	w     *csv.Writer
	names bool
}

func (c *commas) head(columns []driver.ColumnType) error {
	if !c.names {
		return nil
	}
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.Name()
	}
	return c.w.Write(names)
}

func (c *commas) row(columns []driver.ColumnType, cells []any) error {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		if texts[i] = "\\N"; value(columns[i], cell) != nil {
			texts[i] = fmt.Sprint(value(columns[i], cell))
		}
	}
	return c.w.Write(texts)
}

func (c *commas) end() error {
	c.w.Flush()
	return c.w.Error()
}

// jsonRows writes JSONEachRow, or JSONCompactEachRow.
type jsonRows struct {
	w       io.Writer
	compact bool
}

func (*jsonRows) head([]driver.ColumnType) error { return nil }

func (j *jsonRows) row(columns []driver.ColumnType, cells []any) error {
	parts := make([]string, len(cells))
	for i, cell := range cells {
		v := value(columns[i], cell)
		if number, ok := v.(fmt.Stringer); ok && strings.Contains(columns[i].DatabaseTypeName(), "Decimal") {
			v = json.Number(number.String())
		}
		part, err := jsonText(v)
		if err != nil {
			return err
		}
		if parts[i] = part; j.compact {
			continue
		}
		name, err := jsonText(columns[i].Name())
		if err != nil {
			return err
		}
		parts[i] = name + ":" + part
	}
	line := "{" + strings.Join(parts, ",") + "}\n"
	if j.compact {
		line = "[" + strings.Join(parts, ", ") + "]\n"
	}
	_, err := io.WriteString(j.w, line)
	return err
}

func jsonText(v any) (string, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return strings.TrimSuffix(text.String(), "\n"), err
}

func (*jsonRows) end() error { return nil }

// vertical writes a line a value.
type vertical struct {
	w    io.Writer
	rows int
}

func (*vertical) head([]driver.ColumnType) error { return nil }

func (v *vertical) row(columns []driver.ColumnType, cells []any) error {
	v.rows++
	text := fmt.Sprintf("Row %d:\n──────\n", v.rows)
	width := 0
	for _, column := range columns {
		width = max(width, len(column.Name())+1)
	}
	for i, cell := range cells {
		shown := "ᴺᵁᴸᴸ"
		if held := value(columns[i], cell); held != nil {
			shown = fmt.Sprint(held)
		}
		text += fmt.Sprintf("%-*s %s\n", width, columns[i].Name()+":", shown)
	}
	_, err := io.WriteString(v.w, text+"\n")
	return err
}

func (*vertical) end() error { return nil }
