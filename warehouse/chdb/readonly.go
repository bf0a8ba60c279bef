package chdb

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"sync"
)

// readOnlyPath is where the engine's socket answers what may be asked from outside.
const readOnlyPath = "/tieback/readonly"

// publicDatabase is the one whose published tables may be read there.
const publicDatabase = "tieback"

// ReadOnly returns a handler that speaks ClickHouse's HTTP interface and lets its
// clients read the published tables, nothing else: what --sql-listen serves.
func (c *Client) ReadOnly() http.Handler {
	transport := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return c.Dial(ctx) },
		MaxIdleConnsPerHost: maxSessions,
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.Path, r.Out.URL.RawPath = "http", "engine", readOnlyPath, ""
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "the embedded engine does not answer now; ask again: "+err.Error(), http.StatusBadGateway)
		},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Ok.\n") })
	mux.Handle("GET /{$}", proxy)
	mux.Handle("POST /{$}", proxy)
	return mux
}

// guard says what may be asked on the read-only path. The engine has no users, so this
// is the wall: it looks at the text as it came, strings and comments included, and when
// in doubt says no. Behind it readonly=1 holds on the session, which refuses writes,
// changed settings and most functions that reach outside.
type guard struct {
	engine *engine
	slots  chan struct{} // one token a statement under way

	once      sync.Once
	functions *regexp.Regexp // calls of what reads anything but tables
	err       error
}

// maxReaders bounds the statements from outside that run at once, so that they leave
// sessions for inserts and the night.
const maxReaders = 16

func newGuard(e *engine) *guard { return &guard{engine: e, slots: make(chan struct{}, maxReaders)} }

// enter waits for a slot; leave gives it back.
func (g *guard) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readLimits bound a statement from outside; of these, only the time may be asked for.
const readLimits = "max_execution_time = 60, max_memory_usage = 4000000000, max_result_rows = 10000000, max_result_bytes = 4000000000"

// changeable are the settings that a client may bring along: how a result looks and how
// long it may take.
var changeable = map[string]bool{
	"max_execution_time": true, "extremes": true, "join_use_nulls": true, "date_time_output_format": true,
	"enable_http_compression": true, "http_headers_progress_interval_ms": true, "send_progress_in_http_headers": true,
	"log_comment": true, "max_block_size": true, "max_threads": true, "readonly": true,
	"output_format_json_quote_64bit_integers": true, "output_format_json_quote_denormals": true,
	"output_format_json_quote_decimals": true, "output_format_json_named_tuples_as_objects": true,
	"output_format_native_use_flattened_dynamic_and_json_serialization": true, "output_format_native_write_json_as_string": true,
	"format_csv_delimiter": true, "output_format_csv_crlf_end_of_line": true, "result_overflow_mode": true,
}

// readers are the words that a statement may begin with.
var readers = regexp.MustCompile(`(?is)^(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:select|with|from|explain|describe|desc|exists|show\s+(?:tables|databases|columns|create\s+(?:table|view)))\b`)

var (
	// privateTables are those of the database that are not published.
	privateTables = regexp.MustCompile(`(?i)\b(?:catalog_\w+|night_\w+|\w+_versions|published_days|run_log|run_names|identities|identities_next|doubled_events|doubled_events_next|import_ids|schema_migrations)\b`)

	// qualified finds every mention of a database that is not the public one, and what
	// of it is asked for.
	qualified    = regexp.MustCompile("(?is)\\b(system|default|_local|_temporary_and_external_tables)\\b[`\"]?(?:" + gap + "*\\." + gap + "*[`\"]?(\\w+))?")
	publicSystem = map[string]bool{
		"one": true, "numbers": true, "tables": true, "columns": true, "databases": true, "functions": true,
		"data_type_families": true, "formats": true, "time_zones": true, "keywords": true, "table_functions": true, "contributors": true,
	}

	// elsewhere are the clauses that read or write files, and the functions outside
	// system.table_functions that reach files or the network.
	elsewhere = regexp.MustCompile(`(?i)\b(?:outfile|infile|catboostEvaluate|modelEvaluate|python|ai(?:classify|embed|extract|generate|translate)\w*)\b`)

	// escapedName is a quoted identifier with an escape in it, which could spell any name.
	escapedName = regexp.MustCompile("(?s)`[^`]*\\\\[^`]*`|\"[^\"]*\\\\[^\"]*\"")
)

