package chdb

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// statement is one request to the engine.
type statement struct {
	id       string // by which it can be killed, may be empty
	sql      string
	format   string // of the result, unless the SQL names one; of the data of an insert
	database string
	params   map[string]string // values in ClickHouse's escaped text form
	settings map[string]string
	readOnly bool // nothing but reading, within readLimits
}

// session is one connection to the engine, for one statement: what a statement does
// to its session (SET, USE, temporary tables) ends with it, as over HTTP it does.
type session struct {
	lib     *library
	pointer uintptr // chdb_connection *
	handle  uintptr // chdb_connection
}

// engine opens sessions on one data path; opening one takes a third of a millisecond.
type engine struct {
	lib   *library
	path  string
	conf  string        // file of settings
	first *session      // keeps the engine open
	slots chan struct{} // one token a session that is in use
}

const (
	// maxSessions bounds the statements that run at once; further ones wait.
	maxSessions = 32

	// closePatience is how long the end waits for statements that were told to end.
	closePatience = 8 * time.Second
)

func newEngine(lib *library, path, conf string) (*engine, error) {
	e := &engine{lib: lib, path: path, conf: conf, slots: make(chan struct{}, maxSessions)}
	first, err := e.open()
	e.first = first
	return e, err
}

func (e *engine) open() (*session, error) {
	// implicit_select: the library's own default reads `selec 1` as a SELECT.
	pointer, err := e.lib.open(e.path, "--config-file="+e.conf, "--implicit_select=0")
	if err != nil {
		return nil, err
	}
	return &session{lib: e.lib, pointer: pointer, handle: **(**uintptr)(unsafe.Pointer(&pointer))}, nil
}

// acquire waits for a slot and opens a session that is prepared for st.
func (e *engine) acquire(ctx context.Context, st *statement) (*session, error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s, err := e.open()
	if err != nil {
		<-e.slots
		return nil, err
	}
	if err := s.prepare(st); err != nil {
		e.release(s)
		return nil, err
	}
	return s, nil
}

func (e *engine) release(s *session) {
	e.lib.closeConn(s.pointer)
	<-e.slots
}

// kill ends the statement with that id.
func (e *engine) kill(id string) {
	s, err := e.open()
	if err != nil {
		return // the engine is ending, and the statement with it
	}
	defer e.lib.closeConn(s.pointer)
	// An error here means that the statement has ended by itself.
	_, _ = s.run("kill query where startsWith(query, " + quote(marker(id)) + ") async")
}

// close waits for the sessions and closes the engine; without that the library
// aborts at exit. It reports whether all have ended in time.
func (e *engine) close() bool {
	patience := time.After(closePatience)
	for range maxSessions {
		select {
		case e.slots <- struct{}{}:
		case <-patience:
			return false
		}
	}
	e.lib.closeConn(e.first.pointer)
	return true
}

// marker is a comment before a statement by which kill finds it. (Its own settings
// could overwrite log_comment, and the library gives out no query ids.)
func marker(id string) string { return "/* " + id + " */ " }

func (s *session) prepare(st *statement) error {
	if st.database != "" {
		if _, err := s.run("use " + quoteIdentifier(st.database)); err != nil {
			return err
		}
	}
	var list []string
	if st.readOnly {
		list = append(list, readLimits)
	}
	for _, name := range sortedKeys(st.settings) {
		list = append(list, name+" = "+quote(st.settings[name]))
	}
	if len(list) == 0 {
		return nil
	}
	if _, err := s.run("set " + strings.Join(list, ", ")); err != nil || !st.readOnly {
		return err
	}
	_, err := s.run("set readonly = 1") // can't be undone on this session
	return err
}

func sortedKeys(m map[string]string) []string {
	return slices.Sorted(maps.Keys(m))
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
	sql := st.sql
	if st.id != "" {
		sql = marker(st.id) + sql
	}
	var names, values textArray
	for _, name := range sortedKeys(st.params) {
		names.add(&pin, name)
		values.add(&pin, st.params[name])
	}
	return fn(s.handle, textPointer(&pin, sql), uint64(len(sql)), textPointer(&pin, st.format), uint64(len(st.format)),
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

// positionPattern finds the place of a syntax error, which counts the marker.
var positionPattern = regexp.MustCompile(`failed at position (\d+)`)

func newEngineError(text string) *engineError {
	text = positionPattern.ReplaceAllStringFunc(text, func(found string) string {
		at, err := strconv.Atoi(found[len("failed at position "):])
		if length := len(marker(newQueryID())); err == nil && at > length {
			at -= length
		}
		return "failed at position " + strconv.Itoa(at)
	})
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
