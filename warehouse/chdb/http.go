package chdb

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// handler speaks the part of ClickHouse's HTTP interface that clickhouse-go, curl
// and golang-migrate use.
type handler struct {
	engine *engine
	guard  *guard // what may be asked, anything when nil
}

// reserved are the URL parameters that are no settings.
var reserved = map[string]bool{
	"query": true, "database": true, "default_format": true, "client_protocol_version": true,
	"query_id": true, "quota_key": true, "session_id": true, "session_timeout": true, "session_check": true,
	"user": true, "password": true, "role": true, "wait_end_of_query": true, "buffer_size": true,
}

// settingName keeps a URL parameter from being read as SQL in a SET statement.
var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// maxQueryBytes bounds a statement without streamed data; larger data belongs in
// an INSERT with query= in the URL.
const maxQueryBytes = 256 << 20

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	st, err := parseStatement(values)
	if err != nil {
		writeError(w, err)
		return
	}
	if h.guard != nil {
		if err := h.guard.settings(st); err != nil {
			writeError(w, err)
			return
		}
	}
	st.format = firstOf(values.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated")
	w.Header().Set("X-ClickHouse-Query-Id", st.id)

	if format, sql, ok := streamedInsert(st.sql, r); ok && h.guard == nil {
		st.sql, st.format = sql, format
		if err := h.insert(r.Context(), st, r.Body); err != nil {
			writeError(w, err)
		}
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQueryBytes))
	if err != nil {
		writeError(w, fmt.Errorf("read the statement: %w", err))
		return
	}
	st.sql = joinQuery(st.sql, body)
	if h.guard != nil {
		if err := h.guard.check(st); err != nil {
			writeError(w, err)
			return
		}
		leave, err := h.guard.enter(r.Context())
		if err != nil {
			return // the client has gone
		}
		defer leave()
	}
	st.format = formatOf(st.sql, st.format)
	revision, _ := strconv.ParseUint(values.Get("client_protocol_version"), 10, 64)
	h.answer(w, r, st, revision)
}

func parseStatement(values url.Values) (*statement, error) {
	st := &statement{
		id: newQueryID(), sql: values.Get("query"), database: firstOf(values.Get("database"), "default"),
		params: map[string]string{}, settings: map[string]string{},
	}
	for name := range values {
		param, isParam := strings.CutPrefix(name, "param_")
		switch {
		case isParam:
			st.params[param] = values.Get(name)
		case reserved[name]:
		case name == "compress" || name == "decompress":
			if v := values.Get(name); v != "0" && v != "" {
				return nil, &engineError{code: 36, text: "Code: 36. DB::Exception: the embedded engine does not compress: connect without compression. (BAD_ARGUMENTS)"}
			}
		case !settingName.MatchString(name):
			return nil, &engineError{code: 115, text: fmt.Sprintf("Code: 115. DB::Exception: %q is no setting. (UNKNOWN_SETTING)", name)}
		default:
			st.settings[name] = values.Get(name)
		}
	}
	return st, nil
}

// insertPattern finds the format of an INSERT whose data is the request's body.
var insertPattern = regexp.MustCompile(`(?is)^\s*(insert\s+into\s.*?)\s+(?:format\s+(\w+)|(values))\s*;?\s*$`)

func streamedInsert(sql string, r *http.Request) (format, query string, ok bool) {
	m := insertPattern.FindStringSubmatch(sql)
	if m == nil || r.Method != http.MethodPost || r.ContentLength == 0 {
		return "", "", false
	}
	return firstOf(m[2], m[3]), m[1], true
}

func (h *handler) insert(ctx context.Context, st *statement, body io.Reader) error {
	s, err := h.engine.acquire(ctx, st)
	if err != nil {
		return err
	}
	defer h.engine.release(s)
	defer h.killOnCancel(ctx, st.id)()
	buf := make([]byte, 1<<20)
	return s.insert(st, func() ([]byte, error) {
		n, err := fill(body, buf)
		return buf[:n], err
	})
}

// fill reads until buf is full or body ends. Unlike io.ReadFull it keeps the end
// of the data apart from a body that was cut off, which must cancel the insert.
func fill(body io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = body.Read(buf[n:])
		n += k
	}
	if err == io.EOF { // not errors.Is: a cut body is io.ErrUnexpectedEOF
		err = nil
	}
	return n, err
}

