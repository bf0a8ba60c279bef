package warehouse

import (
	"fmt"
	"reflect"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// newScanTarget returns a pointer that a value of the column can be scanned into.
func newScanTarget(column driver.ColumnType) any {
	return reflect.New(column.ScanType()).Interface()
}

// texts writes scanned values as ClickHouse would; NULL is "".
func texts(cells []any) []string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		value := reflect.ValueOf(cell).Elem()
		for value.Kind() == reflect.Pointer && !value.IsNil() {
			value = value.Elem()
		}
		if value.Kind() == reflect.Pointer {
			continue
		}
		if t, ok := value.Interface().(time.Time); ok {
			out[i] = Time(t)
			continue
		}
		out[i] = fmt.Sprint(value.Interface())
	}
	return out
}
