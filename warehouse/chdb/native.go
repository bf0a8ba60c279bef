package chdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	chproto "github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// encodeNative turns the Native blocks in chunk, as the library writes them
// (revision 0), into the form that a client of that protocol revision reads: with
// a block-info prefix and a serialization byte a column.
func encodeNative(chunk []byte, revision uint64) ([]byte, error) {
	reader := proto.NewReader(bytes.NewReader(chunk))
	var out proto.Buffer
	for {
		// Without a time zone clickhouse-go dereferences nil on DateTime64.
		block := chproto.Block{ServerContext: &column.ServerContext{Timezone: time.UTC}}
		if err := block.Decode(reader, 0); err != nil {
			if errors.Is(err, io.EOF) && len(block.Columns) == 0 {
				return out.Buf, nil
			}
			return nil, fmt.Errorf("decode a native block: %w", err)
		}
		if err := block.Encode(&out, revision); err != nil {
			return nil, fmt.Errorf("encode a native block: %w", err)
		}
	}
}