// answer runs st and writes its result. Once bytes are out, an error can only be
// told inside the body, framed as ClickHouse frames it.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, st *statement, revision uint64) {
	s, err := h.engine.acquire(r.Context(), st)
	if err != nil {
		writeError(w, err)
		return
	}
	defer h.engine.release(s)
	defer h.killOnCancel(r.Context(), st.id)()

	tag := newQueryID()[:16]
	w.Header().Set("X-ClickHouse-Exception-Tag", tag)
	started := false
	emit := func(chunk []byte) error {
		if strings.EqualFold(st.format, "Native") && revision > 0 {
			encoded, err := encodeNative(chunk, revision)
			if err != nil {
				return err
			}
			chunk = encoded
		}
		started = true
		_, err := w.Write(chunk)
		return err
	}
	err = h.execute(s, st, emit)
	switch {
	case err == nil:
	case !started:
		writeError(w, err)
	default:
		fmt.Fprintf(w, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", tag, err.Error(), len(err.Error()), tag)
	}
}

// formatPattern finds the FORMAT clause at the end of a statement.
var formatPattern = regexp.MustCompile(`(?is)\bformat\s+(\w+)(?:\s+settings\s[^;]*)?\s*;?\s*$`)

// commentPattern finds comments; one in a string is found too, which does no harm to
// what is looked for at the end.
var commentPattern = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/`)

// formatOf is the format of the result: the statement's own, or the default.
func formatOf(sql, otherwise string) string {
	sql = commentPattern.ReplaceAllString(sql, " ")
	if m := formatPattern.FindStringSubmatch(sql); m != nil {
		return m[1]
	}
	return otherwise
}

// streamable are the formats (in lower case) of which a result is the sequence of
// its chunks: no head, no tail. The library writes head and tail for each chunk.
var streamable = map[string]bool{
	"native": true, "rowbinary": true, "csv": true, "tabseparated": true, "tsv": true,
	"tabseparatedraw": true, "tsvraw": true, "jsoneachrow": true, "jsoncompacteachrow": true,
}

// execute streams a SELECT, so that its size does not matter, and runs anything
// else whole.
func (h *handler) execute(s *session, st *statement, emit func([]byte) error) error {
	_, framed := st.settings["output_format_json_array_of_rows"]
	framed = framed || strings.Contains(st.sql, "output_format_json_array_of_rows")
	if streamable[strings.ToLower(st.format)] && !framed {
		if err := s.stream(st, emit); !errors.Is(err, errNotStreamed) {
			return err
		}
	}
	result, err := s.query(st)
	if err != nil || len(result) == 0 {
		return err
	}
	return emit(result)
}

// killOnCancel ends the statement when the client goes away. The returned function
// must be called when the statement has ended; it waits for a kill under way.
func (h *handler) killOnCancel(ctx context.Context, id string) (stop func()) {
	var wg sync.WaitGroup
	wg.Add(1)
	cancelled := context.AfterFunc(ctx, func() {
		defer wg.Done()
		h.engine.kill(id)
	})
	return func() {
		if cancelled() {
			wg.Done()
		}
		wg.Wait()
	}
}

func joinQuery(query string, body []byte) string {
	if query == "" {
		return string(body)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return query
	}
	return query + "\n" + string(body)
}

func writeError(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, 1002
	var engineErr *engineError
	if errors.As(err, &engineErr) {
		code = engineErr.code
		status = statusOf(code)
	}
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(code))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, err.Error()+"\n")
}

// statusOf maps an exception's code to the status that a server answers with.
func statusOf(code int) int {
	switch code {
	case 6, 26, 27, 36, 38, 41, 42, 43, 44, 46, 47, 50, 53, 62, 70, 72, 115, 344, 456, 457:
		return http.StatusBadRequest
	case 60, 81:
		return http.StatusNotFound
	case 164, 452:
		return http.StatusForbidden
	case 159, 209:
		return http.StatusRequestTimeout
	default:
		return http.StatusInternalServerError
	}
}

func newQueryID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, crypto/rand
	return hex.EncodeToString(b[:])
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
