package chdb

import (
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

// Version is that of the package, as package.json pins it.
const Version = "26.7.3-stable.1"

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

// library is what is used of libchdb (programs/local/chdb.h): the entry of its command line,
// which has ClickHouse's own servers linked in.
type library struct {
	setSignalHandlers func(enabled int32)
	commandLine       func(argc int32, argv unsafe.Pointer) uintptr
}

// load binds the library.
func load(path string) (*library, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the embedded engine needs linux on amd64, this is %s on %s: use --clickhouse URL", runtime.GOOS, runtime.GOARCH)
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	lib := &library{}
	for name, fn := range map[string]any{
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlers,
		"chdb_query_cmdline":               &lib.commandLine,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%s lacks %s, it is another version than the one pinned in package.json: %w", path, name, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	// Its handlers would keep signals, and a nil dereference, from Go.
	lib.setSignalHandlers(0)
	return lib, nil
}

// run is `clickhouse ARGS...` in this process; it returns when that ends.
func (l *library) run(args ...string) {
	args = append([]string{"clickhouse"}, args...)
	argv := make([]unsafe.Pointer, len(args)+1) // ends with a null
	var pin runtime.Pinner
	defer pin.Unpin()
	for i, arg := range args {
		text := append([]byte(arg), 0)
		pin.Pin(&text[0])
		argv[i] = unsafe.Pointer(&text[0])
	}
	pin.Pin(&argv[0])
	l.commandLine(int32(len(args)), unsafe.Pointer(&argv[0]))
}
