package warehouse

import (
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Params are values for the {name:Type} placeholders of a statement. Strings are
// sent as they are; times as milliseconds (see Time), days as YYYY-MM-DD.
type Params map[string]any

func (p Params) args() []any {
	args := make([]any, 0, len(p))
	for name, value := range p {
		args = append(args, clickhouse.Named(name, value))
	}
	return args
}

// Time writes t as ClickHouse reads a DateTime64(3) parameter.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// Day writes t's UTC day as ClickHouse reads a Date parameter.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// For returns those parameters that sql names; ClickHouse's HTTP interface takes
// only those of the statement.
func (p Params) For(sql string) Params {
	named := Params{}
	for name, value := range p {
		if strings.Contains(sql, "{"+name+":") {
			named[name] = value
		}
	}
	return named
}

// With returns a copy of p with one more value.
func (p Params) With(name string, value any) Params {
	all := Params{name: value}
	for n, v := range p {
		if n != name {
			all[n] = v
		}
	}
	return all
}
