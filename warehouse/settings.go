package warehouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// wanted are the settings that Tieback relies on and that differ from ClickHouse's defaults.
var wanted = map[string]string{
	"session_timezone": "UTC", // today() and toDate() must not follow the host's time zone
	"async_insert":     "0",   // an insert that has answered is in the table
}

// convenient are those that are asked for where the server lets us.
var convenient = map[string]string{
	"max_partitions_per_insert_block": "0", // an import may span years
}

// onCluster is what statements over several nodes need. Joins and sets of home's tables are sent to the shards, which would look for them
// on their own node, and find nothing; an insert has reached the shards when it is answered; what a run wrote to a replica is read there.
var onCluster = clickhouse.Settings{
	"prefer_global_in_and_join":          "1",
	"distributed_foreground_insert":      "1",
	"parallel_distributed_insert_select": "0",
	"load_balancing":                     "in_order",
	"skip_unavailable_shards":            "0",
}

// operators finds the settings that can't change what a statement gives, only whether it may run,
// how fast, and where its data goes: what the server's profile says of them stays. A limit that
// is passed must be an error, so *_overflow_mode is not among them.
var operators = regexp.MustCompile(`^(max|min|log|http|send|receive|connect|network|tcp|s3|azure|hdfs|backup|replication|distributed|insert_quorum|` +
	`filesystem|remote_filesystem|local_filesystem|load_balancing|prefer_localhost|memory|trace|opentelemetry|query_profiler|query_metric|metrics|` +
	`lock_acquire|idle|poll|keeper|database_|alter_sync|mutations_sync|wait_|stream_flush|cloud|shared_merge_tree|queue_max|os_thread|` +
	`use_uncompressed_cache|use_page_cache|page_cache|background|cancel_http|format_schema|allow_introspection|` +
	`join_algorithm|enable_filesystem_cache|timeout_before|fsync|storage_file|` +
	`default_table_engine|default_temporary_table_engine|select_sequential_consistency|stop_refreshable|reject_expensive|compile_|` +
	`readonly$|allow_ddl$|priority$|workload$|profile$|password|additional_log|interactive_delay)|_throw_threshold$|_log$`)

// profile is what a server's profile makes of the settings.
type profile struct {
	Value, Default string
	Fixed          bool // by a constraint
}

// overrides returns the settings to be sent with each statement: what the server's profile changes
// and Tieback's SQL relies on. It fails where constraints forbid them.
func overrides(server map[string]profile) (clickhouse.Settings, error) {
	settings := maps.Clone(guard)
	var fixed []string
	for name, have := range server {
		if _, sent := guard[name]; sent {
			continue
		}
		want, isWanted := wanted[name]
		if !isWanted {
			if want = have.Default; operators.MatchString(name) {
				continue
			}
		}
		switch {
		case have.Value == want:
		case have.Fixed:
			fixed = append(fixed, fmt.Sprintf("%s is %q and must be %q", name, have.Value, want))
		default:
			settings[name] = want
		}
	}
	for name, want := range convenient {
		if have := server[name]; have.Value != want && !have.Fixed {
			settings[name] = want
		}
	}
	if len(fixed) > 0 {
		return nil, fmt.Errorf("%w: %s", errFixedSettings, strings.Join(fixed, ", "))
	}
	return settings, nil
}

// errFixedSettings says that a profile would change the rows that are published.
var errFixedSettings = errors.New("constraints of the user's profile fix settings that Tieback's SQL relies on; take them away, or give Tieback a user with another profile")

// guard are the settings with which a profile could hide the others from us: they are sent from
// the first statement on. (limit and offset can't even be asked for: a statement that does so has
// none.) A server takes those that it has already, whatever its constraints say.
var guard = clickhouse.Settings{
	"limit": "0", "offset": "0", "final": "0", "use_query_cache": "0",
	"read_overflow_mode": "throw", "result_overflow_mode": "throw", "timeout_overflow_mode": "throw", "group_by_overflow_mode": "throw",
}

// readProfile asks for the settings that the profile changes, and for those wanted.
func readProfile(ctx context.Context, conn clickhouse.Conn) (server map[string]profile, queriesAtOnce int, err error) {
	var names, values, defaults []string
	var fixed []uint8
	query := `select groupArray(name), groupArray(value), groupArray("default"), groupArray(readonly) from system.settings
		where changed or name in ('session_timezone', 'async_insert', 'max_partitions_per_insert_block', 'max_concurrent_queries_for_user')`
	if err := conn.QueryRow(ctx, query).Scan(&names, &values, &defaults, &fixed); err != nil {
		return nil, 0, err
	}
	server = make(map[string]profile, len(names))
	for i, name := range names {
		server[name] = profile{Value: values[i], Default: defaults[i], Fixed: fixed[i] != 0}
	}
	queriesAtOnce, _ = strconv.Atoi(server["max_concurrent_queries_for_user"].Value) // 0 for any number
	return server, queriesAtOnce, nil
}

// isConstraint reports whether ClickHouse refuses a setting.
func isConstraint(err error) bool {
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) {
		return false
	}
	code := proto.Error(exception.Code)
	return code == proto.ErrSettingConstraintViolation || code == proto.ErrReadonly
}
