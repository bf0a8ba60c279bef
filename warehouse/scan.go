package warehouse

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// newScanTarget returns a pointer that a value of the column can be scanned into.
func newScanTarget(column driver.ColumnType) any {
	return reflect.New(column.ScanType()).Interface()
}

// texts writes scanned values as ClickHouse would; NULL is "".
func texts(columns []driver.ColumnType, cells []any) []string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		if held := value(columns[i], cell); held != nil {
			out[i] = fmt.Sprint(held)
		}
	}
	return out
}

// value is what a cell holds, nil for NULL; times are texts.
func value(column driver.ColumnType, cell any) any {
	v := reflect.ValueOf(cell).Elem()
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	t, ok := v.Interface().(time.Time)
	if !ok {
		return v.Interface()
	}
	switch name := column.DatabaseTypeName(); {
	case strings.Contains(name, "DateTime64"):
		return Time(t)
	case strings.Contains(name, "DateTime"):
		return t.UTC().Format(time.DateTime)
	default:
		return Day(t)
	}
}
