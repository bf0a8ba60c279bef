package chdb

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// statement is one request to the engine.
type statement struct {
	id       string // names it for KILL QUERY
	sql      string
	format   string // of the result, unless the SQL names one; of the data of an insert
	database string
	params   map[string]string // values in ClickHouse's escaped text form
	settings map[string]string
}

// session is one connection to the engine. It runs one statement at a time, and
// its current database and settings live as long as it does.
type session struct {
	lib      *library
	pointer  uintptr // chdb_connection *
	handle   uintptr // chdb_connection
	database string
}

// engine is a pool of sessions on one data path.
type engine struct {
	lib   *library
	path  string
	slots chan struct{} // one token a session that may be in use

	mu   sync.Mutex
	idle []*session

	killing sync.Mutex
	killer  *session // for KILL QUERY, so that it never waits for a slot
}

// maxSessions bounds the statements that run at once; further ones wait.
const maxSessions = 32

func newEngine(lib *library, path string) (*engine, error) {
	e := &engine{lib: lib, path: path, slots: make(chan struct{}, maxSessions)}
	killer, err := e.open()
	if err != nil {
		return nil, err
	}
	e.killer = killer
	return e, nil
}

func (e *engine) open() (*session, error) {
	// implicit_select: the library's own default reads `selec 1` as a SELECT.
	pointer, err := e.lib.open(e.path, "--implicit_select=0")
	if err != nil {
		return nil, err
	}
	handle := **(**uintptr)(unsafe.Pointer(&pointer))
	return &session{lib: e.lib, pointer: pointer, handle: handle, database: "default"}, nil
}

// acquire waits for a free session and prepares it for st.
func (e *engine) acquire(ctx context.Context, st *statement) (*session, error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s, err := e.take()
	if err != nil {
		<-e.slots
		return nil, err
	}
	if err := s.prepare(st); err != nil {
		e.release(s, st)
		return nil, err
	}
	return s, nil
}

func (e *engine) take() (*session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.idle); n > 0 {
		s := e.idle[n-1]
		e.idle = e.idle[:n-1]
		return s, nil
	}
	return e.open()
}

// release gives the session back with its settings reset; one that cannot be
// reset is closed.
func (e *engine) release(s *session, st *statement) {
	defer func() { <-e.slots }()
	if err := s.reset(st); err != nil {
		e.lib.closeConn(s.pointer)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, s)
}

// kill ends the statement with that id, wherever it runs.
func (e *engine) kill(id string) {
	e.killing.Lock()
	defer e.killing.Unlock()
	// An error here means that the statement has ended by itself.
	_, _ = e.killer.run("kill query where Settings['log_comment'] = " + quote(id) + " async")
}