// harmless are the table functions that read nothing but their arguments.
var harmless = []string{"numbers", "numbers_mt", "zeros", "zeros_mt", "values", "generate_series", "generateseries", "view", "null", "format"}

// refuse is the error of what may not be done here, as ClickHouse has it for
// readonly users.
func refuse(format string, args ...any) error {
	return &engineError{code: 164, text: "Code: 164. DB::Exception: this port is read-only: " + fmt.Sprintf(format, args...) + " (READONLY)"}
}

// settings returns an error when a client brings along one that is not changeable.
func (g *guard) settings(st *statement) error {
	for name := range st.settings {
		if !changeable[name] {
			return refuse("the setting %s can't be changed here", name)
		}
	}
	delete(st.settings, "readonly") // what every session here has
	if st.database != publicDatabase && st.database != "default" {
		return refuse("the database %s can't be read here, only %s", st.database, publicDatabase)
	}
	st.database = publicDatabase
	st.readOnly = true
	return nil
}

// check returns an error for a statement that does or may do more than read the
// published tables.
func (g *guard) check(st *statement) error {
	if !readers.MatchString(st.sql) {
		return refuse("a statement must begin with SELECT, WITH, SHOW, DESCRIBE, EXISTS or EXPLAIN")
	}
	functions, err := g.tableFunctions()
	if err != nil {
		return err
	}
	if call := functions.FindStringSubmatch(st.sql); call != nil {
		return refuse("the function %s reads from elsewhere", call[1])
	}
	texts := []string{st.sql}
	for _, value := range st.params { // a parameter may stand for a name
		texts = append(texts, value)
	}
	for _, text := range texts {
		if err := checkNames(text); err != nil {
			return err
		}
	}
	return nil
}

func checkNames(text string) error {
	if name := escapedName.FindString(text); name != "" {
		return refuse("a quoted name with a backslash in it, %s", name)
	}
	if word := elsewhere.FindString(text); word != "" {
		return refuse("%s reaches outside", strings.ToUpper(word))
	}
	if table := privateTables.FindString(text); table != "" {
		return refuse("%s is not one of the published tables", table)
	}
	for _, mention := range qualified.FindAllStringSubmatch(text, -1) {
		database, table := strings.ToLower(mention[1]), mention[2]
		switch {
		case database == "system" && publicSystem[table]:
		case database == "default" && table == "": // a word of its own in DDL and window frames
		default:
			return refuse("%s.%s can't be read here", database, table)
		}
	}
	return nil
}

// gap is what may stand between two tokens: comments, and whatever this engine takes for
// a space, of which Unicode has many; nothing that is printed in ASCII.
const gap = "(?:[^!-~]|/\\*.*?\\*/|--[^\\n]*\\n|//[^\\n]*\\n|#[^\\n]*\\n)"

// tableFunctions returns the pattern of calls that are refused: every table function
// that this engine has, apart from the harmless ones.
func (g *guard) tableFunctions() (*regexp.Regexp, error) {
	g.once.Do(func() {
		var names []byte
		if names, g.err = g.engine.first.run("select arrayStringConcat(groupArray(name), '|') from system.table_functions where lower(name) not in (" + quoteAll(harmless) + ")"); g.err == nil {
			g.functions = regexp.MustCompile("(?is)\\b(" + strings.TrimSpace(string(names)) + ")\\b[`\"]?" + gap + "*\\(")
		}
	})
	return g.functions, g.err
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, ", ")
}
