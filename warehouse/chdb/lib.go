package chdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libName is the file that the npm package @chdb/lib-linux-x64-gnu holds.
const libName = "libchdb.so"

// LibEnv names the environment variable that points at the engine library.
const LibEnv = "TIEBACK_CHDB_LIB"

// FindLibrary returns the path of the engine library. It looks in LibEnv, beside
// the executable, in the project's .engine/ (above bin/, and above the working
// folder), in the user's cache folder and in /usr/local/lib. The error
// of a fruitless search lists every place and says what to do.
func FindLibrary() (string, error) {
	if path := os.Getenv(LibEnv); path != "" {
		if isFile(path) {
			return path, nil
		}
		return "", fmt.Errorf("%s=%s: no such file; point it at libchdb.so, or unset it to search the usual places", LibEnv, path)
	}
	places := libraryPlaces()
	for _, place := range places {
		if isFile(place) {
			return place, nil
		}
	}
	return "", &LibraryMissingError{Places: places}
}

// LibraryMissingError says where the engine library was looked for.
type LibraryMissingError struct{ Places []string }

func (e *LibraryMissingError) Error() string {
	return "the embedded engine's library " + libName + " was not found; looked in:\n  $" + LibEnv + " (not set)\n  " +
		strings.Join(e.Places, "\n  ") +
		"\nRun `make engine` in the project's folder to fetch it (linux amd64, glibc)," +
		" set " + LibEnv + " to its path," +
		" or use a ClickHouse server: --clickhouse http://HOST:8123"
}

func libraryPlaces() []string {
	const packaged = ".engine/node_modules/@chdb/lib-linux-x64-gnu/" + libName
	var places []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		places = append(places, filepath.Join(dir, libName), filepath.Join(filepath.Dir(dir), packaged))
	}
	if wd, err := os.Getwd(); err == nil {
		places = append(places, filepath.Join(projectFolder(wd), packaged))
	}
	if cache, err := os.UserCacheDir(); err == nil {
		places = append(places, filepath.Join(cache, "tieback", libName))
	}
	places = append(places, filepath.Join("/usr/local/lib", libName))
	return unique(places)
}

// projectFolder is the nearest folder from dir upwards that has an .engine/, or dir.
func projectFolder(dir string) string {
	for folder := dir; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		if info, err := os.Stat(filepath.Join(folder, ".engine")); err == nil && info.IsDir() {
			return folder
		}
	}
	return dir
}

func unique(in []string) []string {
	seen := make(map[string]bool, len(in))
	out := in[:0]
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// library is the bound C interface of libchdb (programs/local/chdb.h). Pointers
// that the library owns are uintptr, so that Go's collector leaves them alone.
type library struct {
	setSignalHandlers func(enabled int32)
	connect           func(argc int32, argv unsafe.Pointer) uintptr
	closeConn         func(conn uintptr)

	query         func(conn uintptr, sql unsafe.Pointer, n uint64, format unsafe.Pointer, fn uint64, names, nameLens, values, valueLens unsafe.Pointer, count uint64) uintptr
	streamQuery   func(conn uintptr, sql unsafe.Pointer, n uint64, format unsafe.Pointer, fn uint64, names, nameLens, values, valueLens unsafe.Pointer, count uint64) uintptr
	streamInsert  func(conn uintptr, sql unsafe.Pointer, n uint64, format unsafe.Pointer, fn uint64, names, nameLens, values, valueLens unsafe.Pointer, count uint64) uintptr
	streamFetch   func(conn, result uintptr) uintptr
	streamCancel  func(conn, result uintptr)
	insertAppend  func(stream uintptr, data unsafe.Pointer, n uint64) int32
	insertDone    func(stream uintptr) uintptr
	insertCancel  func(stream uintptr)
	insertError   func(stream uintptr) string
	insertDestroy func(stream uintptr)

	resultError   func(result uintptr) string
	resultBuffer  func(result uintptr) unsafe.Pointer
	resultLength  func(result uintptr) uint64
	resultDestroy func(result uintptr)
}

// load binds the library. Go's signal handlers are back in place when it returns.
func load(path string) (*library, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the embedded engine needs linux on amd64, this is %s on %s: use --clickhouse URL", runtime.GOOS, runtime.GOARCH)
	}
	restore := saveSignalHandlers()
	defer restore()
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	lib := &library{}
	bindings := map[string]any{
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlers,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_query_with_params_n":         &lib.query,
		"chdb_stream_query_with_params_n":  &lib.streamQuery,
		"chdb_stream_insert_with_params_n": &lib.streamInsert,
		"chdb_stream_fetch_result":         &lib.streamFetch,
		"chdb_stream_cancel_query":         &lib.streamCancel,
		"chdb_stream_append":               &lib.insertAppend,
		"chdb_stream_done":                 &lib.insertDone,
		"chdb_stream_cancel_insert":        &lib.insertCancel,
		"chdb_stream_insert_error":         &lib.insertError,
		"chdb_destroy_insert_stream":       &lib.insertDestroy,
		"chdb_result_error":                &lib.resultError,
		"chdb_result_buffer":               &lib.resultBuffer,
		"chdb_result_length":               &lib.resultLength,
		"chdb_destroy_query_result":        &lib.resultDestroy,
	}
	for name, fn := range bindings {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%s lacks %s, it is another version than the one pinned in package.json: %w", path, name, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	lib.setSignalHandlers(0)
	return lib, nil
}

// open makes a connection to the engine on path; the first one starts the engine.
func (l *library) open(path string, settings ...string) (uintptr, error) {
	restore := saveSignalHandlers()
	defer restore()
	args := append([]string{"tieback", "--path=" + path}, settings...)
	argv := make([]unsafe.Pointer, len(args))
	var pin runtime.Pinner
	defer pin.Unpin()
	for i, arg := range args {
		text := append([]byte(arg), 0)
		pin.Pin(&text[0])
		argv[i] = unsafe.Pointer(&text[0])
	}
	pin.Pin(&argv[0])
	conn := l.connect(int32(len(args)), unsafe.Pointer(&argv[0]))
	if conn == 0 {
		return 0, errors.New("the engine refused the connection")
	}
	return conn, nil
}