// close closes every idle session; without it the library aborts at exit.
func (e *engine) close() {
	for range maxSessions {
		e.slots <- struct{}{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range append(e.idle, e.killer) {
		e.lib.closeConn(s.pointer)
	}
	e.idle = nil
}

func (s *session) prepare(st *statement) error {
	if st.database != "" && st.database != s.database {
		if _, err := s.run("use " + quoteIdentifier(st.database)); err != nil {
			return err
		}
		s.database = st.database
	}
	_, err := s.run("set log_comment = " + quote(st.id) + settingsList(st.settings, quote))
	return err
}

func (s *session) reset(st *statement) error {
	if len(st.settings) == 0 {
		return nil
	}
	list := settingsList(st.settings, func(string) string { return "default" })
	_, err := s.run("set log_comment = ''" + list)
	return err
}

func settingsList(settings map[string]string, value func(string) string) string {
	var b strings.Builder
	for _, name := range sortedKeys(settings) {
		fmt.Fprintf(&b, ", %s = %s", name, value(settings[name]))
	}
	return b.String()
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// run executes sql whole and returns its result.
func (s *session) run(sql string) ([]byte, error) {
	return s.query(&statement{sql: sql, format: "TabSeparated"})
}

func (s *session) query(st *statement) ([]byte, error) {
	result := s.call(s.lib.query, st)
	defer s.lib.resultDestroy(result)
	if text := s.lib.resultError(result); text != "" {
		return nil, newEngineError(text)
	}
	return slices.Clone(s.lib.bytes(result)), nil
}

// errNotStreamed says that the statement has no result to stream (only SELECT has).
var errNotStreamed = errors.New("not a streamed statement")

// stream runs a SELECT and hands each chunk of its formatted result to emit.
func (s *session) stream(st *statement, emit func(chunk []byte) error) error {
	result := s.call(s.lib.streamQuery, st)
	defer s.lib.resultDestroy(result)
	if text := s.lib.resultError(result); text != "" {
		if strings.Contains(text, "Streaming query is not supported") {
			return errNotStreamed
		}
		return newEngineError(text)
	}
	for {
		done, err := s.fetch(result, emit)
		if err != nil {
			s.lib.streamCancel(s.handle, result)
			return err
		}
		if done {
			return nil
		}
	}
}

func (s *session) fetch(result uintptr, emit func([]byte) error) (done bool, err error) {
	chunk := s.lib.streamFetch(s.handle, result)
	defer s.lib.resultDestroy(chunk)
	if text := s.lib.resultError(chunk); text != "" {
		return false, newEngineError(text)
	}
	data := s.lib.bytes(chunk)
	if len(data) == 0 {
		return true, nil
	}
	return false, emit(data)
}

// insert runs an INSERT whose data, in st.format, comes from read, which returns
// no bytes at the end. An error of read cancels the insert.
func (s *session) insert(st *statement, read func() ([]byte, error)) error {
	stream := s.call(s.lib.streamInsert, st)
	defer s.lib.insertDestroy(stream)
	if text := s.lib.insertError(stream); text != "" {
		return newEngineError(text)
	}
	for {
		data, err := read()
		if err != nil {
			s.lib.insertCancel(stream)
			return err
		}
		if len(data) == 0 {
			break
		}
		if s.lib.insertAppend(stream, unsafe.Pointer(&data[0]), uint64(len(data))) != 0 {
			break // the reason comes with done
		}
	}
	result := s.lib.insertDone(stream)
	defer s.lib.resultDestroy(result)
	if text := s.lib.resultError(result); text != "" {
		return newEngineError(text)
	}
	return nil
}

type boundCall func(conn uintptr, sql unsafe.Pointer, n uint64, format unsafe.Pointer, fn uint64, names, nameLens, values, valueLens unsafe.Pointer, count uint64) uintptr

// call passes a statement with its parameters to one of the library's functions.
func (s *session) call(fn boundCall, st *statement) uintptr {
	var pin runtime.Pinner
	defer pin.Unpin()
	var names, values textArray
	for _, name := range sortedKeys(st.params) {
		names.add(&pin, name)
		values.add(&pin, st.params[name])
	}
	return fn(s.handle, textPointer(&pin, st.sql), uint64(len(st.sql)), textPointer(&pin, st.format), uint64(len(st.format)),
		names.pointers(&pin), names.lengths(&pin), values.pointers(&pin), values.lengths(&pin), uint64(len(names.texts)))
}

// textArray is a C array of texts beside the array of their lengths.
type textArray struct {
	texts []unsafe.Pointer
	sizes []uint64
}

func (a *textArray) add(pin *runtime.Pinner, text string) {
	a.texts = append(a.texts, textPointer(pin, text))
	a.sizes = append(a.sizes, uint64(len(text)))
}

func (a *textArray) pointers(pin *runtime.Pinner) unsafe.Pointer {
	if len(a.texts) == 0 {
		return nil
	}
	pin.Pin(&a.texts[0])
	return unsafe.Pointer(&a.texts[0])
}

func (a *textArray) lengths(pin *runtime.Pinner) unsafe.Pointer {
	if len(a.sizes) == 0 {
		return nil
	}
	pin.Pin(&a.sizes[0])
	return unsafe.Pointer(&a.sizes[0])
}

func textPointer(pin *runtime.Pinner, text string) unsafe.Pointer {
	data := append([]byte(text), 0)
	pin.Pin(&data[0])
	return unsafe.Pointer(&data[0])
}

// bytes is the result's buffer; it is the library's and valid until resultDestroy.
func (l *library) bytes(result uintptr) []byte {
	n := l.resultLength(result)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(l.resultBuffer(result)), n)
}

// engineError is an exception of the engine; code is ClickHouse's own number.
type engineError struct {
	code int
	text string
}

func (e *engineError) Error() string { return e.text }

var codePattern = regexp.MustCompile(`Code: (\d+)\.`)

func newEngineError(text string) *engineError {
	e := &engineError{code: 1002, text: text} // UNKNOWN_EXCEPTION
	if m := codePattern.FindStringSubmatch(text); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil {
			e.code = code
		}
	}
	return e
}

var literalEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "`", "\\`", "\x00", `\0`)

func quote(s string) string           { return "'" + literalEscaper.Replace(s) + "'" }
func quoteIdentifier(s string) string { return "`" + literalEscaper.Replace(s) + "`" }
