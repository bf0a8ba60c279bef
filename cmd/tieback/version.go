package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/tieback/tieback/warehouse/chdb"
)

// version is that of the newest heading of CHANGELOG.md. A build of a release gives it with -ldflags "-X main.version=…".
var version = "0.1.0-dev"

type versionCmd struct{}

func (versionCmd) Run(p *program) error {
	fmt.Fprintln(p.stdout, versionText())
	engine, err := chdb.FindLibrary()
	if err != nil {
		engine = "not installed"
	}
	fmt.Fprintf(p.stdout, "embedded engine: chdb %s, %s\n", chdb.Version, engine)
	return nil
}

// versionText says which tieback this is, in a line.
func versionText() string {
	commit, when, changed := "", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.time":
				when = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = ", with changes"
			}
		}
	}
	text := fmt.Sprintf("tieback %s (commit %s%s", version, cmp.Or(commit, "unknown"), changed)
	if when != "" {
		text += ", " + when
	}
	return text + fmt.Sprintf("; %s, %s/%s)", runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
